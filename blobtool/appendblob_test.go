package blobtool_test

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

func TestWriteAppend(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, nil, nil)
	session := w.connect(t, "alice")
	made := w.wrote(t, session, "append_blob", args{"blob_path": "a.log", "create": true, "text": "one\n", "content_type": "text/plain", "metadata": args{"Author": "alice"}})
	text, stat := w.content(t, session, "a.log")
	if made.Action != "created" || *made.Size != 4 || made.ETag != stat.ETag || !made.Undo.Possible || text != "one\n" ||
		stat.BlobType != "AppendBlob" || stat.ContentType != "text/plain" || len(stat.Metadata) != 1 || stat.Metadata["author"] != "alice" {
		t.Errorf("create: got %+v with %q, %+v", made, text, stat)
	}
	w.storage.ForgetRequests()
	out := w.wrote(t, session, "append_blob", args{"blob_path": "a.log", "text": "two\n"})
	if out.Action != "appended" || *out.Size != 8 || out.Undo.Possible || !strings.Contains(out.Message, "offset 4") || len(w.storage.Requests()) != 2 {
		t.Errorf("append: got %+v after %d requests, want 2", out, len(w.storage.Requests()))
	}
	for _, r := range w.storage.Requests() {
		if r.Operation == blobtest.OpAppendBlock && (r.Header("x-ms-content-crc64") == "" || r.Header("x-ms-blob-condition-appendpos") != "4" || r.Header("If-Match") == "") {
			t.Errorf("an Append Block lacks its CRC64, position or ETag")
		}
	}
	out = w.wrote(t, session, "append_blob", args{"blob_path": "a.log", "base64": "dGhyZWUK", "if_match": out.ETag})
	if text, stat := w.content(t, session, "a.log"); text != "one\ntwo\nthree\n" || stat.ETag != out.ETag || stat.Metadata["author"] != "alice" {
		t.Errorf("got %q, %+v", text, stat)
	}
	if again := w.write(t, session, "append_blob", args{"blob_path": "a.log", "create": true, "text": "x"}); again.Reason != "exists" || again.ETag != out.ETag {
		t.Errorf("create again: got %+v, want refused", again)
	}
	if empty := w.wrote(t, session, "append_blob", args{"blob_path": "b.log", "create": true}); *empty.Size != 0 || empty.ETag == "" {
		t.Errorf("create without content: got %+v", empty)
	}
}

func TestWriteAppendRefusals(t *testing.T) {
	t.Parallel()
	logs := func(w *world) { w.storage.PutAppend("docs", "a.log", []byte("one\n"), "text/plain", 1) }
	change := func(f func(*blobtest.Properties)) func(*world) {
		return func(w *world) { logs(w); w.storage.Update("docs", "a.log", f) }
	}
	for name, c := range map[string]struct {
		before       func(*world)
		a            args
		reason, says string
	}{
		"nothing there":    {nil, args{}, "not_found", "with create"},
		"another type":     {func(w *world) { w.storage.Put("docs", "a.log", []byte("x"), "") }, args{}, "unsupported", "BlockBlob"},
		"another etag":     {logs, args{"if_match": "0x1"}, "changed", "0x1"},
		"etag, gone":       {nil, args{"if_match": "0x1"}, "not_found", "not there"},
		"no content":       {logs, args{"text": ""}, "invalid_argument", "nothing to append"},
		"two contents":     {logs, args{"base64": "eA=="}, "invalid_argument", "either"},
		"large":            {logs, args{"text": strings.Repeat("x", 101)}, "too_large", "100 bytes"},
		"grows too large":  {logs, args{"text": strings.Repeat("x", 97)}, "too_large", "larger than 100"},
		"create and etag":  {nil, args{"create": true, "if_match": "0x1"}, "invalid_argument", "only one"},
		"type alone":       {logs, args{"content_type": "text/plain"}, "invalid_argument", "create"},
		"metadata alone":   {logs, args{"metadata": args{"a": "b"}}, "invalid_argument", "create"},
		"create html":      {nil, args{"create": true, "content_type": "text/html"}, "unsupported", "text/html"},
		"create, bad name": {nil, args{"create": true, "blob_path": "a./b"}, "invalid_path", "dot"},
		"create, marker":   {nil, args{"create": true, "metadata": args{"MCPEntra_write": "x"}}, "invalid_argument", "reserved"},
		"html":             {func(w *world) { w.storage.PutAppend("docs", "a.log", nil, "text/html", 0) }, args{}, "unsupported", "text/html"},
		"encoded":          {change(func(p *blobtest.Properties) { p.ContentEncoding = "gzip" }), args{}, "unsupported", "gzip"},
		"another charset":  {change(func(p *blobtest.Properties) { p.ContentType = "text/plain; charset=utf-16" }), args{}, "unsupported", "utf-16"},
		"lease":            {change(func(p *blobtest.Properties) { p.LeaseState, p.LeaseDuration = "leased", "infinite" }), args{}, "locked", "until it is released"},
		"hold":             {func(w *world) { logs(w); w.storage.SetLegalHold("docs", "", true) }, args{}, "locked", "legal hold"},
		"50,000 blocks":    {func(w *world) { w.storage.PutAppend("docs", "a.log", []byte("x"), "text/plain", 50_000) }, args{}, "too_large", "50,000"},
		"role": {func(w *world) {
			logs(w)
			w.storage.Revoke(w.alice.ObjectID)
			w.storage.Grant(w.alice.ObjectID, "docs", "")
		}, args{}, "permission", "Contributor"},
		"role, create": {func(w *world) { w.storage.Revoke(w.alice.ObjectID) }, args{"create": true}, "permission", "Contributor"},
		"deleted meanwhile": {func(w *world) {
			logs(w)
			onNth(w, blobtest.OpAppendBlock, 1, func() { w.storage.Delete("docs", "a.log") })
		}, args{}, "not_found", "not there"},
		"etag, appended meanwhile": {func(w *world) {
			onNth(w, blobtest.OpAppendBlock, 1, func() { w.storage.Append("docs", "a.log", []byte("x")) })
		}, args{"if_match": "current"}, "changed", "has changed since"},
		"leased meanwhile": {func(w *world) {
			logs(w)
			onNth(w, blobtest.OpAppendBlock, 1, func() {
				w.storage.Update("docs", "a.log", func(p *blobtest.Properties) { p.LeaseState = "leased" })
			})
		}, args{}, "locked", "lease"},
	} {
		w := newWriteWorld(t, nil, func(o *blobtool.WriteOptions) { o.MaxBytes = 100 })
		session := w.connect(t, "alice")
		a := args{"blob_path": "a.log", "text": "two\n"}
		maps.Copy(a, c.a)
		if a["if_match"] == "current" {
			logs(w)
			a["if_match"] = statOf(t, session, "a.log").ETag
		}
		if c.before != nil {
			c.before(w)
		}
		if out := w.write(t, session, "append_blob", a); out.Outcome != "refused" || out.Reason != c.reason || !strings.Contains(out.Message, c.says) {
			t.Errorf("%s: got %s, %q (%s); want refused, %q, with %q", name, out.Outcome, out.Reason, out.Message, c.reason, c.says)
		}
	}
}

// sealing answers as if all blobs were sealed, which blobtest does not play.
type sealing struct{ next http.RoundTripper }

func (h sealing) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := h.next.RoundTrip(r)
	if err == nil && r.Method == http.MethodHead {
		resp.Header.Set("X-Ms-Blob-Sealed", "true")
	}
	return resp, err
}

func TestWriteAppendSealed(t *testing.T) {
	t.Parallel()
	w := newWorldOn(t, nil, func(o *blobtool.Options) {
		o.DownloadDir, o.HTTPClient = "", &http.Client{Transport: sealing{o.HTTPClient.Transport}}
		o.Write = &blobtool.WriteOptions{Allow: []string{"docs"}}
	})
	w.storage.GrantContributor(w.alice.ObjectID, "docs", "")
	w.storage.PutAppend("docs", "a.log", []byte("x"), "text/plain", 1)
	out := w.write(t, w.connect(t, "alice"), "append_blob", args{"blob_path": "a.log", "text": "y"})
	if out.Reason != "locked" || !strings.Contains(out.Message, "sealed") || w.storage.Count(blobtest.OpAppendBlock) != 0 {
		t.Errorf("got %+v, want it refused before it is sent", out)
	}
}

// A lost answer is never taken for done, and content is never appended twice.
func TestWriteAppendFaults(t *testing.T) {
	t.Parallel()
	block := func(f blobtest.Fault) []blobtest.Fault {
		f.Operation = blobtest.OpAppendBlock
		return []blobtest.Fault{f}
	}
	lost := block(blobtest.Fault{Served: true, Drop: true, Times: 1})
	other := func(s string) func(*world) { return func(w *world) { w.storage.Append("docs", "a.log", []byte(s)) } }
	for name, c := range map[string]struct {
		faults     []blobtest.Fault
		meanwhile  func(*world) // before the look after the first answer
		outcome    string
		text, says string
	}{
		"cut after the commit":      {lost, nil, "unknown", "one\ntwo\n", "present at offset 4, perhaps by another writer"},
		"cut before the commit":     {block(blobtest.Fault{Drop: true, Times: 1}), nil, "done", "one\ntwo\n", "offset 4"},
		"cut in the body":           {block(blobtest.Fault{CutUpload: 1, Times: 1}), nil, "done", "one\ntwo\n", "offset 4"},
		"500 after the commit":      {block(blobtest.Fault{Served: true, Status: 500, Code: "InternalError", Times: 1}), nil, "unknown", "one\ntwo\n", "present at offset 4"},
		"503, twice":                {block(blobtest.Fault{Status: 503, Code: "ServerBusy", Times: 2}), nil, "done", "one\ntwo\n", "offset 4"},
		"503 for good":              {block(blobtest.Fault{Status: 503, Code: "ServerBusy"}), nil, "refused", "one\n", "busy"},
		"500 for good":              {block(blobtest.Fault{Status: 500, Code: "InternalError"}), nil, "unknown", "one\n", "if_match"},
		"committed, then another's": {lost, other("three\n"), "unknown", "one\ntwo\nthree\n", "present at offset 4"},
		"not committed, another's":  {block(blobtest.Fault{Drop: true, Times: 1}), other("three\n"), "unknown", "one\nthree\n", "Something else is at offset 4"},
		"the same by another":       {block(blobtest.Fault{Drop: true, Times: 1}), other("two\n"), "unknown", "one\ntwo\n", "perhaps by another writer"},
		"shorter by another":        {block(blobtest.Fault{Drop: true, Times: 1}), other("t"), "unknown", "one\nt", "Something else"},
		"committed, then deleted":   {lost, func(w *world) { w.storage.Delete("docs", "a.log") }, "unknown", "", "gone"},
		"the look fails":            {append(lost, blobtest.Fault{Operation: blobtest.OpGetBlobProperties, Skip: 1, Status: 503, Code: "ServerBusy"}), nil, "unknown", "one\ntwo\n", "could not be read"},
		"the read fails":            {append(lost, blobtest.Fault{Operation: blobtest.OpGetBlob, Status: 503, Code: "ServerBusy"}), nil, "unknown", "one\ntwo\n", "read_blob"},
	} {
		w := newWriteWorld(t, nil, nil)
		session := w.connect(t, "alice")
		w.storage.PutAppend("docs", "a.log", []byte("one\n"), "text/plain", 1)
		if c.meanwhile != nil {
			onNth(w, blobtest.OpGetBlobProperties, 2, func() { c.meanwhile(w) })
		}
		w.storage.Fail(c.faults...)
		out := w.write(t, session, "append_blob", args{"blob_path": "a.log", "text": "two\n"})
		w.storage.Fail()
		w.storage.OnRequest(nil)
		text := ""
		if !strings.Contains(out.Message, "gone") {
			text = readText(t, session, "a.log")
		}
		if out.Outcome != c.outcome || text != c.text || !strings.Contains(out.Message, c.says) {
			t.Errorf("%s: got %s (%s) with %q; want %s with %q, %q", name, out.Outcome, out.Message, text, c.outcome, c.says, c.text)
		}
	}
}

// create takes two requests: what is left of a half is said.
func TestWriteAppendCreateFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		faults     []blobtest.Fault
		meanwhile  func(*world) // before the first append
		outcome    string
		text, says string
	}{
		"made, answer lost": {[]blobtest.Fault{{Operation: blobtest.OpPutBlob, Served: true, Drop: true, Times: 1}}, nil, "done", "one\n", "4 bytes were appended at offset 0"},
		"no append":         {[]blobtest.Fault{{Operation: blobtest.OpAppendBlock, Status: 503, Code: "ServerBusy"}}, nil, "unknown", "", "was created, but"},
		"append lost":       {[]blobtest.Fault{{Operation: blobtest.OpAppendBlock, Served: true, Drop: true, Times: 1}}, nil, "unknown", "one\n", "present at offset 0"},
		"another appends":   {nil, func(w *world) { w.storage.Append("docs", "a.log", []byte("zero\n")) }, "done", "zero\none\n", "created"},
	} {
		w := newWriteWorld(t, nil, nil)
		session := w.connect(t, "alice")
		if c.meanwhile != nil {
			onNth(w, blobtest.OpAppendBlock, 1, func() { c.meanwhile(w) })
		}
		w.storage.Fail(c.faults...)
		out := w.write(t, session, "append_blob", args{"blob_path": "a.log", "text": "one\n", "create": true})
		w.storage.Fail()
		w.storage.OnRequest(nil)
		if text := readText(t, session, "a.log"); out.Outcome != c.outcome || text != c.text || !strings.Contains(out.Message, c.says) || out.ETag == "" ||
			out.Undo != nil && out.Undo.Possible != (c.meanwhile == nil) { // deleting the blob would delete another's
			t.Errorf("%s: got %+v with %q; want %s with %q, %q", name, out, text, c.outcome, c.says, c.text)
		}
	}
}

// A blob that this call has made may have another's content by now. Deleting it is then no undo.
func TestWriteAppendCreateShared(t *testing.T) {
	t.Parallel()
	lost := blobtest.Fault{Operation: blobtest.OpPutBlob, Served: true, Drop: true, Times: 1}
	add := func(w *world) { w.storage.Append("docs", "a.log", []byte("other's\n")) }
	replace := func(w *world) {
		w.storage.Delete("docs", "a.log")
		w.storage.PutAppend("docs", "a.log", []byte("other's\n"), "text/plain", 1)
	}
	remove := func(w *world) { w.storage.Delete("docs", "a.log") }
	for name, c := range map[string]struct {
		fault     blobtest.Fault
		before    blobtest.Operation
		meanwhile func(*world)
		content   string
		outcome   string
		text      string
		possible  bool
	}{
		"nobody":                    {blobtest.Fault{}, blobtest.OpAppendBlock, func(*world) {}, "one\n", "done", "one\n", true},
		"nobody, answer lost":       {lost, blobtest.OpGetBlobProperties, func(*world) {}, "one\n", "done", "one\n", true},
		"before the append":         {blobtest.Fault{}, blobtest.OpAppendBlock, add, "one\n", "done", "other's\none\n", false},
		"answer lost":               {lost, blobtest.OpGetBlobProperties, add, "one\n", "done", "other's\none\n", false},
		"answer lost, no content":   {lost, blobtest.OpGetBlobProperties, add, "", "done", "other's\n", false},
		"replaced":                  {blobtest.Fault{}, blobtest.OpAppendBlock, replace, "one\n", "unknown", "other's\n", false},
		"deleted before the append": {blobtest.Fault{}, blobtest.OpAppendBlock, remove, "one\n", "unknown", "", false},
	} {
		w := newWriteWorld(t, nil, nil)
		session := w.connect(t, "alice")
		onNth(w, c.before, 1, func() { c.meanwhile(w) })
		w.storage.Fail(c.fault)
		out := w.write(t, session, "append_blob", args{"blob_path": "a.log", "create": true, "text": c.content})
		w.storage.Fail()
		w.storage.OnRequest(nil)
		text := ""
		if *out.Exists {
			text = readText(t, session, "a.log")
		}
		if strings.Contains(out.Message, "Nothing was changed") {
			t.Errorf("%s: got %q, but a blob was made", name, out.Message)
		}
		if out.Outcome != c.outcome || text != c.text || (out.ETag != "") != *out.Exists || (out.Outcome == "done") != (out.Undo != nil) || out.Undo != nil && out.Undo.Possible != c.possible {
			t.Errorf("%s: got %+v, undo %+v, with %q; want %s with %q, an undo: %t", name, out, out.Undo, text, c.outcome, c.text, c.possible)
		}
		if c.content == "" && (out.Size != nil || len(out.Notes) != 1) {
			t.Errorf("%s: got %+v, want no size, and a note", name, out)
		}
	}
}

// Agents that append to one blob lose nothing, and nothing is there twice.
func TestWriteAppendByMany(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, nil, nil)
	w.storage.PutAppend("docs", "a.log", nil, "text/plain", 0)
	faults := make([]blobtest.Fault, 0, 5)
	for i := range 5 {
		faults = append(faults, blobtest.Fault{Operation: blobtest.OpAppendBlock, Skip: 7 * i, Times: 1, Served: true, Drop: true})
	}
	w.storage.Fail(faults...)
	const agents, each = 3, 20
	var wait sync.WaitGroup
	outcomes := make([][]string, agents)
	for i := range agents {
		session := w.connect(t, "alice")
		wait.Go(func() {
			for n := range each {
				out := w.write(t, session, "append_blob", args{"blob_path": "a.log", "text": fmt.Sprintf("agent %d, line %d\n", i, n)})
				outcomes[i] = append(outcomes[i], out.Outcome)
			}
		})
	}
	wait.Wait()
	w.storage.Fail()
	text, done := readText(t, w.connect(t, "alice"), "a.log"), 0
	for i, list := range outcomes {
		for n, outcome := range list {
			count := strings.Count(text, fmt.Sprintf("agent %d, line %d\n", i, n))
			if outcome == "done" {
				done++
			}
			if outcome == "done" && count != 1 || outcome == "refused" && count != 0 || count > 1 {
				t.Errorf("agent %d, line %d: the result is %s, and the line is there %d times", i, n, outcome, count)
			}
		}
	}
	if done < agents*each*3/4 {
		t.Errorf("%d of %d appends were done, want more", done, agents*each)
	}
}
