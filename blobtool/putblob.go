package blobtool

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // as Azure stores it, to recognize content, not to protect it
	"crypto/rand"
	"fmt"
	"hash/crc64"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/properties"
)

// A put is a block blob to write in one request: its content (Put Blob), blocks that are staged
// already (Put Block List), or a copy (Put Blob From URL).
type put struct {
	at       names.Location
	data     []byte
	blocks   *stagedBlocks // if not nil, they are the content
	copied   *copySource   // if not nil and there are no blocks, this is the content
	headers  blob.HTTPHeaders
	metadata map[string]*string // without the marker
	tags     tagPlan
	tier     blob.AccessTier // empty: the account's default
	before   azcore.ETag     // of the blob that it replaces; empty: it makes a new one

	untagged bool // it was written without its tags, which the user may not set
}

// stagedBlocks is content that waits for a commit.
type stagedBlocks struct {
	ids    []string
	size   int64
	md5    []byte
	marker string // of the upload, so that a repeated commit recognizes itself
}

// size is the size of the content.
func (p *put) size() int64 {
	switch {
	case p.blocks != nil:
		return p.blocks.size
	case p.copied != nil:
		return p.copied.size
	}
	return int64(len(p.data))
}

// put writes it.
func (s *Set) put(ctx context.Context, in *container.Client, p *put) (written, *standing, error) {
	client := in.NewBlockBlobClient(p.at.Blob)
	a := &attempt{set: s, at: p.at, client: client.BlobClient(), before: p.before, marker: rand.Text()}
	if p.blocks != nil {
		a.marker = p.blocks.marker
	}
	md5Of := func() []byte {
		switch {
		case p.blocks != nil:
			return p.blocks.md5
		case p.copied != nil:
			return p.copied.headers.BlobContentMD5
		}
		sum := md5.Sum(p.data) //nolint:gosec // see the import
		return sum[:]
	}
	p.metadata[properties.Marker] = &a.marker
	a.same = func(ctx context.Context, now *standing) bool {
		return p.describes(now) && bytes.Equal(now.headers.BlobContentMD5, md5Of()) && p.isContent(ctx, client, now)
	}
	a.send = func(ctx context.Context) (written, error) {
		w, err := p.send(ctx, client)
		if bloberror.HasCode(err, bloberror.AuthorizationPermissionMismatch) && len(p.tags.tags) > 0 && p.tags.pinned == "" && !p.untagged {
			p.untagged = true // for the next tries too
			w, err = p.send(ctx, client)
		}
		return w, err
	}
	w, now, err := a.run(ctx)
	if e := errorOf(err); e != nil && e.Code == string(bloberror.AuthorizationPermissionMismatch) && p.tags.pinned != "" {
		e.text = fmt.Sprintf("The signed-in user may not write blob %s, or may not set index tags: then the blob would lose those that it has. Nothing was changed. "+
			"The user needs the role Storage Blob Data Owner. If losing the tags is fine for the user, call again with drop_tags.", quote(p.at.Blob))
	}
	return w, now, err
}

// send sends it once.
func (p *put) send(ctx context.Context, client *blockblob.Client) (written, error) {
	conditions := &blob.AccessConditions{ModifiedAccessConditions: p.conditions()}
	var tags map[string]string
	if !p.untagged {
		tags = p.tags.tags
	}
	var tier *blob.AccessTier
	if p.tier != "" {
		tier = &p.tier
	}
	if p.blocks != nil {
		headers := p.headers
		headers.BlobContentMD5 = p.blocks.md5 // Azure computes none of blocks
		resp, err := client.CommitBlockList(ctx, p.blocks.ids, &blockblob.CommitBlockListOptions{
			HTTPHeaders: &headers, Metadata: p.metadata, Tags: tags, Tier: tier, AccessConditions: conditions,
		})
		if err != nil {
			return written{}, err
		}
		return writtenOf(resp.ETag, resp.VersionID)
	}
	if p.copied != nil {
		return p.copied.put(ctx, client, &blockblob.UploadBlobFromURLOptions{HTTPHeaders: &p.headers, Metadata: p.metadata, Tags: tags, Tier: tier, AccessConditions: conditions})
	}
	resp, err := client.Upload(ctx, streaming.NopCloser(bytes.NewReader(p.data)), &blockblob.UploadOptions{
		HTTPHeaders: &p.headers, Metadata: p.metadata, Tags: tags, Tier: tier, AccessConditions: conditions,
		TransactionalValidation: crc64Of(p.data),
	})
	if err != nil {
		return written{}, err
	}
	return writtenOf(resp.ETag, resp.VersionID)
}

// crc64Table has the polynomial of x-ms-content-crc64 (Azure's reference of Put Blob).
var crc64Table = crc64.MakeTable(0x9A6C9329AC4BC9B5)

// crc64Of returns the checksum that Azure compares with what it receives. To compute it, the SDK
// would copy the content.
func crc64Of(data []byte) blob.TransferValidationType {
	return blob.TransferValidationTypeCRC64(crc64.Checksum(data, crc64Table))
}

// conditions are what must be there.
func (p *put) conditions() *blob.ModifiedAccessConditions {
	c := &blob.ModifiedAccessConditions{}
	if p.before == "" {
		c.IfNoneMatch = new(azcore.ETagAny)
	} else {
		c.IfMatch = &p.before
	}
	if p.tags.pinned != "" {
		c.IfTags = &p.tags.pinned
	}
	return c
}

// notes returns what a result says about the tags.
func (p *put) notes() (notes []string) {
	if p.tags.note != "" {
		notes = append(notes, p.tags.note)
	}
	if p.untagged {
		notes = append(notes, "The blob was written without the tags: the signed-in user may not set tags. That requires the role Storage Blob Data Owner, or another with the action Microsoft.Storage/storageAccounts/blobServices/containers/blobs/tags/write.")
	}
	return notes
}
