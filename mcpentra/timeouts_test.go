package mcpentra_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// A body that does not arrive holds a user's slot for its time and no longer.
func TestSlowBody(t *testing.T) {
	w := newWorld(t, mcpentra.WithLimits(mcpentra.Limits{Concurrent: 1, BodyTimeout: 300 * time.Millisecond}))
	token := w.token(w.alice)
	conn, answers := dial(t, w.url)
	_, err := fmt.Fprintf(conn, "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"+
		"Accept: application/json, text/event-stream\r\nContent-Length: 1000\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":\"slow\",\"method\"", token)
	must(t, err)
	drip := make(chan struct{})
	go func() { // one byte at a time: no single read is slow
		defer close(drip)
		for range 1000 {
			if _, err := conn.Write([]byte(" ")); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	resp, err := http.ReadResponse(answers, nil)
	must(t, err)
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	must(t, resp.Body.Close())
	if resp.StatusCode != http.StatusRequestTimeout || decode(t, string(body))["id"] != "slow" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if _, err := answers.ReadByte(); !errors.Is(err, io.EOF) && !isReset(err) {
		t.Errorf("the connection is still open: %v", err)
	}
	<-drip
	if status, _, body := w.post(t, listTools, map[string]string{"Authorization": "Bearer " + token}); status != http.StatusOK {
		t.Errorf("afterwards: %d %s", status, body)
	}
}

// A body without token, and one that nobody reads, cost no more.
func TestSlowBodyOfAStranger(t *testing.T) {
	t.Parallel() // three of these wait 5 seconds for a body
	w := newWorld(t, mcpentra.WithLimits(mcpentra.Limits{BodyTimeout: 300 * time.Millisecond}))
	for _, request := range []string{
		"GET /mcp", "GET /health", "DELETE /mcp", "GET /.well-known/oauth-protected-resource", "POST /elsewhere",
	} {
		t.Run(request, func(t *testing.T) {
			t.Parallel()
			conn, answers := dial(t, w.url)
			_, err := fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n", request)
			must(t, err)
			resp, err := http.ReadResponse(answers, nil)
			must(t, err)
			_, _ = io.Copy(io.Discard, resp.Body)
			must(t, resp.Body.Close())
			if _, err := answers.ReadByte(); !errors.Is(err, io.EOF) && !isReset(err) {
				t.Errorf("the connection is still open: %v", err)
			}
		})
	}
}

// Calls and streams outlive the deadline of their body, and of each write.
func TestLongCallsAreNotTimedOut(t *testing.T) {
	const short = 200 * time.Millisecond
	for name, opts := range map[string][]mcpentra.Option{"2026-07-28": nil, "2025-11-25": {mcpentra.WithSessions()}, "2026-07-28 over HTTP/2": nil} {
		protocol, _, http2 := strings.Cut(name, " over ")
		w := newWorld(t, append(opts, mcpentra.WithLimits(mcpentra.Limits{BodyTimeout: short, WriteTimeout: short}))...)
		must(t, w.verifier.Ready(t.Context())) // the first fetch of keys may take longer than that
		mcp.AddTool(w.server.MCP(), &mcp.Tool{Name: "long"}, func(ctx context.Context, req *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			for i := range 4 {
				select {
				case <-time.After(short):
				case <-ctx.Done():
					return nil, nil, ctx.Err()
				}
				if err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: req.Params.GetProgressToken(), Progress: float64(i + 1)}); err != nil {
					return nil, nil, err
				}
			}
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "done"}}}, nil, nil
		})
		transport := &http.Transport{}
		t.Cleanup(transport.CloseIdleConnections)
		if http2 {
			transport = serveHTTP2(t, w)
		}
		s := w.connectWith(t, withToken{w.token(w.alice), transport}, protocol)
		params := &mcp.CallToolParams{Name: "long"}
		params.SetProgressToken("p")
		result, err := s.CallTool(t.Context(), params)
		must(t, err)
		if result.IsError || result.Content[0].(*mcp.TextContent).Text != "done" {
			t.Errorf("%s: %+v", name, result.Content[0])
		}
		if _, text := call(t, s, "secure_ping", nil); !strings.Contains(text, "successful") {
			t.Errorf("%s, on the same connection: %s", name, text)
		}
	}
}

// serveHTTP2 serves the world's server over TLS and HTTP/2.
func serveHTTP2(t *testing.T, w *world) *http.Transport {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("protocol %s", r.Proto)
		}
		w.server.ServeHTTP(rw, r)
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	w.url = s.URL + "/mcp"
	return s.Client().Transport.(*http.Transport)
}

// A client that does not read its answer loses its connection, and its slot is free.
func TestSlowReader(t *testing.T) {
	w := newWorld(t, mcpentra.WithLimits(mcpentra.Limits{Concurrent: 1, WriteTimeout: 200 * time.Millisecond}))
	large := strings.Repeat("x", 6<<20) // more than the kernel takes for a reader with a small buffer
	done := make(chan struct{}, 1)
	mcp.AddTool(w.server.MCP(), &mcp.Tool{Name: "large"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		done <- struct{}{}
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: large}}}, nil, nil
	})
	token := w.token(w.alice)
	conn, _ := dial(t, w.url)
	must(t, conn.(*net.TCPConn).SetReadBuffer(4096))
	const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"large","arguments":{}}}`
	_, err := fmt.Fprintf(conn, "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"+
		"Accept: application/json, text/event-stream\r\nContent-Length: %d\r\n\r\n%s", token, len(body), body)
	must(t, err)
	<-done
	for { // the slot is free as soon as the write has failed
		status, _, text := w.post(t, listTools, map[string]string{"Authorization": "Bearer " + token})
		if status == http.StatusOK {
			break
		}
		if status != http.StatusTooManyRequests {
			t.Fatalf("%d %s", status, text)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// On 2026-07-28 the request is the call: when the client is gone, so is its context.
func TestClientHangsUp(t *testing.T) {
	w := newWorld(t)
	x := addWaiting(w)
	s := w.connect(t, w.token(w.alice), "2026-07-28")
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-x.begun; cancel() }()
	if _, err := s.CallTool(ctx, &mcp.CallToolParams{Name: "wait"}); !errors.Is(err, context.Canceled) {
		t.Errorf("the client: %v", err)
	}
	if err := <-x.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the call ended with %v", err)
	}
	// One that vanishes without a word of HTTP, too.
	conn, _ := dial(t, w.url)
	body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"wait","arguments":{},` +
		`"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}`
	_, err := fmt.Fprintf(conn, "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"+
		"Accept: application/json, text/event-stream\r\nMcp-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: wait\r\nContent-Length: %d\r\n\r\n%s",
		w.token(w.alice), len(body), body)
	must(t, err)
	<-x.begun
	must(t, conn.Close())
	if err := <-x.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the call ended with %v", err)
	}
}

// dial opens a connection to the server of a URL.
func dial(t testing.TB, url string) (net.Conn, *bufio.Reader) {
	t.Helper()
	host, _, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", host)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	must(t, conn.SetReadDeadline(time.Now().Add(20*time.Second))) // a test that hangs says where
	return conn, bufio.NewReader(conn)
}

func isReset(err error) bool {
	_, ok := errors.AsType[*net.OpError](err)
	return ok && !errors.Is(err, context.DeadlineExceeded) && !strings.Contains(err.Error(), "timeout")
}
