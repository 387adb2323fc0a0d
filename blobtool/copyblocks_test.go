package blobtool_test

import (
	"context"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// Blocks: lost and throttled requests are repeated; another's upload and a deleted blob are left
// alone; a canceled call leaves nothing to read.
func TestCopyBlobInBlocks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change       func(*world)
		reason, says string
	}{
		"cut": {func(w *world) {
			w.storage.Fail(blobtest.Fault{Operation: blobtest.OpPutBlockFromURL, Served: true, Drop: true, Times: 1})
		}, "", ""},
		"throttled": {func(w *world) {
			w.storage.Fail(blobtest.Fault{Operation: blobtest.OpPutBlockFromURL, Status: 503, Code: "ServerBusy", Times: 2})
		}, "", ""},
		"failing": {func(w *world) {
			w.storage.Fail(blobtest.Fault{Operation: blobtest.OpPutBlockFromURL, Status: 500, Code: "InternalError"})
		}, "unavailable", "failed"},
		"another's upload": {func(w *world) { w.stageFor(t) }, "locked", "Another upload"},
		"another's upload since": {func(w *world) {
			w.set.SetCopyLimits(3, 100)
			onNth(w, blobtest.OpPutBlockFromURL, 1, func() { w.stageFor(t) })
		}, "locked", "Another upload"},
		"blocks dropped": {func(w *world) {
			onNth(w, blobtest.OpPutBlockList, 1, func() { w.storage.Put("docs", "a.txt", []byte("x"), ""); w.storage.Delete("docs", "a.txt") })
		}, "changed", "start again"},
		"deleted": {func(w *world) { w.storage.Put("docs", "a.txt", []byte("x"), ""); w.storage.Delete("docs", "a.txt") }, "locked", "undelete"},
	} {
		w := newWriteWorld(t, func(o *blobtest.Options) { o.SoftDeleteDays = 7 }, nil)
		session := w.connect(t, "alice")
		w.putSource()
		w.inBlocks()
		statOf(t, session, "source.txt") // for a token
		c.change(w)
		out := w.write(t, session, "copy_blob", args{"source_path": "source.txt", "blob_path": "a.txt"})
		w.storage.Fail()
		w.storage.OnRequest(nil)
		if out.Reason != c.reason || !strings.Contains(out.Message, c.says) {
			t.Errorf("%s: got %s, %q (%s); want the reason %q and %q", name, out.Outcome, out.Reason, out.Message, c.reason, c.says)
		}
		if out.Outcome == "done" && readText(t, session, "a.txt") != "the content" {
			t.Errorf("%s: the copy has other content", name)
		}
	}
}

// What a copy of the same user has left does not stop the next one.
func TestCopyBlobAgain(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, nil, nil)
	session := w.connect(t, "alice")
	w.putSource()
	w.inBlocks()
	w.storage.Fail(blobtest.Fault{Operation: blobtest.OpPutBlockList, Status: 503, Code: "ServerBusy"})
	a := args{"source_path": "source.txt", "blob_path": "a.txt"}
	if out := w.write(t, session, "copy_blob", a); out.Reason != "throttled" || *out.Exists {
		t.Errorf("without a commit: got %+v, want throttled and no blob", out)
	}
	w.storage.Fail()
	w.storage.GrantContributor(w.bob.ObjectID, "docs", "")
	if out := w.write(t, w.connect(t, "bob"), "copy_blob", a); out.Reason != "locked" {
		t.Errorf("by another user: got %+v, want refused", out)
	}
	w.wrote(t, session, "copy_blob", a)
	if text := readText(t, session, "a.txt"); text != "the content" {
		t.Errorf("got %q, want the source's content", text)
	}
}

// A caller that is gone leaves nothing that reads and listings show.
func TestCopyBlobCanceled(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, nil, nil)
	session := w.connect(t, "alice")
	w.putSource()
	w.inBlocks()
	ctx, cancel := context.WithCancel(t.Context())
	onNth(w, blobtest.OpPutBlockFromURL, 2, cancel)
	if err := w.set.CopyWithin(ctx, w.userID("alice"), "source.txt", "a.txt"); err == nil {
		t.Error("the canceled copy succeeded")
	}
	w.storage.OnRequest(nil)
	if n := w.storage.Count(blobtest.OpPutBlockList); n != 0 {
		t.Errorf("%d commits after the caller was gone, want none", n)
	}
	if out := w.write(t, session, "delete_blob", args{"blob_path": "a.txt", "if_match": "0x1"}); out.Reason != "not_found" {
		t.Errorf("got %+v, want no blob", out)
	}
}

// A hierarchical namespace has directories, and files that take no blocks.
func TestCopyBlobHierarchy(t *testing.T) {
	t.Parallel()
	for _, blocks := range []bool{false, true} {
		w := newWriteWorld(t, hierarchy, nil)
		session := w.connect(t, "alice")
		w.storage.Put("docs", "d/source.txt", []byte("the content"), "text/plain")
		w.storage.PutFile("docs", "d/file.txt", []byte("old"), "text/plain")
		if blocks {
			w.inBlocks()
		}
		w.wrote(t, session, "copy_blob", args{"source_path": "d/source.txt", "blob_path": "e/f/a.txt"})
		if text := readText(t, session, "e/f/a.txt"); text != "the content" {
			t.Errorf("blocks %t: got %q", blocks, text)
		}
		if out := w.write(t, session, "copy_blob", args{"source_path": "d", "blob_path": "g"}); out.Reason != "directory" {
			t.Errorf("blocks %t: a directory: got %+v, want refused", blocks, out)
		}
		if out := w.write(t, session, "copy_blob", args{"source_path": "d/source.txt", "blob_path": "d"}); out.Outcome != "refused" {
			t.Errorf("blocks %t: to the name of a directory: got %+v, want refused", blocks, out)
		}
		out := w.write(t, session, "copy_blob", args{"source_path": "d/source.txt", "blob_path": "d/file.txt", "if_match": statOf(t, session, "d/file.txt").ETag})
		if (out.Outcome == "done") == blocks || blocks && out.Reason != "unsupported" {
			t.Errorf("blocks %t: over a file of the other API: got %+v", blocks, out)
		}
	}
}

// stageFor stages a block, as another program does.
func (w *world) stageFor(t *testing.T) {
	t.Helper()
	if _, err := w.bobsBlob(t).StageBlock(context.Background(), "b3RoZXI=", streaming.NopCloser(strings.NewReader("x")), nil); err != nil {
		t.Error(err)
	}
}
