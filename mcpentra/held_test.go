package mcpentra_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// largeCall is a call of the tool "wait" of that many bytes.
func largeCall(id, size int) string {
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"wait","_meta":{"x":""},"arguments":{}}}`, id)
	return strings.Replace(body, `"x":"`, `"x":"`+strings.Repeat("x", size-len(body)), 1)
}

// Large requests of one user that wait are bounded together, whether their length is
// told or not; small ones of the user, and another user, are served meanwhile.
func TestLargeBodiesAreBoundedTogether(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, mode.opts...)
			x := addWaiting(w)
			alice, bob := w.begin(t, mode.name, w.token(w.alice), "2025-06-18"), w.begin(t, mode.name, w.token(w.bob), "2025-06-18")
			const size = 3 << 20
			var wg sync.WaitGroup
			admitted, refused := 0, make(chan string, 1)
			for id := 101; ; id++ { // none of listTools
				wg.Go(func() {
					status, h, body := w.post(t, largeCall(id, size), alice)
					switch {
					case status == http.StatusTooManyRequests && h.Get("Retry-After") == "1" && decode(t, body)["id"] == float64(id):
						refused <- body
					case status != http.StatusOK || !strings.Contains(body, "waited"):
						t.Errorf("call %d: got %d %v %.300s, want 200 and waited", id, status, h, body)
						refused <- body
					}
				})
				select {
				case <-x.begun:
					admitted++
					continue
				case body := <-refused:
					if !strings.Contains(body, `"reason":"too_many_body_bytes"`) {
						t.Errorf("refused: got %.300s, want %q", body, `"reason":"too_many_body_bytes"`)
					}
				case <-time.After(time.Minute):
					t.Error("nothing happens within a minute, want a call or a refusal")
				}
				break
			}
			if admitted < 5 || admitted > 10 {
				t.Errorf("%d calls of 3 MiB at a time, want at least 5, at most 10", admitted)
			}
			if status, _, body := w.post(t, listTools, alice); status != http.StatusOK {
				t.Errorf("a small one beside them: got %d %s, want 200", status, body)
			}
			wg.Go(func() {
				if status, _, body := w.post(t, largeCall(1, size), bob); status != http.StatusOK {
					t.Errorf("another user: got %d %.300s, want 200", status, body)
				}
			})
			<-x.begun
			close(x.end)
			wg.Wait()
			if held := w.server.Held(); held != 0 {
				t.Errorf("%d bytes are counted when all is over, want 0", held)
			}
			if status, _, body := w.post(t, largeCall(2, size), alice); status != http.StatusOK {
				t.Errorf("afterwards: got %d %.300s, want 200", status, body)
			}
			if !strings.Contains(w.log.String(), "reason=too_many_body_bytes") {
				t.Error("the log has no line of a refusal, want one")
			}
		})
	}
}

// However many users have much, there is room for one more, and always for what is
// small.
func TestRoomForBodiesIsShared(t *testing.T) {
	t.Parallel()
	users := mcpentra.NewUsers(mcpentra.Limits{}, time.Now)
	total := int64(0)
	for i := range 40 {
		hold, _ := users.Hold(fmt.Sprint("greedy", i))
		n := int64(0)
		for hold(64<<10) == nil {
			n += 64 << 10
		}
		if total += n; n < 256<<10 {
			t.Errorf("user %d gets %d bytes, want at least 256<<10", i, n)
		}
		if i < 4 && n != 32<<20 {
			t.Errorf("user %d gets %d bytes, want 32 MiB", i, n)
		}
	}
	if total > 256<<20+40*256<<10 {
		t.Errorf("%d bytes in all, want at most 256<<20+40*256<<10", total)
	}
	hold, release := users.Hold("modest")
	if err := hold(200 << 10); err != nil {
		t.Errorf("a small body: got %v, want nil", err)
	}
	release()
	if err := hold(1 << 40); err == nil {
		t.Error("more bytes are held than there are, want a refusal")
	}
}

// A client that sends more than is taken reads why, though it is still sending.
func TestTooLargeBodyIsAnswered(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, append(mode.opts, mcpentra.WithLimits(mcpentra.Limits{BodyBytes: 64 << 10}))...)
			header := w.begin(t, mode.name, w.token(w.alice), "2025-06-18")
			for id := range 10 {
				status, _, body := w.post(t, largeCall(id, 6<<20), header)
				if status != http.StatusRequestEntityTooLarge || decode(t, body)["id"] != float64(id) {
					t.Errorf("got %d %.300s, want 413, %v", status, body, float64(id))
				}
			}
		})
	}
}
