package families_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/families"
)

// TestRace: however many refresh with one token at once, Entra is asked once and all get on.
func TestRace(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.slow = 1500 * time.Millisecond
		r0 := first()
		var got [50]families.Token
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() { got[i] = w.good("at once", r0) })
		}
		wg.Wait()
		if n := w.calls.Load(); n != 1 {
			t.Errorf("%d requests to Entra, want 1", n)
		}
		for _, token := range got {
			if token != got[0] {
				t.Errorf("successors %v and %v, want one", got[0], token)
			}
		}
		for range 5 {
			got[0] = w.good("the line goes on", got[0])
			pass(time.Hour)
		}
	})
}

// TestSiblingsRace: of two siblings used at the same moment one wins, and the family ends.
func TestSiblingsRace(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r0 := first()
		a := w.good("first use", r0)
		pass(3 * time.Second)
		b := w.good("second use", r0)
		w.slow = time.Second
		var errs [2]error
		var wg sync.WaitGroup
		for i, token := range []families.Token{a, b} {
			wg.Go(func() { _, errs[i] = w.use(token, one) })
		}
		wg.Wait()
		if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs[:]...), families.ErrReused) {
			t.Errorf("errors %v, want one success and one ErrReused", errs)
		}
		if err := w.book().Check(t.Context(), r0.Family); !errors.Is(err, families.ErrEnded) {
			t.Errorf("Check = %v, want ErrEnded", err)
		}
	})
}

// TestRevokedMeanwhile: a revocation while Entra is asked counts.
func TestRevokedMeanwhile(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r0 := first()
		w.slow = time.Second
		var wg sync.WaitGroup
		wg.Go(func() { w.bad("revoked meanwhile", r0, families.ErrEnded) })
		pass(500 * time.Millisecond)
		if err := w.book().End(t.Context(), r0.Family); err != nil {
			t.Error(err)
		}
		wg.Wait()
	})
}

// TestWaiting: nobody waits for longer than 10 s, and whoever gives up spoils nothing for others.
func TestWaiting(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r0 := first()
		w.slow = 12 * time.Second
		var wg sync.WaitGroup
		wg.Go(func() { w.good("slow", r0) })
		pass(time.Millisecond)
		start := time.Now()
		w.bad("waiting", r0, families.ErrBusy)
		if d := time.Since(start); d > 11*time.Second {
			t.Errorf("waited for %v, want about 10 s", d)
		}
		wg.Wait()
		if n := w.calls.Load(); n != 1 {
			t.Errorf("%d requests to Entra, want 1", n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		r1 := first()
		wg.Go(func() {
			_, err := w.book().Rotate(ctx, r1, one, func(ctx context.Context) ([]byte, error) {
				cancel() // the client hangs up
				return []byte("answer"), ctx.Err()
			})
			if err != nil {
				t.Errorf("Rotate of a client that has gone = %v, want the answer kept for others", err)
			}
		})
		wg.Wait()
		answer, err := w.book().Rotate(t.Context(), r1, one, nil)
		if err != nil || string(answer) != "answer" {
			t.Errorf("Rotate = %q, %v; want the kept answer", answer, err)
		}
	})
}

// TestPanic: a lease is given back in any case.
func TestPanic(t *testing.T) {
	inWorld(t, func(_ *testing.T, w *world) {
		r0 := first()
		func() {
			defer func() { _ = recover() }()
			_, _ = w.book().Rotate(w.t.Context(), r0, one, func(context.Context) ([]byte, error) { panic("test") })
		}()
		w.good("afterwards", r0)
	})
}
