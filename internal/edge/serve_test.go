package edge_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/edge"
)

func TestServerBoundsConnections(t *testing.T) {
	t.Parallel()
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "done") })
	for _, row := range []struct {
		name, sent string
		status     int // of the answer, or 0
		after      time.Duration
	}{
		{"silence", "", 0, 10 * time.Second},
		{"a header that does not end", "GET / HTTP/1.1\r\nHost: localhost\r\n", 0, 10 * time.Second},
		{"an idle connection", get, http.StatusOK, 2 * time.Minute},
		{"a huge header", "GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: " + strings.Repeat("x", 200<<10) + "\r\n\r\n", http.StatusRequestHeaderFieldsTooLarge, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := start(t, h).connect(t)
				c.send(row.sent)
				if row.status != 0 {
					if status, _ := c.answer(); status != row.status {
						t.Errorf("got %d, want %d", status, row.status)
					}
				}
				begun := time.Now()
				if took := time.Since(begun); !c.isClosed() || row.after > 0 && time.Since(begun) != row.after {
					t.Errorf("the connection is closed after %s, want %s", took, row.after)
				}
			})
		})
	}
}

func TestServerTakesLargeTokens(t *testing.T) {
	t.Parallel()
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Header.Get("Authorization")) })
	synctest.Test(t, func(t *testing.T) {
		c := start(t, h).connect(t)
		c.send("GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: " + strings.Repeat("x", 64<<10) + "\r\n\r\n")
		if status, body := c.answer(); status != http.StatusOK || len(body) != 64<<10 {
			t.Errorf("got %d and %d bytes, want the token of 64 KiB", status, len(body))
		}
	})
}

// draining serves calls and streams, counted as a server of edge does.
func draining(drain func() *edge.Drainer) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /call/{seconds}", func(w http.ResponseWriter, r *http.Request) {
		drain().BeginCall()
		defer drain().EndCall()
		d, _ := time.ParseDuration(r.PathValue("seconds") + "s")
		select {
		case <-time.After(d):
			_, _ = io.WriteString(w, "done")
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("GET /stream", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel, why := drain().Stream(r.Context())
		if why != nil {
			http.Error(w, why.Reason, why.Status)
			return
		}
		defer cancel()
		_, _ = io.WriteString(w, "open\n")
		_ = http.NewResponseController(w).Flush()
		<-ctx.Done()
	})
	return mux
}

// While calls are in progress, streams stay open; then both end.
func TestServerDrains(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s *served
		s = start(t, draining(func() *edge.Drainer { return s.drain }))
		call, stream := s.connect(t), s.connect(t)
		call.send("POST /call/20 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
		stream.send("GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
		resp, err := http.ReadResponse(stream.answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		events := bufio.NewReader(resp.Body)
		if line, err := events.ReadString('\n'); err != nil || line != "open\n" {
			t.Fatalf("the stream: got %q, %v; want %q, nil", line, err, "open\n")
		}
		synctest.Wait() // the call is in progress
		begun := time.Now()
		s.stop()
		synctest.Wait()
		if !s.drain.Begun() {
			t.Error("Begun = false after the context's end, want true")
		}
		if _, err := s.dial(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a new connection: %v, want %v", err, net.ErrClosed)
		}
		if status, body := call.answer(); status != http.StatusOK || body != "done" || time.Since(begun) != 20*time.Second {
			t.Errorf("the call under way: %d %q after %s, want done after 20s", status, body, time.Since(begun))
		}
		if _, err := events.ReadByte(); !errors.Is(err, io.EOF) || time.Since(begun) != 20*time.Second {
			t.Errorf("the stream ends with %v after %s, want %v when the call has ended", err, time.Since(begun), io.EOF)
		}
		if err := <-s.ended; err != nil {
			t.Errorf("Serve = %v, want nil", err)
		}
		if log := s.log.String(); !strings.Contains(log, "msg=draining at_most=25s") || strings.Contains(log, "cut off") {
			t.Errorf("the log: got %s, want \"msg=draining at_most=25s\" and no \"cut off\"", log)
		}
	})
}

func TestServerCutsOffWhatTakesTooLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s *served
		s = start(t, draining(func() *edge.Drainer { return s.drain }))
		call := s.connect(t)
		call.send("POST /call/100 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
		synctest.Wait()
		begun := time.Now()
		s.stop()
		if !call.isClosed() || time.Since(begun) != drainTimeout {
			t.Errorf("the connection is closed after %s, want %s", time.Since(begun), drainTimeout)
		}
		if err := <-s.ended; err != nil {
			t.Errorf("Serve = %v, want nil", err)
		}
		if log := s.log.String(); !strings.Contains(log, `level=WARN msg="calls under way are cut off"`) {
			t.Errorf("the log does not say that calls are cut off: %s", log)
		}
	})
}

func TestServeFails(t *testing.T) {
	t.Parallel()
	broken := newNetwork()
	_ = broken.Close()
	s := &edge.Server{Log: slog.New(slog.DiscardHandler), Drain: edge.NewDrainer()}
	if err := s.Serve(t.Context(), broken); !errors.Is(err, net.ErrClosed) || !strings.HasPrefix(err.Error(), "serving ended: ") {
		t.Errorf("Serve on a closed listener = %v, want serving ended: %v", err, net.ErrClosed)
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	d := edge.NewDrainer()
	d.BeginCall()
	first, cancel, why := d.Stream(t.Context())
	if why != nil {
		t.Fatalf("Stream before Begin = %v, want none", why)
	}
	defer cancel()
	d.BeginCall()
	d.EndCall()
	d.Begin()
	second, cancel2, why := d.Stream(t.Context()) // a reconnecting client must not lose its calls
	if why != nil || first.Err() != nil {
		t.Fatalf("with a call under way: Stream = %v and an open one has %v, want neither to end", why, first.Err())
	}
	defer cancel2()
	d.EndCall()
	<-first.Done()
	<-second.Done()
	if _, _, why := d.Stream(t.Context()); why == nil || why.Status != http.StatusServiceUnavailable || why.Reason != "draining" {
		t.Errorf("Stream after the last call = %v, want draining", why)
	}
	idle := edge.NewDrainer()
	stream, cancel3, _ := idle.Stream(t.Context())
	defer cancel3()
	idle.Begin()
	<-stream.Done()
	if !errors.Is(stream.Err(), context.Canceled) {
		t.Errorf("the stream ends with %v, want %v", stream.Err(), context.Canceled)
	}
}

// What clients do to connections is not logged as an error, but what the operator must know is.
func TestServerLogsConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := start(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("broken") }))
		c := s.connect(t)
		c.send(get)
		if !c.isClosed() {
			t.Error("the connection is still open")
		}
		if log := s.log.String(); !strings.Contains(log, `level=ERROR msg="http: panic serving`) {
			t.Errorf("the log has no line of the panic: %s", log)
		}
	})
}
