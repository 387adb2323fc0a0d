package mcpentra_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// A body that does not arrive holds a user's slot for its time and no longer. (One that arrives
// in drips is tested in internal/edge.)
func TestSlowBody(t *testing.T) {
	t.Parallel()
	const bodyTimeout = 20 * time.Second
	inBubble(t, func(t *testing.T, b *bubble) {
		token := b.token(b.alice)
		conn, answers := b.raw(t)
		begun := time.Now()
		_, err := fmt.Fprintf(conn, "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"+
			"Accept: application/json, text/event-stream\r\nContent-Length: 1000\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":\"slow\",\"method\"", token)
		must(t, err)
		resp, err := http.ReadResponse(answers, nil)
		must(t, err)
		body, err := io.ReadAll(resp.Body)
		must(t, err)
		must(t, resp.Body.Close())
		if resp.StatusCode != http.StatusRequestTimeout || decode(t, string(body))["id"] != "slow" {
			t.Errorf("got %d %s, want 408 and the id slow", resp.StatusCode, body)
		}
		if _, err := answers.ReadByte(); !errors.Is(err, io.EOF) || !endedIn(bodyTimeout, time.Since(begun)) {
			t.Errorf("after %s: reading on = %v, want %v after %s", time.Since(begun), err, io.EOF, bodyTimeout)
		}
		if status, _, body := send(t, b.transport(t), b.url, listTools, token); status != http.StatusOK {
			t.Errorf("afterwards: got %d %s, want 200", status, body)
		}
	}, mcpentra.WithLimits(mcpentra.Limits{Concurrent: 1, BodyTimeout: bodyTimeout}))
}

// Nor does the body of a caller without the verifier's scope, which would say what to ask for. It
// has 5 seconds, then the challenge asks for the verifier's scopes alone.
func TestSlowBodyWithoutScope(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bubble) {
		const body = `{"jsonrpc":"2.0","id":"slow","method":"tools/call","params":{"name":"secure_ping","arguments":{}}}`
		send := func(body string) (status int, challenge, answer string, rest *bufio.Reader) {
			conn, answers := b.raw(t)
			_, err := fmt.Fprintf(conn, "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: %s\r\nContent-Type: application/json\r\n"+
				"Content-Length: 1000\r\n\r\n%s", b.bearer(map[string]any{"scp": "other"})["Authorization"], body)
			must(t, err)
			resp, err := http.ReadResponse(answers, nil)
			must(t, err)
			text, err := io.ReadAll(resp.Body)
			must(t, err)
			must(t, resp.Body.Close())
			return resp.StatusCode, resp.Header.Get("WWW-Authenticate"), string(text), answers
		}
		begun := time.Now()
		status, challenge, text, answers := send(body)
		if status != http.StatusForbidden || strings.Contains(challenge, "Ping.Send") || decode(t, text)["id"] != "slow" {
			t.Errorf("got %d %s\n%s\nwant 403 without Ping.Send and the id slow", status, challenge, text)
		}
		if _, err := answers.ReadByte(); !errors.Is(err, io.EOF) || !endedIn(5*time.Second, time.Since(begun)) {
			t.Errorf("after %s: reading on = %v, want %v after 5s", time.Since(begun), err, io.EOF)
		}
		begun = time.Now()
		status, challenge, text, _ = send(body + strings.Repeat(" ", 1000-len(body))) // the slow one's place is free
		if status != http.StatusForbidden || !strings.Contains(challenge, "Ping.Send") || time.Since(begun) != 0 {
			t.Errorf("a body that arrives: got %d %s after %s\n%s\nwant 403 with Ping.Send at once", status, challenge, time.Since(begun), text)
		}
	}, mcpentra.WithLimits(mcpentra.Limits{Concurrent: 1, BodyTimeout: 20 * time.Second}),
		mcpentra.WithToolPolicy("secure_ping", entraauth.Policy{Scopes: []string{"Ping.Send"}}))
}

// A body without token, and one that nobody reads, cost no more: the connection ends
// when the body has had its time, or 5 seconds in which the request's id is looked for.
func TestSlowBodyOfAStranger(t *testing.T) {
	t.Parallel()
	const bodyTimeout = 3 * time.Second
	for request, want := range map[string]time.Duration{
		"POST /mcp": 5 * time.Second, "GET /mcp": 5 * time.Second, "DELETE /mcp": 5 * time.Second, "POST /elsewhere": 5 * time.Second,
		"GET /health": bodyTimeout, "GET /.well-known/oauth-protected-resource": bodyTimeout,
		"POST /auth/token": bodyTimeout, // the authorization proxy's, which reads it
	} {
		t.Run(request, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				v, err := entraauth.NewVerifier("11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222", &entraauth.Options{
					HTTPClient: &http.Client{Transport: nobody{}}, Logger: slog.New(slog.DiscardHandler),
				})
				must(t, err)
				defer func() { _ = v.Close() }()
				srv, err := mcpentra.NewServer(resourceURL, v, mcpentra.WithLogger(slog.New(slog.DiscardHandler)), mcpentra.WithAuthProxy(newFakeProxy()),
					mcpentra.WithLimits(mcpentra.Limits{BodyTimeout: bodyTimeout, WriteTimeout: 500 * time.Millisecond}))
				must(t, err)
				n := newListener()
				served := &http.Server{Handler: srv, ReadHeaderTimeout: time.Second}
				go func() { _ = served.Serve(n) }()
				here, err := n.dial(t.Context(), "", "")
				must(t, err)
				begun := time.Now()
				_, err = fmt.Fprintf(here, "%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":\"slow\",", request)
				must(t, err)
				resp, err := http.ReadResponse(bufio.NewReader(here), nil) //nolint:bodyclose // read below, to the connection's end
				must(t, err)
				if statuses := map[string]int{"GET /mcp": 401, "DELETE /mcp": 401, "POST /mcp": 401, "POST /elsewhere": 404}; statuses[request] != 0 && resp.StatusCode != statuses[request] {
					t.Errorf("got %s, want %d", resp.Status, statuses[request])
				}
				if _, err := io.Copy(io.Discard, here); err != nil || !endedIn(want, time.Since(begun)) {
					t.Errorf("the connection ended after %s with %v, want %s and its end", time.Since(begun), err, want)
				}
				must(t, served.Close())
			})
		})
	}
}

// nobody is a network on which nothing can be reached.
type nobody struct{}

func (nobody) RoundTrip(*http.Request) (*http.Response, error) { return nil, net.ErrClosed }

// Calls and streams outlive the deadline of their body, and of each write.
func TestLongCallsAreNotTimedOut(t *testing.T) {
	t.Parallel()
	const timeout = 20 * time.Second
	for name, opts := range map[string][]mcpentra.Option{"2026-07-28": nil, "2025-11-25": {mcpentra.WithSessions()}, "2026-07-28 over HTTP/2": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			protocol, _, http2 := strings.Cut(name, " over ")
			inBubble(t, func(t *testing.T, b *bubble) {
				mcp.AddTool(b.server.MCP(), &mcp.Tool{Name: "long"}, func(ctx context.Context, req *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
					for i := range 2 {
						select {
						case <-time.After(time.Hour):
						case <-ctx.Done():
							return nil, nil, ctx.Err()
						}
						if err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: req.Params.GetProgressToken(), Progress: float64(i + 1)}); err != nil {
							return nil, nil, err
						}
					}
					return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "done"}}}, nil, nil
				})
				seen := &sees{next: b.transport(t)}
				if http2 {
					seen.next = b.http2(t)
				}
				s := b.connectWith(t, withToken{b.token(b.alice), seen}, protocol)
				params := &mcp.CallToolParams{Name: "long"}
				params.SetProgressToken("p")
				result, err := s.CallTool(t.Context(), params)
				must(t, err)
				if got := result.Content[0].(*mcp.TextContent).Text; result.IsError || got != "done" {
					t.Errorf("got %q, want done", got)
				}
				if _, text := call(t, s, "secure_ping", nil); !strings.Contains(text, "successful") {
					t.Errorf("on the same connection: got %q, want successful", text)
				}
				if got := seen.proto.Load(); (got == "HTTP/2.0") != http2 {
					t.Errorf("got %v, want HTTP/2.0: %t", got, http2)
				}
			}, append(opts, mcpentra.WithLimits(mcpentra.Limits{BodyTimeout: timeout, WriteTimeout: timeout}))...)
		})
	}
}

// A client that does not read its answer loses its connection, and its slot is free, a
// thirtieth of the time-out late at most.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	const writeTimeout = 30 * time.Second
	inBubble(t, func(t *testing.T, b *bubble) {
		x := addWaiting(b.world)
		token := b.token(b.alice)
		conn, _ := b.raw(t)
		_, err := fmt.Fprintf(conn, "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"+
			"Accept: application/json, text/event-stream\r\nContent-Length: %d\r\n\r\n%s", token, len(callBody("wait")), callBody("wait"))
		must(t, err)
		<-x.begun
		x.end <- struct{}{}
		for _, row := range []struct {
			after time.Duration
			want  int
		}{{writeTimeout - time.Second, http.StatusTooManyRequests}, {3 * time.Second, http.StatusOK}} {
			pass(row.after)
			if status, _, body := send(t, b.transport(t), b.url, listTools, token); status != row.want {
				t.Errorf("%s later: got %d %s, want %d", row.after, status, body, row.want)
			}
		}
	}, mcpentra.WithLimits(mcpentra.Limits{Concurrent: 1, WriteTimeout: writeTimeout}))
}

// On 2026-07-28 the request is the call: when the client is gone, so is its context.
func TestClientHangsUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := addWaiting(w)
	s := w.connect(t, w.token(w.alice), "2026-07-28")
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-x.begun; cancel() }()
	if _, err := s.CallTool(ctx, &mcp.CallToolParams{Name: "wait"}); !errors.Is(err, context.Canceled) {
		t.Errorf("the client: got %v, want %v", err, context.Canceled)
	}
	if err := <-x.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the call ended with %v, want %v", err, context.Canceled)
	}
	// One that vanishes without a word of HTTP, too.
	conn, _ := dial(t, w.url)
	body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"wait","arguments":{},` + modernMeta + `}}`
	_, err := fmt.Fprintf(conn, "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"+
		"Accept: application/json, text/event-stream\r\nMcp-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: wait\r\nContent-Length: %d\r\n\r\n%s",
		w.token(w.alice), len(body), body)
	must(t, err)
	<-x.begun
	must(t, conn.Close())
	if err := <-x.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the call ended with %v, want %v", err, context.Canceled)
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

// Something comes on a stream for the server's messages at least every minute, for the gateways that
// cut it after four, until its client leaves.
func TestQuietStreams(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, b *bubble) {
				token, method, header, body := b.token(b.alice), "GET", "Mcp-Protocol-Version: 2025-11-25\r\n", ""
				if mode.name == "sessions" {
					status, h, answer := send(t, b.transport(t), b.url, initialize, token)
					if status != http.StatusOK {
						t.Fatalf("initialize: got %d %s, want 200", status, answer)
					}
					header += "Mcp-Session-Id: " + h.Get("Mcp-Session-Id") + "\r\n"
				} else {
					method, body = "POST", `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},`+modernMeta+`}}`
					header = "Mcp-Protocol-Version: 2026-07-28\r\nMcp-Method: subscriptions/listen\r\nContent-Type: application/json\r\n"
				}
				conn, answers := b.raw(t)
				_, err := fmt.Fprintf(conn, "%s /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nAccept: application/json, text/event-stream\r\n%sContent-Length: %d\r\n\r\n%s",
					method, token, header, len(body), body)
				must(t, err)
				resp, err := http.ReadResponse(answers, nil)
				must(t, err)
				defer func() { _, _ = conn.Close(), resp.Body.Close() }() // in this order: the body's end never comes
				begun, last, comments := time.Now(), time.Now(), 0
				for lines := bufio.NewScanner(resp.Body); time.Since(begun) < 10*time.Minute && lines.Scan(); last = time.Now() {
					if quiet := time.Since(last); quiet > time.Minute {
						t.Errorf("nothing came for %s, want something each minute", quiet)
					}
					if lines.Text() == ":" {
						comments++
					}
				}
				if got := time.Since(begun); resp.StatusCode != http.StatusOK || got < 10*time.Minute || comments < 10 {
					t.Errorf("got %s, %d comments, and the end after %s; want 200, one a minute, and no end", resp.Status, comments, got)
				}
			}, mode.opts...)
		})
	}
}

// The stream of a call that has reported progress is never quiet for a minute either.
func TestQuietCalls(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, b *bubble) {
				mcp.AddTool(b.server.MCP(), &mcp.Tool{Name: "quiet"}, func(ctx context.Context, req *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
					err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: req.Params.GetProgressToken(), Progress: 1})
					<-time.After(10 * time.Minute) // a bubble's
					return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "done"}}}, nil, err
				})
				token, header := b.token(b.alice), "Mcp-Protocol-Version: 2025-11-25\r\n"
				if mode.name == "sessions" {
					_, h, _ := send(t, b.transport(t), b.url, initialize, token)
					header += "Mcp-Session-Id: " + h.Get("Mcp-Session-Id") + "\r\n"
				}
				conn, answers := b.raw(t)
				body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"quiet","arguments":{},"_meta":{"progressToken":"p"}}}`
				_, err := fmt.Fprintf(conn, "POST /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer %s\r\nAccept: application/json, text/event-stream\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s",
					token, header, len(body), body)
				must(t, err)
				resp, err := http.ReadResponse(answers, nil)
				must(t, err)
				defer func() { _, _ = conn.Close(), resp.Body.Close() }()
				begun, last, comments, done := time.Now(), time.Now(), 0, false
				for lines := bufio.NewScanner(resp.Body); lines.Scan(); last = time.Now() {
					if quiet := time.Since(last); quiet > time.Minute {
						t.Errorf("nothing came for %s, want something each minute", quiet)
					}
					if lines.Text() == ":" {
						comments++
					}
					done = done || strings.Contains(lines.Text(), `"done"`)
				}
				if got := time.Since(begun); resp.StatusCode != http.StatusOK || !done || comments < 10 {
					t.Errorf("got %s, the answer %t, %d comments in %s; want 200, the answer, one comment a minute", resp.Status, done, comments, got)
				}
			}, mode.opts...)
		})
	}
}
