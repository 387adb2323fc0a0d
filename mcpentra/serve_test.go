package mcpentra_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// running is the world's server under Serve.
type running struct {
	*world
	base   string
	stop   context.CancelFunc
	served chan error
}

func startServing(t *testing.T, opts ...mcpentra.Option) *running {
	t.Helper()
	r := &running{world: newWorld(t, opts...), served: make(chan error, 1)}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	r.base, r.stop = "http://"+l.Addr().String(), stop
	r.url = r.base + "/mcp"
	go func() {
		defer close(r.served)
		r.served <- r.server.Serve(ctx, l)
	}()
	t.Cleanup(func() {
		stop()
		for range r.served { // closed when Serve has ended
		}
	})
	return r
}

// stopped waits for Serve to end.
func (r *running) stopped(t *testing.T) error {
	t.Helper()
	err, running := <-r.served
	if !running {
		t.Fatal("Serve's end was waited for twice")
	}
	return err
}

func TestDrainLetsCallsEnd(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"2026-07-28", "2025-11-25"} {
		var opts []mcpentra.Option
		if protocol == "2025-11-25" {
			opts = append(opts, mcpentra.WithSessions())
		}
		r := startServing(t, opts...)
		x := addWaiting(r.world)
		streams := &streamOpened{next: &http.Transport{}, opened: make(chan struct{}, 1)}
		// With retries, as by default: without any, the SDK's client gives up its calls
		// when its stream ends, even if the result is on its way.
		s, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(), &mcp.StreamableClientTransport{
			Endpoint: r.url, HTTPClient: &http.Client{Transport: withToken{r.token(r.alice), streams}},
		}, &mcp.ClientSessionOptions{ProtocolVersion: protocol})
		must(t, err)
		if opts != nil {
			<-streams.opened
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, text := call(t, s, "wait", nil); text != "waited" {
				t.Errorf("%s: the call under way: got %s, want waited", protocol, text)
			}
		})
		<-x.begun
		r.stop()
		r.log.await(t, "draining")
		select {
		case err := <-r.served:
			t.Fatalf("%s: Serve has ended before the call: %v", protocol, err)
		default:
		}
		close(x.end)
		wg.Wait()
		if err := <-x.ended; err != nil {
			t.Errorf("%s: the call's context: got %v, want nil", protocol, err)
		}
		if err := r.stopped(t); err != nil {
			t.Errorf("%s: got %v, want nil", protocol, err)
		}
		_ = s.Close()
		streams.next.CloseIdleConnections()
		if _, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(r.base, "http://")); err == nil {
			t.Errorf("%s: it still listens, want it closed", protocol)
		}
		for session := range r.server.MCP().Sessions() {
			t.Errorf("%s: session %s is still there", protocol, session.ID())
		}
	}
}

// streamOpened tells when the client has its stream for notifications.
type streamOpened struct {
	next   *http.Transport
	opened chan struct{}
}

func (s *streamOpened) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := s.next.RoundTrip(r)
	if err == nil && r.Method == http.MethodGet {
		s.opened <- struct{}{}
	}
	return resp, err
}

func TestDrainCutsOffWhatTakesTooLong(t *testing.T) {
	t.Parallel()
	const drainTimeout = 25 * time.Second
	inBubble(t, func(t *testing.T, b *bubble) {
		x := addWaiting(b.world)
		s := b.connectWith(t, withToken{b.token(b.alice), b.transport(t)}, "2026-07-28")
		called := make(chan error)
		go func() {
			_, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "wait"})
			called <- err
		}()
		<-x.begun
		begun := time.Now()
		b.stop()
		if err := <-b.served; err != nil || time.Since(begun) != drainTimeout {
			t.Errorf("Serve = %v after %s, want nil after %s", err, time.Since(begun), drainTimeout)
		}
		if err := <-called; err == nil {
			t.Error("CallTool = nil, want an error: the call was cut off")
		}
		if err := <-x.ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the call's context ended with %v, want %v", err, context.Canceled)
		}
		if log := b.log.String(); !strings.Contains(log, "cut off") {
			t.Errorf("got the log %s, want a line with %q", log, "cut off")
		}
	}, mcpentra.WithLimits(mcpentra.Limits{DrainTimeout: drainTimeout}))
}

// Streams have no end of their own: draining ends them, and new ones are refused.
func TestDrainEndsStreams(t *testing.T) {
	t.Parallel()
	r := startServing(t, mcpentra.WithSessions())
	token := r.token(r.alice)
	_, header, _ := r.post(t, initialize, map[string]string{"Authorization": "Bearer " + token})
	stream, answers := dial(t, r.url)
	open := fmt.Sprintf("GET /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nAccept: text/event-stream\r\nMcp-Session-Id: %s\r\n\r\n",
		token, header.Get("Mcp-Session-Id"))
	_, err := io.WriteString(stream, open)
	must(t, err)
	resp, err := http.ReadResponse(answers, nil)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	if line, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("the stream: got %d %q %v, want 200, nil", resp.StatusCode, line, err)
	}
	r.server.Drain()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Errorf("the stream was broken off: got %v, want nil", err)
	}
	status, after, _ := do(t, http.MethodGet, r.url, "", map[string]string{"Authorization": "Bearer " + token, "Mcp-Session-Id": header.Get("Mcp-Session-Id"), "Accept": "text/event-stream"})
	if status != http.StatusServiceUnavailable || after.Get("Retry-After") == "" {
		t.Errorf("a new stream: got %d %v, want 503, a Retry-After", status, after)
	}
	r.stop()
	if err := r.stopped(t); err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
}

// The stream of 2026-07-28 is a POST.
func TestDrainEndsSubscriptions(t *testing.T) {
	t.Parallel()
	r := startServing(t)
	s := r.connect(t, r.token(r.alice), "2026-07-28")
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Wait() })
	body := `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},` + modernMeta + `}}`
	conn, answers := dial(t, r.url)
	_, err := fmt.Fprintf(conn, "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"+
		"Accept: application/json, text/event-stream\r\nMcp-Protocol-Version: 2026-07-28\r\nMcp-Method: subscriptions/listen\r\nContent-Length: %d\r\n\r\n%s",
		r.token(r.alice), len(body), body)
	must(t, err)
	resp, err := http.ReadResponse(answers, nil)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	first := make([]byte, 1)
	if _, err := io.ReadFull(resp.Body, first); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("the stream: got %d %v, want 200, nil", resp.StatusCode, err)
	}
	r.stop()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Errorf("the stream was broken off: got %v, want nil", err)
	}
	if err := r.stopped(t); err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
	_ = s.Close()
	wg.Wait()
}

// A server of one's own drains with one line.
func TestDrainInAServerOfOnesOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	own := &http.Server{Handler: w.server, ReadHeaderTimeout: time.Minute}
	drained := make(chan struct{})
	own.RegisterOnShutdown(func() { w.server.Drain(); close(drained) })
	var wg sync.WaitGroup
	wg.Go(func() { _ = own.Serve(l) })
	w.url = "http://" + l.Addr().String() + "/mcp"
	x := addWaiting(w)
	s := w.connect(t, w.token(w.alice), "2026-07-28")
	wg.Go(func() {
		if _, text := call(t, s, "wait", nil); text != "waited" {
			t.Errorf("the call under way: got %s, want waited", text)
		}
	})
	<-x.begun
	wg.Go(func() { <-drained; close(x.end) })
	must(t, own.Shutdown(t.Context()))
	wg.Wait()
}

func TestServeOnAClosedListener(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	if err := w.server.ListenAndServe(t.Context(), l.Addr().String()); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a port that is taken: got %v, want an error and \"in use\"", err)
	}
	must(t, l.Close())
	if err := w.server.Serve(t.Context(), l); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a closed listener: got %v, want %v", err, net.ErrClosed)
	}
}

// What Serve adds to a plain http.Server.
func TestHugeHeader(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bubble) {
		for kib, want := range map[int]int{200: http.StatusRequestHeaderFieldsTooLarge, 60: http.StatusUnauthorized} {
			if status, _, body := send(t, b.transport(t), b.url, listTools, strings.Repeat("x", kib<<10)); status != want {
				t.Errorf("a token of %d KiB: got %d %.200s, want %d", kib, status, body, want)
			}
		}
	})
}

// What is served is one line at the start; and the tenant's keys are fetched before
// anybody asks.
func TestServeSaysWhatIsOn(t *testing.T) {
	t.Parallel()
	r := startServing(t, mcpentra.WithToolPolicy("secure_ping", entraauth.Policy{Scopes: []string{"access_as_user"}}),
		mcpentra.WithAllowedOrigins("https://app.example.com"), mcpentra.WithAllowedHosts("inner.example"), mcpentra.WithLimits(mcpentra.Limits{Concurrent: 7}))
	do(t, http.MethodGet, r.base+"/health", "", nil)
	var line string
	for l := range strings.Lines(r.log.String()) {
		if strings.Contains(l, "msg=serving ") {
			if line != "" {
				t.Error("two lines say what is served, want one")
			}
			line = l
		}
	}
	for _, part := range []string{
		"level=INFO", "address=" + strings.TrimPrefix(r.base, "http://"), "url=" + resourceURL, "tenant=" + r.tenant.ID(), "app=" + r.api.ClientID, "sessions=false",
		"on_behalf_of=true", "policies=1", "origins=[https://app.example.com]", "hosts=[inner.example]", "concurrent=7", "requests_per_second=100",
	} {
		if !strings.Contains(line, part) {
			t.Errorf("got %[2]s, want %[1]q in it", part, line)
		}
	}
}

// A server that nobody has called yet has asked for the keys.
func TestServeFetchesKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tenant.Fail(entratest.EndpointKeys, entratest.Fault{Status: http.StatusInternalServerError})
	srv, err := mcpentra.NewServer(resourceURL, w.newVerifier(t), mcpentra.WithLogger(w.logger()))
	must(t, err)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ctx, l) }()
	status, _, body := do(t, http.MethodGet, "http://"+l.Addr().String()+"/ready", "", nil)
	if status != http.StatusServiceUnavailable || decode(t, body)["reason"] != "keys_unavailable" || decode(t, body)["message"] == "" {
		t.Errorf("ready: got %d %s, want 503, keys_unavailable and a message", status, body)
	}
	if !strings.Contains(w.log.String(), "signing keys can't be fetched") {
		t.Error("the log does not say that the keys can't be fetched")
	}
	stop()
	must(t, <-served)
}
