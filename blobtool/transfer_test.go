package blobtool_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/work"
)

// gate counts the requests for blobs below "slow" that are under way, and lets none pass,
// or none that is large, until it is opened.
type gate struct {
	next      http.RoundTripper
	open      chan struct{}
	largeOnly bool

	mu                  sync.Mutex
	now, most           int
	bulk, mostBulk, all int
}

func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasPrefix(r.URL.Path, "/docs/slow") {
		return g.next.RoundTrip(r)
	}
	bulk := 0
	var from, to int
	_, err := fmt.Sscanf(strings.Join(r.Header["x-ms-range"], ""), "bytes=%d-%d", &from, &to) //nolint:staticcheck // so spelled by azblob
	if err == nil && to-from+1 > work.BulkBytes {
		bulk = 1
	}
	g.count(1, bulk)
	defer g.count(-1, -bulk)
	if bulk > 0 || !g.largeOnly {
		<-g.open
	}
	return g.next.RoundTrip(r)
}

func (g *gate) count(n, bulk int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now += n
	g.bulk += bulk
	g.all += max(n, 0)
	g.most, g.mostBulk = max(g.most, g.now), max(g.mostBulk, g.bulk)
}

func (g *gate) under() (now, bulk int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.now, g.bulk
}

// wait waits until so many requests are under way and so many calls of alice wait; none
// must have failed meanwhile.
func (g *gate) wait(t *testing.T, w *world, line *work.Share, now, bulk, waiting int) {
	t.Helper()
	for !t.Failed() {
		n, b := g.under()
		if n >= now && b >= bulk && line.Waiting(w.userID("alice")) >= waiting {
			return
		}
		runtime.Gosched()
	}
}

// newGateWorld starts a world whose storage account is behind a gate.
func newGateWorld(t *testing.T) (*world, *gate) {
	g := &gate{open: make(chan struct{})}
	w := newWorld(t, func(o *blobtool.Options) {
		g.next = o.HTTPClient.Transport
		o.HTTPClient = &http.Client{Transport: g}
	})
	w.set.SetStall(time.Hour)
	w.storage.Grant(w.bob.ObjectID, "docs", "")
	return w, g
}

// The searches of one user have no more requests under way than one search has, and
// another user's go on meanwhile. What waits loses nothing.
func TestSearchesShareTheLine(t *testing.T) {
	t.Parallel()
	w, g := newGateWorld(t)
	shares := work.NewShares(1, 256<<20, work.UserSlots+8)
	w.set.SetShares(shares)
	line := shares.Line
	const searches, blobs = 6, 40
	for i := range blobs {
		put(w.storage, "docs", fmt.Sprintf("slow/%02d.txt", i))
	}
	put(w.storage, "docs", "fast.txt")
	alice, bob := w.connect(t, "alice"), w.connect(t, "bob")
	var wg sync.WaitGroup
	for range searches {
		wg.Go(func() {
			if out := callFor[found](t, alice, "search_blobs", args{"text": "content", "prefix": "slow/", "max_seconds": 90}); len(out.Matches) != blobs || out.Truncated {
				t.Errorf("%d matches, stopped for %q; want %d, none", len(out.Matches), out.Reason, blobs)
			}
		})
	}
	g.wait(t, w, line, work.UserSlots, 0, searches-1) // one may have no buffer left
	if out := callFor[found](t, bob, "search_blobs", args{"text": "content", "prefix": "fast"}); len(out.Matches) != 1 {
		t.Errorf("another user's search found %+v, want 1 match", out)
	}
	close(g.open)
	wg.Wait()
	if g.most > work.UserSlots || g.all != searches*blobs {
		t.Errorf("%d requests at once, want at most %d; %d in all", g.most, work.UserSlots, g.all)
	}
	if free, users := line.State(); free != work.UserSlots+8 || users != 0 {
		t.Errorf("%d slots left, %d users known; want %v, 0", free, users, work.UserSlots+8)
	}
}

// Calls that go through much of a blob have few large transfers under way, whichever tool
// makes them, and what they hold goes back whatever becomes of them.
func TestScansShareTheLine(t *testing.T) {
	t.Parallel()
	w, g := newGateWorld(t)
	shares := work.NewShares(1, 256<<20, 2*work.UserSlots)
	w.set.SetShares(shares)
	line := shares.Line
	w.storage.PutSized("docs", "slow.txt", 6<<20)
	put(w.storage, "docs", "fast.txt")
	alice, bob := w.connect(t, "alice"), w.connect(t, "bob")
	g.largeOnly = true
	const atOnce = work.UserSlots / work.BulkSlots
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { readBlob(t, alice, args{"blob_path": "slow.txt", "lines": "60000", "max_chars": 1}) })
		wg.Go(func() { read(t, alice, args{"blob_path": "slow.txt", "max_chars": 1}) })
		wg.Go(func() {
			callFor[found](t, alice, "search_blobs", args{"text": "no such thing", "prefix": "slow", "max_bytes": 6 << 20, "max_seconds": 90})
		})
		wg.Go(func() {
			_, _ = w.refusedBy(t, alice, "read_blob", args{"blob_path": "slow.txt", "lines": "99999999"})
		})
	}
	g.wait(t, w, line, atOnce, atOnce, 12-atOnce)
	readBlob(t, bob, args{"blob_path": "fast.txt"})
	callFor[found](t, bob, "search_blobs", args{"text": "content", "prefix": "fast"})
	close(g.open)
	wg.Wait()
	if g.mostBulk > atOnce {
		t.Errorf("%d large transfers at once, want at most %d", g.mostBulk, atOnce)
	}
	for _, users := line.State(); users > 0; _, users = line.State() {
		runtime.Gosched()
	}
}

// Where what a byte means depends on what came before, a page is found by the nearest
// escape sequence or line; only where there is none, the blob is read from its beginning.
func TestPagesOfStatefulEncodings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	session := w.connect(t, "alice")
	lines := strings.Repeat("日本語の文章、テスト abc ~{x~} def\n漢字だけの行が続きます\n", 2500)
	for name, c := range map[string]struct {
		encoding, text string
		atMost         int64 // bytes fetched for a page that is far from the beginning
	}{
		"iso-2022-jp":             {"iso-2022-jp", lines, 60_000},
		"hz-gb-2312":              {"hz-gb-2312", strings.Repeat("汉字的文本, 和 ~{ASCII~}\n只有汉字的一行\n", 2500), 60_000},
		"iso-2022-jp, one line":   {"iso-2022-jp", strings.Repeat("漢字", 21_000), 200_000},
		"hz-gb-2312, one line":    {"hz-gb-2312", strings.Repeat("汉字", 21_000), 200_000},
		"iso-2022-jp, ASCII only": {"iso-2022-jp", strings.Repeat("plain text\n", 8_000), 60_000},
	} {
		w.storage.Put("docs", "a.txt", []byte(encode(t, c.encoding, c.text)), "text/plain; charset="+c.encoding)
		for _, given := range []string{c.encoding, ""} {
			a := args{"blob_path": "a.txt", "max_chars": 20_000}
			if given != "" {
				a["encoding"] = given
			}
			var got strings.Builder
			var last blobOutput
			for {
				out := readBlob(t, session, a)
				got.WriteString(out.Text)
				if out.NextOffset == 0 {
					break
				}
				last = out
				a["offset"], a["etag"] = out.NextOffset, out.ETag
			}
			if got.String() != c.text {
				t.Errorf("%s: pages join to %d characters, not to the %d of the text", name, len(got.String()), len(c.text))
			}
			w.storage.ForgetRequests()
			a["offset"], a["max_chars"] = last.NextOffset, 10
			out := readBlob(t, session, a)
			if want := string(lastPage(c.text, 20_000)[:10]); out.Text != want {
				t.Errorf("%s: at %d is %q, want %q", name, last.NextOffset, out.Text, want)
			}
			var fetched int64
			for _, r := range w.storage.Requests() {
				fetched += r.BytesSent
			}
			if fetched > c.atMost {
				t.Errorf("%s: %d bytes fetched for 10 characters, want at most %v", name, fetched, c.atMost)
			}
		}
	}
}

// lastPage is the last of the pages of a text.
func lastPage(text string, size int) []rune {
	runes := []rune(text)
	return runes[(len(runes)-1)/size*size:]
}
