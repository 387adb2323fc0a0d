package blobtool

import (
	"context"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
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
	} else if err := w.set.notDeleted(ctx, w.all, w.at, "an upload in pieces"); err != nil {
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
