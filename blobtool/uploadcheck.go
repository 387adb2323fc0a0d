package blobtool

import (
	"context"
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/fault"
)

// mayBegin returns why an upload should not begin: what would refuse its commit, or be harmed by
// its first block.
func (w *writeCall) mayBegin(ctx context.Context, client *blob.Client, now *standing) error {
	if w.put.before != "" {
		if err := w.couldConfirm(ctx); err != nil {
			return err
		}
		trial := *w // the commit decides anew
		if _, err := trial.keep(ctx, client, now); err != nil {
			return err
		}
	} else if err := w.notDeleted(ctx); err != nil {
		return err
	}
	staged, err := w.staged(ctx)
	if err == nil && w.piece.owner.Foreign(staged) {
		err = w.anotherUpload(nil)
	}
	return err
}

// couldConfirm returns why nobody could confirm the overwrite in the end.
func (w *writeCall) couldConfirm(ctx context.Context) error {
	if w.set.writing.confirm != nil || canAsk(w.req) {
		return nil
	}
	return w.set.writing.decide(ctx, Question{Action: ActionOverwrite})
}

// notDeleted returns why a name can't be staged onto: a block would make a new blob of it, and a
// snapshot of the blob that was deleted, which could not be restored any more.
func (w *writeCall) notDeleted(ctx context.Context) error {
	pages := w.all.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{
		Include: container.ListBlobsInclude{Deleted: true}, Prefix: &w.at.Blob, MaxResults: new(int32(1)),
	})
	for pages.More() { // Azure has pages without blobs, too
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fromAzure(ctx, w.at, err)
		}
		if page.Segment == nil {
			return fromAzure(ctx, w.at, fmt.Errorf("%w: a listing without blobs", fault.ErrBadAnswer))
		}
		for _, item := range page.Segment.BlobItems {
			switch {
			case item == nil || value(item.Name) != w.at.Blob: // longer names come after this one
				return nil
			case value(item.Deleted):
				return failuref(ErrLocked, "Blob %s was deleted and can still be undeleted, which an upload in pieces would prevent. Nothing was changed. Write to another name.", quote(w.at.Blob))
			}
		}
	}
	return nil
}
