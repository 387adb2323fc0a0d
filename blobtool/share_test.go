package blobtool_test

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/work"
)

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
	t.Parallel()
	held := &heldBodies{pass: make(chan struct{})}
	w := newWorld(t, func(o *blobtool.Options) {
		held.RoundTripper = o.HTTPClient.Transport
		o.HTTPClient = &http.Client{Transport: held}
	})
	shares := work.NewShares(1, 8<<20, work.LineSlots)
	w.set.SetShares(shares)
	cores, memory := shares.Cores, shares.Memory
	w.storage.PutSized("docs", "slow.txt", 1<<20)
	w.storage.Grant(w.bob.ObjectID, "docs", "")
	put(w.storage, "docs", "fast.txt")
	alice, bob := w.connect(t, "alice"), w.connect(t, "bob")
	var wg sync.WaitGroup
	for range 24 {
		wg.Go(func() {
			if out := readBlob(t, alice, args{"blob_path": "slow.txt", "max_chars": 40_000}); len(out.Text) != 40_000 {
				t.Errorf("%d characters, want 40000", len(out.Text))
			}
		})
	}
	for memory.Waiting(w.userID("alice")) < 20 {
		runtime.Gosched()
	}
	if free, _ := memory.State(); free < 5<<20 {
		t.Errorf("one user holds all but %d bytes, want 5 MiB for the others", free)
	}
	if out := readBlob(t, bob, args{"blob_path": "fast.txt"}); out.Text != "content of fast.txt" {
		t.Errorf("got %+v, want Text \"content of fast.txt\"", out)
	}
	close(held.pass)
	wg.Wait()
	for _, s := range []*work.Share{cores, memory} {
		for _, users := s.State(); users > 0; _, users = s.State() { // until the SDK has sent the last answer
			runtime.Gosched()
		}
	}
}

// Pages of listings, which take long to parse, are parsed with a core: users in turn.
func TestListingsShareCores(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	shares := work.NewShares(1, 64<<20, work.LineSlots)
	w.set.SetShares(shares)
	cores := shares.Cores
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
				t.Errorf("%s: got %+v, want 2 blobs", tool, out)
			}
		}()
		for cores.Waiting(w.userID("alice")) == 0 {
			runtime.Gosched()
		}
		cores.Give("another", 1)
		<-done
		if free, users := cores.State(); free != 1 || users != 0 {
			t.Errorf("%s: %d cores left, %d users known; want 1, 0", tool, free, users)
		}
	}
}

// A search that gets no core and no memory in its time says so, and where it begins.
func TestSearchThatWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	put(w.storage, "docs", "a.txt")
	ctx, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	if reason, cursor, err := w.set.Search(ctx, "a"); reason != "time" || cursor == "" || err != nil {
		t.Errorf("got %q, %q, %v; want time, a cursor, nil", reason, cursor, err)
	}
	_, err := w.set.ReadBlob(ctx, "a.txt")
	if err == nil {
		t.Error("a call without time has read a blob")
	}
}
