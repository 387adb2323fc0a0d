package blobtool

import (
	"bytes"
	"context"
	"io"
	"maps"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
)

// A marker and an MD5 are copied by programs that keep metadata and headers, and Azure compares no
// MD5 with the blocks of a commit. So after a lost answer a write recognizes itself by all that it
// sent, and what it has left as it was: size, headers, metadata and content.

// describes reports whether what is there has the size, headers and metadata of the put.
func (p *put) describes(now *standing) bool {
	return now.kind == blob.BlobTypeBlockBlob && now.size == p.size() && now.has(&p.headers, p.metadata)
}

// has reports whether there is a blob with these headers and this metadata. Azure adds a content type
// where none was sent.
func (n *standing) has(headers *blob.HTTPHeaders, metadata map[string]*string) bool {
	own, _ := withoutMarker(metadata)
	same := func(a, b *string) bool { return value(a) == value(b) }
	there := &n.headers
	return n.exists && maps.EqualFunc(own, n.metadata, same) &&
		(headers.BlobContentType == nil || same(headers.BlobContentType, there.BlobContentType)) &&
		same(headers.BlobContentEncoding, there.BlobContentEncoding) && same(headers.BlobContentLanguage, there.BlobContentLanguage) &&
		same(headers.BlobContentDisposition, there.BlobContentDisposition) && same(headers.BlobCacheControl, there.BlobCacheControl)
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

// hasETag compares ETags whether or not they are quoted.
func (n *standing) hasETag(etag *azcore.ETag) bool {
	return bareETag(string(value(etag))) == bareETag(string(n.etag))
}

// isMadeOf reports whether the blob consists of these blocks.
func isMadeOf(ctx context.Context, client *blockblob.Client, now *standing, ids []string) bool {
	resp, err := client.GetBlockList(ctx, blockblob.BlockListTypeCommitted, nil)
	return err == nil && now.hasETag(resp.ETag) && slices.EqualFunc(resp.CommittedBlocks, ids, func(b *blockblob.Block, id string) bool {
		return b != nil && value(b.Name) == id
	})
}
