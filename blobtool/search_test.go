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

// found is the output of search_blobs as a client decodes it.
type found struct {
	Only    []string  `json:"only"`
	Blobs   []blobRow `json:"blobs"`
	Matches []struct {
		Blob   string `json:"blob"`
		Line   int    `json:"line"`
		Offset int    `json:"offset"`
		Text   string `json:"text"`
		Cut    bool   `json:"cut"`
	} `json:"matches"`
	Examined int   `json:"examined"`
	Searched int   `json:"searched"`
	Bytes    int64 `json:"bytes"`
	Binary   int   `json:"binary"`
	Notes    []struct {
		Blob string `json:"blob"`
		Note string `json:"note"`
	} `json:"notes"`
	MoreNotes  int    `json:"more_notes"`
	Reason     string `json:"reason"`
	Truncated  bool   `json:"truncated"`
	NextCursor string `json:"next_cursor"`
}

// results returns what was found, one a line: names, or blob:line:text.
func (f found) results() string {
	var all []string
	for _, b := range f.Blobs {
		all = append(all, b.Name)
	}
	for _, m := range f.Matches {
		all = append(all, fmt.Sprintf("%s:%d:%s", m.Blob, m.Line, m.Text))
	}
	return strings.Join(all, "\n")
}

// searchOn searches, and goes on until the end. It returns all results and the reasons
// to stop.
func searchOn(t testing.TB, session *mcp.ClientSession, a args) (all string, reasons []string) {
	t.Helper()
	call1 := args{}
	maps.Copy(call1, a)
	var parts []string
	for range 1000 {
		out := callFor[found](t, session, "search_blobs", call1)
		if out.Truncated != (out.NextCursor != "") || out.Truncated != (out.Reason != "") || out.Blobs == nil || out.Matches == nil || out.Notes == nil {
			t.Fatalf("truncated %v, cursor %q, reason %q; want all or none, and no list null", out.Truncated, out.NextCursor, out.Reason)
		}
		if most, ok := a["max_results"].(int); ok && len(out.Blobs)+len(out.Matches) > most {
			t.Fatalf("%d results, want at most %d", len(out.Blobs)+len(out.Matches), most)
		}
		if r := out.results(); r != "" {
			parts = append(parts, r)
		}
		if !out.Truncated {
			return strings.Join(parts, "\n"), reasons
		}
		reasons = append(reasons, out.Reason)
		call1["cursor"] = out.NextCursor
	}
	t.Fatal("the search does not end, want a last page")
	return "", nil
}

func TestSearchNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	put(w.storage, "docs", "a.csv", "a.txt", "reports/2025/q1.csv", "reports/2026/q1.csv", "reports/2026/Q2.CSV", "reports/2026/deep/x.csv", "tmp/a.csv")
	session := w.connect(t, "alice")
	for name, c := range map[string]struct {
		a        args
		want     string
		examined int
	}{
		"one level":             {args{"name": "*.csv"}, "a.csv", 7},
		"any":                   {args{"name": "**/*.csv"}, "a.csv reports/2025/q1.csv reports/2026/deep/x.csv reports/2026/q1.csv tmp/a.csv", 7},
		"case":                  {args{"name": "REPORTS/**/*.csv", "ignore_case": true}, "reports/2025/q1.csv reports/2026/Q2.CSV reports/2026/deep/x.csv reports/2026/q1.csv", 7},
		"the pattern's prefix":  {args{"name": "reports/2026/*"}, "reports/2026/Q2.CSV reports/2026/q1.csv", 3},
		"prefix":                {args{"name": "**/*.csv", "prefix": "reports/2025"}, "reports/2025/q1.csv", 1},
		"prefix below":          {args{"name": "reports/**", "prefix": "reports/2025/"}, "reports/2025/q1.csv", 1},
		"prefix contradicts it": {args{"name": "reports/**", "prefix": "tmp/"}, "", 0},
		"none":                  {args{"name": "**/*.pdf"}, "", 7},
	} {
		out := callFor[found](t, session, "search_blobs", c.a)
		if got := rowNames(out.Blobs); got != c.want || out.Examined != c.examined || out.Truncated {
			t.Errorf("%s: %s: got %+v, want %s, %d examined, and no more", name, got, out, c.want, c.examined)
		}
		for _, most := range []int{1, 2, 4} {
			c.a["max_results"] = most
			if got, _ := searchOn(t, session, c.a); got != strings.ReplaceAll(c.want, " ", "\n") {
				t.Errorf("%s, %d at a time: got %s, want %s", name, most, got, c.want)
			}
		}
	}
	if r := callFor[found](t, session, "search_blobs", args{"name": "a.csv"}).Blobs[0]; *r.Size != 16 || r.Type != "text/plain" {
		t.Errorf("got %+v, want Size 16, Type text/plain", r)
	}
}

func TestSearchTags(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	put(w.storage, "other", "open/a")
	for i := range 6 {
		name := fmt.Sprintf("%s/%d.txt", []string{"open", "closed"}[i%2], i)
		put(w.storage, "docs", name)
		w.storage.Update("docs", name, func(p *blobtest.Properties) {
			p.Tags = map[string]string{"project": "alpha", "day": fmt.Sprintf("2026-01-%02d", i)}
		})
	}
	w.storage.Update("other", "open/a", func(p *blobtest.Properties) { p.Tags = map[string]string{"project": "alpha"} })
	alpha := []args{{"key": "project", "value": "alpha"}}
	session := w.connect(t, "alice")
	text := w.refusal(t, session, "search_blobs", args{"tags": alpha}, blobtool.ErrPermission)
	if !strings.Contains(text, "Storage Blob Data Owner") {
		t.Errorf("got %s, want \"Storage Blob Data Owner\"", text)
	}
	w.storage.GrantOwner(w.alice.ObjectID, "", "")
	for name, c := range map[string]struct {
		a    args
		want string
	}{
		"one":       {args{"tags": alpha}, "closed/1.txt closed/3.txt closed/5.txt open/0.txt open/2.txt open/4.txt"},
		"range":     {args{"tags": []args{{"key": "day", "op": ">=", "value": "2026-01-02"}, {"key": "day", "op": "<", "value": "2026-01-04"}}}, "closed/3.txt open/2.txt"},
		"prefix":    {args{"tags": alpha, "prefix": "open/"}, "open/0.txt open/2.txt open/4.txt"},
		"and name":  {args{"tags": alpha, "name": "**/[0-3].txt"}, "closed/1.txt closed/3.txt open/0.txt open/2.txt"},
		"no blob":   {args{"tags": []args{{"key": "project", "value": "beta"}}}, ""},
		"and text":  {args{"tags": alpha, "text": "closed/[35]"}, "closed/3.txt:1:content of closed/3.txt\nclosed/5.txt:1:content of closed/5.txt"},
		"text only": {args{"text": "closed/[35]"}, "closed/3.txt:1:content of closed/3.txt\nclosed/5.txt:1:content of closed/5.txt"},
	} {
		if _, ok := c.a["text"]; !ok {
			c.want = strings.ReplaceAll(c.want, " ", "\n")
		}
		if got := callFor[found](t, session, "search_blobs", c.a).results(); got != c.want {
			t.Errorf("%s: got %s, want %v", name, got, c.want)
		}
		c.a["max_results"] = 1
		if got, _ := searchOn(t, session, c.a); got != c.want {
			t.Errorf("%s, one at a time: got %s, want %v", name, got, c.want)
		}
	}
	if r := callFor[found](t, session, "search_blobs", args{"tags": alpha}).Blobs[0]; r.Tags["project"] != "alpha" || r.Size != nil {
		t.Errorf("got %+v, want alpha, no Size", r)
	}
	w.refusal(t, session, "search_blobs", args{"tags": []args{{"key": "@container", "value": "other"}}}, blobtool.ErrInvalidArgument)

	w.allowOnly(t, "docs/open/", "docs/closed/5*")
	session = w.connect(t, "alice")
	if out := callFor[found](t, session, "search_blobs", args{"container": "docs", "tags": alpha}); rowNames(out.Blobs) != "closed/5.txt open/0.txt open/2.txt open/4.txt" || len(out.Only) != 2 {
		t.Errorf("allowed: got %+v, want \"closed/5.txt open/0.txt open/2.txt open/4.txt\", 2", out)
	}
	w.refusal(t, session, "search_blobs", args{"container": "docs", "tags": alpha, "prefix": "closed/1"}, blobtool.ErrNotAllowed)
	w.refusal(t, session, "search_blobs", args{"container": "docs", "name": "closed/1*"}, blobtool.ErrNotAllowed)
	w.refusal(t, session, "search_blobs", args{"container": "other", "tags": alpha}, blobtool.ErrNotAllowed)
}

func TestSearchArguments(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	session := w.connect(t, "alice")
	for name, a := range map[string]args{
		"nothing":       {},
		"prefix alone":  {"prefix": "a"},
		"no pattern":    {"name": "[a"},
		"no expression": {"text": "("},
		"cursor":        {"text": "a", "cursor": "x"},
	} {
		if text := w.refusal(t, session, "search_blobs", a, blobtool.ErrInvalidArgument); strings.Contains(text, "blobtool:") {
			t.Errorf("%s: got %s, want no blobtool:", name, text)
		}
	}
	for name, a := range map[string]args{
		"max_results": {"text": "a", "max_results": 201}, "max_blobs": {"text": "a", "max_blobs": 0}, "max_bytes": {"text": "a", "max_bytes": 1},
		"max_seconds": {"text": "a", "max_seconds": 91}, "op": {"tags": []args{{"key": "a", "op": "!=", "value": ""}}},
	} {
		if text := w.refusal(t, session, "search_blobs", a, nil); !strings.Contains(text, name) {
			t.Errorf("%s: got %s, want %q", name, text, name)
		}
	}
	if n := len(w.storage.Requests()); n != 0 {
		t.Errorf("%d requests, want 0", n)
	}
}
