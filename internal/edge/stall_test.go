package edge_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/edge"
)

// answering are handlers that don't read the body to its end, and what they answer.
// Each gives the body 5 seconds more, as a search for the request's id does.
var answering = map[string]struct {
	answer func(w http.ResponseWriter, r *http.Request)
	want   string
}{
	"nothing":  {func(http.ResponseWriter, *http.Request) {}, ""},
	"a line":   {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "no") }, "no"},
	"a page":   {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, page) }, page},
	"flushing": {func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush(); _, _ = io.WriteString(w, "no") }, "no"},
	"in pieces": {func(w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			_, _ = io.WriteString(w, "no")
			pass(7 * time.Second) // longer than any body takes
		}
		_, _ = io.WriteString(w, page)
	}, "nonono" + page},
	"what arrives": {func(w http.ResponseWriter, r *http.Request) {
		_, _ = r.Body.Read(make([]byte, 1))
		_, _ = io.WriteString(w, "no")
		_, _ = r.Body.Read(make([]byte, 1000))
		_, _ = r.Body.Read(make([]byte, 1000))
		_, _ = io.WriteString(w, page)
	}, "no" + page},
}

var page = strings.Repeat("no", 50_000)

// A client whose body stalls gets its answer all the same, however short the time is that
// it has for reading. HTTP/1 keeps a small answer back until it has the rest of the body.
func TestWriterStalledBody(t *testing.T) {
	t.Parallel()
	for name, head := range map[string]string{
		"a length":                "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhello",
		"a great length":          "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nhello",
		"chunks":                  "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3e3\r\n",
		"GET":                     "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhello",
		"HEAD":                    "HEAD / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhello",
		"Connection: close":       "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 1000\r\n\r\nhello",
		"Expect: 100-continue":    "POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n",
		"HTTP/1.0":                "POST / HTTP/1.0\r\nContent-Length: 1000\r\n\r\nhello",
		"HTTP/1.0 and keep-alive": "POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 1000\r\n\r\nhello",
	} {
		for answer, h := range answering {
			for _, row := range []struct{ body, more, write time.Duration }{
				{400 * time.Millisecond, 0, 500 * time.Millisecond}, {500 * time.Millisecond, 0, 400 * time.Millisecond},
				{400 * time.Millisecond, 5 * time.Second, 500 * time.Millisecond}, {30 * time.Second, 5 * time.Second, time.Second},
				{20 * time.Second, 0, time.Millisecond}, {time.Second, 5 * time.Second, 30 * time.Second},
			} {
				t.Run(fmt.Sprintf("%s, %s, %v", name, answer, row), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						handler := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
							var w edge.Writer
							r = r.WithContext(r.Context())
							w.Init(rw, r, row.body, row.write)
							if row.more > 0 {
								must(t, http.NewResponseController(&w).SetReadDeadline(time.Now().Add(row.more)))
							}
							w.Header().Set("Content-Type", "text/plain")
							h.answer(&w, r)
							w.Finish()
						})
						c := start(t, handler).connect(t)
						c.send(head)
						method, _, _ := strings.Cut(head, " ")
						resp, err := http.ReadResponse(c.answers, &http.Request{Method: method})
						if err == nil && resp.StatusCode == http.StatusContinue {
							resp, err = http.ReadResponse(c.answers, &http.Request{Method: method})
						}
						must(t, err)
						want := h.want
						if method == http.MethodHead {
							want = ""
						}
						defer func() { _ = resp.Body.Close() }()
						got, err := io.ReadAll(resp.Body)
						if err != nil || resp.StatusCode != http.StatusOK || string(got) != want {
							t.Errorf("got %d, %d bytes, %v; want 200, %d bytes", resp.StatusCode, len(got), err, len(want))
						}
						if !c.isClosed() {
							t.Error("the connection is still open")
						}
					})
				})
			}
		}
	}
}
