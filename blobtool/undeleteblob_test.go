package blobtool_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

func versions(o *blobtest.Options)        { o.Versioning = true }
func versionsAndSoft(o *blobtest.Options) { o.Versioning, o.SoftDeleteDays = true, 7 }
func hierarchy(o *blobtest.Options)       { o.HierarchicalNamespace, o.SoftDeleteDays = true, 7 }

// What delete_blob says of undoing it is what undelete_blob does.
func TestUndeleteBlob(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind   func(*blobtest.Options)
		reason string
	}{
		"for good":             {nil, "not_found"},
		"soft delete":          {softDelete, ""},
		"versions":             {versions, ""},
		"versions and deletes": {versionsAndSoft, ""},
		"hierarchy":            {hierarchy, ""},
		"hierarchy, for good":  {func(o *blobtest.Options) { o.HierarchicalNamespace = true }, "not_found"},
	} {
		w := newWriteWorld(t, c.kind, nil)
		session := w.connect(t, "alice")
		first := w.wrote(t, session, "write_blob", args{"blob_path": "d/a.txt", "text": "x", "content_type": "text/plain", "metadata": args{"k": "v"}})
		w.storage.Put("docs", "d/a.txt.bak", []byte("y"), "") // keeps the folder, and has a longer name
		deleted := w.wrote(t, session, "delete_blob", args{"blob_path": "d/a.txt", "if_match": first.ETag})
		if deleted.Undo.Possible != (c.reason == "") || strings.Contains(deleted.Undo.How, "undelete_blob") != deleted.Undo.Possible {
			t.Errorf("%s: deleting says %+v; want an undo: %t", name, deleted.Undo, c.reason == "")
		}
		a := args{"blob_path": "d/a.txt"}
		if deleted.Undo.VersionID != "" {
			without := w.write(t, session, "undelete_blob", a)
			if without.Reason != "invalid_argument" || !strings.Contains(without.Message, first.VersionID) {
				t.Errorf("%s: without the version: got %+v, want refused with it", name, without)
			}
			a["version_id"] = deleted.Undo.VersionID
		}
		out := w.write(t, session, "undelete_blob", a)
		if out.Reason != c.reason {
			t.Errorf("%s: got %s, %q (%s); want the reason %q", name, out.Outcome, out.Reason, out.Message, c.reason)
		}
		if c.reason != "" {
			continue
		}
		text, stat := w.content(t, session, "d/a.txt")
		if out.Action != "undeleted" || out.ETag != stat.ETag || out.VersionID != stat.VersionID || text != "x" || stat.ContentType != "text/plain" || !maps.Equal(stat.Metadata, map[string]string{"k": "v"}) || !out.Undo.Possible {
			t.Errorf("%s: got %+v, undo %+v, with %q, %+v", name, out, out.Undo, text, stat)
		}
		again := w.write(t, session, "undelete_blob", a)
		if again.Reason != "exists" || again.Outcome != "refused" || again.ETag != out.ETag {
			t.Errorf("%s: again: got %+v, want refused, with the etag", name, again)
		}
	}
}

// An overwritten version comes back over what is there, with its tags.
func TestUndeleteVersion(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, versions, nil)
	w.storage.GrantOwner(w.alice.ObjectID, "docs", "")
	session := w.connect(t, "alice")
	first := w.wrote(t, session, "write_blob", args{"blob_path": "a.txt", "text": "first", "tags": args{"state": "final"}})
	second := w.wrote(t, session, "write_blob", args{"blob_path": "a.txt", "text": "second", "if_match": first.ETag, "tags": args{"state": "draft"}})
	if u := second.Undo; !u.Possible || u.VersionID != first.VersionID || !strings.Contains(u.How, "undelete_blob") || !strings.Contains(u.How, "if_match") {
		t.Errorf("overwriting says %+v, want undelete_blob with the version and if_match", u)
	}
	back := w.wrote(t, session, "undelete_blob", args{"blob_path": "a.txt", "version_id": first.VersionID, "if_match": second.ETag})
	text, stat := w.content(t, session, "a.txt")
	if back.Action != "overwritten" || back.Undo.VersionID != second.VersionID || text != "first" || stat.Tags["state"] != "final" || stat.ETag != back.ETag {
		t.Errorf("got %+v, undo %+v, with %q and %v", back, back.Undo, text, stat.Tags)
	}
	deleted := w.wrote(t, session, "delete_blob", args{"blob_path": "a.txt", "if_match": back.ETag})
	w.wrote(t, session, "undelete_blob", args{"blob_path": "a.txt", "version_id": deleted.Undo.VersionID})
	if stat := statOf(t, session, "a.txt"); stat.Tags["state"] != "final" {
		t.Errorf("a deleted version came back with the tags %v, want its own", stat.Tags)
	}
	// A version without tags leaves the blob its own, and says so.
	plain := w.wrote(t, session, "write_blob", args{"blob_path": "b.txt", "text": "first"})
	other := w.wrote(t, session, "write_blob", args{"blob_path": "b.txt", "text": "second", "if_match": plain.ETag, "tags": args{"state": "draft"}})
	kept := w.wrote(t, session, "undelete_blob", args{"blob_path": "b.txt", "version_id": plain.VersionID, "if_match": other.ETag})
	if stat := statOf(t, session, "b.txt"); stat.Tags["state"] != "draft" || len(kept.Notes) != 1 || !strings.Contains(kept.Notes[0], "keeps its own") {
		t.Errorf("a version without tags: notes %q, tags %v; want the blob's own, and a note", kept.Notes, stat.Tags)
	}
	// Whoever may not read tags is told.
	w.storage.Revoke(w.alice.ObjectID)
	w.storage.GrantContributor(w.alice.ObjectID, "docs", "")
	w.storage.Delete("docs", "a.txt")
	out := w.wrote(t, session, "undelete_blob", args{"blob_path": "a.txt", "version_id": deleted.Undo.VersionID})
	if len(out.Notes) != 1 || !strings.Contains(out.Notes[0], "tags") {
		t.Errorf("without the right to tags: notes %q, want one", out.Notes)
	}
}

func TestUndeleteBlobRefusals(t *testing.T) {
	t.Parallel()
	before := func(f func(*world)) func(*world) {
		return func(w *world) { onNth(w, blobtest.OpUndeleteBlob, 1, func() { f(w) }) }
	}
	other := func(w *world) { w.storage.Put("docs", "d/a.txt", []byte("other's"), "text/plain") }
	fail := func(f blobtest.Fault) func(*world) {
		f.Operation = blobtest.OpUndeleteBlob
		return func(w *world) { w.storage.Fail(f) }
	}
	lost := blobtest.Fault{Served: true, Drop: true, Times: 1}
	for name, c := range map[string]struct {
		kind         func(*blobtest.Options)
		change       func(*world)
		a            args
		reason, says string
	}{
		"nothing":             {softDelete, nil, args{"blob_path": "none.txt"}, "not_found", "no blob"},
		"nothing, hierarchy":  {hierarchy, nil, args{"blob_path": "none.txt"}, "not_found", "no blob"},
		"exists":              {softDelete, other, nil, "exists", "exists"},
		"exists, hierarchy":   {hierarchy, other, nil, "exists", "delete or copy this one"},
		"directory there":     {hierarchy, func(w *world) { w.storage.AddDirectory("docs", "d/a.txt") }, nil, "directory", "directory now"},
		"directory since":     {hierarchy, before(func(w *world) { w.storage.AddDirectory("docs", "d/a.txt") }), nil, "exists", "just"},
		"if_match":            {softDelete, nil, args{"if_match": "0x1"}, "invalid_argument", "version_id"},
		"bad deletion":        {hierarchy, nil, args{"deletion_id": "1&x=2"}, "invalid_argument", "deletion_id"},
		"another deletion":    {hierarchy, nil, args{"deletion_id": "1"}, "invalid_argument", "7 more days"},
		"deletion, flat":      {softDelete, nil, args{"deletion_id": "1"}, "invalid_argument", "without it"},
		"both IDs":            {versions, nil, args{"deletion_id": "1", "version_id": "2026-01-31T09:30:00.1234567Z"}, "invalid_argument", "either"},
		"bad version":         {versions, nil, args{"version_id": "yesterday"}, "invalid_argument", "version_id"},
		"no such version":     {versions, nil, args{"version_id": "2026-01-31T09:30:00.1234567Z"}, "not_found", "no version 2026-01-31"},
		"role":                {softDelete, func(w *world) { w.storage.Revoke(w.alice.ObjectID); w.storage.Grant(w.alice.ObjectID, "docs", "") }, nil, "permission", "Storage Blob Data Contributor"},
		"role, hierarchy":     {hierarchy, func(w *world) { w.storage.Revoke(w.alice.ObjectID); w.storage.Grant(w.alice.ObjectID, "docs", "") }, nil, "permission", "Storage Blob Data Contributor"},
		"no role":             {softDelete, func(w *world) { w.storage.Revoke(w.alice.ObjectID) }, nil, "permission", "role"},
		"no folder":           {hierarchy, func(w *world) { w.storage.Delete("docs", "d/") }, nil, "not_found", "folder"},
		"another's since":     {softDelete, before(other), nil, "uncertain", "someone else"},
		"another's since (h)": {hierarchy, before(other), nil, "exists", "just written"},
		"throttled":           {softDelete, fail(blobtest.Fault{Status: 503, Code: "ServerBusy", Times: 2}), nil, "", ""},
		"request lost":        {softDelete, fail(blobtest.Fault{Drop: true, Times: 1}), nil, "", ""},
		"answer lost":         {softDelete, fail(lost), nil, "uncertain", "this call brought it back, or another"},
		"answer lost (h)":     {hierarchy, fail(lost), nil, "uncertain", "this call brought it back, or another"},
		"cut for good":        {softDelete, fail(blobtest.Fault{Drop: true}), nil, "uncertain", "not happened so far"},
		"gone meanwhile":      {softDelete, fail(blobtest.Fault{Status: 404, Code: "BlobNotFound"}), nil, "not_found", "retention"},
		"nothing restored":    {softDelete, fail(blobtest.Fault{Status: 200, Body: " "}), nil, "uncertain", "restored nothing"},
		"lost, then another's": {softDelete, func(w *world) {
			w.storage.Fail(blobtest.Fault{Operation: blobtest.OpUndeleteBlob, Served: true, Drop: true, Times: 1})
			onNth(w, blobtest.OpGetBlobProperties, 2, func() { other(w) })
		}, nil, "uncertain", "someone else"},
		"blind": {softDelete, func(w *world) {
			w.storage.Fail(blobtest.Fault{Operation: blobtest.OpGetBlobProperties, Skip: 1, Status: 503, Code: "ServerBusy"})
		}, nil, "uncertain", "stat_blob"},
		"not Azure's answer": {softDelete, func(w *world) {
			w.storage.Fail(blobtest.Fault{Operation: blobtest.OpGetBlobProperties, Skip: 1, Times: 1, Status: 200})
		}, nil, "uncertain", "stat_blob"},
		"directory": {hierarchy, func(w *world) { w.storage.Delete("docs", "d/") }, args{"blob_path": "d"}, "directory", "only files"},
		"html": {softDelete, func(w *world) {
			w.storage.Put("docs", "d/a.txt", []byte("x"), "text/html")
			w.storage.Delete("docs", "d/a.txt")
		}, nil, "unsupported", "text/html"},
	} {
		w := newWriteWorld(t, c.kind, nil)
		session := w.connect(t, "alice")
		w.storage.Put("docs", "d/a.txt", []byte("x"), "text/plain")
		w.storage.Delete("docs", "d/a.txt")
		if c.change != nil {
			c.change(w)
		}
		a := args{"blob_path": "d/a.txt"}
		maps.Copy(a, c.a)
		out := w.write(t, session, "undelete_blob", a)
		w.storage.Fail()
		w.storage.OnRequest(nil)
		if out.Reason != c.reason || !strings.Contains(out.Message, c.says) || (out.Outcome == "unknown") != (c.reason == "uncertain") {
			t.Errorf("%s: got %s, %q (%s); want the reason %q and %q", name, out.Outcome, out.Reason, out.Message, c.reason, c.says)
		}
		if out.Exists != nil && *out.Exists && statOf(t, session, "d/a.txt").ETag != out.ETag {
			t.Errorf("%s: the result has the etag %s, which is not the blob's", name, out.ETag)
		}
	}
}

// A hierarchical namespace keeps each deletion of a name.
func TestUndeleteOneOfMany(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, hierarchy, nil)
	session := w.connect(t, "alice")
	for _, text := range []string{"first", "second"} {
		w.storage.Put("docs", "a.txt", []byte(text), "text/plain")
		w.storage.Delete("docs", "a.txt")
	}
	out := w.write(t, session, "undelete_blob", args{"blob_path": "a.txt"})
	_, list, found := strings.Cut(out.Message, "deletion_id: ")
	ids := strings.Split(list, "), ")
	if out.Reason != "invalid_argument" || !found || len(ids) != 2 {
		t.Fatalf("got %+v, want refused with two deletions", out)
	}
	for _, entry := range ids {
		id, described, _ := strings.Cut(entry, " (")
		out := w.wrote(t, session, "undelete_blob", args{"blob_path": "a.txt", "deletion_id": id})
		text := readText(t, session, "a.txt")
		if !strings.Contains(described, map[string]string{"first": "5 bytes", "second": "6 bytes"}[text]) {
			t.Errorf("deletion %q brought back %q", entry, text)
		}
		w.wrote(t, session, "delete_blob", args{"blob_path": "a.txt", "if_match": out.ETag})
	}
}

// With soft delete, an overwrite leaves a deleted snapshot, which comes back too. So the undo of
// undeleting deletes snapshots, and the result says both.
func TestUndeleteBringsSnapshots(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, softDelete, nil)
	session := w.connect(t, "alice")
	for _, text := range []string{"one", "two", "three"} {
		w.storage.Put("docs", "a.txt", []byte(text), "text/plain")
	}
	etag := statOf(t, session, "a.txt").ETag
	for range 2 {
		w.wrote(t, session, "delete_blob", args{"blob_path": "a.txt", "if_match": etag, "delete_snapshots": true})
		out := w.wrote(t, session, "undelete_blob", args{"blob_path": "a.txt"})
		if !strings.Contains(out.Message, "snapshots (2)") || !strings.Contains(out.Undo.How, "with delete_snapshots") || readText(t, session, "a.txt") != "three" {
			t.Errorf("got %+v, undo %+v; want both to tell of 2 snapshots", out, out.Undo)
		}
		if without := w.write(t, session, "delete_blob", args{"blob_path": "a.txt", "if_match": out.ETag}); without.Outcome != "refused" {
			t.Errorf("deleting without delete_snapshots: got %+v, so the undo asks for too much", without)
		}
		etag = out.ETag
	}
}

// A deletion is found, and the newest version, behind as many snapshots or versions as a page has.
func TestUndeleteBehindAPage(t *testing.T) {
	t.Parallel()
	const page = 5000
	for name, kind := range map[string]func(*blobtest.Options){"snapshots": softDelete, "versions": versions} {
		w := newWriteWorld(t, kind, nil)
		session := w.connect(t, "alice")
		for range page + 2 {
			w.storage.Put("docs", "a.txt", []byte("x"), "text/plain")
		}
		w.storage.Put("docs", "a.txt", []byte("newest"), "text/plain")
		ids := w.storage.Versions("docs", "a.txt")
		w.storage.Delete("docs", "a.txt")
		a := args{"blob_path": "a.txt"}
		if len(ids) > 0 {
			a["version_id"] = ids[len(ids)-1]
			if out := w.write(t, session, "undelete_blob", args{"blob_path": "a.txt"}); !strings.Contains(out.Message, ids[len(ids)-1]+", which is the newest") {
				t.Errorf("%s: got %+v, want the version %s", name, out, ids[len(ids)-1])
			}
		}
		w.wrote(t, session, "undelete_blob", a)
		if text := readText(t, session, "a.txt"); text != "newest" {
			t.Errorf("%s: got %q back, want the newest", name, text)
		}
	}
}

// The text of an undo names undelete_blob only where it is offered and would do it.
func TestUndoNamesWhatIsThere(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, versions, func(o *blobtool.WriteOptions) { o.MaxCopyBytes = 5 })
	for name, c := range map[string]struct {
		tools       []string
		text, ctype string
		named       bool
	}{
		"offered":   {nil, "x", "text/plain", true},
		"left out":  {[]string{"write_blob", "delete_blob", "stat_blob"}, "x", "text/plain", false},
		"too large": {nil, "123456", "text/plain", false},
		"html":      {nil, "x", "text/html", false},
	} {
		set, err := blobtool.New(w.storage.URL(), "docs", w.findCredential, &blobtool.Options{HTTPClient: w.storage.HTTPClient(), Tools: c.tools,
			Write: &blobtool.WriteOptions{Allow: []string{"docs"}, Confirm: yes, MaxCopyBytes: 5}})
		if err != nil {
			t.Fatal(err)
		}
		w.serveSet(t, set)
		session := w.connect(t, "alice")
		w.storage.Put("docs", "a.txt", []byte(c.text), c.ctype)
		out := w.wrote(t, session, "delete_blob", args{"blob_path": "a.txt", "if_match": statOf(t, session, "a.txt").ETag})
		if !out.Undo.Possible || strings.Contains(out.Undo.How, "undelete_blob") != c.named || strings.Contains(out.Undo.How, "another program") == c.named {
			t.Errorf("%s: got %+v, want undelete_blob named: %t", name, out.Undo, c.named)
		}
	}
}

// Where the text of an undo names undelete_blob, it does it; where not, it would refuse.
func TestUndoKeepsItsWord(t *testing.T) {
	t.Parallel()
	short, long := "a.txt", strings.Repeat("é", 400)+".txt" // Azure limits the URL of a source
	for name, c := range map[string]struct {
		kind  func(*blobtest.Options)
		blob  string
		tier  string
		named bool
	}{
		"version":                    {versions, short, "", true},
		"archived version":           {versions, short, "Archive", false},
		"version of a long name":     {versions, long, "", false},
		"soft delete":                {softDelete, short, "", true},
		"soft delete, archived":      {softDelete, short, "Archive", true},
		"soft delete of a long name": {softDelete, long, "", true},
		"both":                       {versionsAndSoft, short, "", true},
		"hierarchy":                  {hierarchy, short, "", true},
		"nothing":                    {nil, short, "", false},
	} {
		for _, tool := range []string{"delete_blob", "write_blob", "copy_blob", "edit_blob"} {
			if tool == "edit_blob" && c.tier != "" {
				continue
			}
			w := newWriteWorld(t, c.kind, nil)
			session := w.connect(t, "alice")
			w.storage.Put("docs", "source.txt", []byte("new"), "text/plain")
			w.storage.Put("docs", c.blob, []byte("old"), "text/plain")
			w.storage.Update("docs", c.blob, func(p *blobtest.Properties) { p.Tier = c.tier })
			a := args{"blob_path": c.blob, "if_match": statOf(t, session, c.blob).ETag}
			switch tool {
			case "write_blob":
				a["text"] = "new"
			case "copy_blob":
				a["source_path"] = "source.txt"
			case "edit_blob":
				a["old_text"], a["new_text"] = "old", "new"
			}
			out := w.wrote(t, session, tool, a)
			named := c.named && (tool == "delete_blob" || out.Undo.VersionID != "")
			if strings.Contains(out.Undo.How, "undelete_blob") != named {
				t.Errorf("%s, %s: got %+v, want undelete_blob named: %t", name, tool, out.Undo, named)
			}
			u := args{"blob_path": c.blob}
			if out.Undo.VersionID != "" {
				u["version_id"] = out.Undo.VersionID
				if tool != "delete_blob" {
					u["if_match"] = out.ETag
				}
			}
			back := w.write(t, session, "undelete_blob", u)
			if (back.Outcome == "done") != named {
				t.Errorf("%s, %s: the undo is %+v, and undelete_blob says %s (%s)", name, tool, out.Undo, back.Outcome, back.Message)
			}
			if named && c.tier == "" && readText(t, session, c.blob) != "old" {
				t.Errorf("%s, %s: other content is back", name, tool)
			}
		}
	}
}

// The current version can't be brought back: that would overwrite a blob with itself.
func TestUndeleteCurrentVersion(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, versions, nil)
	session := w.connect(t, "alice")
	w.storage.Put("docs", "a.txt", []byte("x"), "text/plain")
	stat := statOf(t, session, "a.txt")
	for tool, a := range map[string]args{
		"undelete_blob": {"version_id": stat.VersionID},
		"copy_blob":     {"source_path": "a.txt", "source_version_id": stat.VersionID},
	} {
		a["blob_path"], a["if_match"] = "a.txt", stat.ETag
		if out := w.write(t, session, tool, a); out.Reason != "invalid_argument" || !strings.Contains(out.Message, "current") || len(w.storage.Versions("docs", "a.txt")) != 1 {
			t.Errorf("%s: got %+v, want it refused, and no new version", tool, out)
		}
	}
}

func FuzzParseDeletionIDs(f *testing.F) {
	f.Add(`<EnumerationResults><Blobs><Blob><Name>a</Name><DeletionId>132</DeletionId></Blob><Blob></Blob></Blobs></EnumerationResults>`)
	f.Add(`<EnumerationResults><Blobs><Blob><DeletionId>1&amp;x=2</DeletionId></Blob></Blobs></EnumerationResults>`)
	f.Add(`<`)
	f.Fuzz(func(t *testing.T, body string) {
		ids, err := blobtool.ParseDeletionIDs([]byte(body))
		if err != nil {
			return
		}
		for _, id := range ids {
			if strings.ContainsAny(id, "&?=#%/ \r\n\x00") || len(id) > 100 {
				t.Errorf("the ID %q, which would change a request", id)
			}
		}
	})
}
