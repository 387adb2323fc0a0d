package blobtool

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
)

// Azure's bounds of copies (Put Blob From URL; Put Block From URL), and ours.
const (
	maxPutFromURL = 5000 << 20 // bytes
	copiedBlock   = 256 << 20  // bytes; larger if there would be too many
	maxBlocks     = 50_000
	copyOverlap   = 4 // blocks that are copied at the same time
)

// stagedCopy is a copy whose blocks are staged and not committed: nobody can see it.
type stagedCopy struct {
	*copyCall
	ids []string
}

// stage copies the source in blocks. Blocks that are never committed expire within a week; this
// call does not delete them, since a request for that could hit another's commit.
func (c *copyCall) stage(ctx context.Context, client *blockblob.Client) (*stagedCopy, error) {
	if err := c.mayStage(ctx, client); err != nil {
		return nil, err
	}
	size := max(c.set.writing.copiedBlock, (c.source.size+maxBlocks-1)/maxBlocks)
	staged := &stagedCopy{c, make([]string, (c.source.size+size-1)/size)}
	upload := rand.Text()
	for i := range staged.ids {
		staged.ids[i] = base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%s-%09d", upload, i)) // as long as azblob's
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wait sync.WaitGroup
	for range min(copyOverlap, len(staged.ids)) {
		wait.Go(func() {
			var err error
			defer func() {
				if err != nil {
					cancel(err)
				}
			}()
			defer recovered(&err)
			for i := next.Add(1) - 1; i < int64(len(staged.ids)) && err == nil && ctx.Err() == nil; i = next.Add(1) - 1 {
				err = staged.copyBlock(ctx, client, staged.ids[i], blob.HTTPRange{Offset: i * size, Count: min(size, c.source.size-i*size)})
			}
		})
	}
	wait.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, refusedWrite(ctx, c.put.at, err, c.put.before, nil)
	}
	return staged, nil
}

// mayStage returns why no blocks may be staged under the name: another's upload would lose its
// own, and a soft-deleted blob could not be undeleted any more.
func (c *copyCall) mayStage(ctx context.Context, client *blockblob.Client) error {
	list, err := client.GetBlockList(ctx, blockblob.BlockListTypeUncommitted, nil)
	switch {
	case err != nil && !isNoBlob(err):
		return refusedWrite(ctx, c.put.at, err, c.put.before, nil)
	case err == nil && len(list.UncommittedBlocks) > 0:
		return failuref(ErrLocked, "%s", uploading)
	case c.put.before != "":
		return nil
	}
	deleted, err := deletedAt(ctx, c.all, c.put.at)
	if err != nil {
		return err
	}
	if len(deleted.blobs) > 0 {
		return failuref(ErrExists, "A blob %s was deleted and can still be undeleted, which a copy in blocks would prevent. Nothing was changed. Copy to another name, or undelete the blob and overwrite it.", quote(c.put.at.Blob))
	}
	return nil
}

// copyBlock stages a part of the source. A repeated request replaces the block by itself.
func (c *stagedCopy) copyBlock(ctx context.Context, client *blockblob.Client, id string, part blob.HTTPRange) error {
	_, err := client.StageBlockFromURL(ctx, id, c.source.url, &blockblob.StageBlockFromURLOptions{
		Range: part, SourceModifiedAccessConditions: c.sourceCondition(),
	})
	return err
}

// commit makes the blocks the blob.
func (c *stagedCopy) commit(ctx context.Context, client *blockblob.Client) (written, error) {
	resp, err := client.CommitBlockList(ctx, c.ids, &blockblob.CommitBlockListOptions{
		HTTPHeaders: &c.put.headers, Metadata: c.put.metadata, Tags: c.sentTags(), AccessConditions: c.conditions(),
	})
	if err != nil {
		return written{}, err
	}
	return writtenOf(resp.ETag, resp.VersionID)
}
