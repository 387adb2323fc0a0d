package blobtool_test

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"maps"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// inPieces allows content in pieces.
func inPieces(o *blobtool.WriteOptions) { o.MaxBytes = 4 << 20 }

// plus returns arguments and more of them.
func plus(a, more args) args {
	all := args{}
	maps.Copy(all, a)
	maps.Copy(all, more)
	return all
}

// goesOn returns the arguments of a piece that follows another one.
func goesOn(before writeOutput, a args) args {
	return plus(a, args{"upload": before.Upload, "offset": *before.Offset})
}

// staged calls write_blob with a piece that must be staged.
func (w *world) staged(t testing.TB, session *mcp.ClientSession, a args) writeOutput {
	t.Helper()
	out := w.write(t, session, "write_blob", plus(a, args{"more": true}))
	if out.Outcome != "done" || out.Action != "staged" || out.Upload == "" || out.Offset == nil || out.Undo == nil {
		t.Fatalf("got %+v, want a piece that is staged", out)
	}
	return out
}

func TestUpload(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, nil, inPieces)
	w.storage.GrantOwner(w.alice.ObjectID, "docs", "")
	session := w.connect(t, "alice")
	pieces := [][]byte{bytes.Repeat([]byte("a\n"), 512<<10), bytes.Repeat([]byte("bc\n"), 300_000), []byte("the end")}
	whole := bytes.Join(pieces, nil)
	settings := args{"content_type": "text/plain", "metadata": args{"Author": "Alice"}, "tags": args{"state": "final"}}
	upload := func(more args) writeOutput {
		first := w.staged(t, session, plus(settings, plus(more, args{"blob_path": "a.txt", "text": string(pieces[0])})))
		second := w.staged(t, session, goesOn(first, args{"blob_path": "a.txt", "base64": base64.StdEncoding.EncodeToString(pieces[1])}))
		if *second.Offset != int64(len(pieces[0])+len(pieces[1])) {
			t.Errorf("next_offset %d after two pieces", *second.Offset)
		}
		return w.wrote(t, session, "write_blob", goesOn(second, args{"blob_path": "a.txt", "text": string(pieces[2])}))
	}
	check := func(out writeOutput) {
		t.Helper()
		stat, sum := statOf(t, session, "a.txt"), md5.Sum(whole)
		if stat.ETag != out.ETag || *out.Size != int64(len(whole)) || stat.ContentType != "text/plain" || stat.Metadata["author"] != "Alice" || stat.Tags["state"] != "final" || stat.MD5 != base64.StdEncoding.EncodeToString(sum[:]) {
			t.Errorf("got %+v, result %+v", stat, out)
		}
		if got := readText(t, session, "a.txt"); !strings.HasPrefix(string(whole), got) {
			t.Errorf("the content begins with %.40q", got)
		}
	}

	before := w.staged(t, session, args{"blob_path": "b.txt", "text": "abandoned"})
	if *before.Exists || !strings.Contains(before.Message, "not written yet") {
		t.Errorf("a piece: got %+v", before)
	}
	out := upload(nil)
	check(out)
	if out.Action != "created" || !out.Undo.Possible {
		t.Errorf("created: got %+v", out)
	}
	out = upload(args{"if_match": out.ETag})
	check(out)
	if out.Action != "overwritten" {
		t.Errorf("overwritten: got %+v", out)
	}

	// An upload that nobody finishes shows nowhere.
	if text, err := w.refusedBy(t, session, "read_blob", args{"blob_path": "b.txt"}); err == nil {
		t.Errorf("read_blob of what is staged: %s", text)
	}
	if list := callFor[struct {
		Blobs []struct {
			Name string `json:"name"`
		} `json:"blobs"`
	}](t, session, "list_blobs", args{}); len(list.Blobs) != 1 {
		t.Errorf("list_blobs shows %v, want only a.txt", list.Blobs)
	}
	for _, r := range w.storage.Requests() {
		if r.Operation == blobtest.OpPutBlock && r.Header("x-ms-content-crc64") == "" {
			t.Errorf("a block has no CRC64")
		}
	}
	if n := w.storage.Count(blobtest.OpPutBlock); n != 7 {
		t.Errorf("%d blocks were sent, want 7", n)
	}
}

// What an overwrite keeps is what the blob has at the commit.
func TestUploadKeeps(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, nil, inPieces)
	w.storage.GrantOwner(w.alice.ObjectID, "docs", "")
	session := w.connect(t, "alice")
	w.storage.Put("docs", "a.txt", []byte("old"), "text/plain; charset=shift_jis")
	w.storage.Update("docs", "a.txt", func(p *blobtest.Properties) {
		p.ContentLanguage, p.Metadata = "ja", map[string]string{"project": "x"}
	})
	etag := statOf(t, session, "a.txt").ETag
	piece := w.staged(t, session, args{"blob_path": "a.txt", "text": "ne", "if_match": etag})
	w.storage.Update("docs", "a.txt", func(p *blobtest.Properties) { p.Tags = map[string]string{"state": "final"} }) // changes no ETag
	out := w.wrote(t, session, "write_blob", goesOn(piece, args{"blob_path": "a.txt", "text": "w"}))
	text, stat := w.content(t, session, "a.txt")
	if text != "new" || stat.Language != "ja" || stat.Metadata["project"] != "x" || stat.Tags["state"] != "final" || stat.ContentType != "text/plain; charset=utf-8" || out.ETag != stat.ETag {
		t.Errorf("got %q, %+v, want headers, metadata and tags kept", text, stat)
	}
	// Without the right to read tags, the first piece is refused already.
	w.storage.Revoke(w.alice.ObjectID)
	w.storage.GrantContributor(w.alice.ObjectID, "docs", "")
	if out := w.write(t, session, "write_blob", args{"blob_path": "a.txt", "text": "x", "more": true, "if_match": out.ETag}); out.Reason != "permission" || !strings.Contains(out.Message, "drop_tags") {
		t.Errorf("tags that can't be read: got %+v", out)
	}
	piece = w.staged(t, session, args{"blob_path": "a.txt", "text": "x", "if_match": out.ETag, "drop_tags": true})
	if out := w.wrote(t, session, "write_blob", goesOn(piece, args{"blob_path": "a.txt", "text": ""})); len(out.Notes) != 1 {
		t.Errorf("drop_tags: notes %q", out.Notes)
	}
}

// A call that is repeated, because its answer was lost, changes nothing more.
func TestUploadRepeats(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, nil, inPieces)
	session := w.connect(t, "alice")
	for name, old := range map[string]bool{"new": false, "overwritten": true} {
		a := args{"blob_path": name}
		settings := args{}
		if old {
			w.storage.Put("docs", name, []byte("old"), "text/plain")
			settings["if_match"] = statOf(t, session, name).ETag
		}
		w.staged(t, session, plus(plus(a, settings), args{"text": "another beginning"})) // never finished
		var first, second writeOutput
		for range 2 {
			first = w.staged(t, session, plus(plus(a, settings), args{"text": "one "}))
		}
		for range 2 {
			second = w.staged(t, session, goesOn(first, plus(a, args{"text": "two "})))
		}
		end := goesOn(second, plus(a, args{"text": "three"}))
		out := w.wrote(t, session, "write_blob", end)
		commits := w.storage.Count(blobtest.OpPutBlockList)
		again := w.wrote(t, session, "write_blob", end)
		if again.ETag != out.ETag || again.Action != out.Action || w.storage.Count(blobtest.OpPutBlockList) != commits {
			t.Errorf("%s: the last piece again: got %+v after %+v", name, again, out)
		}
		if text := readText(t, session, name); text != "one two three" {
			t.Errorf("%s: the content is %q", name, text)
		}
		if other := w.write(t, session, "write_blob", goesOn(second, plus(a, args{"text": "four"}))); other.Outcome != "refused" {
			t.Errorf("%s: another last piece: got %+v, want refused", name, other)
		}
		w.storage.Put("docs", name, []byte("other's"), "text/plain")
		if late := w.write(t, session, "write_blob", end); late.Outcome != "refused" || readText(t, session, name) != "other's" {
			t.Errorf("%s: the last piece after another's write: got %+v, want refused", name, late)
		}
	}
}

// An old handle makes a fork. Each fork is committed with its own content or not at all.
func TestUploadForks(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, nil, inPieces)
	session := w.connect(t, "alice")
	w.storage.Put("docs", "a.txt", []byte("old"), "text/plain")
	a := args{"blob_path": "a.txt"}
	first := w.staged(t, session, plus(a, args{"text": "0", "if_match": statOf(t, session, "a.txt").ETag}))
	one := w.staged(t, session, goesOn(first, plus(a, args{"text": "A1"})))
	two := w.staged(t, session, goesOn(first, plus(a, args{"text": "B1"})))
	deep := w.staged(t, session, goesOn(two, plus(a, args{"text": "B2"})))
	out := w.wrote(t, session, "write_blob", goesOn(one, plus(a, args{"text": "A2"})))
	if text := readText(t, session, "a.txt"); text != "0A1A2" || *out.Size != 5 {
		t.Errorf("the content is %q, want that of the fork that was committed", text)
	}
	for name, fork := range map[string]writeOutput{"the first": first, "the other": two, "the deep one": deep} {
		if out := w.write(t, session, "write_blob", goesOn(fork, plus(a, args{"text": "x"}))); out.Reason != "changed" {
			t.Errorf("%s fork: got %s, %q; want changed", name, out.Outcome, out.Reason)
		}
	}
	if text := readText(t, session, "a.txt"); text != "0A1A2" {
		t.Errorf("the content is %q afterwards", text)
	}
}

// What others do to the name before the first piece, or before the last.
func TestUploadConflicts(t *testing.T) {
	t.Parallel()
	type event func(testing.TB, *world)
	update := func(f func(*world)) event { return func(_ testing.TB, w *world) { f(w) } }
	put := update(func(w *world) { w.storage.Put("docs", "a.txt", []byte("other's"), "text/plain") })
	remove := update(func(w *world) { w.storage.Delete("docs", "a.txt") })
	lease := update(func(w *world) {
		w.storage.Update("docs", "a.txt", func(p *blobtest.Properties) { p.LeaseState, p.LeaseDuration = "leased", "infinite" })
	})
	block := func(id string) event {
		return func(t testing.TB, w *world) {
			id := base64.StdEncoding.EncodeToString([]byte(id))
			if _, err := w.bobsBlob(t).StageBlock(t.Context(), id, streaming.NopCloser(strings.NewReader("x")), nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	commit := func(t testing.TB, w *world) {
		if _, err := w.bobsBlob(t).CommitBlockList(t.Context(), nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	both := func(one, two event) event { return func(t testing.TB, w *world) { one(t, w); two(t, w) } }
	stage := func(who string) event {
		return func(t testing.TB, w *world) {
			w.bobsBlob(t)
			session := w.connect(t, who)
			a := args{"blob_path": "a.txt", "text": who}
			if stat, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "stat_blob", Arguments: args{"blob_path": "a.txt"}}); err == nil && !stat.IsError {
				a["if_match"] = statOf(t, session, "a.txt").ETag
			}
			w.staged(t, session, a)
		}
	}
	tagged := func(_ testing.TB, w *world) {
		w.storage.GrantOwner(w.alice.ObjectID, "docs", "")
		tag := func(value string) {
			w.storage.Update("docs", "a.txt", func(p *blobtest.Properties) { p.Tags = map[string]string{"state": value} })
		}
		tag("draft")
		onNth(w, blobtest.OpPutBlockList, 1, func() { tag("final") })
	}
	long := strings.Repeat("x", 52) // as long as ours
	for name, c := range map[string]struct {
		kind         func(*blobtest.Options)
		old          bool  // there is a blob to overwrite
		first, last  event // before the first piece, before the last
		reason, says string
		azure        bool // only Azure knows that it refuses the first piece
		again        bool // the same call is done then
	}{
		"nothing":                        {},
		"nothing, overwriting":           {old: true},
		"nothing, with versions":         {old: true, kind: func(o *blobtest.Options) { o.Versioning = true }},
		"nothing, hierarchical":          {kind: hierarchical},
		"own upload, abandoned":          {first: stage("alice")},
		"own upload, at the same time":   {old: true, last: stage("alice")},
		"write":                          {last: put, reason: "exists", says: "can't be finished"},
		"overwrite":                      {old: true, last: put, reason: "changed", says: "can't be finished"},
		"commit":                         {last: commit, reason: "exists"},
		"commit, then deleted":           {last: both(commit, remove), reason: "changed", says: "start again"},
		"deleted":                        {old: true, last: remove, reason: "not_found"},
		"there already":                  {first: put, reason: "exists"},
		"overwritten before":             {old: true, first: put, reason: "changed"},
		"tags, at the commit":            {old: true, last: tagged, reason: "changed", says: "Call again", again: true},
		"lease":                          {old: true, last: lease, reason: "locked", says: "can be repeated"},
		"lease before":                   {old: true, first: lease, reason: "locked", says: "lease"},
		"block":                          {first: block("short"), reason: "locked", says: "Another upload"},
		"block, overwriting":             {old: true, first: block("short"), reason: "locked", says: "Another upload"},
		"block of our length":            {first: block(long), reason: "locked", says: "Another upload"},
		"block of our length, later":     {last: block(long), reason: "locked", says: "Another upload"},
		"another user's upload":          {first: stage("bob"), reason: "locked", says: "Another upload"},
		"soft-deleted":                   {kind: softDelete, first: both(put, remove), reason: "locked", says: "undeleted"},
		"soft-deleted, another name":     {kind: softDelete, first: update(func(w *world) { w.storage.Put("docs", "a.txt2", nil, ""); w.storage.Delete("docs", "a.txt2") })},
		"append blob":                    {first: update(func(w *world) { w.storage.PutAppend("docs", "a.txt", []byte("x"), "text/plain", 1) }), reason: "exists"},
		"file of the Data Lake endpoint": {kind: hierarchical, old: true, reason: "unsupported", says: "Data Lake", azure: true},
		"retention":                      {old: true, first: update(func(w *world) { w.storage.SetRetention("docs", 1<<40) }), reason: "locked", says: "retention", azure: true},
		"no role": {old: true, first: update(func(w *world) { w.storage.Revoke(w.alice.ObjectID); w.storage.Grant(w.alice.ObjectID, "docs", "") }),
			reason: "permission", says: "Contributor", azure: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWriteWorld(t, c.kind, inPieces)
			session := w.connect(t, "alice")
			a := args{"blob_path": "a.txt"}
			if c.old {
				if w.storage.Put("docs", "a.txt", []byte("old"), "text/plain"); c.says == "Data Lake" {
					w.storage.PutFile("docs", "a.txt", []byte("old"), "text/plain")
				}
				a["if_match"] = statOf(t, session, "a.txt").ETag
			}
			if c.first != nil {
				c.first(t, w)
			}
			blocks := w.storage.Count(blobtest.OpPutBlock)
			out := w.write(t, session, "write_blob", plus(a, args{"text": "new, ", "more": true}))
			var last args
			early := c.azure || c.first != nil && c.reason != ""
			if early != (out.Outcome == "refused") {
				t.Fatalf("the first piece: got %s, %q (%s)", out.Outcome, out.Reason, out.Message)
			}
			if sent := w.storage.Count(blobtest.OpPutBlock) - blocks; early && !c.azure && sent != 0 {
				t.Errorf("%d blocks were sent", sent)
			}
			if !early {
				if c.last != nil {
					c.last(t, w)
				}
				last = goesOn(out, plus(a, args{"text": "whole"}))
				out = w.write(t, session, "write_blob", last)
			}
			if out.Reason != c.reason || !strings.Contains(out.Message, c.says) || (out.Outcome == "done") != (c.reason == "") {
				t.Fatalf("got %s, %q (%s); want %q, %q", out.Outcome, out.Reason, out.Message, c.reason, c.says)
			}
			if c.again {
				if strings.Contains(out.Message, "can't be finished") {
					t.Errorf("the message is %s", out.Message)
				}
				out = w.wrote(t, session, "write_blob", last)
			}
			if out.Outcome == "done" && readText(t, session, "a.txt") != "new, whole" {
				t.Errorf("the content is %q", readText(t, session, "a.txt"))
			}
		})
	}
}

func softDelete(o *blobtest.Options)   { o.SoftDeleteDays = 7 }
func hierarchical(o *blobtest.Options) { o.HierarchicalNamespace = true }

// bobsBlob is a client of another program for the blob a.txt, which acts for Bob.
func (w *world) bobsBlob(t testing.TB) *blockblob.Client {
	t.Helper()
	w.storage.GrantContributor(w.bob.ObjectID, "docs", "")
	cred := tokenFunc(func(policy.TokenRequestOptions) (string, error) {
		return tenant.Token(w.bob, w.client, tenant.Storage(), "user_impersonation"), nil
	})
	client, err := blockblob.NewClient(w.storage.URL()+"/docs/a.txt", cred, &blockblob.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: w.storage.HTTPClient()}})
	if err != nil {
		t.Fatal(err)
	}
	return client
}
