package blobtool_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// tagged sets a blob's tags, as another program would.
func tagged(tags map[string]string) func(*world) {
	return func(w *world) { w.storage.Update("docs", "a.txt", func(p *blobtest.Properties) { p.Tags = tags }) }
}

func TestWriteSetTags(t *testing.T) {
	t.Parallel()
	var asked []blobtool.Question
	w := newWriteWorld(t, nil, func(o *blobtool.WriteOptions) { o.Confirm = noting(&asked) })
	w.storage.GrantOwner(w.alice.ObjectID, "docs", "")
	session := w.connect(t, "alice")
	w.storage.Put("docs", "a.txt", []byte("x"), "")
	etag := statOf(t, session, "a.txt").ETag
	w.storage.ForgetRequests()
	first := w.wrote(t, session, "set_tags", args{"blob_path": "a.txt", "if_match": etag, "old_tags": args{}, "tags": args{"state": "draft", "n": ""}})
	if first.ETag != etag || first.Diff != "+n: \n+state: draft\n" || first.Action != "tags_set" || !first.Undo.Possible || len(asked) != 0 || len(w.storage.Requests()) != 3 {
		t.Errorf("first tags: got %+v after %d requests, asked %v; want the same etag, 3, nothing asked", first, len(w.storage.Requests()), asked)
	}
	w.storage.ForgetRequests()
	out := w.wrote(t, session, "set_tags", args{"blob_path": "a.txt", "if_match": etag, "old_tags": args{"state": "draft", "n": ""}, "tags": args{"state": "final", "day": "2026-11-30"}})
	if want := "+day: 2026-11-30\n-n: \n-state: draft\n+state: final\n"; out.Diff != want || len(asked) != 1 || asked[0].Action != blobtool.ActionSetTags || !strings.Contains(asked[0].Text, strings.TrimSpace(out.Diff)) {
		t.Errorf("other tags: got %+v, asked %+v; want the diff %q, and asked with it", out, asked, want)
	}
	for _, r := range w.storage.Requests() {
		if r.Operation == blobtest.OpSetBlobTags && (r.Header("x-ms-blob-if-match") == "" || r.Header("x-ms-if-tags") != `"n" = '' AND "state" = 'draft'`) {
			t.Errorf("Set Blob Tags has the conditions %q and %q", r.Header("x-ms-blob-if-match"), r.Header("x-ms-if-tags"))
		}
	}
	if tags := statOf(t, session, "a.txt").Tags; !maps.Equal(tags, map[string]string{"state": "final", "day": "2026-11-30"}) {
		t.Errorf("the tags are %v", tags)
	}
	w.wrote(t, session, "set_tags", args{"blob_path": "a.txt", "if_match": etag, "old_tags": args{"state": "final", "day": "2026-11-30"}, "tags": args{}})
	if tags := statOf(t, session, "a.txt").Tags; len(tags) != 0 {
		t.Errorf("without tags: the tags are %v", tags)
	}
}

func TestWriteSetTagsRefusals(t *testing.T) {
	t.Parallel()
	hierarchy := func(o *blobtest.Options) { o.HierarchicalNamespace = true }
	many := args{}
	for _, c := range "abcdefghijk" {
		many[string(c)] = "x"
	}
	for name, c := range map[string]struct {
		kind         func(*blobtest.Options)
		change       func(*world)
		a            args
		reason, says string
		tagRequests  int // Get Blob Tags and Set Blob Tags
	}{
		"no etag":       {nil, nil, args{"if_match": ""}, "invalid_argument", "if_match is empty", 0},
		"another etag":  {nil, nil, args{"if_match": "0x1"}, "changed", "0x1", 0},
		"no change":     {nil, nil, args{"tags": args{"a": "1"}}, "invalid_argument", "the same", 0},
		"too many":      {nil, nil, args{"tags": many}, "invalid_argument", "at most 10", 0},
		"a quote":       {nil, nil, args{"old_tags": args{"a": "' OR 1"}}, "invalid_argument", "character", 0},
		"other tags":    {nil, nil, args{"old_tags": args{"a": "0"}}, "changed", "old_tags", 1},
		"more tags":     {nil, tagged(map[string]string{"a": "1", "b": "2"}), nil, "changed", "old_tags", 1},
		"no tags":       {nil, tagged(nil), nil, "changed", "old_tags", 1},
		"not confirmed": {nil, nil, nil, "not_confirmed", "no", 1},
		"lease": {nil, func(w *world) {
			w.storage.Update("docs", "a.txt", func(p *blobtest.Properties) { p.LeaseState = "leased" })
		}, nil, "locked", "lease", 0},
		"hold": {nil, func(w *world) { w.storage.SetLegalHold("docs", "", true) }, args{"old_tags": args{}, "blob_path": "b.txt"}, "locked", "legal hold", 3},
		"role": {nil, func(w *world) {
			w.storage.Revoke(w.alice.ObjectID)
			w.storage.GrantContributor(w.alice.ObjectID, "docs", "")
		}, nil, "permission", "Storage Blob Data Owner", 1},
		"hierarchy": {hierarchy, nil, args{"old_tags": args{}}, "unsupported", "hierarchical namespace", 0},
		"directory": {hierarchy, nil, args{"blob_path": "dir", "old_tags": args{}}, "directory", "directory", 0},
		"role lost": {nil, func(w *world) {
			onNth(w, blobtest.OpSetBlobTags, 1, func() { w.storage.Revoke(w.alice.ObjectID); w.storage.GrantContributor(w.alice.ObjectID, "docs", "") })
		}, args{"old_tags": args{}, "blob_path": "b.txt"}, "permission", "tags/write", 2},
		"content changed meanwhile": {nil, func(w *world) {
			onNth(w, blobtest.OpSetBlobTags, 1, func() { w.storage.Put("docs", "b.txt", []byte("y"), "") })
		}, args{"old_tags": args{}, "blob_path": "b.txt"}, "changed", "stat_blob", 3},
	} {
		w := newWriteWorld(t, c.kind, func(o *blobtool.WriteOptions) { o.Confirm = no })
		w.storage.GrantOwner(w.alice.ObjectID, "docs", "")
		session := w.connect(t, "alice")
		w.storage.Put("docs", "a.txt", []byte("x"), "")
		w.storage.Put("docs", "b.txt", []byte("x"), "")
		a := args{"blob_path": "a.txt", "old_tags": args{"a": "1"}, "tags": args{"a": "2"}}
		if c.kind == nil {
			tagged(map[string]string{"a": "1"})(w)
		} else {
			w.storage.AddDirectory("docs", "dir")
		}
		maps.Copy(a, c.a)
		if a["if_match"] == nil {
			a["if_match"] = statOf(t, session, a["blob_path"].(string)).ETag
		}
		if c.change != nil {
			c.change(w)
		}
		w.storage.ForgetRequests()
		out := w.write(t, session, "set_tags", a)
		n := w.storage.Count(blobtest.OpGetBlobTags) + w.storage.Count(blobtest.OpSetBlobTags)
		if out.Outcome != "refused" || out.Reason != c.reason || !strings.Contains(out.Message, c.says) || n != c.tagRequests {
			t.Errorf("%s: got %s, %q (%s), %d requests for tags; want refused, %q, with %q, %d", name, out.Outcome, out.Reason, out.Message, n, c.reason, c.says, c.tagRequests)
		}
	}
}

// Tags say nothing about who set them: after a lost answer they are looked at, and never called
// this call's.
func TestWriteSetTagsFaults(t *testing.T) {
	t.Parallel()
	lost := blobtest.Fault{Operation: blobtest.OpSetBlobTags, Served: true, Drop: true, Times: 1}
	unsent := blobtest.Fault{Operation: blobtest.OpSetBlobTags, Drop: true, Times: 1}
	old, other := map[string]string{"a": "1"}, tagged(map[string]string{"a": "other's"})
	for name, c := range map[string]struct {
		old           map[string]string
		fault         blobtest.Fault
		meanwhile     func(*world) // before the look after the first answer
		outcome, says string
		value         string
		sets          int
	}{
		"cut after the commit":            {old, lost, nil, "unknown", "perhaps set by another writer", "2", 1},
		"cut before the commit":           {old, unsent, nil, "done", "were set", "2", 2},
		"no tags, cut after the commit":   {nil, lost, nil, "unknown", "perhaps set by another writer", "2", 1},
		"no tags, cut before the commit":  {nil, unsent, nil, "done", "were set", "2", 2},
		"no tags, not committed, other's": {nil, unsent, other, "unknown", "Someone else", "other's", 1},
		"committed, then other's":         {old, lost, other, "unknown", "Someone else", "other's", 1},
		"not committed, other's":          {old, unsent, other, "unknown", "Someone else", "other's", 1},
		"cut for good":                    {old, blobtest.Fault{Operation: blobtest.OpSetBlobTags, Drop: true}, nil, "unknown", "may still arrive", "1", 5},
		"503 for good":                    {old, blobtest.Fault{Operation: blobtest.OpSetBlobTags, Status: 503, Code: "ServerBusy"}, nil, "refused", "busy", "1", 5},
		"committed, then deleted":         {old, lost, func(w *world) { w.storage.Delete("docs", "a.txt") }, "unknown", "gone", "", 1},
	} {
		w := newWriteWorld(t, nil, nil)
		w.storage.GrantOwner(w.alice.ObjectID, "docs", "")
		session := w.connect(t, "alice")
		w.storage.Put("docs", "a.txt", []byte("x"), "")
		tagged(c.old)(w)
		etag := statOf(t, session, "a.txt").ETag
		if c.meanwhile != nil {
			onNth(w, blobtest.OpGetBlobProperties, 2, func() { c.meanwhile(w) })
		}
		w.storage.Fail(c.fault)
		oldTags := c.old
		if oldTags == nil {
			oldTags = map[string]string{}
		}
		out := w.write(t, session, "set_tags", args{"blob_path": "a.txt", "if_match": etag, "old_tags": oldTags, "tags": args{"a": "2"}})
		w.storage.Fail()
		w.storage.OnRequest(nil)
		value := ""
		if *out.Exists {
			value = statOf(t, session, "a.txt").Tags["a"]
		}
		if sets := w.storage.Count(blobtest.OpSetBlobTags); out.Outcome != c.outcome || !strings.Contains(out.Message, c.says) || value != c.value || sets != c.sets {
			t.Errorf("%s: got %s (%s) with %q after %d requests; want %s with %q, %q, %d", name, out.Outcome, out.Message, value, sets, c.outcome, c.says, c.value, c.sets)
		}
	}
}
