package blobtool_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// million is a container with a million blobs in a thousand folders.
func million(w *world) {
	w.storage.AddGenerated("docs", blobtest.Generated{
		Count: 1_000_000,
		Name:  func(i int) string { return fmt.Sprintf("%03d/%03d.txt", i/1000, i%1000) },
	})
}

// A container of a million blobs is paged through holding one page at a time.
func TestListMillion(t *testing.T) {
	w := newWorld(t, nil)
	million(w)
	session := w.connect(t, "alice")
	if all := listAll(t, session, args{"folders": true}, 1000); len(all) != 1000 || all[999] != "999/" {
		t.Errorf("%d folders", len(all))
	}
	a := args{"page_size": 1000}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	seen := 0
	var first, most uint64
	for page := range 20 {
		out := callFor[listOutput](t, session, "list_blobs", a)
		seen += len(out.Blobs)
		if len(out.NextCursor) > 1000 {
			t.Fatalf("a cursor of %d bytes", len(out.NextCursor))
		}
		a["cursor"] = out.NextCursor
		w.storage.ForgetRequests()
		if h := heap(); page == 5 {
			first = h
		} else if page > 5 {
			most = max(most, h)
		}
	}
	if seen < 15_000 || most > first+8<<20 {
		t.Errorf("%d blobs seen; heap %d KiB after some pages, up to %d later", seen, first>>10, most>>10)
	}
	out := callFor[listOutput](t, session, "list_blobs", args{"prefix": "999/99"})
	if names(out.Blobs) != "999/990.txt 999/991.txt 999/992.txt 999/993.txt 999/994.txt 999/995.txt 999/996.txt 999/997.txt 999/998.txt 999/999.txt" {
		t.Errorf("the end: %s", names(out.Blobs))
	}
}

// A search through a million names stops at its bounds, and goes on.
func TestSearchMillion(t *testing.T) {
	w := newWorld(t, nil)
	million(w)
	session := w.connect(t, "alice")
	a := args{"name": "**/9[0-9]9.txt", "max_results": 30}
	out := callFor[found](t, session, "search_blobs", a)
	if len(out.Blobs) != 30 || out.Reason != "results" || out.Blobs[29].Name != "002/999.txt" || out.Examined != 3909 {
		t.Errorf("%d examined, %d found, %s", out.Examined, len(out.Blobs), out.Reason)
	}
	a["cursor"] = out.NextCursor
	if out = callFor[found](t, session, "search_blobs", a); out.Blobs[0].Name != "003/909.txt" {
		t.Errorf("goes on with %+v", out.Blobs[0])
	}
	w.storage.Fail(blobtest.Fault{Skip: 1, Operation: blobtest.ListBlobs, Delay: time.Hour})
	out = callFor[found](t, session, "search_blobs", args{"name": "**/none", "max_seconds": 1})
	if out.Examined != 5000 || out.Reason != "time" || out.NextCursor == "" {
		t.Errorf("%d examined, %s", out.Examined, out.Reason)
	}
}

// In a hierarchical namespace, directories are folders and no blobs: not listed as
// such, not searched, no resources.
func TestDirectories(t *testing.T) {
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
		if got := names(out.Blobs); sorted(got) != sorted(c.want) {
			t.Errorf("%s: %s", name, got)
		}
		for _, r := range out.Blobs {
			if r.Folder != strings.HasSuffix(r.Name, "/") || r.Folder == (r.Size != nil) {
				t.Errorf("%s: %+v", name, r)
			}
		}
		for _, size := range []int{1, 2} {
			if got := listAll(t, session, c.a, size); strings.Join(sortedStrings(got), " ") != sorted(c.want) {
				t.Errorf("%s, %d at a time: %q", name, size, got)
			}
		}
	}
	out := callFor[found](t, session, "search_blobs", args{"text": "content"})
	if len(out.Matches) != 4 || out.Searched != 4 {
		t.Errorf("got %+v", out)
	}
	if uris, _ := listResources(t, session); len(uris) != 4 {
		t.Errorf("resources: %q", uris)
	}
}
