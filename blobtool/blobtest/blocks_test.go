package blobtest_test

import (
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/appendblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

func blockID(name string) string { return base64.StdEncoding.EncodeToString([]byte(name)) }

// stage stages a block.
func (w *writer) stage(name, id, text string) error {
	_, err := w.block(name).StageBlock(w.Context(), blockID(id), body(text), nil)
	return err
}

// commit commits blocks, in their order.
func (w *writer) commit(name string, o *blockblob.CommitBlockListOptions, ids ...string) error {
	list := []string{}
	for _, id := range ids {
		list = append(list, blockID(id))
	}
	_, err := w.block(name).CommitBlockList(w.Context(), list, o)
	return err
}

// blocks describes the block list of a blob: committed|uncommitted.
func (w *writer) blocks(name string) string {
	w.Helper()
	resp, err := w.block(name).GetBlockList(w.Context(), blockblob.BlockListTypeAll, nil)
	if hasCode(err, 404, bloberror.BlobNotFound) {
		return "none"
	}
	w.must("block list", err)
	describe := func(blocks []*blockblob.Block) string {
		var all []string
		for _, b := range blocks {
			id, err := base64.StdEncoding.DecodeString(*b.Name)
			w.must("an id", err)
			all = append(all, fmt.Sprintf("%s:%d", id, *b.Size))
		}
		return strings.Join(all, " ")
	}
	return describe(resp.CommittedBlocks) + "|" + describe(resp.UncommittedBlocks)
}

func TestBlocks(t *testing.T) {
	t.Parallel()
	w := newWriter(t, blobtest.Options{})
	w.must("stage 1", w.stage("a", "1", "one"))
	w.must("stage 2", w.stage("a", "2", "two!"))
	w.must("stage 1 again", w.stage("a", "1", "ONE"))
	w.refused("an id of another length", w.stage("a", "4444", "x"), 400, bloberror.InvalidBlobOrBlock)
	w.refused("an id that is too long", w.stage("b", strings.Repeat("x", 65), "x"), 400, bloberror.InvalidQueryParameterValue)
	_, err := w.NewBlobClient("a").GetProperties(t.Context(), nil)
	w.refused("an uncommitted blob", err, 404, bloberror.BlobNotFound)
	if got := w.blocks("a"); got != "|1:3 2:4" {
		t.Errorf("before the commit: got %s, want |1:3 2:4", got)
	}
	if got := descriptions(listAll(t, w.Client, 10, container.ListBlobsInclude{})); len(got) != 0 {
		t.Errorf("listed: got %q, want nothing", got)
	}
	if got := listAll(t, w.Client, 10, container.ListBlobsInclude{UncommittedBlobs: true}); len(got) != 1 || *got[0].Name != "a" || *got[0].Properties.ContentLength != 0 {
		t.Errorf("listed with uncommitted blobs: got %d, want a", len(got))
	}
	w.refused("a block that is not there", w.commit("a", nil, "1", "3"), 400, bloberror.InvalidBlockList)
	w.must("commit", w.commit("a", &blockblob.CommitBlockListOptions{
		HTTPHeaders: &blob.HTTPHeaders{BlobContentType: new("text/plain")}, Metadata: map[string]*string{"k": new("v")},
		AccessConditions: access(blob.ModifiedAccessConditions{IfNoneMatch: new(anyETag)}),
	}, "2", "1", "2"))
	w.holds("a", "two!ONEtwo!")
	p := w.props("a")
	if *p.ContentType != "text/plain" || *p.Metadata["K"] != "v" || len(p.ContentMD5) != 0 {
		t.Errorf("got %+v, want text/plain, k=v and no MD5", p)
	}
	for _, r := range [][2]int64{{0, 11}, {3, 2}, {4, 3}, {6, 5}} {
		resp, err := w.NewBlobClient("a").DownloadStream(t.Context(), &blob.DownloadStreamOptions{Range: blob.HTTPRange{Offset: r[0], Count: r[1]}})
		w.must("range", err)
		data := make([]byte, 20)
		n, _ := resp.Body.Read(data)
		if want := "two!ONEtwo!"[r[0] : r[0]+r[1]]; string(data[:n]) != want {
			t.Errorf("range %v: got %q, want %q", r, data[:n], want)
		}
		_ = resp.Body.Close()
	}
	w.refused("create only", w.commit("a", &blockblob.CommitBlockListOptions{AccessConditions: access(blob.ModifiedAccessConditions{IfNoneMatch: new(anyETag)})}, "1"),
		409, bloberror.BlobAlreadyExists)
	w.refused("another's commit, and blocks gone", w.commit("a", &blockblob.CommitBlockListOptions{
		AccessConditions: access(blob.ModifiedAccessConditions{IfMatch: new(azcore.ETag(`"0x1"`))}),
	}, "9"), 412, bloberror.ConditionNotMet)
	// Committed ids have no say about the length of others, and blocks don't change the ETag.
	w.must("stage longer ids", w.stage("a", "33", "three"))
	if got := w.blocks("a"); got != "2:4 1:3 2:4|33:5" || *w.props("a").ETag != *p.ETag {
		t.Errorf("got %s, want 2:4 1:3 2:4|33:5 and the old ETag", got)
	}
	w.must("committed and new", w.commit("a", nil, "1", "33"))
	w.holds("a", "ONEthree")
	if got := w.blocks("a"); got != "1:3 33:5|" {
		t.Errorf("after the second commit: got %s, want 1:3 33:5|", got)
	}
	w.must("stage", w.stage("a", "4", "x"))
	w.must("commit without it", w.commit("a", nil, "1"))
	w.refused("a dropped block", w.commit("a", nil, "4"), 400, bloberror.InvalidBlockList)
	w.must("stage", w.stage("a", "4", "x"))
	_, err = w.put("a", "whole", nil)
	w.must("put", err)
	if got := w.blocks("a"); got != "|" {
		t.Errorf("after a put: got %s, want no blocks", got)
	}
	w.must("stage", w.stage("c", "1", "x"))
	_, err = w.put("c", "", &blockblob.UploadOptions{AccessConditions: access(blob.ModifiedAccessConditions{IfNoneMatch: new(anyETag)})})
	w.must("create where only blocks are", err)
	w.must("an empty list", w.commit("d", nil))
	w.holds("d", "")
}

func TestBlockIntegrity(t *testing.T) {
	t.Parallel()
	w := newWriter(t, blobtest.Options{})
	wrong := md5.Sum([]byte("x"))
	_, err := w.block("a").StageBlock(t.Context(), blockID("1"), body("abc"), &blockblob.StageBlockOptions{TransactionalValidation: blob.TransferValidationTypeMD5(wrong[:])})
	w.refused("wrong MD5", err, 400, "Md5Mismatch")
	_, err = w.block("a").StageBlock(t.Context(), blockID("1"), body("abc"), &blockblob.StageBlockOptions{TransactionalValidation: blob.TransferValidationTypeCRC64(5)})
	w.refused("wrong CRC64", err, 400, "Crc64Mismatch")
	_, err = w.block("a").StageBlock(t.Context(), blockID("1"), body("abc"), &blockblob.StageBlockOptions{TransactionalValidation: blob.TransferValidationTypeComputeCRC64()})
	w.must("CRC64", err)
	w.must("a commit with a false MD5 of the blob", w.commit("a", &blockblob.CommitBlockListOptions{HTTPHeaders: &blob.HTTPHeaders{BlobContentMD5: wrong[:]}}, "1"))
	if got := w.props("a").ContentMD5; string(got) != string(wrong[:]) {
		t.Errorf("MD5: got %x, want the %x that was sent", got, wrong)
	}
	check(t, "a condition on Put Block", send(t, w.srv, http.MethodPut, "/docs/a?comp=block&blockid=MQ==", "If-Match", "*"), 400, "ConditionHeadersNotSupported")
	check(t, "an empty block", send(t, w.srv, http.MethodPut, "/docs/a?comp=block&blockid=MQ=="), 400, "InvalidHeaderValue")
	check(t, "no id", send(t, w.srv, http.MethodPut, "/docs/a?comp=block"), 400, "InvalidQueryParameterValue")
	check(t, "no XML", send(t, w.srv, http.MethodPut, "/docs/a?comp=blocklist"), 400, "InvalidXmlDocument")
}

// A clock that tests move.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func TestBlocksExpire(t *testing.T) {
	t.Parallel()
	c := &clock{time.Now()}
	w := newWriter(t, blobtest.Options{Now: c.now})
	w.must("stage", w.stage("a", "1", "x"))
	c.at = c.at.Add(30 * time.Minute) // tokens live for an hour
	w.must("stage", w.stage("a", "2", "x"))
	w.srv.Put("docs", "b", nil, "")
	c.at = c.at.Add(7*24*time.Hour - time.Minute)
	w = w.at(c.at)
	if got := w.blocks("a"); got != "|1:1 2:1" {
		t.Errorf("a minute before a week: got %s, want |1:1 2:1", got)
	}
	c.at = c.at.Add(time.Minute)
	w = w.at(c.at)
	if got := w.blocks("a"); got != "none" {
		t.Errorf("after a week: got %s, want none", got)
	}
	w.refused("commit", w.commit("a", nil, "1"), 400, bloberror.InvalidBlockList)
	w.must("stage an id of another length", w.stage("a", "333", "x"))
}

// at returns the same with tokens of that time.
func (w *writer) at(now time.Time) *writer {
	token := sign(w.T, signingMethod, signingKey(), claims(alice, map[string]any{"nbf": now.Unix(), "exp": now.Add(time.Hour).Unix()}))
	c, _ := clientOf(w.T, w.srv, "docs", token)
	return &writer{w.T, w.srv, c}
}

func TestAppend(t *testing.T) {
	t.Parallel()
	w := newWriter(t, blobtest.Options{})
	log := w.NewAppendBlobClient("log")
	_, err := log.AppendBlock(t.Context(), body("x"), nil)
	w.refused("to nothing", err, 404, bloberror.BlobNotFound)
	_, err = log.Create(t.Context(), &appendblob.CreateOptions{
		HTTPHeaders: &blob.HTTPHeaders{BlobContentType: new("text/plain")}, AccessConditions: access(blob.ModifiedAccessConditions{IfNoneMatch: new(anyETag)}),
	})
	w.must("create", err)
	appended := func(text string, p *appendblob.AppendPositionAccessConditions) error {
		_, err := log.AppendBlock(t.Context(), body(text), &appendblob.AppendBlockOptions{AppendPositionAccessConditions: p})
		return err
	}
	first := *w.props("log").ETag
	resp, err := log.AppendBlock(t.Context(), body("one\n"), &appendblob.AppendBlockOptions{TransactionalValidation: blob.TransferValidationTypeComputeCRC64()})
	w.must("append", err)
	if *resp.BlobAppendOffset != "0" || *resp.BlobCommittedBlockCount != 1 || *resp.ETag == first {
		t.Errorf("got %+v, want offset 0, 1 block, another ETag", resp)
	}
	w.must("at its end", appended("two\n", &appendblob.AppendPositionAccessConditions{AppendPosition: new(int64(4))}))
	w.refused("elsewhere", appended("x", &appendblob.AppendPositionAccessConditions{AppendPosition: new(int64(4))}), 412, bloberror.AppendPositionConditionNotMet)
	w.refused("beyond", appended("x", &appendblob.AppendPositionAccessConditions{MaxSize: new(int64(8))}), 412, bloberror.MaxBlobSizeConditionNotMet)
	w.must("up to it", appended("x", &appendblob.AppendPositionAccessConditions{MaxSize: new(int64(9))}))
	w.srv.Append("docs", "log", []byte("by another"))
	w.holds("log", "one\ntwo\nxby another")
	p := w.props("log")
	if *p.BlobType != blob.BlobTypeAppendBlob || *p.BlobCommittedBlockCount != 4 || *p.ContentType != "text/plain" {
		t.Errorf("got %+v, want an append blob of 4 blocks", p)
	}
	w.refused("too much", appended(strings.Repeat("x", 4<<20+1), nil), 413, bloberror.RequestBodyTooLarge)
	w.refused("a block", w.stage("log", "1", "x"), 409, bloberror.InvalidBlobType)
	w.refused("a commit", w.commit("log", nil), 409, bloberror.InvalidBlobType)
	w.srv.Put("docs", "a", nil, "")
	_, err = w.NewAppendBlobClient("a").AppendBlock(t.Context(), body("x"), nil)
	w.refused("to a block blob", err, 409, bloberror.InvalidBlobType)
	w.srv.PutAppend("docs", "full", []byte("x"), "", 50_000)
	_, err = w.NewAppendBlobClient("full").AppendBlock(t.Context(), body("x"), nil)
	w.refused("the 50,001st block", err, 409, bloberror.BlockCountExceedsLimit)
	_, err = w.put("log", "whole", nil)
	w.must("a put over it", err)
	if got := *w.props("log").BlobType; got != blob.BlobTypeBlockBlob {
		t.Errorf("after a put: got %s, want a block blob", got)
	}
}
