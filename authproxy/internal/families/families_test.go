package families_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/families"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/grants"
	"github.com/mcpentra/mcp-entra-go/internal/seal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	one, other = families.Request{1}, families.Request{2}
	errEntra   = errors.New("no answer from Entra")
)

// world is two replicas with one store, which take turns at every step.
type world struct {
	t     *testing.T
	books [2]*families.Book
	turn  atomic.Int64
	calls atomic.Int64 // to Entra
	fail  error
	slow  time.Duration
	mu    sync.Mutex
	given map[string]families.Token // successors, by answer
}

func newWorld(t *testing.T, store families.Store) *world {
	w := &world{t: t, given: map[string]families.Token{}}
	sealer := seal.Random("test")
	for i := range w.books {
		w.books[i] = families.NewBook(store, sealer, "issuer", time.Now)
	}
	return w
}

// inWorld runs a test on a clock of its own.
func inWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { test(t, newWorld(t, families.NewMemory(time.Now))) })
}

func (w *world) book() *families.Book { return w.books[w.turn.Add(1)%2] }

func first() families.Token { return families.Token{Family: grants.NewID(), ID: grants.NewID()} }

// use refreshes with the token, and returns the successor.
func (w *world) use(t families.Token, req families.Request) (families.Token, error) {
	answer, err := w.book().Rotate(w.t.Context(), t, req, func(context.Context) ([]byte, error) {
		w.calls.Add(1)
		time.Sleep(w.slow) //nolint:forbidigo // the bubble's clock
		if w.fail != nil {
			return nil, w.fail
		}
		next := families.Token{Family: t.Family, ID: grants.NewID(), Generation: t.Generation + 1}
		w.mu.Lock()
		defer w.mu.Unlock()
		name := fmt.Sprint(next)
		w.given[name] = next
		return []byte(name), nil
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.given[string(answer)], err
}

func (w *world) good(what string, t families.Token) families.Token {
	w.t.Helper()
	next, err := w.use(t, one)
	if err != nil || next.Generation != t.Generation+1 {
		w.t.Errorf("%s: refresh = %v, %v; want a successor", what, next, err)
	}
	return next
}

func (w *world) bad(what string, t families.Token, want error) {
	w.t.Helper()
	if next, err := w.use(t, one); !errors.Is(err, want) {
		w.t.Errorf("%s: refresh = %v, %v; want %v", what, next, err, want)
	}
}

func pass(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // the bubble's clock

func TestRotation(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		token := first()
		for n := range 20 {
			token = w.good(fmt.Sprint("generation ", n), token)
			pass(time.Hour)
		}
		if n := w.calls.Load(); n != 20 {
			t.Errorf("%d requests to Entra for 20 refreshes, want 20", n)
		}
	})
}

// TestGrace: the same answer for 2 s, even after the successor was used; siblings for a minute.
func TestGrace(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r0 := first()
		r1 := w.good("first use", r0)
		if again := w.good("second use", r0); again != r1 {
			t.Errorf("second use = %v, want the same answer %v", again, r1)
		}
		r2 := w.good("the successor", r1)
		pass(1999 * time.Millisecond)
		if again := w.good("third use, with the successor in use", r0); again != r1 {
			t.Errorf("third use = %v, want the same answer %v", again, r1)
		}
		pass(time.Millisecond)
		w.bad("after 2 s, with the successor in use", r0, families.ErrReused)
		w.bad("the line, afterwards", r2, families.ErrEnded)
	})
}

func TestSiblings(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r0 := first()
		a := w.good("first use", r0)
		pass(2 * time.Second)
		b := w.good("the first answer was lost", r0)
		pass(57 * time.Second)
		c := w.good("just before the end of the minute", r0)
		if a == b || b == c {
			t.Errorf("siblings %v, %v, %v; want three", a, b, c)
		}
		next := w.good("one sibling", b)
		pass(time.Minute)
		next = w.good("its successor", next)
		w.bad("another sibling", c, families.ErrReused)
		w.bad("the line, afterwards", next, families.ErrEnded)
		w.bad("the last sibling", a, families.ErrEnded)
	})
}

// What counts for the minute is when a request came, however long Entra takes for it.
func TestAskedWithinAMinute(t *testing.T) {
	inWorld(t, func(_ *testing.T, w *world) {
		r0 := first()
		w.good("first use", r0)
		pass(59*time.Second + 500*time.Millisecond)
		w.slow = time.Second
		next := w.good("the answer was lost, and Entra takes until after the minute", r0)
		w.slow = 0
		w.good("its successor", next)
	})
}

func TestAfterAMinute(t *testing.T) {
	inWorld(t, func(_ *testing.T, w *world) {
		r0 := first()
		r1 := w.good("first use", r0)
		pass(time.Minute)
		w.bad("after a minute", r0, families.ErrReused)
		w.bad("its successor", r1, families.ErrEnded)
	})
}

// TestKeptAnswerEnds: revocation ends the answer that is still kept.
func TestKeptAnswerEnds(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r0 := first()
		w.good("first use", r0)
		if err := w.book().End(t.Context(), r0.Family); err != nil {
			t.Fatal(err)
		}
		w.bad("after the end", r0, families.ErrEnded)
		if err := w.book().Check(t.Context(), r0.Family); !errors.Is(err, families.ErrEnded) {
			t.Errorf("Check = %v, want ErrEnded", err)
		}
	})
}

// TestOtherRequest: another scope or resource gets no answer, and does no harm.
func TestOtherRequest(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r0 := first()
		r1 := w.good("first use", r0)
		if _, err := w.use(r0, other); !errors.Is(err, families.ErrDiffers) {
			t.Errorf("with another scope: %v, want ErrDiffers", err)
		}
		pass(2 * time.Second)
		if _, err := w.use(r0, other); err != nil {
			t.Errorf("with another scope after 2 s: %v, want a sibling", err)
		}
		w.good("its successor", r1)
	})
}

// TestFailuresDoNotCount: a refresh that failed is none, for the token and for its siblings.
func TestFailuresDoNotCount(t *testing.T) {
	inWorld(t, func(_ *testing.T, w *world) {
		r0 := first()
		w.fail = errEntra
		w.bad("Entra is down", r0, errEntra)
		w.fail = nil
		a := w.good("Entra is back", r0)
		pass(3 * time.Second)
		b := w.good("a sibling", r0)
		w.fail = errEntra
		w.bad("the first sibling fails", a, errEntra)
		w.fail = nil
		w.good("the second sibling becomes the line", b)
		w.bad("the first sibling", a, families.ErrReused)
	})
}

// TestForgotten: what the store does not know is no reuse, and recorded.
func TestForgotten(t *testing.T) {
	inWorld(t, func(_ *testing.T, w *world) {
		r := first()
		r.Generation = 7
		next := w.good("a generation that the store never saw", r)
		pass(3 * time.Second)
		w.good("its successor", next)
		w.bad("the token itself", r, families.ErrReused)
		far := first()
		w.good("the first", far)
		skipped := far
		skipped.Generation, skipped.ID = 5, grants.NewID()
		w.good("one that other replicas led there", skipped)
		pass(3 * time.Second)
		w.bad("the first again", far, families.ErrReused)
	})
}

func TestCodes(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		token := first()
		release, err := w.book().Begin(t.Context(), token.Family)
		if err != nil {
			t.Fatal(err)
		}
		release(t.Context())
		if _, err = w.book().Begin(t.Context(), token.Family); err != nil {
			t.Errorf("Begin after a release = %v, want nil", err)
		}
		token = w.good("the family", token)
		if _, err = w.book().Begin(t.Context(), token.Family); !errors.Is(err, families.ErrBegun) {
			t.Errorf("Begin again = %v, want ErrBegun", err)
		}
		w.bad("the family, after a replay", token, families.ErrEnded)
	})
}

// TestHonestClient: whatever gets lost, a client that tries again within a minute and then uses
// the newest token that it has is never taken for a thief.
func TestHonestClient(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		random := rand.New(rand.NewPCG(1, 2))
		token := first()
		for n := range 2000 {
			w.fail = nil
			if random.IntN(5) == 0 {
				w.fail = errEntra
			}
			next, err := w.use(token, one)
			switch {
			case w.fail != nil && err == nil:
				// kept: it was answered before
			case !errors.Is(err, w.fail):
				t.Fatalf("step %d: %v, want %v", n, err, w.fail)
			}
			started := time.Now()
			for err != nil || random.IntN(3) == 0 { // no answer, or it was lost
				w.fail = nil
				pass(time.Duration(random.IntN(9000)) * time.Millisecond)
				if time.Since(started) > 50*time.Second {
					break
				}
				if next, err = w.use(token, one); err != nil {
					t.Fatalf("step %d, again: %v", n, err)
				}
			}
			if err == nil {
				token = next
			}
			pass(time.Duration(random.IntN(7200)) * time.Second)
		}
	})
}

// broken is a store that is down.
type broken struct{}

func (broken) Get(context.Context, string) ([]byte, error) { return nil, errors.New("down") }

func (broken) Swap(context.Context, string, []byte, []byte, time.Duration) (bool, error) {
	return false, errors.New("down")
}

func TestStoreDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, broken{})
	w.bad("refresh", first(), families.ErrStore)
	if _, err := w.book().Begin(t.Context(), grants.NewID()); !errors.Is(err, families.ErrStore) {
		t.Errorf("Begin = %v, want ErrStore", err)
	}
	if err := w.book().End(t.Context(), grants.NewID()); !errors.Is(err, families.ErrStore) {
		t.Errorf("End = %v, want ErrStore", err)
	}
	if n := w.calls.Load(); n != 0 {
		t.Errorf("%d requests to Entra, want 0", n)
	}
}
