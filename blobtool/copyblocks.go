package blobtool

import (
	"context"
	"crypto/rand"
	"sync"
	"sync/atomic"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/upload"
)

// Azure's bounds of copies (Put Blob From URL; Put Block From URL), and ours.
const (
	maxPutFromURL = 5000 << 20 // bytes
	copiedBlock   = 256 << 20  // bytes; larger if there would be too many
	maxBlocks     = 50_000
	copyOverlap   = 4 // blocks that are copied at the same time
)

// A blockCopy copies a source in blocks, which nobody can see before they are committed. Blocks
// that are never committed expire within a week; nothing deletes them, since a request for that
// could hit another's commit.
type blockCopy struct {
	set    *Set
	all    *container.Client
	at     names.Location
	before azcore.ETag // of the blob that the copy replaces
	source *copySource
	owner  upload.Owner
}

// stage copies the blocks. It fills in what stands there if that is why nothing was copied.
func (b *blockCopy) stage(ctx context.Context, out *writeOutput) (*stagedBlocks, error) {
	client := b.all.NewBlockBlobClient(b.at.Blob)
	if err := b.mayStage(ctx, client, out); err != nil {
		return nil, err
	}
	size := max(b.set.writing.copiedBlock, (b.source.size+maxBlocks-1)/maxBlocks)
	ids := b.owner.CopyBlocks(int((b.source.size + size - 1) / size))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wait sync.WaitGroup
	for range min(copyOverlap, len(ids)) {
		wait.Go(func() {
			var err error
			defer func() {
				if err != nil {
					cancel(err)
				}
			}()
			defer recovered(&err)
			for i := next.Add(1) - 1; i < int64(len(ids)) && err == nil && ctx.Err() == nil; i = next.Add(1) - 1 {
				err = b.copyBlock(ctx, client, ids[i], blob.HTTPRange{Offset: i * size, Count: min(size, b.source.size-i*size)})
			}
		})
	}
	wait.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, refusedWrite(ctx, b.at, err, b.before, nil)
	}
	return &stagedBlocks{ids: ids, size: b.source.size, md5: b.source.headers.BlobContentMD5, marker: rand.Text()}, nil
}

// mayStage returns why no blocks may be staged under the name: another's upload would lose its
// own, and a soft-deleted blob could not be undeleted any more.
func (b *blockCopy) mayStage(ctx context.Context, client *blockblob.Client, out *writeOutput) error {
	if b.before == "" {
		now, err := b.set.look(ctx, b.at, client.BlobClient())
		if err != nil {
			return err
		}
		if now.exists {
			out.show(&now)
			v := conflictVerdict(quote(b.at.Blob), "", &now)
			return failuref(v.kind, "%s", v.text)
		}
	}
	list, err := client.GetBlockList(ctx, blockblob.BlockListTypeUncommitted, nil)
	if err != nil && !isNoBlob(err) {
		return refusedWrite(ctx, b.at, err, b.before, nil)
	}
	var staged []upload.Block
	for _, block := range list.UncommittedBlocks {
		staged = append(staged, upload.Block{ID: value(block.Name)})
	}
	if b.owner.Foreign(staged) {
		return failuref(ErrLocked, "%s", uploading)
	}
	if b.before != "" {
		return nil
	}
	return b.set.notDeleted(ctx, b.all, b.at, "a copy in blocks")
}

// copyBlock stages a part of the source. A repeated request replaces the block by itself, so the
// SDK may repeat it.
func (b *blockCopy) copyBlock(ctx context.Context, client *blockblob.Client, id string, part blob.HTTPRange) error {
	_, err := client.StageBlockFromURL(ctx, id, b.source.url, &blockblob.StageBlockFromURLOptions{Range: part, SourceModifiedAccessConditions: b.source.pinned()})
	return err
}
