//go:build unix

package interop_test

import (
	"bytes"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	azcontainer "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// read downloads a blob, or part of it.
func (p *place) read(c *blob.Client, o *blob.DownloadStreamOptions) (blob.DownloadStreamResponse, []byte, error) {
	resp, err := c.DownloadStream(p.ctx, o)
	if err != nil || resp.Body == nil { // 304 has none
		return resp, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	return resp, data, err
}

func readRanges(p *place) error {
	data := bigText()[:3<<20]
	if err := p.stock.put(p.ctx, p.container, "a", data, blobtest.Properties{}); err != nil {
		return err
	}
	a := p.blobs.NewBlobClient("a")
	whole, got, err := p.read(a, nil)
	if err != nil || !bytes.Equal(got, data) || *whole.ContentType != "application/octet-stream" || whole.ContentRange != nil {
		return fmt.Errorf("the whole: %d bytes of %s, %w", len(got), *whole.ContentType, err)
	}
	size := int64(len(data))
	for _, c := range []struct{ offset, count, begin, end int64 }{
		{0, 1, 0, 1},
		{0, 8000, 0, 8000},
		{1<<20 - 1, 2, 1<<20 - 1, 1<<20 + 1},
		{size - 5, 0, size - 5, size},
		{size - 1, 100, size - 1, size},
	} {
		resp, got, err := p.read(a, &blob.DownloadStreamOptions{Range: blob.HTTPRange{Offset: c.offset, Count: c.count}})
		if err != nil {
			return err
		}
		if !bytes.Equal(got, data[c.begin:c.end]) || *resp.ContentRange != fmt.Sprintf("bytes %d-%d/%d", c.begin, c.end-1, size) ||
			*resp.ContentLength != c.end-c.begin || *resp.ETag != *whole.ETag {
			return fmt.Errorf("range %+v: %d bytes, %s", c, len(got), *resp.ContentRange)
		}
	}
	_, _, err = p.read(a, &blob.DownloadStreamOptions{Range: blob.HTTPRange{Offset: size + 1, Count: 1}})
	if err := refusedWith("a range beyond the end", err, 416, string(bloberror.InvalidRange)); err != nil {
		return err
	}
	resp, got, err := p.read(a, &blob.DownloadStreamOptions{Range: blob.HTTPRange{Offset: 10, Count: 20}, RangeGetContentMD5: new(true)})
	if err != nil {
		return err
	}
	sum := md5.Sum(got)
	return differs("the MD5 of a range", resp.ContentMD5, sum[:])
}

func readEmpty(p *place) error {
	if err := p.stock.put(p.ctx, p.container, "empty", nil, blobtest.Properties{ContentType: "text/plain"}); err != nil {
		return err
	}
	c := p.blobs.NewBlobClient("empty")
	resp, got, err := p.read(c, nil)
	if err != nil || len(got) != 0 || *resp.ContentLength != 0 {
		return fmt.Errorf("read %q, %w", got, err)
	}
	h, err := c.GetProperties(p.ctx, nil)
	if err != nil || *h.ContentLength != 0 {
		return fmt.Errorf("properties %+v, %w", h, err)
	}
	return nil
}

// readAtEnd asks for a range that begins where the blob ends: of an empty one,
// that is every range.
func readAtEnd(p *place) error {
	if err := p.stock.put(p.ctx, p.container, "empty", nil, blobtest.Properties{}); err != nil {
		return err
	}
	_, _, err := p.read(p.blobs.NewBlobClient("empty"), &blob.DownloadStreamOptions{Range: blob.HTTPRange{Count: 1}})
	return refusedWith("a range", err, 416, string(bloberror.InvalidRange))
}

// readReplaced goes on after a first page with If-Match, when the blob is another.
func readReplaced(p *place) error {
	if err := p.put("a"); err != nil {
		return err
	}
	c := p.blobs.NewBlobClient("a")
	first, err := c.GetProperties(p.ctx, nil)
	if err != nil {
		return err
	}
	with := func(m blob.ModifiedAccessConditions) *blob.DownloadStreamOptions {
		return &blob.DownloadStreamOptions{Range: blob.HTTPRange{Count: 1}, AccessConditions: &blob.AccessConditions{ModifiedAccessConditions: &m}}
	}
	_, _, same := p.read(c, with(blob.ModifiedAccessConditions{IfMatch: first.ETag}))
	unchanged, _, none := p.read(c, with(blob.ModifiedAccessConditions{IfNoneMatch: first.ETag}))
	if err := p.stock.put(p.ctx, p.container, "a", []byte("other"), blobtest.Properties{}); err != nil {
		return err
	}
	_, _, replaced := p.read(c, with(blob.ModifiedAccessConditions{IfMatch: first.ETag}))
	_, text, err := p.read(c, with(blob.ModifiedAccessConditions{IfNoneMatch: first.ETag}))
	if unchanged.ErrorCode == nil || *unchanged.ErrorCode != string(bloberror.ConditionNotMet) {
		return fmt.Errorf("If-None-Match of the same: %v", unchanged.ErrorCode)
	}
	return errors.Join(
		differs("If-Match of the same", same, nil),
		differs("If-None-Match of the same", none, nil),
		refusedWith("If-Match of a replaced blob", replaced, 412, string(bloberror.ConditionNotMet)),
		differs("If-None-Match of a replaced blob", string(text), "o"), err,
	)
}

func readMissing(p *place) error {
	_, _, blobMissing := p.read(p.blobs.NewBlobClient("none"), nil)
	_, _, containerMissing := p.read(p.account.NewContainerClient("none").NewBlobClient("a"), nil)
	_, head := p.blobs.NewBlobClient("none").GetProperties(p.ctx, nil)
	return errors.Join(
		refusedWith("properties of no blob", head, 404, string(bloberror.BlobNotFound)),
		refusedWith("no blob", blobMissing, 404, string(bloberror.BlobNotFound)),
		refusedWith("no container", containerMissing, 404, string(bloberror.ContainerNotFound)),
	)
}

func readSnapshot(p *place) error {
	if err := p.stock.put(p.ctx, p.container, "a", []byte("old"), blobtest.Properties{}); err != nil {
		return err
	}
	id, err := p.stock.snapshot(p.ctx, p.container, "a")
	if err != nil {
		return err
	}
	if err := p.stock.put(p.ctx, p.container, "a", []byte("new"), blobtest.Properties{}); err != nil {
		return err
	}
	c, err := p.blobs.NewBlobClient("a").WithSnapshot(id)
	if err != nil {
		return err
	}
	_, old, err := p.read(c, nil)
	none, err2 := p.blobs.NewBlobClient("a").WithSnapshot("2020-01-01T00:00:00.0000000Z")
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	_, _, err = p.read(none, nil)
	return errors.Join(differs("the snapshot", string(old), "old"), refusedWith("none of that time", err, 404, string(bloberror.BlobNotFound)))
}

func readArchived(p *place) error {
	if err := p.stock.put(p.ctx, p.container, "a", []byte("x"), blobtest.Properties{Tier: "Archive"}); err != nil {
		return err
	}
	h, err := p.blobs.NewBlobClient("a").GetProperties(p.ctx, nil)
	if err != nil {
		return err
	}
	_, _, err = p.read(p.blobs.NewBlobClient("a"), nil)
	return errors.Join(
		differs("tier", *h.AccessTier, "Archive"),
		refusedWith("reading", err, 409, string(bloberror.BlobArchived)),
	)
}

// oddNames are legal names that are easily got wrong: all of them the tools take.
var oddNames = []string{
	"emoji 😀🏳️‍🌈.txt", "\u202Eright to left.txt", "שלום/مرحبا.txt", "dots...", "folder./x.", "100%", "%41", "a+b", "what?", "a#b", "a b ", "a&b;c=d,e@f$g!h'i(j)",
	"//x", "a//b", "a/", "~", "[x]{y}|^`", "\"quoted\"<x>", "é", "e\u0301", "ﬁ", "日本語/お知らせ.txt", strings.Repeat("x", 1024), strings.Repeat("é", 500) + "/a/b",
}

func readNames(p *place) error {
	if err := p.put(oddNames...); err != nil {
		return err
	}
	var errs []error
	for _, name := range oddNames {
		_, got, err := p.read(p.blobs.NewBlobClient(name), nil)
		errs = append(errs, err, differs("content", string(got), name+"\n"))
		items, _, err := p.flat(name, 5, azcontainer.ListBlobsInclude{})
		if err != nil || len(items) == 0 || *items[0].Name != name {
			errs = append(errs, fmt.Errorf("listing by the prefix %q: %s, %w", name, namesOf(items), err))
		}
	}
	return errors.Join(errs...)
}
