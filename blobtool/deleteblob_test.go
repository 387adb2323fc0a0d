package blobtool_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

func TestWriteDelete(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind    func(*blobtest.Options)
		undo    bool
		version bool
	}{
		"for good":             {nil, false, false},
		"soft delete":          {func(o *blobtest.Options) { o.SoftDeleteDays = 7 }, true, false},
		"versions":             {func(o *blobtest.Options) { o.Versioning = true }, true, true},
		"hierarchy":            {func(o *blobtest.Options) { o.HierarchicalNamespace = true }, false, false},
		"hierarchy and undo":   {func(o *blobtest.Options) { o.HierarchicalNamespace, o.SoftDeleteDays = true, 7 }, true, false},
		"versions and deletes": {func(o *blobtest.Options) { o.Versioning, o.SoftDeleteDays = true, 7 }, true, true},
	} {
		w := newWriteWorld(t, c.kind, nil)
		session := w.connect(t, "alice")
		first := w.wrote(t, session, "write_blob", args{"blob_path": "a.txt", "text": "x"})
		w.storage.ForgetRequests()
		out := w.wrote(t, session, "delete_blob", args{"blob_path": "a.txt", "if_match": first.ETag})
		if out.Action != "deleted" || *out.Exists || out.Undo.Possible != c.undo || c.version != (out.Undo.VersionID != "") || out.Undo.VersionID != first.VersionID {
			t.Errorf("%s: got %+v, undo %+v; want an undo: %t", name, out, out.Undo, c.undo)
		}
		if n := len(w.storage.Requests()); n != 2 {
			t.Errorf("%s: it took %d requests, want 2", name, n)
		}
		again := w.write(t, session, "delete_blob", args{"blob_path": "a.txt", "if_match": first.ETag})
		if again.Outcome != "refused" || again.Reason != "not_found" || *again.Exists {
			t.Errorf("%s: deleting again: got %+v", name, again)
		}
	}
}

func TestWriteDeleteRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change       func(*world)
		a            args
		reason, says string
	}{
		"no etag":      {nil, args{"if_match": ""}, "invalid_argument", "if_match"},
		"another etag": {nil, args{"if_match": "0x1"}, "changed", "0x1"},
		"lease": {func(w *world) {
			w.storage.Update("docs", "a.txt", func(p *blobtest.Properties) { p.LeaseState = "leased" })
		}, args{}, "locked", "lease"},
		"hold":      {func(w *world) { w.storage.SetLegalHold("docs", "", true) }, args{}, "locked", "legal hold"},
		"retention": {func(w *world) { w.storage.SetRetention("docs", 1<<60) }, args{}, "locked", "retention"},
		"snapshots": {func(w *world) { w.storage.Snapshot("docs", "a.txt") }, args{}, "unsupported", "delete_snapshots"},
		"with them": {func(w *world) { w.storage.Snapshot("docs", "a.txt") }, args{"delete_snapshots": true}, "", ""},
		"role":      {func(w *world) { w.storage.Revoke(w.alice.ObjectID); w.storage.Grant(w.alice.ObjectID, "docs", "") }, args{}, "permission", "Contributor"},
		"changed since": {func(w *world) {
			onNth(w, blobtest.OpDeleteBlob, 1, func() { w.storage.Put("docs", "a.txt", []byte("y"), "") })
		}, args{}, "changed", "etag"},
		"deleted since": {func(w *world) { onNth(w, blobtest.OpDeleteBlob, 1, func() { w.storage.Delete("docs", "a.txt") }) }, args{}, "not_found", "not there"},
		"answer lost": {func(w *world) {
			w.storage.Fail(blobtest.Fault{Operation: blobtest.OpDeleteBlob, Served: true, Drop: true, Times: 1})
		}, args{}, "uncertain", "gone"},
		"request lost": {func(w *world) {
			w.storage.Fail(blobtest.Fault{Operation: blobtest.OpDeleteBlob, Drop: true, Times: 1})
		}, args{}, "", ""},
	} {
		w := newWriteWorld(t, nil, nil)
		session := w.connect(t, "alice")
		w.storage.Put("docs", "a.txt", []byte("x"), "")
		etag := statOf(t, session, "a.txt").ETag
		if c.change != nil {
			c.change(w)
		}
		a := args{"blob_path": "a.txt", "if_match": etag}
		maps.Copy(a, c.a)
		out := w.write(t, session, "delete_blob", a)
		if out.Reason != c.reason || !strings.Contains(out.Message, c.says) || (out.Outcome == "unknown") != (c.reason == "uncertain") {
			t.Errorf("%s: got %s, %q (%s); want the reason %q and %q", name, out.Outcome, out.Reason, out.Message, c.reason, c.says)
		}
	}
}

func TestWriteDeleteDirectory(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, func(o *blobtest.Options) { o.HierarchicalNamespace = true }, nil)
	session := w.connect(t, "alice")
	w.storage.Put("docs", "dir/a.txt", []byte("x"), "")
	etag := statOf(t, session, "dir").ETag
	if out := w.write(t, session, "delete_blob", args{"blob_path": "dir", "if_match": etag}); out.Reason != "directory" || !strings.Contains(out.Message, "not empty") {
		t.Errorf("a directory with a file: got %+v, want refused", out)
	}
	w.storage.Delete("docs", "dir/a.txt")
	w.wrote(t, session, "delete_blob", args{"blob_path": "dir", "if_match": etag})
}

// Someone's no, an error, and nobody to ask are all a no. Without anybody, edits go on.
func TestWriteConfirm(t *testing.T) {
	t.Parallel()
	var asked []blobtool.Question
	say := func(yes bool, err error) blobtool.ConfirmFunc {
		return func(_ context.Context, q blobtool.Question) (bool, error) { asked = append(asked, q); return yes, err }
	}
	for name, c := range map[string]struct {
		confirm                  blobtool.ConfirmFunc
		overwrite, edit, deleted string // reasons
		asked                    int
	}{
		"nobody": {nil, "not_confirmed", "", "not_confirmed", 0},
		"no":     {say(false, nil), "not_confirmed", "not_confirmed", "not_confirmed", 3},
		"error":  {say(true, errors.New("secret cause")), "not_confirmed", "not_confirmed", "not_confirmed", 3},
		"yes":    {say(true, nil), "", "", "", 3},
	} {
		asked = nil
		w := newWriteWorld(t, nil, func(o *blobtool.WriteOptions) { o.Confirm = c.confirm })
		session := w.connect(t, "alice")
		etag := w.wrote(t, session, "write_blob", args{"blob_path": "a.txt", "text": "old"}).ETag
		for _, step := range []struct {
			tool, reason string
			a            args
		}{
			{"write_blob", c.overwrite, args{"text": "older"}}, {"edit_blob", c.edit, args{"old_text": "old", "new_text": "new"}}, {"delete_blob", c.deleted, nil},
		} {
			a := args{"blob_path": "a.txt", "if_match": etag}
			maps.Copy(a, step.a)
			out := w.write(t, session, step.tool, a)
			if out.Reason != step.reason || strings.Contains(out.Message, "secret") {
				t.Errorf("%s: %s: got %s, %q (%s); want the reason %q", name, step.tool, out.Outcome, out.Reason, out.Message, step.reason)
			}
			if out.Outcome == "done" {
				etag = out.ETag
			}
		}
		if len(asked) != c.asked {
			t.Fatalf("%s: asked %d questions, want %d", name, len(asked), c.asked)
		}
		for i, q := range asked {
			if q.Tool != []string{"write_blob", "edit_blob", "delete_blob"}[i] || q.User != w.userID("alice") || q.Container != "docs" || q.Blob != "a.txt" || q.ETag == "" || !strings.Contains(q.Text, "a.txt") {
				t.Errorf("%s: question %+v", name, q)
			}
		}
	}
}
