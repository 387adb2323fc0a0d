package blobtool_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// listOutput is the output of list_blobs as a client decodes it.
type listOutput struct {
	Container  string    `json:"container"`
	BaseURI    string    `json:"base_uri"`
	Only       []string  `json:"only"`
	Blobs      []blobRow `json:"blobs"`
	Truncated  bool      `json:"truncated"`
	NextCursor string    `json:"next_cursor"`
}

type blobRow struct {
	Name     string            `json:"name"`
	Folder   bool              `json:"folder"`
	Size     *int64            `json:"size"`
	Modified string            `json:"modified"`
	Type     string            `json:"type"`
	ETag     string            `json:"etag"`
	Tier     string            `json:"tier"`
	Version  string            `json:"version"`
	Current  bool              `json:"current"`
	Snapshot string            `json:"snapshot"`
	Deleted  bool              `json:"deleted"`
	Metadata map[string]string `json:"metadata"`
	Tags     map[string]string `json:"tags"`
	Cut      bool              `json:"cut"`
}

func rowNames(list []blobRow) string {
	var all []string
	for _, r := range list {
		all = append(all, r.Name)
	}
	return strings.Join(all, " ")
}

func put(s *blobtest.Server, container string, blobs ...string) {
	for _, b := range blobs {
		s.Put(container, b, []byte("content of "+b), "text/plain")
	}
}

func TestListBlobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	put(w.storage, "docs", "a.txt", "b/c.txt", "b/d/e.txt", "b/d/f.txt", "b-1.txt", "日本/東京 1.txt")
	w.storage.Update("docs", "a.txt", func(p *blobtest.Properties) { p.Tier = "Cool" })
	session := w.connect(t, "alice")
	for name, c := range map[string]struct {
		a    args
		want string
	}{
		"all":                {args{}, "a.txt b-1.txt b/c.txt b/d/e.txt b/d/f.txt 日本/東京 1.txt"},
		"prefix":             {args{"prefix": "b"}, "b-1.txt b/c.txt b/d/e.txt b/d/f.txt"},
		"folder":             {args{"prefix": "b/"}, "b/c.txt b/d/e.txt b/d/f.txt"},
		"folders":            {args{"folders": true}, "a.txt b-1.txt b/ 日本/"},
		"folders of one":     {args{"folders": true, "prefix": "b/"}, "b/c.txt b/d/"},
		"nothing":            {args{"prefix": "x"}, ""},
		"upper case differs": {args{"prefix": "B/"}, ""},
	} {
		out := callFor[listOutput](t, session, "list_blobs", c.a)
		if got := rowNames(out.Blobs); got != c.want || out.Truncated || out.Container != "docs" || out.BaseURI != "blob://docs/" || out.Only != nil || out.Blobs == nil {
			t.Errorf("%s: %s: got %+v, want %s", name, got, out, c.want)
		}
		for _, pageSize := range []int{1, 2, 3} {
			if got := strings.Join(listAll(t, session, c.a, pageSize), " "); got != c.want {
				t.Errorf("%s, %d at a time: got %s, want %v", name, pageSize, got, c.want)
			}
		}
	}
	r := callFor[listOutput](t, session, "list_blobs", args{"page_size": 1}).Blobs[0]
	if *r.Size != 16 || r.Type != "text/plain" || r.Tier != "Cool" || !strings.HasPrefix(r.ETag, "0x") || len(r.Modified) != len("2026-11-25T00:00:00Z") || r.Folder || r.Metadata != nil {
		t.Errorf("got %+v, want a blob of 16 bytes with its properties", r)
	}
	if r := callFor[listOutput](t, session, "list_blobs", args{"folders": true, "prefix": "b/d"}).Blobs[0]; r.Name != "b/d/" || !r.Folder || r.Size != nil {
		t.Errorf("got %+v, want the folder b/d/", r)
	}
}

// listAll lists page by page and returns the names.
func listAll(t testing.TB, session *mcp.ClientSession, a args, pageSize int) []string {
	t.Helper()
	page := args{"page_size": pageSize}
	maps.Copy(page, a)
	var all []string
	for range 1000 {
		out := callFor[listOutput](t, session, "list_blobs", page)
		if len(out.Blobs) > pageSize || out.Truncated != (out.NextCursor != "") {
			t.Fatalf("%d rows, truncated %v, cursor %q; want at most %d, and a cursor if truncated", len(out.Blobs), out.Truncated, out.NextCursor, pageSize)
		}
		for _, r := range out.Blobs {
			all = append(all, r.Name)
		}
		if !out.Truncated {
			return all
		}
		page["cursor"] = out.NextCursor
	}
	t.Fatal("the listing does not end, want a last page")
	return nil
}

func TestListBlobsAllow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	put(w.storage, "docs", "a.txt", "reports/2025/a", "reports/2026/a", "reports/2026/b/c", "reports/secret", "notes/x", "zebra/x")
	put(w.storage, "other", "a")
	w.storage.Grant(w.alice.ObjectID, "other", "")
	w.allowOnly(t, "docs/reports/2026/", "docs/notes/", "docs/reports/2025/", "docs/reports/2026/b/")
	session := w.connect(t, "alice")
	for name, c := range map[string]struct {
		a    args
		want string
		only string
	}{
		"whole container":         {args{}, "notes/x reports/2025/a reports/2026/a reports/2026/b/c", "notes/ reports/2025/ reports/2026/"},
		"folders of it":           {args{"folders": true}, "notes/x reports/2025/a reports/2026/a reports/2026/b/", "notes/ reports/2025/ reports/2026/"},
		"part of a name":          {args{"prefix": "reports/2"}, "reports/2025/a reports/2026/a reports/2026/b/c", "reports/2025/ reports/2026/"},
		"exactly":                 {args{"prefix": "notes/"}, "notes/x", ""},
		"below":                   {args{"prefix": "reports/2026/b"}, "reports/2026/b/c", ""},
		"one of them":             {args{"prefix": "n"}, "notes/x", "notes/"},
		"nothing there, but some": {args{"prefix": "reports/2026/x"}, "", ""},
	} {
		c.a["container"] = "docs"
		out := callFor[listOutput](t, session, "list_blobs", c.a)
		if got := rowNames(out.Blobs); got != c.want || strings.Join(out.Only, " ") != c.only {
			t.Errorf("%s: got %s, only %q; want %v, %v", name, got, out.Only, c.want, c.only)
		}
		for _, pageSize := range []int{1, 2, 3} {
			if got := strings.Join(listAll(t, session, c.a, pageSize), " "); got != c.want {
				t.Errorf("%s, %d at a time: got %s, want %v", name, pageSize, got, c.want)
			}
		}
	}
	for _, a := range []args{{"prefix": "a"}, {"prefix": "reports/s"}, {"prefix": "zebra/"}, {"prefix": "reports/2026"[:9] + "7"}, {"prefix": "/"}} {
		a["container"] = "docs"
		text := w.refusal(t, session, "list_blobs", a, blobtool.ErrNotAllowed)
		if !strings.Contains(text, `"docs/notes/", "docs/reports/2025/", "docs/reports/2026/"`) && !strings.Contains(text, "docs/notes") {
			t.Errorf("the text does not say what is allowed: %s", text)
		}
	}
	w.refusal(t, session, "list_blobs", args{"container": "other"}, blobtool.ErrNotAllowed)
	for _, r := range w.storage.Requests() {
		if p := r.Query.Get("prefix"); r.Path != "/docs" || !strings.HasPrefix(p, "reports/202") && !strings.HasPrefix(p, "notes/") {
			t.Errorf("the service was asked for %s, prefix %q", r.Path, p)
		}
	}
}

func TestListBlobsInclude(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	put(w.storage, "docs", "a", "b")
	w.storage.Update("docs", "a", func(p *blobtest.Properties) {
		p.Metadata = map[string]string{"author": "Ada", "long": strings.Repeat("x", 3000), "a": "1"}
		p.Tags = map[string]string{"project": "alpha"}
	})
	snapshot := w.storage.Snapshot("docs", "a")
	session := w.connect(t, "alice")
	out := callFor[listOutput](t, session, "list_blobs", args{"include": []string{"metadata", "snapshots"}})
	if len(out.Blobs) != 3 || out.Blobs[0].Snapshot != snapshot || out.Blobs[1].Snapshot != "" {
		t.Fatalf("got %+v, want 3 blobs, Blobs[0].Snapshot %v, no Blobs[1].Snapshot", out.Blobs, snapshot)
	}
	if r := out.Blobs[1]; len(r.Metadata) != 2 || r.Metadata["author"] != "Ada" || !r.Cut || r.Tags != nil {
		t.Errorf("got %+v, want author Ada, the rest cut, no tags", r)
	}
	text := w.refusal(t, session, "list_blobs", args{"include": []string{"tags"}}, blobtool.ErrPermission)
	if !strings.Contains(text, "Storage Blob Data Owner") || !strings.Contains(text, "x-ms-request-id") {
		t.Errorf("got %s, want \"Storage Blob Data Owner\" and x-ms-request-id", text)
	}
	w.storage.GrantOwner(w.alice.ObjectID, "docs", "")
	if out := callFor[listOutput](t, session, "list_blobs", args{"include": []string{"tags"}}); out.Blobs[0].Tags["project"] != "alpha" || out.Blobs[0].Metadata != nil {
		t.Errorf("got %+v, want alpha, no Blobs[0].Metadata", out.Blobs)
	}
	w.refusal(t, session, "list_blobs", args{"include": []string{"snapshots"}, "folders": true}, blobtool.ErrInvalidArgument)
}

// Rows of one name, such as its versions, are paged through too.
func TestListBlobsVersions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.storage.Close()
	w.storage = blobtest.NewServer(&blobtest.Options{Key: tenant.PublicKey, Issuer: tenant.V1Issuer(), Versioning: true})
	t.Cleanup(w.storage.Close)
	w.storage.Grant(w.alice.ObjectID, "docs", "")
	for range 5 {
		put(w.storage, "docs", "a", "b")
	}
	w.storage.Delete("docs", "b")
	w.serve(t, w.storage.URL(), &blobtool.Options{HTTPClient: w.storage.HTTPClient()})
	session := w.connect(t, "alice")
	for _, pageSize := range []int{1, 2, 3, 4, 7, 100} {
		if got := strings.Join(listAll(t, session, args{"include": []string{"versions"}}, pageSize), ""); got != "aaaaabbbbb" {
			t.Errorf("%d at a time: got %s, want aaaaabbbbb", pageSize, got)
		}
	}
	out := callFor[listOutput](t, session, "list_blobs", args{"include": []string{"versions"}})
	for i, r := range out.Blobs {
		if r.Version == "" || r.Current != (i == 4) {
			t.Errorf("row %d: got %+v, want a version, the last one current", i, r)
		}
	}
}

func TestListBlobsBounds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	session := w.connect(t, "alice")
	for i := range 150 {
		put(w.storage, "docs", fmt.Sprintf("%03d%s", i, strings.Repeat("ä", 1000)))
	}
	all := listAll(t, session, nil, 1000)
	if len(all) != 150 {
		t.Errorf("%d rows in all, want 150", len(all))
	}
	out := callFor[listOutput](t, session, "list_blobs", args{"page_size": 1000})
	if n := len(mustMarshal(t, out)); !out.Truncated || len(out.Blobs) < 50 || n > 300<<10 {
		t.Errorf("%d rows, %d bytes, truncated %v; want at least 50, at most 300 KiB, true", len(out.Blobs), n, out.Truncated)
	}
	// The last one seen and those around it go away.
	gone := len(out.Blobs)
	for i := gone - 2; i < gone+3; i++ {
		w.storage.Delete("docs", fmt.Sprintf("%03d%s", i, strings.Repeat("ä", 1000)))
	}
	next := callFor[listOutput](t, session, "list_blobs", args{"page_size": 1000, "cursor": out.NextCursor})
	if got, want := next.Blobs[0].Name[:3], fmt.Sprintf("%03d", gone+3); got != want {
		t.Errorf("goes on with %s, want %s", got, want)
	}
	for _, a := range []args{
		{"page_size": 0}, {"page_size": 1001}, {"page_size": "many"}, {"include": []string{"everything"}}, {"delimiter": "/"}, {"container": "docs"},
	} {
		w.refusal(t, session, "list_blobs", a, nil)
	}
	w.refusal(t, session, "list_blobs", args{"prefix": strings.Repeat("a", 1025)}, blobtool.ErrInvalidPath)
	w.refusal(t, session, "list_blobs", args{"page_size": 999, "cursor": out.NextCursor}, blobtool.ErrInvalidArgument)
	w.refusal(t, session, "list_blobs", args{"page_size": 1000, "cursor": out.NextCursor + "A"}, blobtool.ErrInvalidArgument)
	w.refusal(t, session, "list_blobs", args{"cursor": strings.Repeat("A", 33_000)}, blobtool.ErrInvalidArgument)
}

func TestListBlobsFailures(t *testing.T) {
	t.Parallel()
	w := newAccountWorld(t, nil)
	bob := w.connect(t, "bob")
	text := w.refusal(t, bob, "list_blobs", args{"container": "docs"}, blobtool.ErrPermission)
	if !strings.Contains(text, `may not list container "docs".`) || !strings.Contains(text, "Storage Blob Data Reader") {
		t.Errorf("got %s, want %q and \"Storage Blob Data Reader\"", text, `may not list container "docs".`)
	}
	text = w.refusal(t, bob, "list_blobs", args{"container": "docs", "prefix": "x/"}, blobtool.ErrPermission)
	if !strings.Contains(text, `may not list container "docs" below "x/".`) {
		t.Errorf("got %s, want %q", text, `may not list container "docs" below "x/".`)
	}
	w.storage.Grant(w.alice.ObjectID, "", "")
	w.refusal(t, w.connect(t, "alice"), "list_blobs", args{"container": "missing"}, blobtool.ErrNotFound)
	w.refusal(t, bob, "list_blobs", args{"container": "c?comp=list&x="}, blobtool.ErrInvalidArgument)
	w.refusal(t, bob, "list_blobs", args{}, nil)
	w.storage.Fail(blobtest.Fault{Status: 503, Code: "ServerBusy"})
	w.refusal(t, bob, "list_blobs", args{"container": "docs"}, blobtool.ErrThrottled)
}
