package blobtool

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // as Azure stores it, to recognize content, not to protect it
	"crypto/rand"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/properties"
)

// A put is a block blob to write in one request (Put Blob).
type put struct {
	at       names.Location
	data     []byte
	headers  blob.HTTPHeaders
	metadata map[string]*string // without the marker
	tags     tagPlan
	before   azcore.ETag // of the blob that it replaces; empty: it makes a new one

	untagged bool // the user may not set tags, so it was written without
}

// put writes it.
func (s *Set) put(ctx context.Context, in *container.Client, p *put) (written, *standing, error) {
	client := in.NewBlockBlobClient(p.at.Blob)
	a := &attempt{set: s, at: p.at, client: client.BlobClient(), before: p.before, marker: rand.Text()}
	a.md5 = func() []byte {
		sum := md5.Sum(p.data) //nolint:gosec // see the import
		return sum[:]
	}
	p.metadata[properties.Marker] = &a.marker
	a.send = func(ctx context.Context) (written, error) {
		w, err := p.upload(ctx, client)
		if bloberror.HasCode(err, bloberror.AuthorizationPermissionMismatch) && len(p.tags.tags) > 0 && !p.tags.kept && !p.untagged {
			p.untagged = true // for the next tries too
			w, err = p.upload(ctx, client)
		}
		return w, err
	}
	return a.run(ctx)
}

// upload sends it once.
func (p *put) upload(ctx context.Context, client *blockblob.Client) (written, error) {
	conditions := &blob.ModifiedAccessConditions{}
	if p.before == "" {
		conditions.IfNoneMatch = new(azcore.ETagAny)
	} else {
		conditions.IfMatch = &p.before
	}
	if p.tags.pinned != "" {
		conditions.IfTags = &p.tags.pinned
	}
	o := &blockblob.UploadOptions{
		HTTPHeaders: &p.headers, Metadata: p.metadata, TransactionalValidation: blob.TransferValidationTypeComputeCRC64(),
		AccessConditions: &blob.AccessConditions{ModifiedAccessConditions: conditions},
	}
	if !p.untagged {
		o.Tags = p.tags.tags
	}
	resp, err := client.Upload(ctx, streaming.NopCloser(bytes.NewReader(p.data)), o)
	if err != nil {
		return written{}, err
	}
	return writtenOf(resp.ETag, resp.VersionID)
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
