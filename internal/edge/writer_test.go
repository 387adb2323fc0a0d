package edge_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/edge"
)

const (
	bodyTimeout  = 20 * time.Second
	writeTimeout = 30 * time.Second
)

// bounded gives a handler's requests their deadlines.
func bounded(h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var bound edge.Writer
		r = r.WithContext(r.Context())
		bound.Init(w, r, bodyTimeout, writeTimeout)
		h(&bound, r)
		bound.Finish()
	})
}

// A client that does not read loses its connection when it has not read a piece for
// the time-out, and not before.
func TestWriterSlowReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		failed := make(chan time.Duration, 1)
		s := start(t, bounded(func(w http.ResponseWriter, _ *http.Request) {
			piece := []byte(strings.Repeat("x", 64<<10))
			for range 3 { // the client reads these, slowly
				if _, err := w.Write(piece); err != nil {
					t.Errorf("writing a piece that is read: got %v, want nil", err)
				}
			}
			start := time.Now()
			if _, err := w.Write(piece); err == nil {
				t.Error("a piece that nobody reads is written")
			}
			failed <- time.Since(start)
		}))
		c := s.connect(t)
		c.send(get)
		for range 2 {
			if _, err := io.CopyN(io.Discard, c, 64<<10); err != nil {
				t.Fatal(err)
			}
			pass(writeTimeout - 2*time.Second)
		}
		if _, err := io.CopyN(io.Discard, c, 64<<10+1024); err != nil {
			t.Fatal(err)
		}
		if took := <-failed; took < writeTimeout || took > writeTimeout+2*time.Second {
			t.Errorf("the write failed after %s, want %s", took, writeTimeout)
		}
	})
}

// No deadline outlives the piece that it is for.
func TestWriterBoundsNeitherCallsNorStreams(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"a call without a word": func(w http.ResponseWriter, _ *http.Request) {
			pass(time.Hour)
			_, _ = io.WriteString(w, "done")
		},
		"a stream": func(w http.ResponseWriter, _ *http.Request) {
			for _, piece := range []string{"do", "ne"} {
				_, _ = io.WriteString(w, piece)
				if err := http.NewResponseController(w).Flush(); err != nil {
					t.Errorf("flushing %q: got %v, want nil", piece, err)
				}
				pass(time.Hour)
			}
		},
		"what net/http still has to send": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "done")
			pass(time.Hour)
		},
		"two pieces in between": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "do")
			pass(writeTimeout + time.Second)
			_, _ = io.WriteString(w, "ne")
			pass(writeTimeout + 2*time.Second)
		},
		"a flusher": func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			pass(time.Hour)
			_, _ = io.WriteString(w, "done")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mux := http.NewServeMux()
			mux.Handle("/", bounded(h))
			mux.HandleFunc("POST /other", func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				_, _ = w.Write(body)
			})
			synctest.Test(t, func(t *testing.T) {
				s := start(t, mux)
				c := s.connect(t)
				for range 2 {
					c.send(get)
					if status, body := c.answer(); status != http.StatusOK || body != "done" {
						t.Fatalf("got %d %q, want done", status, body)
					}
					pass(time.Minute)
				}
				// Handlers without deadlines have none, on the same connection; nor has net/http.
				c.send("POST /other HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
				if status, _ := c.answer(); status != http.StatusContinue {
					t.Fatalf("got %d, want 100", status)
				}
				pass(time.Minute)
				c.send("hello")
				if status, body := c.answer(); status != http.StatusOK || body != "hello" {
					t.Errorf("got %d %q, want hello", status, body)
				}
			})
		})
	}
}

// A body that no handler reads has a deadline too.
func TestWriterUnreadBody(t *testing.T) {
	t.Parallel()
	h := bounded(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "done") })
	synctest.Test(t, func(t *testing.T) {
		s := start(t, h)
		c := s.connect(t)
		start := time.Now()
		c.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
		c.answer()
		closed, took := c.isClosed(), time.Since(start)
		if !closed || took != bodyTimeout && took != bodyTimeout+lingering {
			t.Errorf("the connection is closed after %s, want %s, or %s more", took, bodyTimeout, lingering)
		}
	})
}

// A call costs two deadlines on HTTP/1: one for its body, and one for its answer. On
// HTTP/2 a deadline that passes ends the stream, and over TLS it breaks what answers a
// client's new keys, so none is left between two writes.
func TestWriterDeadlines(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		major int
		tls   *tls.ConnectionState
		body  io.Reader
		want  int
		left  bool
	}{{1, nil, strings.NewReader("{}"), 2, true}, {1, nil, nil, 1, true}, {1, &tls.ConnectionState{}, nil, 5, true}, {2, nil, strings.NewReader("{}"), 5, false}} {
		r := httptest.NewRequest(http.MethodPost, "/", row.body)
		r.ProtoMajor, r.TLS = row.major, row.tls
		answer := &deadlines{ResponseWriter: httptest.NewRecorder()}
		var w edge.Writer
		w.Init(answer, r, bodyTimeout, writeTimeout)
		_, _ = w.Write([]byte("event"))
		w.Flush()
		w.Finish()
		if answer.set != row.want || !answer.write.IsZero() != row.left {
			t.Errorf("HTTP/%d with body %v: %d deadlines, the last for writing %s; want %d, and one left: %t", row.major, row.body, answer.set, answer.write, row.want, row.left)
		}
	}
}

// deadlines counts what the connection is told.
type deadlines struct {
	http.ResponseWriter
	set   int
	write time.Time
}

func (d *deadlines) SetReadDeadline(time.Time) error    { d.set++; return nil }
func (d *deadlines) SetWriteDeadline(t time.Time) error { d.set++; d.write = t; return nil }
func (*deadlines) FlushError() error                    { return nil }
func (*deadlines) Write(p []byte) (int, error)          { return len(p), nil }
