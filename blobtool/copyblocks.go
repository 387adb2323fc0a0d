package blobtool

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
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
	blockID       = 36 // bytes of an ID before base64
	copyOverlap   = 4  // blocks that are copied at the same time
)

// stagedCopy is a copy whose blocks are staged and not committed: nobody can see it.
type stagedCopy struct {
	*copyCall
	ids []string
}

// stage copies the source in blocks. Blocks that are never committed expire within a week; this
// call does not delete them, since a request for that could hit another's commit.
func (c *copyCall) stage(ctx context.Context, client *blockblob.Client, out *writeOutput) (*stagedCopy, error) {
	mine := c.blockPrefix()
	if err := c.mayStage(ctx, client, mine, out); err != nil {
		return nil, err
	}
	size := max(c.set.writing.copiedBlock, (c.source.size+maxBlocks-1)/maxBlocks)
	staged := &stagedCopy{c, make([]string, (c.source.size+size-1)/size)}
	upload := rand.Text()[:16]
	for i := range staged.ids {
		staged.ids[i] = base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%s%s-%07d", mine, upload, i)) // as long as azblob's
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

// blockPrefix begins the IDs of the user's blocks under that name, so that what an earlier copy of
// the same user left there is not taken for another's upload.
func (c *copyCall) blockPrefix() string {
	sum := sha256.Sum256([]byte("copy_blob\x00" + userID(c.req) + "\x00" + c.put.at.Container + "/" + c.put.at.Blob))
	return hex.EncodeToString(sum[:6])
}

// mayStage returns why no blocks may be staged under the name: another's upload would lose its
// own, and a soft-deleted blob could not be undeleted any more. mine begins the IDs of own blocks.
func (c *copyCall) mayStage(ctx context.Context, client *blockblob.Client, mine string, out *writeOutput) error {
	if c.put.before == "" {
		now, err := c.set.look(ctx, c.put.at, client.BlobClient())
		if err != nil {
			return err
		}
		if now.exists {
			v := conflictVerdict(quote(c.put.at.Blob), "", &now)
			out.show(&now)
			return failuref(v.kind, "%s", v.text)
		}
	}
	list, err := client.GetBlockList(ctx, blockblob.BlockListTypeUncommitted, nil)
	if err != nil && !isNoBlob(err) {
		return refusedWrite(ctx, c.put.at, err, c.put.before, nil)
	}
	for _, b := range list.UncommittedBlocks {
		if id, err := base64.StdEncoding.DecodeString(value(b.Name)); err != nil || len(id) != blockID || !strings.HasPrefix(string(id), mine) {
			return failuref(ErrLocked, "%s", uploading)
		}
	}
	if c.put.before != "" {
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
