package blobtool_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/blobtool"
)

// queue lets a user wait for n, and returns when the call waits. served gets the user's
// name once it has it.
func queue(t *testing.T, s blobtool.Share, user string, n int64, served chan<- string) {
	t.Helper()
	before := s.Waiting(user)
	go func() {
		if err := s.Take(context.Background(), user, n); err != nil {
			t.Error(err)
		}
		served <- user
	}()
	for s.Waiting(user) == before {
		runtime.Gosched()
	}
}

// A user with many calls costs another one turn.
func TestShareInTurns(t *testing.T) {
	s := blobtool.NewShare(1, 1)
	served := make(chan string, 100)
	if err := s.Take(t.Context(), "alice", 1); err != nil {
		t.Fatal(err)
	}
	for range 64 {
		queue(t, s, "alice", 1, served)
	}
	queue(t, s, "bob", 1, served)
	queue(t, s, "carol", 1, served)
	s.Give("alice", 1)
	var order []string
	for range 66 {
		user := <-served
		order = append(order, user)
		s.Give(user, 1)
	}
	if got := strings.Join(order[:4], " "); got != "alice bob carol alice" {
		t.Errorf("served %s", got)
	}
	if free, users := s.State(); free != 1 || users != 0 {
		t.Errorf("%d left, %d users known", free, users)
	}
}

// One user holds no more than so much, and what is too large for the moment is not passed
// by what is small.
func TestShareBounds(t *testing.T) {
	s := blobtool.NewShare(100, 60)
	served := make(chan string, 100)
	take := func(user string, n int64) {
		t.Helper()
		if err := s.Take(t.Context(), user, n); err != nil {
			t.Fatal(err)
		}
	}
	take("alice", 60)
	queue(t, s, "alice", 1, served) // waits for herself, and holds nobody up
	take("bob", 30)
	queue(t, s, "carol", 40, served)
	queue(t, s, "dave", 5, served) // would fit, but carol waits for more
	for _, c := range []struct {
		gives string
		n     int64
		next  string
	}{{"bob", 30, "carol"}, {"carol", 40, "dave"}, {"alice", 60, "alice"}} {
		s.Give(c.gives, c.n)
		if next := <-served; next != c.next {
			t.Errorf("after %s's, %s was served, want %s", c.gives, next, c.next)
		}
	}
}

// A call that gives up leaves nothing behind, whenever it does.
func TestShareGivingUp(t *testing.T) {
	const size = 50
	s := blobtool.NewShare(size, 20)
	var wg sync.WaitGroup
	for i := range 200 {
		random := rand.New(rand.NewPCG(uint64(i), 1))
		wg.Go(func() {
			user, n := string(rune('a'+random.IntN(5))), 1+random.Int64N(20)
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				for range random.IntN(50) {
					runtime.Gosched()
				}
				cancel()
			}()
			if err := s.Take(ctx, user, n); err == nil {
				s.Give(user, n)
			} else if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if free, users := s.State(); free != size || users != 0 {
		t.Errorf("%d left, %d users known", free, users)
	}
}

// heldBodies lets no content of blobs pass for a while.
type heldBodies struct {
	http.RoundTripper
	pass chan struct{}
}

func (h *heldBodies) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := h.RoundTripper.RoundTrip(r)
	if err == nil && strings.HasSuffix(r.URL.Path, "slow.txt") {
		resp.Body = &heldBody{resp.Body, h.pass}
	}
	return resp, err
}

type heldBody struct {
	io.ReadCloser
	pass chan struct{}
}

func (h *heldBody) Read(p []byte) (int, error) {
	<-h.pass
	return h.ReadCloser.Read(p)
}

// Many large reads of one user take no more than that user's part of the memory, and no
// core while they wait for the network: another user's read goes on at once.
func TestReadsShareMemory(t *testing.T) {
	held := &heldBodies{pass: make(chan struct{})}
	w := newWorld(t, func(o *blobtool.Options) {
		held.RoundTripper = o.HTTPClient.Transport
		o.HTTPClient = &http.Client{Transport: held}
	})
	cores, memory := w.set.SetShares(1, 8<<20)
	w.storage.PutSized("docs", "slow.txt", 1<<20)
	w.storage.Grant(w.bob.ObjectID, "docs", "")
	put(w.storage, "docs", "fast.txt")
	alice, bob := w.connect(t, "alice"), w.connect(t, "bob")
	var wg sync.WaitGroup
	for range 24 {
		wg.Go(func() {
			if out := readBlob(t, alice, args{"blob_path": "slow.txt", "max_chars": 40_000}); len(out.Text) != 40_000 {
				t.Errorf("%d characters", len(out.Text))
			}
		})
	}
	for memory.Waiting(w.userID("alice")) < 20 {
		runtime.Gosched()
	}
	if free, _ := memory.State(); free < 6<<20 {
		t.Errorf("one user holds all but %d bytes", free)
	}
	if out := readBlob(t, bob, args{"blob_path": "fast.txt"}); out.Text != "content of fast.txt" {
		t.Errorf("got %+v", out)
	}
	close(held.pass)
	wg.Wait()
	for _, s := range []blobtool.Share{cores, memory} {
		for _, users := s.State(); users > 0; _, users = s.State() { // until the SDK has sent the last answer
			runtime.Gosched()
		}
	}
}

// Pages of listings, which take long to parse, are parsed with a core: users in turn.
func TestListingsShareCores(t *testing.T) {
	w := newWorld(t, nil)
	cores, _ := w.set.SetShares(1, 64<<20)
	put(w.storage, "docs", "a.txt", "b.txt")
	session := w.connect(t, "alice")
	for tool, a := range map[string]args{"list_blobs": {}, "search_blobs": {"name": "*.txt"}} {
		if err := cores.Take(t.Context(), "another", 1); err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			if out := callFor[found](t, session, tool, a); len(out.Blobs) != 2 {
				t.Errorf("%s: %+v", tool, out)
			}
		}()
		for cores.Waiting(w.userID("alice")) == 0 {
			runtime.Gosched()
		}
		cores.Give("another", 1)
		<-done
		if free, users := cores.State(); free != 1 || users != 0 {
			t.Errorf("%s: %d cores left, %d users known", tool, free, users)
		}
	}
}

// steps is a context that ends when the time has been looked at so many times.
type steps struct {
	context.Context
	left int
}

func (s *steps) Err() error {
	if s.left--; s.left < 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// Matching looks at the time within a line and within a name.
func TestMatchingLooksAtTheTime(t *testing.T) {
	line := []byte(strings.Repeat("a", blobtool.MaxLineBytes))
	const slow = "(a|aa|aaa|b?){1,40}z"
	ctx := &steps{t.Context(), 1 << 30}
	if found, err := blobtool.Find(ctx, slow, line); found || err != nil || 1<<30-ctx.left < 10 {
		t.Errorf("%v, %v after %d looks at the time", found, err, 1<<30-ctx.left)
	}
	if found, err := blobtool.Find(&steps{t.Context(), 3}, slow, line); found || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, %v", found, err)
	}
	// The same is found with and without looking.
	for _, c := range []struct{ expr, text string }{
		{slow, strings.Repeat("a", 50_000) + "z"}, {"^" + slow + "$", strings.Repeat("é", 50_000) + "z"}, {slow + "|é$", strings.Repeat("\xff", 50_000) + "é"},
	} {
		got, err := blobtool.Find(&steps{t.Context(), 1 << 30}, c.expr, []byte(c.text))
		if want := strings.HasPrefix(c.text, "a") || strings.HasSuffix(c.text, "é"); got != want || err != nil {
			t.Errorf("%s: %v, %v", c.expr, got, err)
		}
	}
	p, err := blobtool.ParseNamePattern(strings.Repeat("**a", 100)+"z", false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.MatchWithin(&steps{t.Context(), 0}, strings.Repeat("a", 1000)); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// Expressions and patterns are bounded by what they compile to, and refused before that
// takes long.
func TestExpressionsAreBounded(t *testing.T) {
	for _, expr := range []string{strings.Repeat("a{1000}", 140), strings.Repeat(`(\pL{500}|x){2}`, 60), "((a{10}){10}){10}b", strings.Repeat("(?:){1000}", 100), strings.Repeat("(?:|){1000}", 90), strings.Repeat("(?:a{0}){1000}", 70)} {
		allocations := testing.AllocsPerRun(1, func() {
			_, err := blobtool.Find(t.Context(), expr, nil)
			wantKind(t, expr, err, blobtool.ErrInvalidArgument)
		})
		if allocations > 20_000 {
			t.Errorf("%.20s: %.0f allocations", expr, allocations)
		}
	}
	for pattern, ok := range map[string]bool{
		strings.Repeat("**a", 341): false, strings.Repeat("*a", 511): false, strings.Repeat("{a,b}", 204): true, strings.Repeat("{ab,c*}", 146): false, strings.Repeat("**/", 341): false,
		strings.Repeat("a", 1024): true, strings.Repeat("?", 1024): true, strings.Repeat("*a", 100): true, "{" + strings.Repeat("a1,", 150) + "}": true,
	} {
		_, err := blobtool.ParseNamePattern(pattern, false)
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "wildcards and alternatives, at most 200 are allowed") {
			t.Errorf("%.20s: %v", pattern, err)
		}
	}
}

// A search that gets no core and no memory in its time says so, and where it begins.
func TestSearchThatWaits(t *testing.T) {
	w := newWorld(t, nil)
	put(w.storage, "docs", "a.txt")
	ctx, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	if reason, cursor, err := w.set.Search(ctx, "a"); reason != "time" || cursor == "" || err != nil {
		t.Errorf("%q, %q, %v", reason, cursor, err)
	}
	_, err := w.set.ReadBlob(ctx, "a.txt")
	if err == nil {
		t.Error("a call without time has read a blob")
	}
}
