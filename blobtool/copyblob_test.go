package blobtool_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// inBlocks makes the world's copies go by blocks of 4 bytes.
func (w *world) inBlocks() { w.set.SetCopyLimits(3, 4) }

// putSource makes the blob that the tests copy.
func (w *world) putSource() {
	w.storage.Put("docs", "source.txt", []byte("the content"), "text/plain; charset=utf-8")
	w.storage.Update("docs", "source.txt", func(p *blobtest.Properties) {
		p.Metadata, p.ContentLanguage, p.CacheControl = map[string]string{"author": "alice"}, "en", "no-cache"
		p.Tags = map[string]string{"state": "final"}
	})
}

func TestCopyBlob(t *testing.T) {
	t.Parallel()
	for _, blocks := range []bool{false, true} {
		w := newWriteWorld(t, nil, nil)
		session := w.connect(t, "alice")
		w.putSource()
		if blocks {
			w.inBlocks()
		}
		w.storage.ForgetRequests()
		out := w.wrote(t, session, "copy_blob", args{"source_path": "source.txt", "blob_path": "a/b.txt"})
		if n, one := len(w.storage.Requests()), w.storage.Count(blobtest.OpPutBlobFromURL); !blocks && n != 3 || (one == 1) == blocks || w.storage.Count(blobtest.OpPutBlockFromURL) > 0 != blocks {
			t.Errorf("blocks %t: %d requests, %d of them Put Blob From URL", blocks, n, one)
		}
		text, stat := w.content(t, session, "a/b.txt")
		if out.Action != "created" || !out.Undo.Possible || out.ETag != stat.ETag || *out.Size != 11 || text != "the content" {
			t.Errorf("blocks %t: got %+v with %q", blocks, out, text)
		}
		if stat.ContentType != "text/plain; charset=utf-8" || stat.Language != "en" || !maps.Equal(stat.Metadata, map[string]string{"author": "alice"}) || stat.Tags != nil {
			t.Errorf("blocks %t: the copy has %+v, want the source's headers and metadata", blocks, stat)
		}
		if len(out.Notes) != 1 || !strings.Contains(out.Notes[0], "tags were not copied") {
			t.Errorf("blocks %t: notes %q, want one on the tags that Alice may not see", blocks, out.Notes)
		}
		again := w.write(t, session, "copy_blob", args{"source_path": "source.txt", "blob_path": "a/b.txt"})
		if again.Outcome != "refused" || again.Reason != "exists" || again.ETag != out.ETag {
			t.Errorf("blocks %t: copying again: got %+v, want refused with the etag", blocks, again)
		}
		w.storage.Put("docs", "source.txt", []byte("other content"), "text/plain")
		next := w.wrote(t, session, "copy_blob", args{"source_path": "source.txt", "blob_path": "a/b.txt", "if_match": out.ETag})
		if text := readText(t, session, "a/b.txt"); next.Action != "overwritten" || next.Undo.Possible || text != "other content" {
			t.Errorf("blocks %t: copying over it: got %+v with %q", blocks, next, text)
		}
		stale := w.write(t, session, "copy_blob", args{"source_path": "source.txt", "blob_path": "a/b.txt", "if_match": out.ETag})
		if stale.Reason != "changed" || stale.ETag != next.ETag {
			t.Errorf("blocks %t: with an old etag: got %+v", blocks, stale)
		}
	}
}

// A new blob takes the source's tags; an overwritten one keeps its own.
func TestCopyBlobTags(t *testing.T) {
	t.Parallel()
	for _, blocks := range []bool{false, true} {
		w := newWriteWorld(t, nil, nil)
		session := w.connect(t, "alice")
		w.putSource()
		if blocks {
			w.inBlocks()
		}
		put := func() string {
			w.storage.Put("docs", "b.txt", []byte("old"), "text/plain")
			w.storage.Update("docs", "b.txt", func(p *blobtest.Properties) { p.Tags = map[string]string{"owner": "bob"} })
			return statOf(t, session, "b.txt").ETag
		}
		a := args{"source_path": "source.txt", "blob_path": "b.txt", "if_match": put()}
		if out := w.write(t, session, "copy_blob", a); out.Reason != "permission" || !strings.Contains(out.Message, "drop_tags") {
			t.Errorf("blocks %t: tags that can't be kept: got %+v", blocks, out)
		}
		a["drop_tags"] = true
		w.wrote(t, session, "copy_blob", a)
		w.storage.GrantOwner(w.alice.ObjectID, "docs", "")
		if stat := statOf(t, session, "b.txt"); len(stat.Tags) != 0 {
			t.Errorf("blocks %t: after drop_tags: %v", blocks, stat.Tags)
		}
		w.wrote(t, session, "copy_blob", args{"source_path": "source.txt", "blob_path": "b.txt", "if_match": put()})
		if stat := statOf(t, session, "b.txt"); !maps.Equal(stat.Tags, map[string]string{"owner": "bob"}) {
			t.Errorf("blocks %t: the overwritten blob has the tags %v, want its own", blocks, stat.Tags)
		}
		w.wrote(t, session, "copy_blob", args{"source_path": "source.txt", "blob_path": "c.txt"})
		if stat := statOf(t, session, "c.txt"); !maps.Equal(stat.Tags, map[string]string{"state": "final"}) {
			t.Errorf("blocks %t: the new blob has the tags %v, want the source's", blocks, stat.Tags)
		}
	}
}

// Tags that are gone, or that an answer leaves out, are not lost without a word.
func TestCopyBlobTagsGone(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*world){
		"gone": func(w *world) { w.storage.Update("docs", "source.txt", func(p *blobtest.Properties) { p.Tags = nil }) },
		"not listed": func(w *world) {
			w.storage.Fail(blobtest.Fault{Operation: blobtest.OpGetBlobTags, Status: 200, Body: "<x/>"})
		},
	} {
		w := newWriteWorld(t, nil, nil)
		w.storage.GrantOwner(w.alice.ObjectID, "docs", "")
		session := w.connect(t, "alice")
		w.putSource()
		w.storage.Put("docs", "new.txt", []byte("new"), "text/plain")
		etag := statOf(t, session, "source.txt").ETag
		onNth(w, blobtest.OpGetBlobTags, 1, func() { change(w) })
		if out := w.wrote(t, session, "copy_blob", args{"source_path": "source.txt", "blob_path": "b.txt"}); len(out.Notes) != 1 || !strings.Contains(out.Notes[0], "not copied") {
			t.Errorf("%s: a copy has the notes %q, want one", name, out.Notes)
		}
		w.storage.Fail()
		w.storage.Update("docs", "source.txt", func(p *blobtest.Properties) { p.Tags = map[string]string{"state": "final"} })
		onNth(w, blobtest.OpGetBlobTags, 1, func() { change(w) })
		if out := w.write(t, session, "copy_blob", args{"source_path": "new.txt", "blob_path": "source.txt", "if_match": etag}); out.Reason != "changed" {
			t.Errorf("%s: an overwrite: got %+v, want refused", name, out)
		}
	}
}

// What is refused, in one request and in blocks.
func TestCopyBlobRefusals(t *testing.T) {
	t.Parallel()
	update := func(name string, f func(*blobtest.Properties)) func(*world) {
		return func(w *world) { w.storage.Update("docs", name, f) }
	}
	before := func(o blobtest.Operation, f func(*world)) func(*world) {
		return func(w *world) { onNth(w, o, 1, func() { f(w) }) }
	}
	rewrite := func(w *world) { w.storage.Put("docs", "source.txt", []byte("changed it"), "text/plain") }
	unread := func(w *world) { // another role assignment, which has all but the source
		w.storage.Revoke(w.alice.ObjectID)
		w.storage.GrantContributor(w.alice.ObjectID, "docs", "new")
	}
	for name, c := range map[string]struct {
		change       func(*world)
		a            args
		reason, says string
	}{
		"no source":          {nil, args{"source_path": "none.txt"}, "not_found", "source"},
		"another etag":       {nil, args{"source_etag": "0x1"}, "changed", "source"},
		"bad etag":           {nil, args{"source_etag": "a b"}, "invalid_argument", "etag"},
		"bad version":        {nil, args{"source_version_id": "yesterday"}, "invalid_argument", "version_id"},
		"no such version":    {nil, args{"source_version_id": "2026-01-31T09:30:00.1234567Z"}, "not_found", "source"},
		"long name":          {nil, args{"source_path": strings.Repeat("é", 500)}, "invalid_path", "too long"},
		"itself":             {nil, args{"blob_path": "source.txt"}, "invalid_argument", "same blob"},
		"bad name":           {nil, args{"blob_path": "new/"}, "invalid_path", "slash"},
		"drop_tags":          {nil, args{"drop_tags": true}, "invalid_argument", "drop_tags"},
		"foreign URL":        {nil, args{"source_path": "https://other.blob.core.windows.net/docs/source.txt"}, "invalid_path", "source"},
		"SAS":                {nil, args{"source_path": "https://other.blob.core.windows.net/docs/source.txt?sig=c2VjcmV0"}, "invalid_path", "source"},
		"source's type":      {update("source.txt", func(p *blobtest.Properties) { p.ContentType = "text/html" }), nil, "unsupported", "text/html"},
		"new extension":      {nil, args{"blob_path": "new.html"}, "unsupported", ".html"},
		"contradiction":      {nil, args{"blob_path": "new.png"}, "invalid_argument", "contradicts"},
		"append blob":        {func(w *world) { w.storage.PutAppend("docs", "source.txt", []byte("x"), "text/plain", 1) }, nil, "unsupported", "AppendBlob"},
		"archived":           {update("source.txt", func(p *blobtest.Properties) { p.Tier = "Archive" }), nil, "unsupported", "Archive"},
		"too large":          {func(w *world) { w.storage.Put("docs", "source.txt", make([]byte, 101), "text/plain") }, nil, "too_large", "101 bytes"},
		"no role at source":  {unread, nil, "permission", "Storage Blob Data Reader"},
		"no role at target":  {func(w *world) { w.storage.Revoke(w.alice.ObjectID); w.storage.Grant(w.alice.ObjectID, "docs", "") }, nil, "permission", "Storage Blob Data Contributor"},
		"lease":              {update("b.txt", func(p *blobtest.Properties) { p.LeaseState, p.LeaseDuration = "leased", "infinite" }), args{"over": true}, "locked", "lease"},
		"append blob there":  {func(w *world) { w.storage.PutAppend("docs", "b.txt", []byte("x"), "text/plain", 1) }, args{"over": true}, "unsupported", "AppendBlob"},
		"hold":               {func(w *world) { w.storage.SetLegalHold("docs", "", true) }, args{"over": true}, "locked", "legal hold"},
		"source changed":     {before(blobtest.OpPutBlobFromURL, rewrite), nil, "changed", "source"},
		"source changed (b)": {before(blobtest.OpPutBlockFromURL, rewrite), nil, "changed", "source"},
		"source deleted":     {before(blobtest.OpPutBlobFromURL, func(w *world) { w.storage.Delete("docs", "source.txt") }), nil, "not_found", "source"},
		"source deleted (b)": {before(blobtest.OpPutBlockFromURL, func(w *world) { w.storage.Delete("docs", "source.txt") }), nil, "not_found", "source"},
		"source closed":      {before(blobtest.OpPutBlobFromURL, unread), nil, "permission", "source"},
		"source closed (b)":  {before(blobtest.OpPutBlockFromURL, unread), nil, "permission", "source"},
		"made meanwhile":     {before(blobtest.OpPutBlobFromURL, func(w *world) { w.storage.Put("docs", "new.txt", []byte("other's"), "") }), nil, "exists", "exists"},
		"made meanwhile (b)": {before(blobtest.OpPutBlockList, func(w *world) { w.storage.Put("docs", "new.txt", []byte("other's"), "") }), nil, "exists", "exists"},
		"changed there":      {before(blobtest.OpPutBlobFromURL, func(w *world) { w.storage.Put("docs", "b.txt", []byte("other's"), "") }), args{"over": true}, "changed", "etag"},
		"changed there (b)":  {before(blobtest.OpPutBlockList, func(w *world) { w.storage.Put("docs", "b.txt", []byte("other's"), "") }), args{"over": true}, "changed", "etag"},
		"leased in between (b)": {before(blobtest.OpPutBlockList, func(w *world) {
			w.storage.Update("docs", "b.txt", func(p *blobtest.Properties) { p.LeaseState = "leased" })
		}), args{"over": true}, "locked", "lease"},
		"limit of one": {func(w *world) {
			w.storage.Fail(blobtest.Fault{Operation: blobtest.OpPutBlobFromURL, Status: 413, Code: "RequestBodyTooLarge"})
		}, nil, "too_large", "larger"},
		"token refused": {func(w *world) {
			w.storage.Fail(blobtest.Fault{Operation: blobtest.OpPutBlobFromURL, Status: 401, Code: "CannotVerifyCopySource"})
		}, nil, "wrong_audience", "token"},
		"type at the source": {func(w *world) {
			w.storage.Fail(blobtest.Fault{Operation: blobtest.OpPutBlobFromURL, Status: 409, Code: "InvalidSourceBlobType"})
		}, nil, "unsupported", "block blobs"},
		"redirect": {func(w *world) {
			w.storage.Fail(blobtest.Fault{Operation: blobtest.OpPutBlobFromURL, Status: 307})
		}, nil, "uncertain", ""},
	} {
		w := newWriteWorld(t, nil, func(o *blobtool.WriteOptions) { o.MaxCopyBytes = 100 })
		session := w.connect(t, "alice")
		w.storage.Put("docs", "source.txt", []byte("the content"), "text/plain")
		w.storage.Put("docs", "b.txt", []byte("old"), "text/plain")
		if strings.HasSuffix(name, "(b)") {
			w.inBlocks()
		}
		a := args{"source_path": "source.txt", "blob_path": "new.txt"}
		if c.a["over"] == nil && c.change != nil {
			c.change(w)
		}
		maps.Copy(a, c.a)
		if a["over"] != nil {
			if name != "changed there" {
				c.change(w)
			}
			delete(a, "over")
			w.storage.OnRequest(nil)
			a["blob_path"], a["if_match"] = "b.txt", statOf(t, session, "b.txt").ETag
			if strings.Contains(name, "there") || strings.Contains(name, "between") {
				c.change(w)
			}
			if name == "append blob there" {
				a["if_match"] = statOf(t, session, "b.txt").ETag
			}
		}
		out := w.write(t, session, "copy_blob", a)
		w.storage.OnRequest(nil)
		if out.Reason != c.reason || !strings.Contains(out.Message, c.says) || (out.Outcome == "unknown") != (c.reason == "uncertain") || strings.Contains(out.Message, "c2VjcmV0") {
			t.Errorf("%s: got %s, %q (%s); want the reason %q and %q", name, out.Outcome, out.Reason, out.Message, c.reason, c.says)
		}
	}
}

// Both allow-lists hold: a source must be readable by this server's rules, a copy writable.
func TestCopyBlobAllowed(t *testing.T) {
	t.Parallel()
	w := newAccountWorld(t, func(o *blobtool.Options) {
		o.Allow = []string{"docs", "other/in/"}
		o.Write = &blobtool.WriteOptions{Allow: []string{"docs/out/"}, Confirm: yes}
	})
	w.storage.AddContainer("other")
	for _, c := range []string{"docs", "other"} {
		w.storage.GrantContributor(w.alice.ObjectID, c, "")
		for _, name := range []string{"in/a.txt", "out/a.txt"} {
			w.storage.Put(c, name, []byte(c), "text/plain")
		}
	}
	session := w.connect(t, "alice")
	for n, c := range []struct{ container, source, to, path, reason string }{
		{"docs", "in/a.txt", "docs", "out/%d.txt", ""},
		{"", "in/a.txt", "docs", "out/%d.txt", ""},
		{"other", "in/a.txt", "docs", "out/%d.txt", ""},
		{"", w.storage.URL() + "/other/in/a.txt", "docs", "out/%d.txt", ""},
		{"", "blob://other/in/a.txt", "docs", "out/%d.txt", ""},
		{"docs", "blob://other/in/a.txt", "docs", "out/%d.txt", "invalid_argument"},
		{"", w.storage.URL() + "/other/out/a.txt?sig=x", "docs", "out/%d.txt", "not_allowed"},
		{"other", "out/a.txt", "docs", "out/%d.txt", "not_allowed"},
		{"third", "in/a.txt", "docs", "out/%d.txt", "not_allowed"},
		{"docs", "in/a.txt", "docs", "in/%d.txt", "not_allowed"},
		{"docs", "in/a.txt", "other", "in/%d.txt", "not_allowed"},
	} {
		path := fmt.Sprintf(c.path, n)
		w.storage.ForgetRequests()
		out := w.write(t, session, "copy_blob", args{"source_container": c.container, "source_path": c.source, "container": c.to, "blob_path": path})
		if sent := len(w.storage.Requests()); out.Reason != c.reason || (sent == 0) != (c.reason != "") {
			t.Errorf("%+v: got %s, %q (%s) after %d requests; want the reason %q", c, out.Outcome, out.Reason, out.Message, sent, c.reason)
		}
	}
}

// A copy whose answer is lost knows itself by its marker.
func TestCopyBlobFaults(t *testing.T) {
	t.Parallel()
	other := func(w *world) { w.storage.Put("docs", "a.txt", []byte("other's"), "text/plain") }
	for name, c := range map[string]struct {
		fault     blobtest.Fault
		looked    func(*world)
		want      string
		commits   int
		noMD5, in bool
	}{
		"cut after the commit":      {fault: blobtest.Fault{Served: true, Drop: true, Times: 1}, want: "done the content", commits: 1},
		"cut before the commit":     {fault: blobtest.Fault{Drop: true, Times: 1}, want: "done the content", commits: 2},
		"500 after the commit":      {fault: blobtest.Fault{Served: true, Status: 500, Code: "InternalError", Times: 1}, want: "done the content", commits: 1},
		"throttled":                 {fault: blobtest.Fault{Status: 503, Code: "ServerBusy", Times: 2}, want: "done the content", commits: 3},
		"throttled for good":        {fault: blobtest.Fault{Status: 503, Code: "ServerBusy"}, want: "refused ", commits: 5},
		"cut for good":              {fault: blobtest.Fault{Drop: true}, want: "unknown ", commits: 5},
		"committed, then another's": {fault: blobtest.Fault{Served: true, Drop: true, Times: 1}, looked: other, want: "unknown other's", commits: 1},
		"no MD5 to tell":            {fault: blobtest.Fault{Served: true, Drop: true, Times: 1}, want: "unknown the content", commits: 1, noMD5: true},
	} {
		for _, blocks := range []bool{false, true} {
			if blocks && c.noMD5 {
				continue // then the copy has none, and the marker tells
			}
			w := newWriteWorld(t, nil, nil)
			session := w.connect(t, "alice")
			w.putSource()
			if c.noMD5 {
				w.storage.Update("docs", "source.txt", func(p *blobtest.Properties) { p.MD5 = nil })
			}
			c.fault.Operation = blobtest.OpPutBlobFromURL
			looks := 1 // before the copy: at the source, and with blocks at the copy
			if blocks {
				w.inBlocks()
				c.fault.Operation, looks = blobtest.OpPutBlockList, 2
			}
			if c.looked != nil {
				onNth(w, blobtest.OpGetBlobProperties, looks+1, func() { c.looked(w) })
			}
			w.storage.Fail(c.fault)
			w.storage.ForgetRequests()
			out := w.write(t, session, "copy_blob", args{"source_path": "source.txt", "blob_path": "a.txt"})
			commits := w.storage.Count(c.fault.Operation)
			w.storage.Fail()
			w.storage.OnRequest(nil)
			text := ""
			if out.Exists != nil && *out.Exists {
				text = readText(t, session, "a.txt")
			}
			if got := out.Outcome + " " + text; got != c.want || commits != c.commits || strings.Contains(out.Message, "mark") != c.noMD5 {
				t.Errorf("%s, blocks %t: got %q after %d commits (%s); want %q after %d", name, blocks, got, commits, out.Message, c.want, c.commits)
			}
		}
	}
}

// An overwrite by a copy asks like any other.
func TestCopyBlobConfirm(t *testing.T) {
	t.Parallel()
	for name, confirm := range map[string]blobtool.ConfirmFunc{
		"nobody": nil,
		"no": func(_ context.Context, q blobtool.Question) (bool, error) {
			if q.Tool != "copy_blob" || q.Action != blobtool.ActionOverwrite || !strings.Contains(q.Text, "source.txt") || q.ETag == "" {
				t.Errorf("question %+v", q)
			}
			return false, nil
		},
	} {
		w := newWriteWorld(t, nil, func(o *blobtool.WriteOptions) { o.Confirm = confirm })
		session := w.connect(t, "alice")
		w.putSource()
		w.storage.Put("docs", "b.txt", []byte("old"), "text/plain")
		etag := statOf(t, session, "b.txt").ETag
		if out := w.write(t, session, "copy_blob", args{"source_path": "source.txt", "blob_path": "b.txt", "if_match": etag}); out.Reason != "not_confirmed" || readText(t, session, "b.txt") != "old" {
			t.Errorf("%s: got %+v, want refused", name, out)
		}
	}
}

// A copy may take longer than the service may be silent otherwise. The clock is a bubble's.
func TestCopyBlobSlow(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, nil, nil)
	w.putSource()
	const slow = 10 * time.Minute
	delay := func(r *http.Request) time.Duration {
		if r.Method == http.MethodPut {
			return slow
		}
		return 0
	}
	newSet := func(client *http.Client) (*blobtool.Set, error) {
		return blobtool.New(w.storage.URL(), "docs", w.findCredential, &blobtool.Options{HTTPClient: client, Timeout: time.Hour, Write: &blobtool.WriteOptions{Allow: []string{"docs"}}})
	}
	w.inBubble(t, newSet, delay, nil, func(t *testing.T, session *mcp.ClientSession) {
		began := time.Now()
		w.wrote(t, session, "copy_blob", args{"source_path": "source.txt", "blob_path": "a.txt"})
		if took := time.Since(began); took != slow {
			t.Errorf("the copy took %v, want one request of %v", took, slow)
		}
		if out := w.write(t, session, "write_blob", args{"blob_path": "b.txt", "text": "x"}); out.Outcome != "unknown" {
			t.Errorf("another write that is as slow: got %+v, want it given up", out)
		}
	})
}
