package edge_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/edge"
)

// A budget has room for a number of bytes.
type budget struct{ room, held int64 }

var full = &edge.Refusal{Status: http.StatusTooManyRequests, Reason: "full"}

func (b *budget) Hold(n int64) *edge.Refusal {
	if b.held+n > b.room {
		return full
	}
	b.held += n
	return nil
}

// A body is read as sent, whatever length the client declares, and every byte held is counted in
// the budget.
func TestBodyReceive(t *testing.T) {
	t.Parallel()
	const most = 256 << 10
	for _, size := range []int{0, 1, 2, 511, 512, 513, 4096, 64<<10 - 1, 64 << 10, 64<<10 + 1, 200_000, most - 1, most, most + 1, 2 * most} {
		for _, said := range []int64{-1, 0, 1, int64(size) - 1, int64(size), int64(size) + 1, 1 << 40} {
			sent := bytes.Repeat([]byte("x"), size)
			for name, body := range map[string]io.Reader{
				"at once": bytes.NewReader(sent), "with the end": iotest.DataErrReader(bytes.NewReader(sent)), "by halves": iotest.HalfReader(bytes.NewReader(sent)),
			} {
				r := httptest.NewRequest(http.MethodPost, "/", body)
				r.ContentLength = said
				var b edge.Body
				room := &budget{room: 1 << 30}
				why := b.Receive(httptest.NewRecorder(), r, edge.BodyLimits{Bytes: most}, room)
				got := edge.BodyOf(r)
				row := fmt.Sprintf("%d bytes %s, Content-Length %d", size, name, said)
				switch {
				case size > most && (why == nil || why.Status != http.StatusRequestEntityTooLarge || why.Reason != "body_too_large" || len(got) != most):
					t.Errorf("%s: got %d bytes and %v, want %d and body_too_large", row, len(got), why, most)
				case size <= most && (why != nil || !bytes.Equal(got, sent) || got == nil):
					t.Errorf("%s: got %d bytes and %v, want what was sent, and nil", row, len(got), why)
				}
				if int64(cap(got)) > room.held {
					t.Errorf("%s: %d bytes of memory, and %d held; want at most %v", row, cap(got), room.held, room.held)
				}
				if limit := int64(max(2*size, 64<<10)) + 512; room.held > limit {
					t.Errorf("%s: %d bytes held, want at most %d", row, room.held, limit)
				}
				if again, _ := io.ReadAll(r.Body); !bytes.Equal(again, got) {
					t.Errorf("%s: the handler reads %d bytes, want %d", row, len(again), len(got))
				}
			}
		}
	}
}

func TestBodyReceiveWithoutRoom(t *testing.T) {
	t.Parallel()
	for _, room := range []int64{0, 100, 1 << 10, 100 << 10} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(strings.Repeat("x", 300<<10)))
		w := httptest.NewRecorder()
		var b edge.Body
		held := &budget{room: room}
		if why := b.Receive(w, r, edge.BodyLimits{Bytes: 1 << 20}, held); why != full {
			t.Errorf("room for %d bytes: got %v, want the budget's refusal", room, why)
		}
		if held.held > room || w.Header().Get("Connection") != "close" {
			t.Errorf("room for %d bytes: %d held, Connection: %q; want no more, and close", room, held.held, w.Header().Get("Connection"))
		}
	}
}

// A body that is read again starts at the beginning.
func TestBodyInit(t *testing.T) {
	t.Parallel()
	var b edge.Body
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	if got := edge.BodyOf(r); got != nil {
		t.Errorf("BodyOf a request that has no Body = %q, want nil", got)
	}
	r.Body = &b
	for range 2 {
		b.Init([]byte("hello"))
		if got, err := io.ReadAll(r.Body); err != nil || string(got) != "hello" || string(edge.BodyOf(r)) != "hello" {
			t.Errorf("got %q, %v and BodyOf %q, want hello", got, err, edge.BodyOf(r))
		}
	}
}

// receiving responds with the body, or with the reason for rejecting it.
func receiving(most int64) http.Handler {
	return bounded(func(w http.ResponseWriter, r *http.Request) {
		var b edge.Body
		why := b.Receive(w, r, edge.BodyLimits{Bytes: most, Timeout: bodyTimeout}, &budget{room: 1 << 30})
		if why != nil {
			text := why.Reason + ": " + why.Message + ", after " + string(edge.BodyOf(r)[:1])
			w.Header().Set("Content-Length", strconv.Itoa(len(text)))
			w.WriteHeader(why.Status)
			_, _ = io.WriteString(w, text)
			b.Abandon(w)
			return
		}
		_, _ = w.Write(edge.BodyOf(r))
	})
}

func TestBodySlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := start(t, receiving(1<<20)).connect(t)
		begun := time.Now()
		dripped := make(chan struct{})
		go func() { // no single read is slow
			defer close(dripped)
			_, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
			for err == nil {
				_, err = io.WriteString(c, "x")
				pass(time.Second)
			}
		}()
		status, body := c.answer()
		if want := "body_too_slow: The request's body took too long: it must be here within 20s, after x"; status != http.StatusRequestTimeout || body != want {
			t.Errorf("got %d %q, want 408 %q", status, body, want)
		}
		closed, took := c.isClosed(), time.Since(begun)
		if !closed || took != bodyTimeout && took != bodyTimeout+lingering {
			t.Errorf("the connection is closed after %s, want %s, or %s more", took, bodyTimeout, lingering)
		}
		<-dripped
	})
}

// A client that sends everything before it reads still gets the error, and no broken connection.
func TestBodyTooLargeIsAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := start(t, receiving(1000)).connect(t)
		for _, piece := range []string{"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8000000\r\n\r\n", strings.Repeat("x", 8_000_000)} {
			answered := make(chan struct{})
			go func() { // net.Pipe has no buffer, so read the answer at the same time
				defer close(answered)
				_, _ = io.WriteString(c, piece)
			}()
			if len(piece) < 1000 {
				<-answered
				continue
			}
			status, body := c.answer()
			<-answered
			if want := "body_too_large: The request's body is too large: at most 1000 bytes are taken, after x"; status != http.StatusRequestEntityTooLarge || body != want {
				t.Errorf("got %d %q, want 413 %q", status, body, want)
			}
		}
		if !c.isClosed() {
			t.Error("the connection is still open")
		}
	})
}

// An endless body is cut off.
func TestBodyTooLargeWithoutEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := start(t, receiving(10)).connect(t)
		begun := time.Now()
		c.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8000000\r\n\r\n" + strings.Repeat("x", 100))
		if status, _ := c.answer(); status != http.StatusRequestEntityTooLarge {
			t.Errorf("got %d, want 413", status)
		}
		const end = 5*time.Second + lingering
		if took := time.Since(begun); !c.isClosed() || time.Since(begun) != end || took != 0 {
			t.Errorf("the answer came after %s and the end after %s, want at once and %s", took, time.Since(begun), end)
		}
	})
}

func TestBodyBrokenOff(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]io.Reader{
		"a broken connection": io.MultiReader(strings.NewReader("x"), iotest.ErrReader(io.ErrUnexpectedEOF)),
		"at once":             iotest.ErrReader(io.ErrUnexpectedEOF),
	} {
		r := httptest.NewRequest(http.MethodPost, "/", body)
		r.ContentLength = 100
		var b edge.Body
		why := b.Receive(httptest.NewRecorder(), r, edge.BodyLimits{Bytes: 1000}, &budget{room: 1 << 20})
		if why == nil || why.Status != http.StatusBadRequest || why.Reason != "body_broken_off" {
			t.Errorf("%s: got %v, want body_broken_off", name, why)
		}
	}
}
