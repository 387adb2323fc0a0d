package blobtool_test

import (
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// Every tool that destroys something asks once, says what it would do, and then does it.
func TestEveryToolAsks(t *testing.T) {
	t.Parallel()
	for _, protocol := range protocols {
		w := newTagWorld(t, protocol.sessions)
		p := agrees()
		session := w.connectWith(t, "alice", p.options())
		for _, c := range []struct {
			tool string
			a    args
			asks string // empty: nothing is destroyed
		}{
			{"append_blob", args{"text": "more", "create": true, "blob_path": "log.txt"}, ""},
			{"set_metadata", args{"set": map[string]any{"added": "1"}}, ""},
			{"set_metadata", args{"set": map[string]any{"added": "2"}, "remove": []any{"owner"}}, "-owner: alice"},
			{"set_tags", args{"old_tags": map[string]any{"state": "draft"}, "tags": map[string]any{"state": "draft", "n": "1"}}, ""},
			{"set_tags", args{"old_tags": map[string]any{"state": "draft", "n": "1"}, "tags": map[string]any{"state": "final"}}, "+state: final"},
			{"edit_blob", args{"old_text": "old", "new_text": "one more"}, "+one more"},
			{"copy_blob", args{"source_path": "b.txt"}, `"b.txt"`},
			{"write_blob", args{"text": "new"}, "with 3 bytes"},
			{"delete_blob", args{}, "Delete blob"},
		} {
			if c.a["blob_path"] == nil {
				c.a["blob_path"], c.a["if_match"] = "a.txt", etag(t, session, "a.txt")
			}
			before := len(p.questions())
			w.wrote(t, session, c.tool, c.a)
			asked := p.questions()[before:]
			if (c.asks != "") != (len(asked) == 1) || len(asked) > 1 || len(asked) == 1 && (!strings.Contains(asked[0].Message, c.asks) || !strings.Contains(asked[0].Message, `"a.txt"`)) {
				t.Errorf("%s, %s %v: asked %+v, want one question with %q, or none", protocol.name, c.tool, c.a, asked, c.asks)
			}
		}
	}
}

// newTagWorld is an asking world with a blob that has metadata and tags, and a user who may read
// and set them.
func newTagWorld(t testing.TB, sessions bool) *world {
	t.Helper()
	w := newAskWorld(t, sessions, nil)
	w.storage.GrantOwner(w.alice.ObjectID, "docs", "")
	w.storage.Put("docs", "b.txt", []byte("another"), "text/plain")
	w.storage.Update("docs", "a.txt", func(p *blobtest.Properties) {
		p.Metadata, p.Tags = map[string]string{"owner": "alice"}, map[string]string{"state": "draft"}
	})
	return w
}

// Tags have no ETag: an answer about them is used up by the memory of the process.
func TestTagsAreAskedAgain(t *testing.T) {
	t.Parallel()
	w := newTagWorld(t, false)
	session := w.connectWith(t, "alice", manual())
	a := args{"blob_path": "a.txt", "if_match": etag(t, session, "a.txt"), "old_tags": map[string]any{"state": "draft"}, "tags": map[string]any{"state": "final"}}
	state := ask(t, session, "set_tags", a)
	if out := outputOf(t, retry(t, session, "set_tags", a, state, ticked), nil); out.Outcome != "done" {
		t.Fatalf("got %+v, want it done", out)
	}
	w.storage.Update("docs", "a.txt", func(p *blobtest.Properties) { p.Tags = map[string]string{"state": "draft"} })
	a["if_match"] = etag(t, session, "a.txt")
	back := args{"blob_path": "a.txt", "if_match": a["if_match"], "old_tags": a["old_tags"], "tags": a["tags"]}
	state = ask(t, session, "set_tags", a)
	other := args{"blob_path": "a.txt", "if_match": a["if_match"], "old_tags": a["tags"], "tags": a["old_tags"]}
	for i, c := range []struct {
		a    args
		ask  bool
		says string
	}{{back, false, ""}, {other, true, ""}, {back, false, "used already"}} { // there, back and there again
		s := state
		if c.ask {
			s = ask(t, session, "set_tags", c.a)
		}
		out := outputOf(t, retry(t, session, "set_tags", c.a, s, ticked), nil)
		if (out.Outcome == "done") != (c.says == "") || !strings.Contains(out.Message, c.says) {
			t.Errorf("%d: got %+v, want %q, or it done", i, out, c.says)
		}
	}
}
