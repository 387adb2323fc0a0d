package blobtool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// Faults while the last piece is staged and committed: blocks are sent again, a commit knows its
// own marker, and what failed can be repeated.
func TestUploadFaults(t *testing.T) {
	t.Parallel()
	on := func(op blobtest.Operation, f blobtest.Fault) []blobtest.Fault {
		f.Operation = op
		return []blobtest.Fault{f}
	}
	block := func(f blobtest.Fault) []blobtest.Fault { return on(blobtest.OpPutBlock, f) }
	commit := func(f blobtest.Fault) []blobtest.Fault { return on(blobtest.OpPutBlockList, f) }
	other := func(w *world) { w.storage.Put("docs", "a.txt", []byte("other's"), "text/plain") }
	for name, c := range map[string]struct {
		faults          []blobtest.Fault
		looked          func(*world) // happens before the look after the commit
		create, replace string       // outcome and text afterwards
		reason          string
		blocks, commits int
		again           string // outcome and text after the same call without faults
	}{
		"none":                           {create: "done new", replace: "done new", blocks: 1, commits: 1, again: "done new"},
		"block, cut in the middle":       {faults: block(blobtest.Fault{CutUpload: 1, Drop: true, Times: 1}), create: "done new", replace: "done new", blocks: 2, commits: 1, again: "done new"},
		"block, cut before":              {faults: block(blobtest.Fault{Drop: true, Times: 1}), create: "done new", replace: "done new", blocks: 2, commits: 1, again: "done new"},
		"block, cut after":               {faults: block(blobtest.Fault{Served: true, Drop: true, Times: 1}), create: "done new", replace: "done new", blocks: 2, commits: 1, again: "done new"},
		"block, 503":                     {faults: block(blobtest.Fault{Status: 503, Code: "ServerBusy", Times: 1}), create: "done new", replace: "done new", blocks: 2, commits: 1, again: "done new"},
		"block, 429 for good":            {faults: block(blobtest.Fault{Status: 429, Code: "TooManyRequests"}), create: "refused ", replace: "refused old", reason: "throttled", blocks: 3, again: "done new"},
		"block, 500 for good":            {faults: block(blobtest.Fault{Status: 500, Code: "InternalError"}), create: "refused ", replace: "refused old", reason: "unavailable", blocks: 3, again: "done new"},
		"block, cut for good":            {faults: block(blobtest.Fault{Served: true, Drop: true}), create: "refused ", replace: "refused old", reason: "unavailable", blocks: 3, again: "done new"},
		"block, damaged":                 {faults: block(blobtest.Fault{Status: 400, Code: "Crc64Mismatch"}), create: "refused ", replace: "refused old", reason: "unavailable", blocks: 1, again: "done new"},
		"list of blocks, 503 for good":   {faults: on(blobtest.OpGetBlockList, blobtest.Fault{Status: 503, Code: "ServerBusy"}), create: "refused ", replace: "refused old", reason: "throttled", blocks: 1, again: "done new"},
		"look, 503 for good":             {faults: on(blobtest.OpGetBlobProperties, blobtest.Fault{Status: 503, Code: "ServerBusy"}), create: "refused ", replace: "refused old", reason: "throttled", again: "done new"},
		"commit, cut after":              {faults: commit(blobtest.Fault{Served: true, Drop: true, Times: 1}), create: "done new", replace: "done new", blocks: 1, commits: 1, again: "done new"},
		"commit, cut before":             {faults: commit(blobtest.Fault{Drop: true, Times: 1}), create: "done new", replace: "done new", blocks: 1, commits: 2, again: "done new"},
		"commit, 500 after":              {faults: commit(blobtest.Fault{Served: true, Status: 500, Code: "InternalError", Times: 1}), create: "done new", replace: "done new", blocks: 1, commits: 1, again: "done new"},
		"commit, 429 twice":              {faults: commit(blobtest.Fault{Status: 429, Code: "TooManyRequests", Times: 2}), create: "done new", replace: "done new", blocks: 1, commits: 3, again: "done new"},
		"commit, 503 for good":           {faults: commit(blobtest.Fault{Status: 503, Code: "ServerBusy"}), create: "refused ", replace: "refused old", reason: "throttled", blocks: 1, commits: 5, again: "done new"},
		"commit, cut for good":           {faults: commit(blobtest.Fault{Drop: true}), create: "unknown ", replace: "unknown old", reason: "uncertain", blocks: 1, commits: 5, again: "done new"},
		"committed, then another's":      {faults: commit(blobtest.Fault{Served: true, Drop: true, Times: 1}), looked: other, create: "unknown other's", replace: "unknown other's", reason: "uncertain", blocks: 1, commits: 1, again: "refused other's"},
		"not committed, then another's":  {faults: commit(blobtest.Fault{Drop: true, Times: 1}), looked: other, create: "unknown other's", replace: "unknown other's", reason: "uncertain", blocks: 1, commits: 1, again: "refused other's"},
		"committed, and nobody can look": {faults: append(commit(blobtest.Fault{Served: true, Drop: true}), blobtest.Fault{Operation: blobtest.OpGetBlobProperties, Skip: 1, Status: 503, Code: "ServerBusy"}), create: "unknown new", replace: "unknown new", reason: "uncertain", blocks: 1, commits: 1, again: "done new"},
		"blocks gone at the commit":      {faults: commit(blobtest.Fault{Status: 400, Code: "InvalidBlockList"}), create: "refused ", replace: "refused old", reason: "changed", blocks: 1, commits: 1, again: "done new"},
	} {
		for _, create := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, create %t", name, create), func(t *testing.T) {
				t.Parallel()
				w := newWriteWorld(t, nil, inPieces)
				session := w.connect(t, "alice")
				want, a := c.create, args{"blob_path": "a.txt"}
				if !create {
					w.storage.Put("docs", "a.txt", []byte("old"), "text/plain")
					a["if_match"] = statOf(t, session, "a.txt").ETag
					want = c.replace
				}
				first := w.staged(t, session, plus(a, args{"text": "n"}))
				end := goesOn(first, args{"blob_path": "a.txt", "text": "ew"})
				if c.looked != nil {
					onNth(w, blobtest.OpGetBlobProperties, 2, func() { c.looked(w) })
				}
				w.storage.ForgetRequests()
				w.storage.Fail(c.faults...)
				out := w.write(t, session, "write_blob", end)
				blocks, commits := w.storage.Count(blobtest.OpPutBlock), w.storage.Count(blobtest.OpPutBlockList)
				w.storage.Fail()
				w.storage.OnRequest(nil)
				text := func() string {
					w.storage.ForgetRequests()
					res, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "read_blob", Arguments: args{"blob_path": "a.txt"}})
					if err != nil {
						t.Fatal(err)
					}
					if res.IsError {
						return ""
					}
					return readText(t, session, "a.txt")
				}
				if got := out.Outcome + " " + text(); got != want || out.Reason != c.reason || blocks != c.blocks || commits != c.commits {
					t.Errorf("got %q, reason %q, after %d blocks and %d commits (%s); want %q, %q, %d, %d", got, out.Reason, blocks, commits, out.Message, want, c.reason, c.blocks, c.commits)
				}
				if out.Outcome == "unknown" && strings.Contains(name, "nobody can look") && out.Exists != nil {
					t.Errorf("got %+v, want nothing about what is there", out)
				}
				again := w.write(t, session, "write_blob", end)
				if got := again.Outcome + " " + text(); got != c.again {
					t.Errorf("the same call again: got %q (%s), want %q", got, again.Message, c.again)
				}
			})
		}
	}
}

// The first piece may fail in each of its requests, and can be repeated then.
func TestUploadFirstPieceFaults(t *testing.T) {
	t.Parallel()
	for _, op := range []blobtest.Operation{blobtest.OpGetBlobProperties, blobtest.OpListBlobs, blobtest.OpGetBlockList, blobtest.OpPutBlock} {
		for reason, f := range map[string]blobtest.Fault{
			"throttled":   {Status: 503, Code: "ServerBusy"},
			"unavailable": {Served: true, Drop: true},
			"":            {Served: true, Drop: true, Times: 1},
		} {
			w := newWriteWorld(t, nil, inPieces)
			session := w.connect(t, "alice")
			f.Operation = op
			w.storage.Fail(f)
			out := w.write(t, session, "write_blob", args{"blob_path": "a.txt", "text": "a", "more": true})
			w.storage.Fail()
			if out.Reason != reason {
				t.Errorf("%v of %s: got %s, %q (%s); want %q", f, op, out.Outcome, out.Reason, out.Message, reason)
			}
			first := w.staged(t, session, args{"blob_path": "a.txt", "text": "a"})
			w.wrote(t, session, "write_blob", goesOn(first, args{"blob_path": "a.txt", "text": "b"}))
		}
	}
}

// A caller who is gone in the middle of an upload, or of a piece, leaves nothing that shows, and
// nothing in the way of a whole write.
func TestUploadAbandoned(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, nil, inPieces)
	session := w.connect(t, "alice")
	request := w.request("alice")
	for n, op := range []blobtest.Operation{blobtest.OpGetBlobProperties, blobtest.OpPutBlock, blobtest.OpGetBlockList, blobtest.OpPutBlockList} {
		blob := fmt.Sprintf("%d.txt", n)
		first, err := w.set.Write(t.Context(), request, blobtool.WriteInput{BlobPath: blob, Text: new("a"), More: true})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		w.storage.Fail(blobtest.Fault{Operation: op, Drop: true})
		onNth(w, op, 1, cancel)
		_, err = w.set.Write(ctx, request, blobtool.WriteInput{BlobPath: blob, Text: new("b"), Upload: first.Upload, Offset: first.Offset})
		if !errors.Is(err, blobtool.ErrUnavailable) && !errors.Is(err, blobtool.ErrUncertain) {
			t.Errorf("%s: got %v, want unavailable or uncertain", blob, err)
		}
		w.storage.Fail()
		w.storage.OnRequest(nil)
		if list := callFor[struct {
			Blobs []struct {
				Name string `json:"name"`
			} `json:"blobs"`
		}](t, session, "list_blobs", args{"prefix": blob}); len(list.Blobs) != 0 {
			t.Errorf("%s: list_blobs shows %v", blob, list.Blobs)
		}
		_, _ = w.refusedBy(t, session, "read_blob", args{"blob_path": blob})
		w.wrote(t, session, "write_blob", args{"blob_path": blob, "text": "whole"})
		if out := w.write(t, session, "write_blob", goesOn(writeOutput{Upload: first.Upload, Offset: first.Offset}, args{"blob_path": blob, "text": "b"})); out.Reason != "exists" {
			t.Errorf("%s: the upload afterwards: got %+v, want exists", blob, out)
		}
	}
}

// A token that ends, or a role that goes, in the middle of an upload loses no pieces.
func TestUploadTokenEnds(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, nil, func(o *blobtool.WriteOptions) { o.MaxBytes = 2 << 20 })
	session := w.connect(t, "alice")
	first := w.wrote(t, session, "write_blob", args{"blob_path": "a.txt", "text": "one", "more": true})
	last := goesOn(first, args{"blob_path": "a.txt", "text": "two"})
	for _, operation := range []blobtest.Operation{blobtest.OpGetBlobProperties, blobtest.OpPutBlock, blobtest.OpGetBlockList, blobtest.OpPutBlockList} {
		for _, f := range []blobtest.Fault{{Status: 401, Code: "InvalidAuthenticationInfo"}, {Status: 403, Code: "AuthorizationPermissionMismatch"}} {
			f.Operation = operation
			w.storage.Fail(f)
			if out := w.write(t, session, "write_blob", last); out.Outcome != "refused" || !strings.Contains(out.Message, "previous pieces are kept") {
				t.Errorf("%s, %s: got %+v, want it refused, and the pieces kept", operation, f.Code, out)
			}
		}
	}
	w.storage.Fail()
	if w.wrote(t, session, "write_blob", last); readText(t, session, "a.txt") != "onetwo" {
		t.Errorf("the upload is not what was sent")
	}
}

// A piece without an answer ends within the time of a call: a block is refused and can be repeated,
// a commit is unknown.
func TestUploadTimeBound(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, nil, nil)
	const bound = 2 * time.Minute
	newSet := func(client *http.Client) (*blobtool.Set, error) {
		return blobtool.New(w.storage.URL(), "docs", w.findCredential, &blobtool.Options{HTTPClient: client, Timeout: bound,
			Write: &blobtool.WriteOptions{Allow: []string{"docs"}, MaxBytes: 4 << 20, StateKeys: [][]byte{bytes.Repeat([]byte{1}, 32)}}})
	}
	set, err := newSet(w.storage.HTTPClient())
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{"more": "refused unavailable", "": "unknown uncertain"} {
		blob := "a.txt" + text
		first, err := set.Write(t.Context(), asUser("alice"), blobtool.WriteInput{BlobPath: blob, Text: new("x"), More: true})
		if err != nil {
			t.Fatal(err)
		}
		delay := func(r *http.Request) time.Duration {
			if r.Method == http.MethodPut {
				return 24 * time.Hour
			}
			return 0
		}
		w.inBubble(t, newSet, delay, nil, func(t *testing.T, session *mcp.ClientSession) {
			began := time.Now()
			out := w.write(t, session, "write_blob", args{"blob_path": blob, "text": text, "upload": first.Upload, "offset": 1})
			if took := time.Since(began); out.Outcome+" "+out.Reason != want || took > bound {
				t.Errorf("piece %q: got %s, %s (%s) after %v, want %s within %v", text, out.Outcome, out.Reason, out.Message, took, want, bound)
			}
		})
	}
}
