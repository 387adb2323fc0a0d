package blobtool

import (
	"bytes"
	"context"
	"io"
	"maps"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
)

// A marker and an MD5 are copied by programs that keep metadata and headers, and Azure compares no
// MD5 with the blocks of a commit. So after a lost answer a put recognizes itself by all that it
// sent: size, headers, metadata and content.

// describes reports whether what stands there has the size, headers and metadata of the put.
func (p *put) describes(now *standing) bool {
	own, _ := withoutMarker(p.metadata)
	same := func(a, b *string) bool { return value(a) == value(b) }
	if !now.exists || now.kind != blob.BlobTypeBlockBlob || now.size != p.size() || !maps.EqualFunc(own, now.metadata, same) {
		return false
	}
	sent, there := &p.headers, &now.headers
	return (sent.BlobContentType == nil || *sent.BlobContentType == value(there.BlobContentType)) && // Azure has a default
		same(sent.BlobContentEncoding, there.BlobContentEncoding) && same(sent.BlobContentLanguage, there.BlobContentLanguage) &&
		same(sent.BlobContentDisposition, there.BlobContentDisposition) && same(sent.BlobCacheControl, there.BlobCacheControl)
}

// isContent reports whether the content is that of the put. Of a copy in one request nothing but
// the MD5 tells, which the caller has compared.
func (p *put) isContent(ctx context.Context, client *blockblob.Client, now *standing) bool {
	switch {
	case p.blocks != nil:
		return isMadeOf(ctx, client, now, p.blocks.ids)
	case p.copied != nil:
		return len(now.headers.BlobContentMD5) > 0
	case len(p.data) == 0:
		return true
	}
	resp, err := client.DownloadStream(ctx, &blob.DownloadStreamOptions{
		AccessConditions: &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfMatch: &now.etag}},
	})
	if err != nil {
		return false
	}
	body := resp.NewRetryReader(ctx, nil)
	defer func() { _ = body.Close() }()
	chunk, rest := make([]byte, 32<<10), p.data
	for {
		n, err := body.Read(chunk)
		if !bytes.HasPrefix(rest, chunk[:n]) {
			return false
		}
		if rest = rest[n:]; err != nil {
			return err == io.EOF && len(rest) == 0 //nolint:errorlint // as io.Reader says
		}
	}
}

// isMadeOf reports whether the blob consists of these blocks.
func isMadeOf(ctx context.Context, client *blockblob.Client, now *standing, ids []string) bool {
	resp, err := client.GetBlockList(ctx, blockblob.BlockListTypeCommitted, nil)
	return err == nil && value(resp.ETag) == now.etag && slices.EqualFunc(resp.CommittedBlocks, ids, func(b *blockblob.Block, id string) bool {
		return b != nil && value(b.Name) == id
	})
}
