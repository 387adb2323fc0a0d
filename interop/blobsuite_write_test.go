//go:build unix

package interop_test

import (
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/appendblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	azcontainer "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// textBody is the body of a request.
func textBody(text string) io.ReadSeekCloser { return seekNopCloser{strings.NewReader(text)} }

type seekNopCloser struct{ io.ReadSeeker }

func (seekNopCloser) Close() error { return nil }

// write puts a blob as the user, and returns its ETag.
func (p *place) write(name, text string, o *blockblob.UploadOptions) (azcore.ETag, error) {
	resp, err := p.blobs.NewBlockBlobClient(name).Upload(p.ctx, textBody(text), o)
	if err != nil {
		return "", err
	}
	return *resp.ETag, nil
}

// conditions are those of a write; an empty one is none.
func conditions(match, noneMatch string) *blob.AccessConditions {
	m := &blob.ModifiedAccessConditions{}
	if match != "" {
		m.IfMatch = new(azcore.ETag(match))
	}
	if noneMatch != "" {
		m.IfNoneMatch = new(azcore.ETag(noneMatch))
	}
	return &blob.AccessConditions{ModifiedAccessConditions: m}
}

// holds compares the content of a blob.
func (p *place) holds(name, want string) error {
	_, got, err := p.read(p.blobs.NewBlobClient(name), nil)
	return errors.Join(err, differs(name, string(got), want))
}

func (p *place) etag(name string) (azcore.ETag, error) {
	h, err := p.blobs.NewBlobClient(name).GetProperties(p.ctx, nil)
	if err != nil {
		return "", err
	}
	return *h.ETag, nil
}

func writeBlob(p *place) error {
	sum := md5.Sum([]byte("abc"))
	_, err := p.write("a", "abc", &blockblob.UploadOptions{
		HTTPHeaders: &blob.HTTPHeaders{BlobContentType: new("text/plain"), BlobContentLanguage: new("en"), BlobCacheControl: new("no-store")},
		Metadata:    map[string]*string{"author": new("alice")}, Tags: map[string]string{"k": "v"},
		TransactionalValidation: blob.TransferValidationTypeComputeCRC64(),
	})
	if err != nil {
		return err
	}
	h, err := p.blobs.NewBlobClient("a").GetProperties(p.ctx, nil)
	if err != nil {
		return err
	}
	errs := []error{
		p.holds("a", "abc"),
		differs("properties", fmt.Sprint(*h.ContentType, " ", *h.ContentLanguage, " ", *h.CacheControl, " ", *h.Metadata["Author"], " ", *h.TagCount, " ", *h.BlobType),
			"text/plain en no-store alice 1 BlockBlob"),
		differs("MD5", h.ContentMD5, sum[:]),
	}
	if _, err := p.write("a", "b", nil); err != nil { // keeps nothing
		return err
	}
	h, err = p.blobs.NewBlobClient("a").GetProperties(p.ctx, nil)
	if err != nil {
		return err
	}
	wrong := md5.Sum([]byte("x"))
	_, err = p.write("a", "abc", &blockblob.UploadOptions{TransactionalValidation: blob.TransferValidationTypeMD5(wrong[:])})
	return errors.Join(append(errs,
		differs("type after an overwrite", *h.ContentType, "application/octet-stream"),
		differs("metadata and tags after an overwrite", len(h.Metadata) == 0 && h.TagCount == nil, true),
		refusedWith("a wrong MD5", err, 400, "Md5Mismatch"))...)
}

func writeConditions(p *place) error {
	first, err := p.write("a", "1", &blockblob.UploadOptions{AccessConditions: conditions("", "*")})
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range []struct {
		blob, match, noneMatch string
		status                 int
		code                   bloberror.Code
	}{
		{"a", "", "*", 409, bloberror.BlobAlreadyExists},
		{"a", "", string(first), 412, bloberror.ConditionNotMet},
		{"a", `"0x1"`, "", 412, bloberror.ConditionNotMet},
		{"none", string(first), "", 412, bloberror.ConditionNotMet},
		{"none", "*", "", 412, bloberror.ConditionNotMet},
		{"a", string(first), "*", 400, bloberror.MultipleConditionHeadersNotSupported},
	} {
		_, err := p.write(c.blob, "x", &blockblob.UploadOptions{AccessConditions: conditions(c.match, c.noneMatch)})
		errs = append(errs, refusedWith(fmt.Sprintf("%+v", c), err, c.status, string(c.code)))
	}
	second, err := p.write("a", "2", &blockblob.UploadOptions{AccessConditions: conditions(string(first), "")})
	errs = append(errs, err, differs("the same ETag", second == first, false))
	_, err = p.write("a", "3", &blockblob.UploadOptions{AccessConditions: conditions(string(first), "")})
	return errors.Join(append(errs, refusedWith("the old ETag", err, 412, string(bloberror.ConditionNotMet)), p.holds("a", "2"))...)
}

// createOverBlocks creates a blob where another has staged blocks.
func createOverBlocks(p *place) error {
	if err := p.stage("a", 1, "x"); err != nil {
		return err
	}
	_, err := p.write("a", "1", &blockblob.UploadOptions{AccessConditions: conditions("", "*")})
	return err
}

// stagedID is the ID of a block, all of one length.
func stagedID(i int) string { return fmt.Sprintf("%08d", i) } // is valid base64

func (p *place) stage(name string, i int, text string) error {
	_, err := p.blobs.NewBlockBlobClient(name).StageBlock(p.ctx, stagedID(i), textBody(text), nil)
	return err
}

func (p *place) commitBlocks(name string, c *blob.AccessConditions, ids ...int) error {
	list := []string{}
	for _, i := range ids {
		list = append(list, stagedID(i))
	}
	_, err := p.blobs.NewBlockBlobClient(name).CommitBlockList(p.ctx, list, &blockblob.CommitBlockListOptions{AccessConditions: c})
	return err
}

// blockSizes describes the blocks of a blob: committed | uncommitted, the latter in no order.
func (p *place) blockSizes(name string) (string, error) {
	resp, err := p.blobs.NewBlockBlobClient(name).GetBlockList(p.ctx, blockblob.BlockListTypeAll, nil)
	if err != nil {
		return "", err
	}
	describe := func(blocks []*blockblob.Block) []string {
		var all []string
		for _, b := range blocks {
			all = append(all, fmt.Sprintf("%s:%d", strings.TrimLeft(*b.Name, "0"), *b.Size))
		}
		return all
	}
	return strings.Join(describe(resp.CommittedBlocks), " ") + "|" + sorted(describe(resp.UncommittedBlocks)), nil
}

func writeBlocks(p *place) error {
	if err := errors.Join(p.stage("a", 1, "one"), p.stage("a", 2, "two!"), p.stage("a", 1, "ONE")); err != nil {
		return err
	}
	staged, err := p.blockSizes("a")
	errs := []error{err, differs("staged", staged, "|1:3 2:4")}
	_, err = p.blobs.NewBlockBlobClient("a").StageBlock(p.ctx, "AAAAAAAAAAAAAAAA", textBody("x"), nil)
	errs = append(errs, refusedWith("an ID of another length", err, 400, string(bloberror.InvalidBlobOrBlock)))
	_, err = p.etag("a")
	errs = append(errs, refusedWith("an uncommitted blob", err, 404, string(bloberror.BlobNotFound)))
	plain, _, err := p.flat("", 10, azcontainer.ListBlobsInclude{})
	errs = append(errs, err, differs("listed", len(plain), 0))
	all, _, err := p.flat("", 10, azcontainer.ListBlobsInclude{UncommittedBlobs: true})
	errs = append(errs, err, differs("listed with uncommitted ones", namesOf(all), "a"),
		refusedWith("a block that is not there", p.commitBlocks("a", nil, 1, 3), 400, string(bloberror.InvalidBlockList)),
		p.commitBlocks("a", conditions("", "*"), 2, 1, 2), p.holds("a", "two!ONEtwo!"),
		refusedWith("create only", p.commitBlocks("a", conditions("", "*"), 1), 409, string(bloberror.BlobAlreadyExists)),
		refusedWith("another's", p.commitBlocks("a", conditions(`"0x1"`, ""), 9), 412, string(bloberror.ConditionNotMet)),
	)
	before, err := p.etag("a")
	errs = append(errs, err, p.stage("a", 3, "three"))
	after, err := p.etag("a")
	errs = append(errs, err, differs("ETag after a block", after, before),
		p.commitBlocks("a", nil, 1, 3), p.holds("a", "ONEthree"), p.stage("a", 4, "x"), p.commitBlocks("a", nil, 1))
	left, err := p.blockSizes("a")
	return errors.Join(append(errs, err, differs("left", left, "1:3|"))...)
}

func writeAppends(p *place) error {
	log := p.blobs.NewAppendBlobClient("log")
	if _, err := log.Create(p.ctx, &appendblob.CreateOptions{AccessConditions: conditions("", "*")}); err != nil {
		return err
	}
	put := func(text string, at, most int64) error {
		c := &appendblob.AppendPositionAccessConditions{AppendPosition: &at}
		if most > 0 {
			c.MaxSize = &most
		}
		_, err := log.AppendBlock(p.ctx, textBody(text), &appendblob.AppendBlockOptions{AppendPositionAccessConditions: c})
		return err
	}
	errs := []error{
		put("one\n", 0, 0), put("two\n", 4, 8), p.holds("log", "one\ntwo\n"),
		refusedWith("elsewhere", put("x", 4, 0), 412, string(bloberror.AppendPositionConditionNotMet)),
		refusedWith("beyond", put("x", 8, 8), 412, string(bloberror.MaxBlobSizeConditionNotMet)),
		refusedWith("a block", p.stage("log", 1, "x"), 409, string(bloberror.InvalidBlobType)),
		p.put("a"),
	}
	_, err := p.blobs.NewAppendBlobClient("a").AppendBlock(p.ctx, textBody("x"), nil)
	errs = append(errs, refusedWith("to a block blob", err, 409, string(bloberror.InvalidBlobType)))
	_, err = p.blobs.NewAppendBlobClient("none").AppendBlock(p.ctx, textBody("x"), nil)
	errs = append(errs, refusedWith("to nothing", err, 404, string(bloberror.BlobNotFound)))
	h, err := log.GetProperties(p.ctx, nil)
	if err != nil {
		return err
	}
	errs = append(errs, differs("type", *h.BlobType, blob.BlobTypeAppendBlob), differs("blocks", *h.BlobCommittedBlockCount, int32(2)))
	_, err = p.write("log", "whole", nil)
	return errors.Join(append(errs, err, p.holds("log", "whole"))...)
}
