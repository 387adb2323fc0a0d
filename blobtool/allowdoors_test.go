package blobtool_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// An entry of Allow ends at the border of a folder, at every door: no other name that
// begins like it is shown, found, described or read.
func TestAllowAtFolderBorders(t *testing.T) {
	t.Parallel()
	w, _ := newStorage(t, func(o *blobtest.Options) { o.Versioning = true }, nil)
	allowed := []string{"logs-2025", "logs-2026/a.txt", "reports", "reports/2026/a.txt", "reports/a.txt"}
	others := []string{"log", "logs", "logs/a.txt", "report", "reports-2026/a.txt", "reports.txt", "reports0", "reportsx/a.txt"}
	put(w.storage, "docs", "reports") // of which there are two versions
	for _, name := range slices.Concat(allowed, others) {
		put(w.storage, "docs", name)
		w.storage.Update("docs", name, func(p *blobtest.Properties) { p.Tags = map[string]string{"k": "v"} })
	}
	w.storage.GrantOwner(w.alice.ObjectID, "", "")
	w.allowOnly(t, "docs/reports", "docs/logs-*")
	session := w.connect(t, "alice")
	want := strings.Join(allowed, " ")
	only := "logs-* reports reports/"
	for _, size := range []int{1, 2, 3, 100} {
		if got := strings.Join(listAll(t, session, args{"container": "docs"}, size), " "); got != want {
			t.Errorf("list_blobs, %d at a time: got %s, want %s", size, got, want)
		}
		if got, want := strings.Join(listAll(t, session, args{"container": "docs", "prefix": "rep", "include": []string{"versions"}}, size), " "), "reports reports reports/2026/a.txt reports/a.txt"; got != want {
			t.Errorf("versions, %d at a time: got %s, want %s", size, got, want)
		}
	}
	for name, c := range map[string]struct {
		a    args
		want string
		only string
	}{
		"folders":           {args{"folders": true}, "logs-2025 logs-2026/ reports reports/2026/ reports/a.txt", only},
		"shorter prefix":    {args{"prefix": "report"}, "reports reports/2026/a.txt reports/a.txt", "reports reports/"},
		"the name":          {args{"prefix": "reports"}, "reports reports/2026/a.txt reports/a.txt", "reports reports/"},
		"the folder":        {args{"prefix": "reports/"}, "reports/2026/a.txt reports/a.txt", ""},
		"the beginning":     {args{"prefix": "logs-"}, "logs-2025 logs-2026/a.txt", ""},
		"shorter beginning": {args{"prefix": "logs"}, "logs-2025 logs-2026/a.txt", "logs-*"},
	} {
		c.a["container"] = "docs"
		if out := callFor[listOutput](t, session, "list_blobs", c.a); rowNames(out.Blobs) != c.want || strings.Join(out.Only, " ") != c.only {
			t.Errorf("%s: got %s, only %q; want %s, only %q", name, rowNames(out.Blobs), out.Only, c.want, c.only)
		}
	}
	for name, a := range map[string]args{"name": {"name": "**"}, "exact name": {"name": "reports*"}, "tags": {"tags": []args{{"key": "k", "value": "v"}}}, "text": {"text": "content"}} {
		a["container"] = "docs"
		out := callFor[found](t, session, "search_blobs", a)
		var got []string
		for _, b := range out.Blobs {
			got = append(got, b.Name)
		}
		for _, m := range out.Matches {
			got = append(got, m.Blob)
		}
		want := want
		if name == "exact name" {
			want = "reports"
		}
		if slices.Sort(got); strings.Join(got, " ") != want {
			t.Errorf("search by %s: got %q, want %s", name, got, want)
		}
	}
	if rows := callFor[containersOutput](t, session, "list_containers", args{}).Containers; len(rows) != 1 || strings.Join(rows[0].Only, " ") != only {
		t.Errorf("list_containers: got %+v, want only %s", rows, only)
	}
	uris, _ := listResources(t, session)
	if got := strings.ReplaceAll(strings.Join(uris, " "), "blob://docs/", ""); got != want {
		t.Errorf("resources/list: got %s, want %s", got, want)
	}
	res, err := session.Complete(t.Context(), &mcp.CompleteParams{
		Ref:      &mcp.CompleteReference{Type: "ref/resource", URI: w.set.URITemplate()},
		Argument: mcp.CompleteParamsArgument{Name: "path", Value: "r"},
		Context:  &mcp.CompleteContext{Arguments: map[string]string{"container": "docs"}},
	})
	if err != nil || strings.Join(res.Completion.Values, " ") != "reports reports/2026/ reports/a.txt" {
		t.Errorf("completion: got %+v, %v; want \"reports reports/2026/ reports/a.txt\", nil", res, err)
	}
	for _, name := range allowed {
		if out := readBlob(t, session, args{"container": "docs", "blob_path": name}); out.Text != "content of "+name {
			t.Errorf("%s: got %+v, want Text %v", name, out, "content of "+name)
		}
	}
	w.storage.ForgetRequests()
	for _, name := range others {
		for _, tool := range []string{"read_blob", "stat_blob"} {
			w.refusal(t, session, tool, args{"container": "docs", "blob_path": name}, blobtool.ErrNotAllowed)
		}
		w.refusal(t, session, "list_blobs", args{"container": "docs", "prefix": name + "/"}, blobtool.ErrNotAllowed)
		if _, err := session.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "blob://docs/" + name}); err == nil {
			t.Errorf("%s was read as a resource", name)
		}
	}
	if n := len(w.storage.Requests()); n != 0 {
		t.Errorf("%d requests for what is not allowed, want none", n)
	}
}
