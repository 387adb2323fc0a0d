package blobtool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/upload"
)

// A piece is what a call of write_blob adds to an upload.
type piece struct {
	owner  upload.Owner
	first  bool
	last   bool
	before upload.State
	after  upload.State
	block  string // ID of the piece's block
}

// resume opens the upload that the call goes on with. The settings of the first call become those
// of this one.
func (w *writeCall) resume() error {
	in := &w.in
	switch {
	case in.Upload == "" && in.Offset != nil && *in.Offset != 0:
		return failuref(ErrInvalidArgument, "offset is only for the second and later pieces, together with upload. Nothing was changed. Give upload from the previous piece's result, or leave offset out.")
	case in.Upload == "" && !in.More:
		return nil
	case !w.set.writing.inPieces():
		return failuref(ErrInvalidArgument, "This server writes no content in pieces; write up to %d bytes in one call, without more and upload.", w.set.writing.inline())
	}
	p := &piece{owner: ownerOf(userID(w.req), w.at), first: in.Upload == "", last: !in.More}
	w.piece = p
	if p.first {
		return nil // check begins the upload, once it has checked the settings
	}
	var err error
	if p.before, err = w.set.writing.uploads.open(p.owner, in.Upload); err != nil {
		return err
	}
	if at := p.before.Size; in.Offset == nil || *in.Offset != at {
		return failuref(ErrInvalidArgument, "This upload has %d bytes so far, so its next piece must have the offset %d and the content from there on. Nothing was changed. "+
			"To repeat a piece, repeat its call with the same upload.", at, at)
	}
	return in.adopt(&p.before.Settings)
}

// adopt takes the settings of the first piece. The call may repeat them, but not change them.
func (in *writeInput) adopt(s *upload.Settings) error {
	etag, err := parseETag(in.IfMatch)
	if err != nil {
		return err
	}
	differs := ""
	switch {
	case etag != "" && etag != s.ETag:
		differs = "if_match"
	case in.ContentType != "" && in.ContentType != s.ContentType:
		differs = "content_type"
	case in.Metadata != nil && !maps.Equal(in.Metadata, s.Metadata):
		differs = "metadata"
	case in.Tags != nil && !maps.Equal(in.Tags, s.Tags):
		differs = "tags"
	case in.DropTags && !s.DropTags:
		differs = "drop_tags"
	}
	if differs != "" {
		return failuref(ErrInvalidArgument, "%s differs from that of the first piece, which applies to the whole upload. Nothing was changed. Leave it out, or start again with the first piece and without upload.", differs)
	}
	in.IfMatch, in.ContentType, in.Metadata, in.Tags, in.DropTags = s.ETag, s.ContentType, s.Metadata, s.Tags, s.DropTags
	return nil
}

// checkPiece adds the call's content to the upload. The other arguments have been checked.
func (w *writeCall) checkPiece() error {
	p, in, data := w.piece, &w.in, w.put.data
	if p == nil {
		return nil
	}
	if p.first {
		settings := upload.Settings{ETag: string(w.put.before), ContentType: in.ContentType, Metadata: in.Metadata, Tags: in.Tags, DropTags: in.DropTags}
		p.before = upload.Begin(p.owner, settings, w.set.writing.uploads.now())
	}
	most := w.set.writing.maxBytes
	switch {
	case len(data) == 0 && p.last:
		p.after = p.before // ends with what is staged
		return nil
	case len(data) == 0:
		return failuref(ErrInvalidArgument, "A piece with more must have content. Nothing was changed. To finish the upload, leave more out.")
	case p.before.Size+int64(len(data)) > most:
		return failuref(ErrTooLarge, "The content would have %d bytes with this piece; this server writes blobs of up to %d. Nothing was changed. Write less, or several blobs.", p.before.Size+int64(len(data)), most)
	case p.before.Pieces >= maxPieces:
		return failuref(ErrTooLarge, "The upload has %d pieces, the most that this server takes. Nothing was changed. Start again with larger pieces, of up to %d bytes.", maxPieces, maxInline)
	}
	p.after, p.block = p.before.With(p.owner, data, in.Text != nil)
	return nil
}

// upload stages the piece, and with the last one commits the blob.
func (w *writeCall) upload(ctx context.Context, out *writeOutput) error {
	p := w.piece
	done, err := w.advance(ctx, out)
	if done || p.first && err != nil { // an upload that has not begun needs no place
		w.set.writing.uploads.ended(p.owner)
	}
	var e *Error
	switch {
	case p.first || !errors.As(err, &e) || errors.Is(e, ErrUncertain):
	case w.tooLate(out):
		w.set.writing.uploads.ended(p.owner)
		e.text += " This upload can't be finished."
	case slices.ContainsFunc([]error{ErrLocked, ErrThrottled, ErrUnavailable, ErrPermission, ErrWrongAudience, ErrCredential}, func(kind error) bool { return errors.Is(e, kind) }):
		e.text += fmt.Sprintf(" The previous pieces are kept: this call can be repeated as it is, %s.", until(&p.before))
	}
	return err
}

// tooLate reports whether the blob is not what the upload began with.
func (w *writeCall) tooLate(out *writeOutput) bool {
	return out.Exists != nil && (*out.Exists != (w.put.before != "") || out.ETag != bareETag(string(w.put.before)))
}

// advance does one step of an upload, and reports whether the blob is written.
func (w *writeCall) advance(ctx context.Context, out *writeOutput) (done bool, err error) {
	p, client := w.piece, w.all.NewBlobClient(w.at.Blob)
	now, err := w.set.look(ctx, w.at, client)
	switch {
	case err != nil:
		return false, err
	case p.last && w.wroteBefore(ctx, &now):
		w.foundWritten(out, &now)
		return true, nil
	}
	out.refuse(&now)
	if err := w.standsAsBefore(&now); err != nil {
		return false, err
	}
	if p.first {
		if err := w.mayBegin(ctx, client, &now); err != nil {
			return false, err
		}
	} else if p.block != "" && w.put.before == "" { // someone may have made and deleted the blob since
		if err := w.set.notDeleted(ctx, w.all, w.at, "an upload in pieces"); err != nil {
			return false, err
		}
	}
	if err := w.set.writing.uploads.admit(p.owner); err != nil {
		return false, err
	}
	if p.last {
		err := w.commit(ctx, out, client, &now)
		return err == nil, err
	}
	if err := w.stage(ctx, &now); err != nil {
		return false, err
	}
	out.Outcome, out.Action = writeDone, "staged"
	out.Upload, out.Offset = w.set.writing.uploads.handle(p.owner, &p.after), &p.after.Size
	out.Message = fmt.Sprintf("%d bytes are staged. Blob %s is not written yet: call again with the next piece, this upload and offset %d, and with more unless it is the last piece. The upload can go on %s.",
		p.after.Size, quote(w.at.Blob), p.after.Size, until(&p.after))
	out.Undo = &undo{Possible: true, How: "There is nothing to undo: the blob has not changed. Azure drops the staged pieces a week after the last one."}
	return false, nil
}

// wroteBefore reports whether an earlier call with the same arguments has committed the blob, and
// its answer was lost.
func (w *writeCall) wroteBefore(ctx context.Context, now *standing) bool {
	p := w.piece
	if p.first || !now.exists || now.marker != p.before.Marker() || !bytes.Equal(now.headers.BlobContentMD5, p.after.Sum()) || now.size != p.after.Size {
		return false
	}
	if again := w.put; again.before == "" { // of an overwrite, what it kept is gone
		if again.blocks = (&stagedBlocks{size: p.after.Size}); !again.describes(now) {
			return false
		}
	}
	resp, err := w.all.NewBlockBlobClient(w.at.Blob).GetBlockList(ctx, blockblob.BlockListTypeCommitted, nil)
	if err != nil || !now.hasETag(resp.ETag) {
		return false
	}
	ids, complete := p.after.Blocks(p.owner, blocksOf(resp.CommittedBlocks))
	return complete && len(ids) == len(resp.CommittedBlocks)
}

// foundWritten is the result of a call that an earlier one has done already.
func (w *writeCall) foundWritten(out *writeOutput, now *standing) {
	action, back := "created", createdUndo()
	if w.put.before != "" {
		action, back = "overwritten", &undo{How: "See the result of the call that wrote the blob; this call found it written."}
	}
	out.did(action, written{etag: now.etag, version: now.version}, now.size)
	out.Message = fmt.Sprintf("Blob %s has the %d bytes of this upload: an earlier call with it has written them.", quote(w.at.Blob), now.size)
	out.Undo = back
}

// standsAsBefore returns why the upload can't be committed to what is there now.
func (w *writeCall) standsAsBefore(now *standing) error {
	if w.put.before != "" {
		return replaceable(w.at, w.put.before, now)
	}
	if now.exists {
		v := conflictVerdict(quote(w.at.Blob), "", now)
		return failuref(v.kind, "%s", v.text)
	}
	return nil
}

// stage sends the piece as a block. A block changes nothing that reads show, and replaces itself,
// so the SDK may repeat it.
func (w *writeCall) stage(ctx context.Context, now *standing) error {
	client := w.all.NewBlockBlobClient(w.at.Blob)
	_, err := client.StageBlock(ctx, w.piece.block, streaming.NopCloser(bytes.NewReader(w.put.data)), &blockblob.StageBlockOptions{
		TransactionalValidation: crc64Of(w.put.data),
	})
	switch {
	case err == nil:
		return nil
	case bloberror.HasCode(err, bloberror.InvalidBlobOrBlock): // their IDs have another length
		return w.anotherUpload(err)
	case bloberror.HasCode(err, bloberror.InvalidBlobType) && now.kind == blob.BlobTypeBlockBlob:
		e := refusedWrite(ctx, w.at, err, w.put.before, now)
		e.text = fmt.Sprintf("Blob %s was made through the Data Lake endpoint, so it can't be replaced in pieces. Nothing was changed. Write up to %d bytes in one call, or write to another name.", quote(w.at.Blob), maxInline)
		return e
	}
	return refusedWrite(ctx, w.at, err, w.put.before, now)
}

// commit stages the last piece, if it has content, and commits the blob.
func (w *writeCall) commit(ctx context.Context, out *writeOutput, client *blob.Client, now *standing) error {
	p := w.piece
	var notes []string
	if w.put.before != "" {
		var err error
		if notes, err = w.prepare(ctx, client, now, p.after.Size); err != nil {
			return err
		}
	}
	if p.block != "" {
		if err := w.stage(ctx, now); err != nil {
			return err
		}
	}
	staged, err := w.staged(ctx)
	if err != nil {
		return err
	}
	if p.owner.Foreign(staged) {
		return w.anotherUpload(nil)
	}
	ids, complete := p.after.Blocks(p.owner, staged)
	if !complete {
		return w.blocksGone(nil)
	}
	w.put.data, w.put.blocks = nil, &stagedBlocks{ids: ids, size: p.after.Size, md5: p.after.Sum(), marker: p.after.Marker()}
	if w.put.before == "" {
		err = w.create(ctx, out)
	} else {
		err = w.replace(ctx, out, now, notes)
	}
	if e, ok := errors.AsType[*Error](err); ok && e.Code == string(bloberror.InvalidBlockList) {
		return w.blocksGone(e.cause)
	}
	return err
}

// blocksGone says that a commit has nothing to commit.
func (w *writeCall) blocksGone(cause error) error {
	w.set.writing.uploads.ended(w.piece.owner)
	return &Error{Kind: ErrChanged, cause: cause, text: fmt.Sprintf("The pieces of this upload to blob %s are not all there any more: another write to the blob has dropped them, or they have expired. "+
		"Nothing was changed by this call. Look at the blob, then start again with the first piece and without upload.", quote(w.at.Blob))}
}

// anotherUpload says that someone else has staged blocks.
func (w *writeCall) anotherUpload(cause error) error {
	return &Error{Kind: ErrLocked, cause: cause, text: fmt.Sprintf("Another upload to blob %s is under way, by another user or program, and this one would destroy it. Nothing was changed. "+
		"Write to another name, or try again later: an upload that nobody finishes disappears a week after its last piece.", quote(w.at.Blob))}
}

// staged lists the uncommitted blocks of the name.
func (w *writeCall) staged(ctx context.Context) ([]upload.Block, error) {
	resp, err := w.all.NewBlockBlobClient(w.at.Blob).GetBlockList(ctx, blockblob.BlockListTypeUncommitted, nil)
	switch {
	case isNoBlob(err):
		return nil, nil
	case err != nil:
		return nil, fromAzure(ctx, w.at, err)
	}
	return blocksOf(resp.UncommittedBlocks), nil
}

func blocksOf(listed []*blockblob.Block) []upload.Block {
	blocks := make([]upload.Block, 0, len(listed))
	for _, b := range listed {
		if b != nil {
			blocks = append(blocks, upload.Block{ID: value(b.Name), Size: value(b.Size)})
		}
	}
	return blocks
}

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
