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

// A stream that has begun is never quiet for a minute, and its events stay whole. What is not a stream,
// or has not begun, gets no comments.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	const event = "event: message\ndata: {}\n\n"
	for name, row := range map[string]struct {
		contentType string
		say         func(w http.ResponseWriter)
		want        string
	}{
		"quiet after an event": {"text/event-stream", func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, event)
			w.(http.Flusher).Flush()
			pass(80 * time.Second)
		}, event + ":\n\n:\n\n:\n\n"},
		"half an event": {"text/event-stream", func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, event[:10])
			pass(80 * time.Second)
			_, _ = io.WriteString(w, event[10:])
			pass(30 * time.Second)
		}, event + ":\n\n"},
		"busy": {"text/event-stream; charset=utf-8", func(w http.ResponseWriter) {
			for range 5 {
				_, _ = io.WriteString(w, event)
				pass(20 * time.Second)
			}
		}, strings.Repeat(event, 5)},
		"not begun": {"text/event-stream", func(w http.ResponseWriter) {
			pass(time.Hour)
			_, _ = io.WriteString(w, event)
		}, event},
		"not a stream": {"application/json", func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, "{}\n\n")
			pass(time.Hour)
		}, "{}\n\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := start(t, bounded(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", row.contentType)
					k := edge.NewKeepAlive(w)
					defer k.Close()
					row.say(k)
				}))
				c := s.connect(t)
				c.send(get)
				if status, body := c.answer(); status != http.StatusOK || body != row.want {
					t.Errorf("got %d %q, want 200 %q", status, body, row.want)
				}
				pass(time.Hour) // nothing is written after the end
			})
		})
	}
}

// A client that stops reading ends the comments; what it left behind is the handler's to find.
func TestKeepAliveWithoutReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		s := start(t, bounded(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			k := edge.NewKeepAlive(w)
			defer k.Close()
			_, _ = io.WriteString(k, ":\n\n")
			k.Flush()
			<-r.Context().Done()
			ended <- r.Context().Err()
		}))
		c := s.connect(t)
		c.send(get)
		if _, err := io.CopyN(io.Discard, c, 64); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err == nil {
			t.Error("the request ended with nil, want the reason")
		}
		if took := time.Since(begun); took > time.Minute {
			t.Errorf("the stream ends %s after its client, want a minute at most", took)
		}
	})
}
