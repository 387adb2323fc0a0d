package blobtool_test

import (
	"bytes"
	"encoding/base64"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

func TestWriteBlob(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, nil, nil)
	session := w.connect(t, "alice")
	out := w.wrote(t, session, "write_blob", args{"blob_path": "a/b.txt", "text": "Hello", "content_type": "text/plain; charset=UTF-8", "metadata": args{"Author": "Alice"}})
	if out.Action != "created" || out.ETag == "" || *out.Size != 5 || !out.Undo.Possible || out.URI != "blob://docs/a/b.txt" {
		t.Errorf("created: got %+v", out)
	}
	text, stat := w.content(t, session, "a/b.txt")
	if text != "Hello" || stat.ETag != out.ETag || stat.ContentType != "text/plain; charset=UTF-8" || !maps.Equal(stat.Metadata, map[string]string{"author": "Alice"}) {
		t.Errorf("after creating: got %q, %+v", text, stat)
	}

	again := w.write(t, session, "write_blob", args{"blob_path": "a/b.txt", "text": "Again"})
	if again.Outcome != "refused" || again.Reason != "exists" || again.ETag != out.ETag || !*again.Exists {
		t.Errorf("creating again: got %+v, want refused with the etag", again)
	}

	next := w.wrote(t, session, "write_blob", args{"blob_path": "a/b.txt", "base64": base64.StdEncoding.EncodeToString([]byte("Bye")), "if_match": out.ETag})
	if next.Action != "overwritten" || next.ETag == out.ETag || next.Undo.Possible {
		t.Errorf("overwriting: got %+v, want it without an undo", next)
	}
	if text, stat := w.content(t, session, "a/b.txt"); text != "Bye" || stat.Metadata["author"] != "Alice" {
		t.Errorf("after overwriting: got %q, %+v, want Bye with the metadata kept", text, stat)
	}

	stale := w.write(t, session, "write_blob", args{"blob_path": "a/b.txt", "text": "Lost", "if_match": out.ETag})
	if stale.Outcome != "refused" || stale.Reason != "changed" || stale.ETag != next.ETag {
		t.Errorf("with an old etag: got %+v, want refused with %s", stale, next.ETag)
	}
	gone := w.write(t, session, "write_blob", args{"blob_path": "none.txt", "text": "x", "if_match": out.ETag})
	if gone.Outcome != "refused" || gone.Reason != "not_found" || *gone.Exists {
		t.Errorf("overwriting nothing: got %+v", gone)
	}
	for _, r := range w.storage.Requests() {
		if r.Operation == blobtest.OpPutBlob && r.Header("x-ms-content-crc64") == "" {
			t.Errorf("a Put Blob has no CRC64")
		}
	}
	for _, row := range callFor[struct {
		Blobs []struct {
			Metadata map[string]string `json:"metadata"`
		} `json:"blobs"`
	}](t, session, "list_blobs", args{"include": []string{"metadata"}}).Blobs {
		if len(row.Metadata) != 1 {
			t.Errorf("list_blobs shows the metadata %v, want only the author", row.Metadata)
		}
	}
}

// What Azure drops with an overwrite is sent again.
func TestWriteBlobKeeps(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, nil, nil)
	session := w.connect(t, "alice")
	put := func() string {
		w.storage.Put("docs", "a.txt", []byte("old"), "text/plain; charset=shift_jis")
		w.storage.Update("docs", "a.txt", func(p *blobtest.Properties) {
			p.ContentLanguage, p.ContentDisposition, p.CacheControl = "ja", "inline", "no-store"
			p.Metadata = map[string]string{"project": "x"}
			p.Tags = map[string]string{"state": "final", "n": "a b"}
		})
		return statOf(t, session, "a.txt").ETag
	}
	etag := put()
	// Without the right to read tags, they can't be kept.
	out := w.write(t, session, "write_blob", args{"blob_path": "a.txt", "text": "new", "if_match": etag})
	if out.Outcome != "refused" || out.Reason != "permission" || !strings.Contains(out.Message, "drop_tags") || out.ETag != etag {
		t.Errorf("tags that can't be read: got %+v", out)
	}
	out = w.wrote(t, session, "write_blob", args{"blob_path": "a.txt", "text": "new", "if_match": etag, "drop_tags": true})
	if len(out.Notes) != 2 {
		t.Errorf("drop_tags: notes %q, want one on the tags and one on the charset", out.Notes)
	}
	// With the right, they are sent again.
	etag = put()
	w.storage.GrantOwner(w.alice.ObjectID, "docs", "")
	w.wrote(t, session, "write_blob", args{"blob_path": "a.txt", "text": "new", "if_match": etag})
	stat := statOf(t, session, "a.txt")
	if stat.Language != "ja" || stat.Disposition != "inline" || stat.Metadata["project"] != "x" || !maps.Equal(stat.Tags, map[string]string{"state": "final", "n": "a b"}) ||
		stat.ContentType != "text/plain; charset=utf-8" {
		t.Errorf("after overwriting: %+v, want headers, metadata and tags kept", stat)
	}
	// Tags that change between reading and writing are not lost either.
	w.storage.OnRequest(func(r blobtest.Request) {
		if r.Operation == blobtest.OpPutBlob {
			w.storage.Update("docs", "a.txt", func(p *blobtest.Properties) { p.Tags = map[string]string{"state": "draft"} })
		}
	})
	out = w.write(t, session, "write_blob", args{"blob_path": "a.txt", "text": "newer", "if_match": stat.ETag})
	if out.Outcome != "refused" || out.Reason != "changed" {
		t.Errorf("tags changed in between: got %+v, want refused", out)
	}
}

// So is a tier that was set on the blob itself.
func TestWriteKeepsTier(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, nil, nil)
	session := w.connect(t, "alice")
	for tier, want := range map[string]string{"Cool": "Cool", "Cold": "Cold", "Archive": "Hot", "": "Hot"} {
		w.storage.Put("docs", "a.txt", []byte("old"), "text/plain")
		w.storage.Update("docs", "a.txt", func(p *blobtest.Properties) { p.Tier = tier })
		out := w.wrote(t, session, "write_blob", args{"blob_path": "a.txt", "text": "new", "if_match": statOf(t, session, "a.txt").ETag})
		if got := statOf(t, session, "a.txt").Tier; got != want || (tier == "Archive") != (len(out.Notes) == 1) {
			t.Errorf("an overwrite of a blob in the tier %q: got %q and the notes %q, want %q", tier, got, out.Notes, want)
		}
		w.wrote(t, session, "edit_blob", args{"blob_path": "a.txt", "old_text": "new", "new_text": "newer"})
		if got := statOf(t, session, "a.txt").Tier; got != want {
			t.Errorf("an edit of a blob in the tier %q: got %q, want %q", want, got, want)
		}
		w.storage.Put("docs", "b.txt", []byte("b"), "text/plain")
		w.wrote(t, session, "copy_blob", args{"source_path": "b.txt", "blob_path": "a.txt", "if_match": statOf(t, session, "a.txt").ETag})
		if got := statOf(t, session, "a.txt").Tier; got != want {
			t.Errorf("a copy over a blob in the tier %q: got %q, want %q", want, got, want)
		}
		for _, r := range w.storage.Requests() {
			if r.Operation == blobtest.OpPutBlob && tier == "" && r.Header("x-ms-access-tier") != "" {
				t.Errorf("the account's default tier was sent")
			}
		}
		w.storage.ForgetRequests()
	}
}

func TestWriteBlobTags(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, nil, nil)
	session := w.connect(t, "alice")
	out := w.wrote(t, session, "write_blob", args{"blob_path": "a.txt", "text": "x", "tags": args{"state": "final"}})
	if len(out.Notes) != 1 || !strings.Contains(out.Notes[0], "Storage Blob Data Owner") {
		t.Errorf("without the right to tags: notes %q, want the role", out.Notes)
	}
	w.storage.GrantOwner(w.alice.ObjectID, "docs", "")
	w.wrote(t, session, "write_blob", args{"blob_path": "b.txt", "text": "x", "tags": args{"state": "final"}})
	if stat := statOf(t, session, "b.txt"); stat.Tags["state"] != "final" {
		t.Errorf("with the right: tags %v", stat.Tags)
	}
	// A user who may read tags and not set them does not lose those that the blob has.
	stat := statOf(t, session, "b.txt")
	for _, tags := range []args{nil, {"state": "draft"}} {
		a := args{"blob_path": "b.txt", "text": "y", "if_match": stat.ETag}
		if tags != nil {
			a["tags"] = tags
		}
		w.storage.Fail(blobtest.Fault{Operation: blobtest.OpPutBlob, Status: 403, Code: "AuthorizationPermissionMismatch", Times: 1})
		out := w.write(t, session, "write_blob", a)
		if now := statOf(t, session, "b.txt"); out.Reason != "permission" || !strings.Contains(out.Message, "drop_tags") || now.Tags["state"] != "final" {
			t.Errorf("tags %v: got %+v, then %v", tags, out, now.Tags)
		}
	}
}

// An overwrite by a user who may read the blob's tags, but not set them, would lose them.
func TestWriteBlobTagsOfOthers(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]args{"kept": {}, "replaced": {"tags": args{"new": "1"}}, "removed": {"tags": args{}}} {
		w := newWriteWorld(t, nil, nil)
		session := w.connect(t, "alice")
		w.storage.GrantOwner(w.alice.ObjectID, "docs", "")
		w.storage.Put("docs", "a.txt", []byte("old"), "text/plain")
		w.storage.Update("docs", "a.txt", func(p *blobtest.Properties) { p.Tags = map[string]string{"state": "final"} })
		maps.Copy(a, args{"blob_path": "a.txt", "text": "new", "if_match": statOf(t, session, "a.txt").ETag})
		w.storage.Fail(blobtest.Fault{Operation: blobtest.OpPutBlob, Status: http.StatusForbidden, Code: "AuthorizationPermissionMismatch", Times: 1})
		out := w.write(t, session, "write_blob", a)
		if tags := statOf(t, session, "a.txt").Tags; out.Outcome != "refused" || out.Reason != "permission" || tags["state"] != "final" || !strings.Contains(out.Message, "drop_tags") {
			t.Errorf("%s: got %+v, and the tags %v; want it refused, and the tags as before", name, out, tags)
		}
	}
}

// Line ends in base64 are not content.
func TestWriteBlobWrappedBase64(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, nil, func(o *blobtool.WriteOptions) { o.MaxBytes = 1000 })
	session := w.connect(t, "alice")
	for n, want := range map[int]string{1000: "done", 1001: "refused"} {
		var wrapped strings.Builder
		for i, c := range base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("x"), n)) {
			if wrapped.WriteRune(c); i%20 == 19 {
				wrapped.WriteString("\r\n")
			}
		}
		if out := w.write(t, session, "write_blob", args{"blob_path": "a", "base64": wrapped.String()}); out.Outcome != want {
			t.Errorf("%d bytes: got %+v, want %s", n, out, want)
		}
	}
}

// Refusals that need no request to Azure.
func TestWriteBlobArguments(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, nil, func(o *blobtool.WriteOptions) { o.Allow, o.MaxBytes = []string{"docs/in/"}, 100 })
	session := w.connect(t, "alice")
	long := strings.Repeat("x", 101)
	for name, c := range map[string]struct {
		a      args
		reason string
	}{
		"outside":               {args{"blob_path": "out/a.txt", "text": "x"}, "not_allowed"},
		"no content":            {args{"blob_path": "in/a.txt"}, "invalid_argument"},
		"two contents":          {args{"blob_path": "in/a.txt", "text": "x", "base64": "eA=="}, "invalid_argument"},
		"base64":                {args{"blob_path": "in/a.txt", "base64": "%"}, "invalid_argument"},
		"large":                 {args{"blob_path": "in/a.txt", "text": long}, "too_large"},
		"large base64":          {args{"blob_path": "in/a.txt", "base64": base64.StdEncoding.EncodeToString([]byte(long))}, "too_large"},
		"dot":                   {args{"blob_path": "in/a.", "text": "x"}, "invalid_path"},
		"slash":                 {args{"blob_path": "in/a/", "text": "x"}, "invalid_path"},
		"slashes":               {args{"blob_path": "in//a", "text": "x"}, "invalid_path"},
		"html":                  {args{"blob_path": "in/a", "text": "x", "content_type": "text/html"}, "unsupported"},
		"html by name":          {args{"blob_path": "in/a.HTML", "text": "x"}, "unsupported"},
		"svg":                   {args{"blob_path": "in/a", "text": "x", "content_type": "image/svg+xml"}, "unsupported"},
		"xml":                   {args{"blob_path": "in/a", "text": "x", "content_type": "application/atom+xml"}, "unsupported"},
		"script":                {args{"blob_path": "in/a", "text": "x", "content_type": "text/JavaScript; charset=utf-8"}, "unsupported"},
		"multipart":             {args{"blob_path": "in/a", "text": "x", "content_type": "multipart/mixed; boundary=a"}, "unsupported"},
		"contradiction":         {args{"blob_path": "in/a.png", "text": "x", "content_type": "text/plain"}, "invalid_argument"},
		"no type":               {args{"blob_path": "in/a", "text": "x", "content_type": "text"}, "invalid_argument"},
		"type with a line feed": {args{"blob_path": "in/a", "text": "x", "content_type": "text/plain\nx: y"}, "invalid_argument"},
		"metadata name":         {args{"blob_path": "in/a", "text": "x", "metadata": args{"a-b": "x"}}, "invalid_argument"},
		"metadata twice":        {args{"blob_path": "in/a", "text": "x", "metadata": args{"a": "x", "A": "x"}}, "invalid_argument"},
		"metadata value":        {args{"blob_path": "in/a", "text": "x", "metadata": args{"a": "é"}}, "invalid_argument"},
		"metadata size":         {args{"blob_path": "in/a", "text": "x", "metadata": args{"a": strings.Repeat("x", 8192)}}, "too_large"},
		"marker":                {args{"blob_path": "in/a", "text": "x", "metadata": args{"MCPEntra_write": "x"}}, "invalid_argument"},
		"directory":             {args{"blob_path": "in/a", "text": "x", "metadata": args{"hdi_isfolder": "true"}}, "invalid_argument"},
		"tag":                   {args{"blob_path": "in/a", "text": "x", "tags": args{"a": "'"}}, "invalid_argument"},
		"tag key":               {args{"blob_path": "in/a", "text": "x", "tags": args{"": "x"}}, "invalid_argument"},
		"etag":                  {args{"blob_path": "in/a", "text": "x", "if_match": "*"}, "invalid_argument"},
		"percent-encoded dots":  {args{"blob_path": "in/%2e%2e/a", "text": "x"}, "invalid_path"},
		"encoded twice":         {args{"blob_path": "in/%252e%252E/a", "text": "x"}, "invalid_path"},
		"percent-encoded zero":  {args{"blob_path": "in/a%00", "text": "x"}, "invalid_path"},
		"not shown":             {args{"blob_path": "in/a.html\u200b", "text": "x"}, "invalid_path"},
		"reversed":              {args{"blob_path": "in/a\u202etxt.exe", "text": "x"}, "invalid_path"},
		"other charset":         {args{"blob_path": "in/a", "text": "x", "content_type": "text/plain; charset=Shift_JIS"}, "invalid_argument"},
		"drop_tags":             {args{"blob_path": "in/a", "text": "x", "drop_tags": true}, "invalid_argument"},
	} {
		out := w.write(t, session, "write_blob", c.a)
		if out.Outcome != "refused" || out.Reason != c.reason {
			t.Errorf("%s: got %s, %s (%s); want refused, %s", name, out.Outcome, out.Reason, out.Message, c.reason)
		}
	}
	if n := len(w.storage.Requests()); n != 0 {
		t.Errorf("%d requests were sent, want none", n)
	}
}

// Reasons that only Azure knows, in words.
func TestWriteBlobRefusals(t *testing.T) {
	t.Parallel()
	lease := func(state, duration string) func(*world) {
		return func(w *world) {
			w.storage.Update("docs", "a.txt", func(p *blobtest.Properties) { p.LeaseState, p.LeaseDuration = state, duration })
		}
	}
	for name, c := range map[string]struct {
		kind         func(*blobtest.Options)
		change       func(*world)
		reason, says string
	}{
		"infinite lease": {nil, lease("leased", "infinite"), "locked", "until it is released"},
		"fixed lease":    {nil, lease("leased", "fixed"), "locked", "60 seconds"},
		"breaking lease": {nil, lease("breaking", ""), "locked", "being broken"},
		"retention":      {nil, func(w *world) { w.storage.SetRetention("docs", 1<<40) }, "locked", "retention policy"},
		"hold":           {nil, func(w *world) { w.storage.SetLegalHold("docs", "", true) }, "locked", "legal hold"},
		"append blob":    {nil, func(w *world) { w.storage.PutAppend("docs", "a.txt", []byte("x"), "text/plain", 1) }, "unsupported", "AppendBlob"},
		"html":           {nil, func(w *world) { w.storage.Put("docs", "a.txt", []byte("x"), "text/html") }, "unsupported", "may run"},
		"role":           {nil, func(w *world) { w.storage.Revoke(w.alice.ObjectID); w.storage.Grant(w.alice.ObjectID, "docs", "") }, "permission", "Storage Blob Data Contributor"},
		"firewall": {nil, func(w *world) {
			w.storage.Fail(blobtest.Fault{Operation: blobtest.OpPutBlob, Status: http.StatusForbidden, Code: "AuthorizationFailure"})
		}, "permission", "firewall"},
	} {
		w := newWriteWorld(t, c.kind, nil)
		session := w.connect(t, "alice")
		w.storage.Put("docs", "a.txt", []byte("old"), "text/plain")
		c.change(w)
		stat := statOf(t, session, "a.txt")
		out := w.write(t, session, "write_blob", args{"blob_path": "a.txt", "text": "new", "if_match": stat.ETag})
		if out.Outcome != "refused" || out.Reason != c.reason || !strings.Contains(out.Message, c.says) {
			t.Errorf("%s: got %s, %s (%s); want refused, %s, %q", name, out.Outcome, out.Reason, out.Message, c.reason, c.says)
		}
		if strings.Contains(name, "lease") != (out.Lease != nil) {
			t.Errorf("%s: the result has the lease %v", name, out.Lease)
		}
	}
}

// The result of an overwrite names the version that has the content before.
func TestWriteBlobVersions(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, func(o *blobtest.Options) { o.Versioning = true }, nil)
	session := w.connect(t, "alice")
	first := w.wrote(t, session, "write_blob", args{"blob_path": "a.txt", "text": "first"})
	second := w.wrote(t, session, "write_blob", args{"blob_path": "a.txt", "text": "second", "if_match": first.ETag})
	if first.VersionID == "" || second.VersionID == first.VersionID || !second.Undo.Possible || second.Undo.VersionID != first.VersionID {
		t.Errorf("got %+v after %+v, want an undo with the version before", second, first)
	}
}
