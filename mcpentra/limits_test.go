package mcpentra_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// A thousand quick requests of one user are cut off; another is served meanwhile.
func TestRequestsPerSecond(t *testing.T) {
	w := newWorld(t, mcpentra.WithLimits(mcpentra.Limits{RequestsPerSecond: 0.01, Burst: 50}))
	alice, bob := w.token(w.alice), w.token(w.bob)
	transport := &http.Transport{MaxIdleConnsPerHost: 8}
	defer transport.CloseIdleConnections()
	var mu sync.Mutex
	count := map[int]int{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 125 {
				status, header, body := send(t, transport, w.url, listTools, alice)
				mu.Lock()
				count[status]++
				mu.Unlock()
				if status != http.StatusTooManyRequests {
					continue
				}
				if s, err := strconv.Atoi(header.Get("Retry-After")); err != nil || s < 1 || s > 100 {
					t.Errorf("Retry-After: %q", header.Get("Retry-After"))
				}
				if rpc := decode(t, body); rpc["id"] != 7.0 || rpc["error"] == nil {
					t.Errorf("no JSON-RPC error for the request: %s", body)
				}
			}
		})
	}
	for range 50 {
		if status, _, body := send(t, transport, w.url, listTools, bob); status != http.StatusOK {
			t.Errorf("another user meanwhile: %d %s", status, body)
		}
	}
	wg.Wait()
	if count[http.StatusOK] != 50 || count[http.StatusTooManyRequests] != 950 {
		t.Errorf("answers by status: %v", count)
	}
	if n := strings.Count(w.log.String(), "too many of this user"); n == 0 || n > 100 {
		t.Errorf("%d lines about it", n)
	}
}

// The SDK's client goes on after 429.
func TestClientSurvivesTooManyRequests(t *testing.T) {
	w := newWorld(t, mcpentra.WithLimits(mcpentra.Limits{Concurrent: 1}))
	release := addWaiting(w)
	s := w.connect(t, w.token(w.alice), "2026-07-28")
	var wg sync.WaitGroup
	wg.Go(func() {
		for { // the request before may have been answered and not yet be over
			result, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "wait"})
			if err == nil || !strings.Contains(err.Error(), "Too Many Requests") {
				if err != nil || result.IsError {
					t.Errorf("the call: %+v %v", result, err)
				}
				return
			}
		}
	})
	<-release.begun
	if _, err := s.ListTools(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "Too Many Requests") {
		t.Errorf("a second request at a time: %v", err)
	}
	if status, _, body := w.post(t, listTools, map[string]string{"Authorization": "Bearer " + w.token(w.alice)}); status != http.StatusTooManyRequests ||
		!strings.Contains(body, "1 at a time") {
		t.Errorf("%d %s", status, body)
	}
	if status, _, body := w.post(t, listTools, map[string]string{"Authorization": "Bearer " + w.token(w.bob)}); status != http.StatusOK {
		t.Errorf("another user: %d %s", status, body)
	}
	close(release.end)
	wg.Wait()
	for {
		_, err := s.ListTools(t.Context(), nil)
		if err == nil {
			break
		}
		if !strings.Contains(err.Error(), "Too Many Requests") {
			t.Fatalf("afterwards: %v", err)
		}
	}
}

// waiting is a tool that says when it has begun and how it ended.
type waiting struct {
	begun chan struct{}
	end   chan struct{} // closed by the test
	ended chan error
}

func addWaiting(w *world) waiting {
	x := waiting{make(chan struct{}, 8), make(chan struct{}), make(chan error, 8)}
	mcp.AddTool(w.server.MCP(), &mcp.Tool{Name: "wait", Description: "Waits."},
		func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			x.begun <- struct{}{}
			select {
			case <-x.end:
			case <-ctx.Done():
			}
			x.ended <- ctx.Err()
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "waited"}}}, nil, ctx.Err()
		})
	return x
}

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
	w := newWorld(t, mcpentra.WithLimits(mcpentra.Limits{BodyTimeout: 300 * time.Millisecond}))
	for _, request := range []string{
		"GET /mcp", "GET /health", "DELETE /mcp", "GET /.well-known/oauth-protected-resource", "POST /elsewhere",
	} {
		conn, answers := dial(t, w.url)
		_, err := fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n", request)
		must(t, err)
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Errorf("%s: %v", request, err)
			continue
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		must(t, resp.Body.Close())
		if _, err := answers.ReadByte(); !errors.Is(err, io.EOF) && !isReset(err) {
			t.Errorf("%s: the connection is still open: %v", request, err)
		}
	}
}

// Calls and streams outlive the deadline of their body, and of each write.
func TestLongCallsAreNotTimedOut(t *testing.T) {
	const short = 200 * time.Millisecond
	for name, opts := range map[string][]mcpentra.Option{"2026-07-28": nil, "2025-11-25": {mcpentra.WithSessions()}} {
		w := newWorld(t, append(opts, mcpentra.WithLimits(mcpentra.Limits{BodyTimeout: short, WriteTimeout: short}))...)
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
		s := w.connect(t, w.token(w.alice), name)
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

// Who has been away is forgotten; who is being served is not.
func TestUsersAreForgotten(t *testing.T) {
	now := time.Unix(1e9, 0)
	users := mcpentra.NewUsers(mcpentra.Limits{RequestsPerSecond: 1, Burst: 10, Concurrent: 1}, func() time.Time { return now })
	release, _ := users.Admit("busy")
	for i := range 3 * mcpentra.MaxIdleUsers {
		end, wait := users.Admit(strconv.Itoa(i))
		if wait > 0 {
			t.Fatalf("user %d must wait %s", i, wait)
		}
		end()
	}
	if n := users.Known(); n > mcpentra.MaxIdleUsers+2 {
		t.Errorf("%d users are remembered", n)
	}
	if _, wait := users.Admit("busy"); wait == 0 {
		t.Error("a user who is being served was forgotten")
	}
	now = now.Add(10 * time.Second) // all buckets are full again
	for range 2 * mcpentra.MaxIdleUsers {
		if end, wait := users.Admit("one"); wait == 0 {
			end()
		}
	}
	if n := users.Known(); n != 2 {
		t.Errorf("%d users are remembered, want the one and the busy", n)
	}
	release()
	if end, wait := users.Admit("busy"); wait > 0 {
		t.Errorf("must wait %s", wait)
	} else {
		end()
	}
}

// Retry-After is when the next request would be served.
func TestWaitIsExact(t *testing.T) {
	now := time.Unix(1e9, 0)
	users := mcpentra.NewUsers(mcpentra.Limits{RequestsPerSecond: 0.1, Burst: 2, Concurrent: 9}, func() time.Time { return now })
	for range 2 {
		if _, wait := users.Admit("a"); wait > 0 {
			t.Fatalf("must wait %s", wait)
		}
	}
	now = now.Add(time.Second)
	_, wait := users.Admit("a")
	if wait < 8*time.Second || wait > 9*time.Second+time.Millisecond {
		t.Fatalf("must wait %s, want 9s", wait)
	}
	now = now.Add(wait + time.Millisecond)
	if _, wait := users.Admit("a"); wait > 0 {
		t.Errorf("and then %s again", wait)
	}
}

func TestLimitsMustBePositive(t *testing.T) {
	w := newWorld(t)
	_, err := mcpentra.NewServer(resourceURL, w.verifier, mcpentra.WithLimits(mcpentra.Limits{
		RequestsPerSecond: -1, Burst: -1, Concurrent: -1, Sessions: -1, BodyBytes: -1, BodyTimeout: -1, WriteTimeout: -1, DrainTimeout: -1,
	}))
	for _, field := range []string{"RequestsPerSecond", "Burst", "Concurrent", "Sessions", "BodyBytes", "BodyTimeout", "WriteTimeout", "DrainTimeout"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not named in: %v", field, err)
		}
	}
}

const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`

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

// send posts a body over a shared transport.
func send(t testing.TB, transport http.RoundTripper, url, body, token string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, strings.NewReader(body))
	must(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Error(err)
		return 0, http.Header{}, ""
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return resp.StatusCode, resp.Header, string(data)
}
