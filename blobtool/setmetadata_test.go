package blobtool_test

import (
	"context"
	"maps"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

func TestWriteSetMetadata(t *testing.T) {
	t.Parallel()
	var asked []blobtool.Question
	w := newWriteWorld(t, func(o *blobtest.Options) { o.Versioning = true }, func(o *blobtool.WriteOptions) { o.Confirm = noting(&asked) })
	session := w.connect(t, "alice")
	first := w.wrote(t, session, "write_blob", args{"blob_path": "a.txt", "text": "x", "content_type": "text/plain", "metadata": args{"keep": "1", "change": "2", "drop": "3"}})
	w.storage.ForgetRequests()
	out := w.wrote(t, session, "set_metadata", args{"blob_path": "a.txt", "if_match": first.ETag, "set": args{"Change": "two", "new": "4"}, "remove": []string{"DROP", "none"}})
	if want := "-change: 2\n+change: two\n-drop: 3\n+new: 4\n"; out.Diff != want || out.Action != "metadata_set" || !out.Undo.Possible || out.Undo.VersionID != first.VersionID || out.VersionID == first.VersionID || len(w.storage.Requests()) != 2 {
		t.Errorf("got %+v, undo %+v, after %d requests; want the diff %q, 2", out, out.Undo, len(w.storage.Requests()), want)
	}
	text, stat := w.content(t, session, "a.txt")
	if text != "x" || stat.ETag != out.ETag || stat.ContentType != "text/plain" || !maps.Equal(stat.Metadata, map[string]string{"keep": "1", "change": "two", "new": "4"}) {
		t.Errorf("got %q, %+v; want the other entries kept", text, stat)
	}
	if len(asked) != 1 || asked[0].Action != blobtool.ActionSetMetadata || asked[0].Tool != "set_metadata" || !strings.Contains(asked[0].Text, "-drop: 3\n") {
		t.Errorf("asked %+v, want one question with the diff", asked)
	}
	out = w.wrote(t, session, "set_metadata", args{"blob_path": "a.txt", "if_match": out.ETag, "set": args{"more": "5"}})
	if len(asked) != 1 {
		t.Errorf("asked again to add an entry")
	}
	again := w.write(t, session, "set_metadata", args{"blob_path": "a.txt", "if_match": out.ETag, "set": args{"more": "5"}})
	if again.Reason != "invalid_argument" || !strings.Contains(again.Message, "already so") || again.ETag != out.ETag {
		t.Errorf("the same again: got %+v", again)
	}
}

// Nobody to ask: what a call quotes, it may replace, and what adds needs no word.
func TestWritePropertiesUnasked(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, nil, func(o *blobtool.WriteOptions) { o.Confirm = nil })
	w.storage.GrantOwner(w.alice.ObjectID, "docs", "")
	session := w.connect(t, "alice")
	etag := w.wrote(t, session, "append_blob", args{"blob_path": "a.log", "text": "one", "create": true, "metadata": args{"a": "1"}}).ETag
	etag = w.wrote(t, session, "append_blob", args{"blob_path": "a.log", "text": "two", "if_match": etag}).ETag
	etag = w.wrote(t, session, "set_metadata", args{"blob_path": "a.log", "if_match": etag, "set": args{"a": "2"}}).ETag
	w.wrote(t, session, "set_tags", args{"blob_path": "a.log", "if_match": etag, "old_tags": args{}, "tags": args{"a": "1"}})
	w.wrote(t, session, "set_tags", args{"blob_path": "a.log", "if_match": etag, "old_tags": args{"a": "1"}, "tags": args{"a": "2"}})
	if text, stat := w.content(t, session, "a.log"); text != "onetwo" || stat.Metadata["a"] != "2" || stat.Tags["a"] != "2" {
		t.Errorf("got %q, %+v", text, stat)
	}
}

// noting is a confirmation that says yes and notes what is asked.
func noting(asked *[]blobtool.Question) blobtool.ConfirmFunc {
	return func(_ context.Context, q blobtool.Question) (bool, error) {
		*asked = append(*asked, q)
		return true, nil
	}
}

func TestWriteSetMetadataRefusals(t *testing.T) {
	t.Parallel()
	update := func(f func(*blobtest.Properties)) func(*world) {
		return func(w *world) { w.storage.Update("docs", "a.txt", f) }
	}
	for name, c := range map[string]struct {
		change       func(*world)
		a            args
		reason, says string
	}{
		"no etag":         {nil, args{"if_match": ""}, "invalid_argument", "if_match is empty"},
		"nothing":         {nil, args{"set": args{}}, "invalid_argument", "nothing to change"},
		"set and removed": {nil, args{"set": args{"a": "1"}, "remove": []string{"A"}}, "invalid_argument", "both"},
		"bad name":        {nil, args{"set": args{"a b": "1"}}, "invalid_argument", "not valid"},
		"no value":        {nil, args{"set": args{"a": ""}}, "invalid_argument", "1 or more"},
		"marker":          {nil, args{"remove": []string{"Mcpentra_write"}}, "invalid_argument", "that can be removed"},
		"too much":        {nil, args{"set": args{"a": strings.Repeat("x", 8192)}}, "too_large", "bytes"},
		"too much with the blob's": {update(func(p *blobtest.Properties) { p.Metadata = map[string]string{"b": strings.Repeat("x", 5000)} }),
			args{"set": args{"a": strings.Repeat("x", 5000)}}, "too_large", "bytes"},
		"another etag": {nil, args{"if_match": "0x1"}, "changed", "0x1"},
		"gone":         {func(w *world) { w.storage.Delete("docs", "a.txt") }, nil, "not_found", "not there"},
		"lease":        {update(func(p *blobtest.Properties) { p.LeaseState = "leased" }), nil, "locked", "lease"},
		"hold":         {func(w *world) { w.storage.SetLegalHold("docs", "", true) }, nil, "locked", "legal hold"},
		"role":         {func(w *world) { w.storage.Revoke(w.alice.ObjectID); w.storage.Grant(w.alice.ObjectID, "docs", "") }, nil, "permission", "Contributor"},
		"changed meanwhile": {func(w *world) {
			onNth(w, blobtest.OpSetBlobMetadata, 1, func() { w.storage.Put("docs", "a.txt", []byte("y"), "") })
		}, nil, "changed", "etag"},
		"not confirmed": {update(func(p *blobtest.Properties) { p.Metadata = map[string]string{"a": "0"} }), nil, "not_confirmed", "no"},
	} {
		w := newWriteWorld(t, nil, func(o *blobtool.WriteOptions) { o.Confirm = no })
		session := w.connect(t, "alice")
		w.storage.Put("docs", "a.txt", []byte("x"), "")
		if c.change != nil {
			c.change(w)
		}
		a := args{"blob_path": "a.txt", "set": args{"a": "1"}, "if_match": "0x0"}
		if name != "gone" {
			a["if_match"] = statOf(t, session, "a.txt").ETag
		}
		maps.Copy(a, c.a)
		if out := w.write(t, session, "set_metadata", a); out.Outcome != "refused" || out.Reason != c.reason || !strings.Contains(out.Message, c.says) {
			t.Errorf("%s: got %s, %q (%s); want refused, %q, with %q", name, out.Outcome, out.Reason, out.Message, c.reason, c.says)
		}
	}
}

func no(context.Context, blobtool.Question) (bool, error) { return false, nil }

// Content without an MD5, such as an append blob's, may change while the marker stays.
func TestWriteSetMetadataOfGrowing(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, nil, nil)
	session := w.connect(t, "alice")
	w.storage.PutAppend("docs", "a.log", []byte("one"), "text/plain", 1)
	etag := statOf(t, session, "a.log").ETag
	onNth(w, blobtest.OpGetBlobProperties, 2, func() { w.storage.Append("docs", "a.log", []byte("two")) })
	w.storage.Fail(blobtest.Fault{Operation: blobtest.OpSetBlobMetadata, Served: true, Drop: true, Times: 1})
	out := w.wrote(t, session, "set_metadata", args{"blob_path": "a.log", "if_match": etag, "set": args{"a": "1"}})
	if len(out.Notes) != 1 || !strings.Contains(out.Notes[0], "read the blob before") || out.Size != nil {
		t.Errorf("got %+v, want a note on what others may have done since", out)
	}
}

// What another changes right after keeps the marker, and its ETag is not this call's.
func TestWriteSetMetadataCopiedMarker(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*blobtest.Properties){
		"headers":  func(p *blobtest.Properties) { p.ContentLanguage = "ja" },
		"metadata": func(p *blobtest.Properties) { p.Metadata = maps.Clone(p.Metadata); p.Metadata["more"] = "x" },
	} {
		w := newWriteWorld(t, nil, nil)
		session := w.connect(t, "alice")
		w.storage.Put("docs", "a.txt", []byte("one"), "text/plain")
		etag := statOf(t, session, "a.txt").ETag
		onNth(w, blobtest.OpGetBlobProperties, 2, func() { w.storage.Update("docs", "a.txt", change) })
		w.storage.Fail(blobtest.Fault{Operation: blobtest.OpSetBlobMetadata, Served: true, Drop: true, Times: 1})
		if out := w.write(t, session, "set_metadata", args{"blob_path": "a.txt", "if_match": etag, "set": args{"a": "1"}}); out.Outcome != "unknown" {
			t.Errorf("another changes %s: got %+v, want unknown", name, out)
		}
	}
}

// After a lost answer, the marker in the metadata tells.
func TestWriteSetMetadataFaults(t *testing.T) {
	t.Parallel()
	lost := blobtest.Fault{Operation: blobtest.OpSetBlobMetadata, Served: true, Drop: true, Times: 1}
	unsent := blobtest.Fault{Operation: blobtest.OpSetBlobMetadata, Drop: true, Times: 1}
	other := func(w *world) {
		w.storage.Update("docs", "a.txt", func(p *blobtest.Properties) { p.Metadata = map[string]string{"a": "other's"} })
	}
	for name, c := range map[string]struct {
		fault          blobtest.Fault
		meanwhile      func(*world)
		outcome, value string
		sets           int
	}{
		"cut after the commit":      {lost, nil, "done", "1", 1},
		"cut before the commit":     {unsent, nil, "done", "1", 2},
		"cut for good":              {blobtest.Fault{Operation: blobtest.OpSetBlobMetadata, Drop: true}, nil, "unknown", "", 5},
		"committed, then another's": {lost, other, "unknown", "other's", 1},
		"not committed, another's":  {unsent, other, "unknown", "other's", 1},
	} {
		w := newWriteWorld(t, nil, nil)
		session := w.connect(t, "alice")
		w.storage.Put("docs", "a.txt", []byte("x"), "")
		etag := statOf(t, session, "a.txt").ETag
		if c.meanwhile != nil {
			onNth(w, blobtest.OpGetBlobProperties, 2, func() { c.meanwhile(w) })
		}
		w.storage.Fail(c.fault)
		out := w.write(t, session, "set_metadata", args{"blob_path": "a.txt", "if_match": etag, "set": args{"a": "1"}})
		w.storage.Fail()
		w.storage.OnRequest(nil)
		stat := statOf(t, session, "a.txt")
		if sets := w.storage.Count(blobtest.OpSetBlobMetadata); out.Outcome != c.outcome || stat.Metadata["a"] != c.value || out.ETag != stat.ETag || sets != c.sets {
			t.Errorf("%s: got %+v with %v after %d requests; want %s with %q after %d", name, out, stat.Metadata, sets, c.outcome, c.value, c.sets)
		}
	}
}

// Metadata that set_metadata would not write again is no undo, unless there is a version.
func TestWriteSetMetadataUndo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind     func(*blobtest.Options)
		a        args
		undo     args // of set_metadata
		possible bool
	}{
		"a value":             {nil, args{"set": args{"plain": "2"}}, args{"set": args{"plain": "1"}}, true},
		"removed":             {nil, args{"remove": []string{"plain"}}, args{"set": args{"plain": "1"}}, true},
		"a new one":           {nil, args{"set": args{"new": "1"}}, args{"remove": []string{"new"}}, true},
		"an empty one":        {nil, args{"set": args{"empty": "1"}}, args{"set": args{"empty": ""}}, false},
		"an empty one, gone":  {nil, args{"remove": []string{"empty"}}, args{"set": args{"empty": ""}}, false},
		"an empty one, stays": {nil, args{"set": args{"plain": "2"}}, args{"set": args{"plain": "1"}}, true},
		"versions":            {versions, args{"set": args{"empty": "1"}}, nil, true},
	} {
		w := newWriteWorld(t, c.kind, nil)
		session := w.connect(t, "alice")
		w.storage.Put("docs", "a.txt", []byte("x"), "text/plain")
		w.storage.Update("docs", "a.txt", func(p *blobtest.Properties) { p.Metadata = map[string]string{"plain": "1", "empty": ""} })
		before := statOf(t, session, "a.txt")
		c.a["blob_path"], c.a["if_match"] = "a.txt", before.ETag
		out := w.wrote(t, session, "set_metadata", c.a)
		if out.Undo.Possible != c.possible {
			t.Errorf("%s: got the undo %+v, want possible: %t", name, out.Undo, c.possible)
		}
		tool := "set_metadata"
		if c.undo == nil {
			tool, c.undo = "undelete_blob", args{"version_id": out.Undo.VersionID}
		}
		c.undo["blob_path"], c.undo["if_match"] = "a.txt", out.ETag
		back := w.write(t, session, tool, c.undo)
		if same := maps.Equal(statOf(t, session, "a.txt").Metadata, before.Metadata); (back.Outcome == "done") != c.possible || same != c.possible {
			t.Errorf("%s: undoing it says %+v, and the metadata is as before: %t; want %t", name, back, same, c.possible)
		}
	}
}
