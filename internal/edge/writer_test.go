package edge_test

import (
	"io"
	"net/http"
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
		bound.Init(w, r, bodyTimeout, writeTimeout)
		h(&bound, r)
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
					t.Errorf("writing a piece that is read: %v", err)
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
					t.Errorf("flushing %q: %v", piece, err)
				}
				pass(time.Hour)
			}
		},
		"what net/http still has to send": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "done")
			pass(time.Hour)
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
		if !c.isClosed() || time.Since(start) != bodyTimeout {
			t.Errorf("the connection is closed after %s, want %s", time.Since(start), bodyTimeout)
		}
	})
}
