package blobtool_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// million is a container with a million blobs in a thousand folders.
func million(w *world) {
	w.storage.PutSeries("docs", blobtest.Series{
		Count: 1_000_000,
		Name:  func(i int) string { return fmt.Sprintf("%03d/%03d.txt", i/1000, i%1000) },
	})
}

// A container of a million blobs is paged through holding one page at a time.
func TestListMillion(t *testing.T) {
	w := newWorld(t, nil)
	million(w)
	session := w.connect(t, "alice")
	if all := listAll(t, session, args{"folders": true, "prefix": "9"}, 60); len(all) != 100 || all[99] != "999/" {
		t.Errorf("%d folders, want 100, 999/", len(all))
	}
	a := args{"page_size": 250}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	seen := 0
	var first, most uint64
	for page := range 10 {
		out := callFor[listOutput](t, session, "list_blobs", a)
		seen += len(out.Blobs)
		if len(out.NextCursor) > 1000 {
			t.Fatalf("a cursor of %d bytes, want at most 1000", len(out.NextCursor))
		}
		a["cursor"] = out.NextCursor
		w.storage.ForgetRequests()
		if h := heap(); page == 2 {
			first = h
		} else if page > 2 {
			most = max(most, h)
		}
	}
	if seen != 2500 || most > first+8<<20 {
		t.Errorf("%d blobs seen; heap %d KiB after some pages, up to %d later; want 2500, and no growth", seen, first>>10, most>>10)
	}
	out := callFor[listOutput](t, session, "list_blobs", args{"prefix": "999/99"})
	if rowNames(out.Blobs) != "999/990.txt 999/991.txt 999/992.txt 999/993.txt 999/994.txt 999/995.txt 999/996.txt 999/997.txt 999/998.txt 999/999.txt" {
		t.Errorf("the end: got %s, want 999/990.txt to 999/999.txt", rowNames(out.Blobs))
	}
}

// A search through a million names stops at its bounds, and goes on.
func TestSearchMillion(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	million(w)
	session := w.connect(t, "alice")
	a := args{"name": "**/9[0-9]9.txt", "max_results": 5, "prefix": "99"}
	out := callFor[found](t, session, "search_blobs", a)
	if len(out.Blobs) != 5 || out.Reason != "results" || out.Blobs[4].Name != "990/949.txt" || out.Examined != 959 {
		t.Errorf("%d examined, %d found, %s; want 959, 5 blobs, results, 990/949.txt", out.Examined, len(out.Blobs), out.Reason)
	}
	a["cursor"] = out.NextCursor
	if out = callFor[found](t, session, "search_blobs", a); out.Blobs[0].Name != "990/959.txt" {
		t.Errorf("goes on with %+v, want Blobs[0].Name 990/959.txt", out.Blobs[0])
	}
}

// A listing that stalls ends the search in time, with what was found before.
func TestSearchNamesTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	put(w.storage, "docs", "a/1", "b/1")
	newSet := func(client *http.Client) (*blobtool.Set, error) { // two listings
		return blobtool.NewAccount(w.storage.URL(), w.findCredential, &blobtool.Options{HTTPClient: client, Allow: []string{"docs/a/", "docs/b/"}})
	}
	stalls := true
	delay := func(r *http.Request) time.Duration {
		if stalls && r.URL.Query().Get("prefix") == "b/" {
			return time.Hour
		}
		return 0
	}
	w.inBubble(t, newSet, delay, nil, func(t *testing.T, session *mcp.ClientSession) {
		a := args{"container": "docs", "name": "**", "max_seconds": 3}
		begun := time.Now()
		out := callFor[found](t, session, "search_blobs", a)
		if took := time.Since(begun); rowNames(out.Blobs) != "a/1" || out.Reason != "time" || took != 3*time.Second {
			t.Errorf("search_blobs(%v) = %+v after %s, want a/1 and the reason time after 3s", a, out, took)
		}
		stalls = false
		a["cursor"] = out.NextCursor
		if out = callFor[found](t, session, "search_blobs", a); rowNames(out.Blobs) != "b/1" || out.Truncated {
			t.Errorf("search_blobs(%v) = %+v, want b/1 and no more", a, out)
		}
	})
}

// In a hierarchical namespace, directories are folders and no blobs: not listed as
// such, not searched, no resources.
func TestDirectories(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.storage.Close()
	w.storage = blobtest.NewServer(&blobtest.Options{Key: tenant.PublicKey, Issuer: tenant.V1Issuer(), HierarchicalNamespace: true})
	t.Cleanup(w.storage.Close)
	w.storage.Grant(w.alice.ObjectID, "docs", "")
	put(w.storage, "docs", "a.txt", "dir/b.txt", "dir/sub/c.txt", "dir.txt")
	w.storage.AddDirectory("docs", "empty")
	w.serve(t, w.storage.URL(), &blobtool.Options{HTTPClient: w.storage.HTTPClient()})
	session := w.connect(t, "alice")
	for name, c := range map[string]struct {
		a    args
		want string
	}{
		"flat":     {args{}, "a.txt dir/ dir/b.txt dir/sub/ dir/sub/c.txt dir.txt empty/"},
		"folders":  {args{"folders": true}, "a.txt dir.txt dir/ empty/"},
		"in it":    {args{"folders": true, "prefix": "dir/"}, "dir/b.txt dir/sub/"},
		"metadata": {args{"include": []string{"metadata"}, "prefix": "e"}, "empty/"},
	} {
		out := callFor[listOutput](t, session, "list_blobs", c.a)
		sorted := func(s string) string { f := strings.Fields(s); return strings.Join(sortedStrings(f), " ") }
		if got := rowNames(out.Blobs); sorted(got) != sorted(c.want) {
			t.Errorf("%s: got %s, want %s", name, got, sorted(c.want))
		}
		for _, r := range out.Blobs {
			if r.Folder != strings.HasSuffix(r.Name, "/") || r.Folder == (r.Size != nil) {
				t.Errorf("%s: got %+v, want a folder, or a blob with a size", name, r)
			}
		}
		for _, size := range []int{1, 2} {
			if got := listAll(t, session, c.a, size); strings.Join(sortedStrings(got), " ") != sorted(c.want) {
				t.Errorf("%s, %d at a time: got %q, want %s", name, size, got, sorted(c.want))
			}
		}
	}
	out := callFor[found](t, session, "search_blobs", args{"text": "content"})
	if len(out.Matches) != 4 || out.Searched != 4 {
		t.Errorf("got %+v, want 4 matches, Searched 4", out)
	}
	if uris, _ := listResources(t, session); len(uris) != 4 {
		t.Errorf("resources: got %q, want 4 uris", uris)
	}
}
