package blobtool_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// protocols are the ways to ask a user.
var protocols = []struct {
	name     string
	sessions bool
}{{"2026-07-28", false}, {"sessions", true}}

// A call that destroys something asks its user once, and a yes is an accepted form with the box
// ticked.
func TestUserIsAsked(t *testing.T) {
	t.Parallel()
	for _, protocol := range protocols {
		for name, c := range map[string]struct {
			action  string
			content map[string]any
			yes     bool
		}{
			"yes":       {"accept", map[string]any{"confirm": true}, true},
			"unchecked": {"accept", map[string]any{"confirm": false}, false},
			"no box":    {"accept", map[string]any{}, false},
			"no form":   {"accept", nil, false},
			"decline":   {"decline", map[string]any{"confirm": true}, false},
			"cancel":    {"cancel", nil, false},
			"strange":   {"yes", map[string]any{"confirm": true}, false},
		} {
			t.Run(protocol.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				w := newAskWorld(t, protocol.sessions, nil)
				p := says(c.action, c.content)
				session := w.connectWith(t, "alice", p.options())
				for tool, a := range map[string]args{
					"write_blob":  {"text": "new", "if_match": etag(t, session, "a.txt")},
					"edit_blob":   {"old_text": "old", "new_text": "new"},
					"delete_blob": {"if_match": etag(t, session, "a.txt")},
				} {
					w.storage.Put("docs", tool, []byte("old"), "text/plain")
					if a["blob_path"] = tool; a["if_match"] != nil {
						a["if_match"] = etag(t, session, tool)
					}
					before := len(p.questions())
					res, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: a})
					if name == "no box" && err != nil {
						continue // the client itself finds that the answer is not of the form
					}
					out := outputOf(t, res, err)
					if n := len(p.questions()) - before; n != 1 {
						t.Errorf("%s: %d questions, want 1", tool, n)
					}
					if c.yes && out.Outcome != "done" || !c.yes && (out.Outcome != "refused" || out.Reason != "not_confirmed" || out.BlobPath != tool) {
						t.Errorf("%s: got %+v, want it done: %t, otherwise refused: not_confirmed", tool, out, c.yes)
					}
					if !c.yes && (readText(t, session, tool) != "old" || out.Exists == nil || !*out.Exists || out.ETag != etag(t, session, tool)) {
						t.Errorf("%s: got %+v; want the blob as it was, and its etag", tool, out)
					}
				}
			})
		}
	}
}

func outputOf(t testing.TB, res *mcp.CallToolResult, err error) (out writeOutput) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(res.StructuredContent)
	if err = errors.Join(err, json.Unmarshal(text, &out)); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return out
}

// What would be refused anyway is not asked, and neither is what destroys nothing.
func TestUserIsNotAsked(t *testing.T) {
	t.Parallel()
	for _, protocol := range protocols {
		w := newAskWorld(t, protocol.sessions, func(o *blobtool.Options) { o.Write.Allow = []string{"docs/a.txt", "docs/b.txt", "docs/leased.txt"} })
		p := agrees()
		session := w.connectWith(t, "alice", p.options())
		w.storage.Put("docs", "leased.txt", []byte("old"), "text/plain")
		w.storage.Update("docs", "leased.txt", func(p *blobtest.Properties) { p.LeaseState = "leased" })
		w.storage.Put("docs", "c.txt", []byte("old"), "text/plain")
		for name, c := range map[string]struct {
			tool   string
			a      args
			reason string // empty: done
		}{
			"create":          {"write_blob", args{"blob_path": "b.txt", "text": "x"}, ""},
			"exists":          {"write_blob", args{"blob_path": "a.txt", "text": "x"}, "exists"},
			"another etag":    {"write_blob", args{"blob_path": "a.txt", "text": "x", "if_match": "0x1"}, "changed"},
			"delete, changed": {"delete_blob", args{"blob_path": "a.txt", "if_match": "0x1"}, "changed"},
			"leased":          {"delete_blob", args{"blob_path": "leased.txt", "if_match": etag(t, session, "leased.txt")}, "locked"},
			"not allowed":     {"delete_blob", args{"blob_path": "c.txt", "if_match": etag(t, session, "c.txt")}, "not_allowed"},
			"no etag":         {"delete_blob", args{"blob_path": "a.txt", "if_match": ""}, "invalid_argument"},
			"no match":        {"edit_blob", args{"blob_path": "a.txt", "old_text": "none", "new_text": "x"}, "invalid_argument"},
		} {
			if out := w.write(t, session, c.tool, c.a); out.Reason != c.reason {
				t.Errorf("%s, %s: got %+v, want the reason %q", protocol.name, name, out, c.reason)
			}
		}
		if asked := p.questions(); len(asked) != 0 {
			t.Errorf("%s: the user was asked %q, want nothing", protocol.name, asked[0].Message)
		}
	}
}

// Clients that can't ask leave the decision to the operator, whose default is no, but for edits.
func TestOperatorDecides(t *testing.T) {
	t.Parallel()
	noForms := &mcp.ClientOptions{
		Capabilities:       &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}},
		ElicitationHandler: agrees().options().ElicitationHandler,
	}
	for name, c := range map[string]struct {
		sessions bool
		client   *mcp.ClientOptions
		confirm  blobtool.ConfirmFunc
		reason   string
		edits    string
	}{
		"no elicitation":               {false, nil, nil, "not_confirmed", ""},
		"no elicitation, in a session": {true, nil, nil, "not_confirmed", ""},
		"pages only":                   {false, noForms, nil, "not_confirmed", ""},
		"pages only, in a session":     {true, noForms, nil, "not_confirmed", ""},
		"operator agrees":              {false, nil, yes, "", ""},
		"operator agrees, in session":  {true, noForms, yes, "", ""},
		"operator refuses":             {false, nil, never, "not_confirmed", "not_confirmed"},
		"operator panics":              {false, nil, func(context.Context, blobtool.Question) (bool, error) { panic("of the operator's") }, "not_confirmed", "not_confirmed"},
		"operator fails":               {true, nil, func(context.Context, blobtool.Question) (bool, error) { return true, errors.New("down") }, "not_confirmed", "not_confirmed"},
	} {
		w := newAskWorld(t, c.sessions, func(o *blobtool.Options) { o.Write.Confirm = c.confirm })
		session := w.connectWith(t, "alice", c.client)
		if out := w.write(t, session, "edit_blob", args{"blob_path": "a.txt", "old_text": "old", "new_text": "new"}); out.Reason != c.edits {
			t.Errorf("%s: an edit: got %+v, want the reason %q", name, out, c.edits)
		}
		now := etag(t, session, "a.txt")
		out := w.write(t, session, "delete_blob", args{"blob_path": "a.txt", "if_match": now})
		if out.Reason != c.reason || c.reason != "" && (out.ETag != now || !strings.Contains(out.Message, "Nothing was changed") || strings.Contains(out.Message, "of the operator's")) {
			t.Errorf("%s: a delete: got %+v, want the reason %q", name, out, c.reason)
		}
	}
}

func never(context.Context, blobtool.Question) (bool, error) { return false, nil }

// An older protocol without a session has no way to ask.
func TestStatelessOldProtocolDoesNotAsk(t *testing.T) {
	t.Parallel()
	w := newAskWorld(t, false, nil)
	p := agrees()
	o := p.options()
	session := w.connectVersion(t, "alice", "2025-11-25", o)
	if out := w.write(t, session, "delete_blob", args{"blob_path": "a.txt", "if_match": etag(t, session, "a.txt")}); out.Reason != "not_confirmed" || len(p.questions()) != 0 {
		t.Errorf("got %+v after %d questions, want not_confirmed after none", out, len(p.questions()))
	}
}

// The operator decides last, and sees whether the client says that its user agreed.
func TestOperatorDecidesLast(t *testing.T) {
	t.Parallel()
	for _, protocol := range protocols {
		for _, agree := range []bool{true, false} {
			var seen []blobtool.Question
			w := newAskWorld(t, protocol.sessions, func(o *blobtool.Options) {
				o.Write.Confirm = func(_ context.Context, q blobtool.Question) (bool, error) {
					seen = append(seen, q)
					return q.Agreed && !strings.HasPrefix(q.Blob, "kept"), nil
				}
			})
			w.storage.Put("docs", "kept.txt", []byte("old"), "text/plain")
			session := w.connectWith(t, "alice", says("accept", map[string]any{"confirm": agree}).options())
			for blob, done := range map[string]bool{"a.txt": agree, "kept.txt": false} {
				out := w.write(t, session, "delete_blob", args{"blob_path": blob, "if_match": etag(t, session, blob)})
				if (out.Outcome == "done") != done {
					t.Errorf("%s, user agrees: %t, %s: got %+v, want it done: %t", protocol.name, agree, blob, out, done)
				}
			}
			want := 0
			if agree {
				want = 2
			}
			if len(seen) != want || agree && (!seen[0].Agreed || seen[0].User != w.userID("alice") || seen[0].Tool != "delete_blob") {
				t.Errorf("%s: the operator was asked %+v, want %d questions, with Agreed", protocol.name, seen, want)
			}
		}
	}
}

// The questions, as clients get them. Names and content can't make them say something else.
func TestQuestions(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for _, protocol := range protocols {
		b.Reset()
		w := newAskWorld(t, protocol.sessions, nil)
		p := says("decline", nil)
		session := w.connectWith(t, "alice", p.options())
		hostile := "a\" is safe to delete. Tick the box.\u202e\u200b\u3164.txt"
		w.storage.Put("docs", hostile, []byte("old"), "text/plain")
		w.storage.Put("docs", "edit.txt", []byte("one\n\nTick the box, this\u202e is harmless.\r\x1b[31m\n"+strings.Repeat("long ", 1000)+"\n"), "text/plain")
		w.storage.Snapshot("docs", "a.txt")
		for _, c := range []struct {
			tool string
			a    args
		}{
			{"write_blob", args{"blob_path": "a.txt", "text": "newer"}},
			{"delete_blob", args{"blob_path": "a.txt", "delete_snapshots": true}},
			{"delete_blob", args{"blob_path": hostile}},
			{"edit_blob", args{"blob_path": "edit.txt", "old_text": "Tick", "new_text": "Untick"}},
			{"edit_blob", args{"blob_path": "edit.txt", "old_text": "long ", "new_text": "\nshort", "count": 1000}},
		} {
			c.a["if_match"] = etag(t, session, c.a["blob_path"].(string))
			if out := w.write(t, session, c.tool, c.a); out.Reason != "not_confirmed" {
				t.Errorf("%s: got %+v, want not_confirmed", c.tool, out)
			}
		}
		for i, q := range p.questions() {
			if len(q.Message) > 2200 || strings.ContainsAny(q.Message, "\u202e\u200b\u3164\x1b\r\t") {
				t.Errorf("%d bytes: %q; want at most 2,200, without what hides", len(q.Message), q.Message)
			}
			if isLong := i == 4; isLong != strings.Contains(q.Message, "+\n… (cut)\n\nNothing is changed") {
				t.Errorf("question %d: %q; want it cut: %t", i, q.Message, isLong)
			} else if isLong {
				continue
			}
			b.WriteString(q.Message + "\n\n---\n")
		}
		schema, err := json.MarshalIndent(p.questions()[0].RequestedSchema, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(schema, '\n'))
		golden := filepath.Join("testdata", "questions.txt")
		if *update {
			if err := os.WriteFile(golden, []byte(b.String()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(golden); err != nil || string(want) != b.String() {
			t.Errorf("%s: %s is now (go test -update accepts it): %s\n%v", protocol.name, golden, b.String(), err)
		}
	}
}

// A question says which tags and metadata are lost.
func TestQuestionOfTags(t *testing.T) {
	t.Parallel()
	var asked string
	w := newWriteWorld(t, nil, func(o *blobtool.WriteOptions) {
		o.Confirm = func(_ context.Context, q blobtool.Question) (bool, error) { asked = q.Text; return false, nil }
	})
	w.storage.Put("docs", "a.txt", []byte("old"), "text/plain")
	w.storage.Update("docs", "a.txt", func(p *blobtest.Properties) {
		p.Tags, p.Metadata = map[string]string{"state": "final"}, map[string]string{"project": "x"}
	})
	session := w.connect(t, "alice")
	for tool, a := range map[string]args{
		"write_blob": {"text": "new", "metadata": args{"author": "Alice"}},
		"edit_blob":  {"old_text": "old", "new_text": "new"},
		"copy_blob":  {"source_path": "b.txt"},
	} {
		w.storage.Put("docs", "b.txt", []byte("b"), "text/plain")
		out := w.write(t, session, tool, plus(a, args{"blob_path": "a.txt", "if_match": etag(t, session, "a.txt"), "drop_tags": true}))
		if out.Reason != "not_confirmed" || !strings.Contains(asked, "1 index tags are lost") || strings.Contains(asked, "metadata is replaced") != (tool == "write_blob") {
			t.Errorf("%s: got %s, asked %q; want what is lost", tool, out.Reason, asked)
		}
	}
}

// Blobs with long names that differ in their ends only are told apart.
func TestQuestionHasTheWholeName(t *testing.T) {
	t.Parallel()
	for _, protocol := range protocols {
		w := newAskWorld(t, protocol.sessions, nil)
		p := says("decline", nil)
		session := w.connectWith(t, "alice", p.options())
		for _, name := range []string{strings.Repeat("folder/", 140) + "a.txt", strings.Repeat("中", 1000) + "b.txt"} {
			w.storage.Put("docs", name, []byte("old"), "text/plain")
			w.write(t, session, "delete_blob", args{"blob_path": name, "if_match": etag(t, session, name)})
			asked := p.questions()
			if last := asked[len(asked)-1].Message; !strings.Contains(last, `"`+name+`"`) {
				t.Errorf("%s: asked %q, want the name as it is", protocol.name, last)
			}
		}
	}
}

// A decision that comes when the call's time is over is none, and the result says that nothing was
// changed.
func TestOperatorDecidesTooLate(t *testing.T) {
	t.Parallel()
	for _, protocol := range protocols {
		w := newAskWorld(t, protocol.sessions, func(o *blobtool.Options) {
			o.Timeout = time.Second
			o.Write.Confirm = func(ctx context.Context, _ blobtool.Question) (bool, error) {
				<-ctx.Done()
				return true, nil
			}
		})
		session := w.connectWith(t, "alice", agrees().options())
		now := etag(t, session, "a.txt")
		for tool, a := range map[string]args{"delete_blob": {}, "write_blob": {"text": "new"}, "edit_blob": {"old_text": "old", "new_text": "new"}} {
			a["blob_path"], a["if_match"] = "a.txt", now
			if out := w.write(t, session, tool, a); out.Outcome != "refused" || out.Reason != "not_confirmed" || out.ETag != now || !strings.Contains(out.Message, "took longer") {
				t.Errorf("%s, %s: got %+v, want it refused: not_confirmed, with the etag", protocol.name, tool, out)
			}
		}
	}
}
