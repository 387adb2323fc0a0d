package blobtool_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
)

// A changed name, schema or annotation of a writing tool shows in review.
func TestWriteToolSchemas(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, nil, nil)
	tools := map[string]*mcp.Tool{}
	for _, tool := range listTools(t, w.connect(t, "alice")).Tools {
		if !tool.Annotations.ReadOnlyHint {
			tools[tool.Name] = tool
		}
	}
	for name, again := range map[string]bool{"write_blob": true, "edit_blob": false, "delete_blob": true, "append_blob": false, "set_metadata": true, "set_tags": true, "copy_blob": true, "undelete_blob": true} {
		tool := tools[name]
		delete(tools, name)
		if tool == nil {
			t.Errorf("there is no tool %s", name)
			continue
		}
		destroys := name != "append_blob"
		if a := tool.Annotations; tool.Title == "" || a.DestructiveHint == nil || *a.DestructiveHint != destroys || a.IdempotentHint != again || a.OpenWorldHint == nil || !*a.OpenWorldHint {
			t.Errorf("%s: annotations %+v, want destructive %t, open world and idempotent %t", name, a, destroys, again)
		}
		wantGolden(t, name, tool)
	}
	if len(tools) > 0 {
		t.Errorf("more tools write: %v", tools)
	}
}

// wantGolden compares a tool with its golden file.
func wantGolden(t *testing.T, name string, tool *mcp.Tool) {
	t.Helper()
	got, err := json.MarshalIndent(tool, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	golden := filepath.Join("testdata", "write", name+".json")
	if *update {
		if err := errors.Join(os.MkdirAll(filepath.Dir(golden), 0o750), os.WriteFile(golden, got, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(golden); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is now (go test -update accepts it): %s\n%v", golden, got, err)
	}
	if strings.Contains(string(got), `"null"`) {
		t.Errorf("%s: some clients refuse a list of types", golden)
	}
}

// Without Options.Write a set has no tool that writes, and Tools can't name one.
func TestWriteIsOptIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, tool := range listTools(t, w.connect(t, "alice")).Tools {
		if !tool.Annotations.ReadOnlyHint {
			t.Errorf("%s writes", tool.Name)
		}
	}
	_, err := blobtool.New(w.storage.URL(), "docs", w.findCredential, &blobtool.Options{Tools: []string{"write_blob"}})
	wantKind(t, "Tools with write_blob", err, blobtool.ErrConfiguration)

	one := newWriteWorld(t, nil, nil)
	set, err := blobtool.New(one.storage.URL(), "docs", one.findCredential, &blobtool.Options{
		Write: &blobtool.WriteOptions{Allow: []string{"docs"}}, Tools: []string{"read_blob", "write_blob"}})
	if err != nil {
		t.Fatal(err)
	}
	one.serveSet(t, set)
	var names []string
	for _, tool := range listTools(t, one.connect(t, "alice")).Tools {
		names = append(names, tool.Name)
	}
	if slices.Sort(names); !slices.Equal(names, []string{"read_blob", "write_blob"}) {
		t.Errorf("the tools are %q, want the two that were chosen", names)
	}
}

func TestWriteOptions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	all := []string{"docs"}
	for name, c := range map[string]struct {
		o      blobtool.WriteOptions
		faults []string
	}{
		"least":      {blobtool.WriteOptions{Allow: all}, nil},
		"everything": {blobtool.WriteOptions{Allow: all, Extensions: []string{".TXT"}, ContentTypes: []string{"Text/Plain", "image/*"}, MaxBytes: 1, MaxCopyBytes: 1 << 45, UserPerMinute: -1, TotalPerMinute: 1, StateKeys: [][]byte{bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)}}, nil},
		"nothing":    {blobtool.WriteOptions{}, []string{"Options.Write.Allow"}},
		"all at once": {blobtool.WriteOptions{Allow: []string{"docs/*x"}, Extensions: []string{"txt", ".a/b"}, ContentTypes: []string{"text", "*/*", "text/plain; charset=utf-8"}, MaxBytes: 1<<30 + 1, UserPerMinute: -2, TotalPerMinute: -2},
			[]string{"Write.Allow[0]", "Write.Extensions[0]", "Write.Extensions[1]", "Write.ContentTypes[0]", "Write.ContentTypes[1]", "Write.ContentTypes[2]", "Write.MaxBytes", "Write.UserPerMinute", "Write.TotalPerMinute"}},
		"another container": {blobtool.WriteOptions{Allow: []string{"other"}}, []string{"Options.Write.Allow[0]"}},
		"keys":              {blobtool.WriteOptions{Allow: all, StateKeys: [][]byte{[]byte("short"), make([]byte, 32)}}, []string{"Write.StateKeys: key 0 has 5 bytes", "key 1 is all zero"}},
		"empty key":         {blobtool.WriteOptions{Allow: all, StateKeys: [][]byte{nil}}, []string{"Write.StateKeys: key 0 has 0 bytes"}},
		"many keys":         {blobtool.WriteOptions{Allow: all, StateKeys: make([][]byte, 17)}, []string{"Write.StateKeys: there are 17 keys"}},
		"negative":          {blobtool.WriteOptions{Allow: all, MaxBytes: -1, MaxCopyBytes: -1}, []string{"MaxBytes", "MaxCopyBytes"}},
	} {
		_, err := blobtool.New(w.storage.URL(), "docs", w.findCredential, &blobtool.Options{Write: &c.o})
		if (err == nil) != (len(c.faults) == 0) {
			t.Errorf("%s: got %v, want the faults %q", name, err, c.faults)
			continue
		}
		for _, fault := range c.faults {
			if !strings.Contains(err.Error(), fault) {
				t.Errorf("%s: %v, want %q", name, err, fault)
			}
		}
	}
}

// The bounds of the operator hold for each tool that writes, also in a set for an account.
func TestWriteBounds(t *testing.T) {
	t.Parallel()
	w := newAccountWorld(t, func(o *blobtool.Options) {
		o.Allow = []string{"docs/in/", "$web"}
		o.Write = &blobtool.WriteOptions{Allow: []string{"docs"}, Extensions: []string{".txt"}, ContentTypes: []string{"text/plain"}, Confirm: yes}
	})
	w.storage.AddContainer("$web")
	w.storage.GrantContributor(w.alice.ObjectID, "docs", "")
	w.storage.GrantContributor(w.alice.ObjectID, "$web", "")
	session := w.connect(t, "alice")
	for name, c := range map[string]struct{ container, blob, contentType, reason string }{
		"allowed":            {"docs", "in/a.txt", "text/plain", ""},
		"case":               {"docs", "in/b.TXT", "text/plain", ""},
		"not to read":        {"docs", "a.txt", "text/plain", "not_allowed"},
		"not to write":       {"$web", "a.txt", "text/plain", "not_allowed"},
		"another container":  {"other", "a.txt", "text/plain", "not_allowed"},
		"no container":       {"", "in/a.txt", "text/plain", "invalid_argument"},
		"extension":          {"docs", "in/a.md", "text/plain", "not_allowed"},
		"no extension":       {"docs", "in/txt", "text/plain", "not_allowed"},
		"another type":       {"docs", "in/c.txt", "application/json", "unsupported"},
		"no type":            {"docs", "in/c.txt", "", "unsupported"},
		"a URL of the other": {"docs", w.storage.URL() + "/$web/a.txt", "text/plain", "invalid_argument"},
	} {
		out := w.write(t, session, "write_blob", args{"container": c.container, "blob_path": c.blob, "text": "x", "content_type": c.contentType})
		if out.Reason != c.reason {
			t.Errorf("%s: got %s, %q (%s); want the reason %q", name, out.Outcome, out.Reason, out.Message, c.reason)
		}
		if c.reason != "not_allowed" {
			continue
		}
		for tool, a := range map[string]args{
			"edit_blob": {"old_text": "a", "new_text": "b"}, "delete_blob": {"if_match": "0x1"}, "append_blob": {"text": "x"},
			"set_metadata": {"if_match": "0x1", "set": args{"a": "b"}}, "set_tags": {"if_match": "0x1", "old_tags": args{}, "tags": args{"a": "b"}},
			"copy_blob": {"source_container": "docs", "source_path": "in/a.txt"}, "undelete_blob": {},
		} {
			a["container"], a["blob_path"] = c.container, c.blob
			if out := w.write(t, session, tool, a); out.Reason != "not_allowed" {
				t.Errorf("%s: %s: got %s, %q; want not_allowed", name, tool, out.Outcome, out.Reason)
			}
		}
	}
}
