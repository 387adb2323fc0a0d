package blobtool_test

import (
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
)

// Each tool's annotations tell clients when to ask their user.
func TestAnnotations(t *testing.T) {
	t.Parallel()
	type hints struct{ reads, destroys, again bool }
	want := map[string]hints{
		"list_containers": {true, false, true}, "list_blobs": {true, false, true}, "search_blobs": {true, false, true},
		"stat_blob": {true, false, true}, "read_blob": {true, false, true}, "read_blob_with_token": {true, false, true},
		"write_blob":    {false, true, true},   // with if_match; a second call has the wrong one
		"edit_blob":     {false, true, false},  // new_text may contain old_text
		"append_blob":   {false, false, false}, // adds more each time
		"copy_blob":     {false, true, true},
		"delete_blob":   {false, true, true},
		"undelete_blob": {false, true, true}, // may replace what is there now
		"set_metadata":  {false, true, true},
		"set_tags":      {false, true, true},
	}
	write := func(o *blobtool.Options) {
		o.Write, o.DownloadDir = &blobtool.WriteOptions{Allow: []string{"docs"}}, ""
	}
	for _, w := range []*world{newWorld(t, write), newAccountWorld(t, write)} {
		list, err := w.connect(t, "alice").ListTools(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, tool := range list.Tools {
			a := tool.Annotations
			h, known := want[tool.Name]
			if !known || a == nil || a.Title == "" || a.DestructiveHint == nil || a.OpenWorldHint == nil {
				t.Errorf("%s: got %+v, want all hints, and the tool in this table", tool.Name, a)
				continue
			}
			if got := hintsOf(a); got != [3]bool{h.reads, h.destroys, h.again} || !*a.OpenWorldHint {
				t.Errorf("%s: reads only, destroys, can be repeated: got %v, want %v; open world: %t, want true", tool.Name, got, h, *a.OpenWorldHint)
			}
		}
	}
}

func hintsOf(a *mcp.ToolAnnotations) [3]bool {
	return [3]bool{a.ReadOnlyHint, *a.DestructiveHint, a.IdempotentHint}
}
