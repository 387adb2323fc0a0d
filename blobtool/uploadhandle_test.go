package blobtool_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// With pieces, write_blob has more arguments and results.
func TestUploadSchema(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, nil, inPieces)
	for _, tool := range listTools(t, w.connect(t, "alice")).Tools {
		if tool.Name == "write_blob" {
			wantGolden(t, "write_blob_pieces", tool)
		}
	}
}

// Refusals that need no request to Azure.
func TestUploadArguments(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, nil, inPieces)
	session := w.connect(t, "alice")
	a := args{"blob_path": "a.txt", "content_type": "text/plain", "metadata": args{"a": "1"}, "tags": args{"b": "2"}}
	first := w.staged(t, session, plus(a, args{"text": "one"}))
	w.staged(t, session, goesOn(first, plus(a, args{"text": "two"}))) // settings may be repeated
	w.storage.ForgetRequests()
	next := goesOn(first, args{"blob_path": "a.txt", "text": "two"})
	mb := strings.Repeat("x", 1<<20)
	for name, c := range map[string]struct {
		a            args
		reason, says string
	}{
		"empty piece":            {plus(next, args{"text": "", "more": true}), "invalid_argument", "must have content"},
		"empty first piece":      {args{"blob_path": "a.txt", "text": "", "more": true}, "invalid_argument", "must have content"},
		"no content":             {args{"blob_path": "a.txt", "upload": first.Upload, "offset": 3}, "invalid_argument", "text or base64"},
		"offset without upload":  {args{"blob_path": "a.txt", "text": "x", "offset": 3}, "invalid_argument", "together with upload"},
		"upload without offset":  {args{"blob_path": "a.txt", "text": "x", "upload": first.Upload}, "invalid_argument", "offset 3"},
		"offset before":          {plus(next, args{"offset": 0}), "invalid_argument", "offset 3"},
		"offset after":           {plus(next, args{"offset": 4}), "invalid_argument", "offset 3"},
		"another type":           {plus(next, args{"content_type": "text/csv"}), "invalid_argument", "content_type differs"},
		"other metadata":         {plus(next, args{"metadata": args{"a": "2"}}), "invalid_argument", "metadata differs"},
		"other tags":             {plus(next, args{"tags": args{}}), "invalid_argument", "tags differs"},
		"another etag":           {plus(next, args{"if_match": "0x1"}), "invalid_argument", "if_match differs"},
		"drop_tags later":        {plus(next, args{"drop_tags": true}), "invalid_argument", "drop_tags differs"},
		"drop_tags of a new one": {args{"blob_path": "b.txt", "text": "x", "more": true, "drop_tags": true}, "invalid_argument", "if_match"},
		"not a handle":           {plus(next, args{"upload": "x"}), "invalid_argument", "copied exactly"},
		"long":                   {plus(next, args{"upload": strings.Repeat("A", 1<<20)}), "invalid_argument", "copied exactly"},
		"changed":                {plus(next, args{"upload": first.Upload[:len(first.Upload)-1] + "x"}), "invalid_argument", "copied exactly"},
		"another blob":           {plus(next, args{"blob_path": "b.txt"}), "invalid_argument", "another user or blob"},
		"html":                   {args{"blob_path": "a.html", "text": "x", "more": true}, "unsupported", ""},
		"one call too large":     {args{"blob_path": "a.txt", "text": mb + "x"}, "too_large", "in pieces"},
		"piece too large":        {plus(next, args{"text": mb + "x", "more": true}), "too_large", "in pieces"},
	} {
		out := w.write(t, session, "write_blob", c.a)
		if out.Outcome != "refused" || out.Reason != c.reason || !strings.Contains(out.Message, c.says) {
			t.Errorf("%s: got %s, %s (%s); want refused, %s, %q", name, out.Outcome, out.Reason, out.Message, c.reason, c.says)
		}
	}
	if n := len(w.storage.Requests()); n != 0 {
		t.Errorf("%d requests were sent, want none", n)
	}
	for range 4 {
		first = w.write(t, session, "write_blob", plus(goesOn(first, args{"blob_path": "a.txt", "text": mb}), args{"more": true}))
	}
	if first.Reason != "too_large" || !strings.Contains(first.Message, "4194307") {
		t.Errorf("more than MaxBytes in all: got %+v", first)
	}
	plain := newWriteWorld(t, nil, nil)
	if out, err := plain.set.Write(t.Context(), plain.request("alice"), blobtool.WriteInput{BlobPath: "a.txt", Text: new("x"), More: true}); err == nil || !strings.Contains(out.Message+err.Error(), "no content in pieces") {
		t.Errorf("without pieces: got %+v, %v", out, err)
	}
}

// Who may go on with an upload, where and how long.
func TestUploadHandles(t *testing.T) {
	t.Parallel()
	clock := &clock{now: time.Now()}
	w, o := newStorage(t, nil, func(o *blobtool.Options) {
		o.DownloadDir, o.Now = "", clock.Now
		o.Write = &blobtool.WriteOptions{Allow: []string{"docs"}, MaxBytes: 4 << 20, Confirm: yes}
	})
	w.storage.GrantContributor(w.alice.ObjectID, "docs", "")
	w.storage.GrantContributor(w.bob.ObjectID, "docs", "")
	replica := func(keys ...byte) *blobtool.Set {
		own := *o.Write
		for _, k := range keys {
			own.StateKeys = append(own.StateKeys, bytes.Repeat([]byte{k}, 32))
		}
		options := *o
		options.Write = &own
		set, err := blobtool.New(w.storage.URL(), "docs", w.findCredential, &options)
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	one, same, rotated, other, random := replica(1), replica(1), replica(2, 1), replica(3), replica()
	w2, o2 := newStorage(t, nil, nil)
	o2.DownloadDir, o2.Write = "", &blobtool.WriteOptions{Allow: []string{"docs"}, MaxBytes: 4 << 20, StateKeys: [][]byte{bytes.Repeat([]byte{1}, 32)}}
	elsewhere, err := blobtool.New(w2.storage.URL(), "docs", w.findCredential, o2)
	if err != nil {
		t.Fatal(err)
	}
	ctx, alice, bob := context.Background(), w.request("alice"), w.request("bob")
	begin := func(set *blobtool.Set, blob string) string {
		out, err := set.Write(ctx, alice, blobtool.WriteInput{BlobPath: blob, Text: new("one "), More: true})
		if err != nil {
			t.Fatal(err)
		}
		return out.Upload
	}
	for name, c := range map[string]struct {
		from, to *blobtool.Set
		user     string
		later    time.Duration
		want     string
	}{
		"the same replica":                {one, one, "alice", 0, ""},
		"another replica":                 {one, same, "alice", 0, ""},
		"another replica with a new key":  {one, rotated, "alice", 0, ""},
		"another replica with other keys": {one, other, "alice", 0, "not valid here"},
		"replicas without keys":           {random, replica(), "alice", 0, "not valid here"},
		"another account":                 {one, elsewhere, "alice", 0, "not valid here"},
		"another user":                    {one, one, "bob", 0, "not valid here"},
		"almost too late":                 {one, one, "alice", 24*time.Hour - 2*time.Second, ""},
		"too late":                        {one, one, "alice", 24 * time.Hour, "expired"},
	} {
		clock.pass(5 * time.Minute) // uploads before don't count
		handle, user := begin(c.from, name), alice
		if c.user == "bob" {
			user = bob
		}
		clock.pass(c.later)
		_, err := c.to.Write(ctx, user, blobtool.WriteInput{BlobPath: name, Text: new("two"), Upload: handle, Offset: new(int64(4))})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// A user has a few uploads at a time.
func TestUploadsOfAUser(t *testing.T) {
	t.Parallel()
	clock := &clock{now: time.Now()}
	w := newWorldOn(t, nil, func(o *blobtool.Options) {
		o.DownloadDir, o.Now = "", clock.Now
		o.Write = &blobtool.WriteOptions{Allow: []string{"docs"}, MaxBytes: 4 << 20, UserPerMinute: -1, Confirm: yes}
	})
	w.storage.GrantContributor(w.alice.ObjectID, "docs", "")
	w.storage.GrantContributor(w.bob.ObjectID, "docs", "")
	alice, bob := w.connect(t, "alice"), w.connect(t, "bob")
	var uploads []writeOutput
	blob := func(i int) args { return args{"blob_path": fmt.Sprintf("%d.txt", i), "text": "x"} }
	for i := range 4 {
		uploads = append(uploads, w.staged(t, alice, blob(i)))
		w.staged(t, alice, blob(i)) // the same again takes no place
	}
	blocks := w.storage.Count(blobtest.OpPutBlock)
	if out := w.write(t, alice, "write_blob", plus(blob(4), args{"more": true})); out.Reason != "throttled" || w.storage.Count(blobtest.OpPutBlock) != blocks {
		t.Errorf("one more: got %+v, want throttled before anything is staged", out)
	}
	w.staged(t, bob, blob(5)) // others don't wait
	w.wrote(t, alice, "write_blob", goesOn(uploads[0], blob(0)))
	w.staged(t, alice, blob(4)) // one has ended
	if out := w.write(t, alice, "write_blob", plus(blob(6), args{"more": true})); out.Reason != "throttled" {
		t.Errorf("one more again: got %+v, want throttled", out)
	}
	w.storage.Put("docs", "1.txt", []byte("other's"), "text/plain")
	if out := w.write(t, alice, "write_blob", goesOn(uploads[1], blob(1))); out.Reason != "exists" {
		t.Errorf("a conflict: got %+v, want exists", out)
	}
	w.staged(t, alice, blob(6)) // one can't end any more
	clock.pass(5 * time.Minute)
	w.storage.Fail(blobtest.Fault{Operation: blobtest.OpPutBlock, Status: 403, Code: "AuthorizationPermissionMismatch", Times: 4})
	for i := range 4 {
		if out := w.write(t, alice, "write_blob", plus(blob(20+i), args{"more": true})); out.Reason != "permission" {
			t.Errorf("the first piece is refused: got %+v, want permission", out)
		}
	}
	for i := range 4 {
		w.staged(t, alice, blob(10+i)) // idle ones don't count, nor do those that have not begun
	}
}

// The first piece is refused if nobody could confirm the last, and the last one asks.
func TestUploadConfirmed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		operator, user func() bool // nil: can't be asked
		first, last    string      // reasons, if refused
	}{
		"nobody to ask":      {first: "not_confirmed"},
		"the operator: no":   {operator: func() bool { return false }, last: "not_confirmed"},
		"the operator: yes":  {operator: func() bool { return true }},
		"the user: no":       {user: func() bool { return false }, last: "not_confirmed"},
		"the user: yes":      {user: func() bool { return true }},
		"one yes and one no": {operator: func() bool { return false }, user: func() bool { return true }, last: "not_confirmed"},
	} {
		asked, text := 0, ""
		w := newWriteWorld(t, nil, func(o *blobtool.WriteOptions) {
			inPieces(o)
			if o.Confirm = nil; c.operator != nil {
				o.Confirm = func(_ context.Context, q blobtool.Question) (bool, error) {
					asked++
					text = q.Text
					return c.operator(), nil
				}
			}
		})
		var options mcp.ClientOptions
		if c.user != nil {
			options.ElicitationHandler = func(_ context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
				asked++
				text = r.Params.Message
				return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"confirm": c.user()}}, nil
			}
		}
		session := w.connectWith(t, "alice", &options)
		w.storage.Put("docs", "a.txt", []byte("old"), "text/plain")
		out := w.write(t, session, "write_blob", args{"blob_path": "a.txt", "text": "new, ", "more": true, "if_match": statOf(t, session, "a.txt").ETag})
		if out.Reason != c.first || asked != 0 {
			t.Errorf("%s: the first piece: got %+v, asked %d times; want %q", name, out, asked, c.first)
		}
		if c.first != "" {
			continue
		}
		out = w.write(t, session, "write_blob", goesOn(out, args{"blob_path": "a.txt", "text": "whole"}))
		want := "new, whole"
		if c.last != "" {
			want = "old"
		}
		if out.Reason != c.last || asked == 0 || !strings.Contains(text, `(3 bytes) in container "docs" with 10 bytes`) || readText(t, session, "a.txt") != want {
			t.Errorf("%s: the last piece: got %+v, asked %d times (%s); want %q", name, out, asked, text, c.last)
		}
	}
}

// A blob that another makes and deletes between two pieces is not staged onto: it could not be
// undeleted any more.
func TestUploadOntoDeleted(t *testing.T) {
	t.Parallel()
	hierarchical := func(o *blobtest.Options) { softDelete(o); o.HierarchicalNamespace = true }
	refused := blobtest.Fault{Operation: blobtest.OpListBlobs, Status: 400, Code: "UnsupportedQueryParameter", Times: 1}
	for name, c := range map[string]struct {
		account func(*blobtest.Options)
		fault   *blobtest.Fault
	}{
		"flat":                      {softDelete, nil},
		"hierarchical":              {hierarchical, nil},
		"hierarchical, and says so": {hierarchical, &refused},
	} {
		w := newWriteWorld(t, c.account, inPieces)
		session := w.connect(t, "alice")
		first := w.staged(t, session, args{"blob_path": "a.txt", "text": "one"})
		w.storage.Put("docs", "a.txt", []byte("other's"), "text/plain")
		w.storage.Delete("docs", "a.txt")
		if c.fault != nil {
			w.storage.Fail(*c.fault)
		}
		out := w.write(t, session, "write_blob", goesOn(first, args{"blob_path": "a.txt", "text": "two", "more": true}))
		if blocks := w.storage.Count(blobtest.OpPutBlock); out.Reason != "locked" || blocks != 1 {
			t.Errorf("%s: got %+v after %d blocks, want locked after 1", name, out, blocks)
		}
		w.wrote(t, session, "undelete_blob", args{"blob_path": "a.txt"})
	}
}
