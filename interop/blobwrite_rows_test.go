//go:build unix

package interop_test

import (
	"errors"
	"fmt"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/appendblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/lease"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// toolWrites is the table of what is done with the tools that write, and of what Azurite can't do.
var toolWrites = []behavior{
	{name: "write_blob creates", try: byTools(toolCreates)},
	{name: "write_blob overwrites", try: byTools(toolOverwrites)},
	{name: "write_blob hides its marker", try: byTools(toolHidesMarker)},
	{name: "write_blob keeps what Azure would drop", try: byTools(toolKeeps)},
	{name: "write_blob of another type of blob", try: byTools(toolOtherType)},
	{name: "edit_blob", try: byTools(toolEdits)},
	{name: "delete_blob", try: byTools(toolDeletes)},
	{name: "delete_blob with snapshots", try: byTools(toolDeletesSnapshots)},
	{name: "another's lease", try: byTools(toolLeased)},
	{name: "a lost answer", try: byTools(toolLostAnswer)},
	{name: "a lost answer, and another's write", try: byTools(toolLostToAnother)},
	{name: "two agents edit one blob", try: byTools(toolEditsOfTwo)},
	{name: "write_blob in pieces", try: byTools(toolPieces)},
	{name: "write_blob in pieces, lost answers", try: byTools(toolPiecesLost)},
	{name: "write_blob in pieces, overtaken", try: byTools(toolPiecesOvertaken)},
	{name: "write_blob in pieces, beside another upload", try: byTools(toolPiecesBesideAnother)},
	{name: "append_blob", try: byTools(toolAppends)},
	{name: "append_blob, a lost answer", try: byTools(toolAppendsLost)},
	{name: "two agents append to one blob", try: byTools(toolAppendsOfTwo)},
	{name: "set_metadata", try: byTools(toolSetsMetadata)},
	{name: "set_tags", try: byTools(toolSetsTags)},
	{name: "set_tags, overtaken", try: byTools(toolSetsTagsRace),
		notOnAzurite: "it ignores conditions of Set Blob Tags"},
	{name: "write_blob undone by a version", try: byTools(toolVersions), options: blobtest.Options{Versioning: true},
		notOnAzurite: "it keeps no versions"},
	{name: "delete_blob and undelete_blob with soft delete", try: byTools(toolSoftDelete), options: blobtest.Options{SoftDeleteDays: 7},
		notOnAzurite: "what is deleted is gone"},
	{name: "undelete_blob of a version", try: byToolsDirectly(toolRestores), options: blobtest.Options{Versioning: true},
		notOnAzurite: "it keeps no versions"},
	{name: "copy_blob", try: byToolsDirectly(toolCopies),
		notOnAzurite: "it answers 501 to Put Blob From URL"},
	{name: "a hold", try: byTools(toolHeld),
		notOnAzurite: "it has none"},
	{name: "a user who may not write", try: byTools(toolStranger),
		notOnAzurite: "it knows no roles: every good token may do everything"},
}

type arguments = map[string]any

func toolCreates(w *writer) error {
	r, err := w.expect("done created", "write_blob", arguments{
		"blob_path": "a.txt", "text": "one", "content_type": "text/plain", "metadata": arguments{"author": "alice"}, "tags": arguments{"k": "v"},
	})
	if err != nil {
		return err
	}
	h, err := w.properties("a.txt")
	if err != nil {
		return err
	}
	again, errAgain := w.expect("refused exists", "write_blob", arguments{"blob_path": "a.txt", "text": "two"})
	_, errBinary := w.expect("done created", "write_blob", arguments{"blob_path": "b.png", "base64": "iVBORw0KGgo=", "content_type": "image/png"})
	return errors.Join(errAgain, errBinary, w.stands("a.txt", "one", r), w.stands("a.txt", "one", again), w.holds("b.png", "\x89PNG\r\n\x1a\n"),
		differs("properties", fmt.Sprint(*h.ContentType, " ", *h.Metadata["Author"], " ", *h.TagCount), "text/plain alice 1"))
}

func toolOverwrites(w *writer) error {
	if err := w.put("a.txt"); err != nil {
		return err
	}
	first, err := w.etag("a.txt")
	if err != nil {
		return err
	}
	second, err := w.expect("done overwritten", "write_blob", arguments{"blob_path": "a.txt", "text": "2", "if_match": string(first)})
	if err != nil {
		return err
	}
	third, err := w.expect("done overwritten", "write_blob", arguments{"blob_path": "a.txt", "text": "3", "if_match": second.ETag})
	if err != nil {
		return err
	}
	stale, errStale := w.expect("refused changed", "write_blob", arguments{"blob_path": "a.txt", "text": "x", "if_match": second.ETag})
	_, errNone := w.expect("refused not_found", "write_blob", arguments{"blob_path": "none.txt", "text": "x", "if_match": second.ETag})
	return errors.Join(errStale, errNone, w.stands("a.txt", "3", third), w.stands("a.txt", "3", stale), w.gone("none.txt"))
}

// toolHidesMarker looks for the marker in all that shows metadata. azblob sees it.
func toolHidesMarker(w *writer) error {
	if _, err := w.expect("done created", "write_blob", arguments{"blob_path": "a.txt", "text": "a", "metadata": arguments{"author": "alice"}}); err != nil {
		return err
	}
	h, err := w.properties("a.txt")
	if err != nil {
		return err
	}
	names := 0
	for name := range h.Metadata {
		if strings.EqualFold(name, "mcpentra_write") {
			names++
		}
	}
	var listed, stat any // call looks for the marker
	_, errList := w.call("list_blobs", arguments{"include": []string{"metadata"}}, &listed)
	_, errStat := w.call("stat_blob", arguments{"blob_path": "a.txt"}, &stat)
	return errors.Join(errList, errStat, differs("markers", names, 1), contains(listed, `"metadata":{"author":"alice"}`), contains(stat, `"metadata":{"author":"alice"}`))
}

func contains(answer any, want string) error {
	if text := neutral(answer); !strings.Contains(text, want) {
		return fmt.Errorf("%s is not in %s", want, text)
	}
	return nil
}

// kept is a blob with all that an overwrite must keep.
var kept = blobtest.Properties{
	ContentType: "text/csv; charset=utf-8", ContentLanguage: "en", ContentDisposition: "attachment", CacheControl: "no-store",
	Metadata: map[string]string{"author": "alice"}, Tags: map[string]string{"project": "x", "rank": "10"},
}

func toolKeeps(w *writer) error {
	if err := w.stock.put(w.ctx, w.container, "a.csv", []byte("a,b\n"), kept); err != nil {
		return err
	}
	etag, err := w.etag("a.csv")
	if err != nil {
		return err
	}
	r, err := w.expect("done overwritten", "write_blob", arguments{"blob_path": "a.csv", "text": "c,d\n", "if_match": string(etag)})
	if err != nil {
		return err
	}
	errs := []error{w.stands("a.csv", "c,d\n", r), w.has("a.csv")}
	r, err = w.expect("done edited", "edit_blob", arguments{"blob_path": "a.csv", "old_text": "d", "new_text": "e"})
	return errors.Join(append(errs, err, w.stands("a.csv", "c,e\n", r), w.has("a.csv"))...)
}

// has compares a blob's properties with those of kept.
func (w *writer) has(name string) error {
	h, err := w.properties(name)
	if err != nil {
		return err
	}
	return errors.Join(
		differs("headers", fmt.Sprint(*h.ContentType, "|", *h.ContentLanguage, "|", *h.ContentDisposition, "|", *h.CacheControl),
			fmt.Sprint(kept.ContentType, "|", kept.ContentLanguage, "|", kept.ContentDisposition, "|", kept.CacheControl)),
		differs("metadata", *h.Metadata["Author"], "alice"), w.hasTags(name, kept.Tags))
}

func (w *writer) hasTags(name string, want map[string]string) error {
	resp, err := w.blobs.NewBlobClient(name).GetTags(w.ctx, nil)
	if err != nil {
		return err
	}
	got := map[string]string{}
	for _, tag := range resp.BlobTagSet {
		got[*tag.Key] = *tag.Value
	}
	return differs("tags", got, want)
}

// toolOtherType overwrites, edits and deletes an append blob: only the last may be.
func toolOtherType(w *writer) error {
	log := w.blobs.NewAppendBlobClient("a.log")
	if _, err := log.Create(w.ctx, nil); err != nil {
		return err
	}
	if _, err := log.AppendBlock(w.ctx, textBody("line\n"), &appendblob.AppendBlockOptions{}); err != nil {
		return err
	}
	etag, err := w.etag("a.log")
	if err != nil {
		return err
	}
	_, errCreate := w.expect("refused exists", "write_blob", arguments{"blob_path": "a.log", "text": "x"})
	_, errWrite := w.expect("refused unsupported", "write_blob", arguments{"blob_path": "a.log", "text": "x", "if_match": string(etag)})
	_, errEdit := w.expect("refused unsupported", "edit_blob", arguments{"blob_path": "a.log", "old_text": "line", "new_text": "x"})
	errs := []error{errCreate, errWrite, errEdit, w.holds("a.log", "line\n")}
	_, err = w.expect("done deleted", "delete_blob", arguments{"blob_path": "a.log", "if_match": string(etag)})
	return errors.Join(append(errs, err, w.gone("a.log"))...)
}

func toolEdits(w *writer) error {
	text := "\ufeffone\r\ntwo\r\ntwo\r\n"
	if err := w.stock.put(w.ctx, w.container, "a.txt", []byte(text), blobtest.Properties{ContentType: "text/plain"}); err != nil {
		return err
	}
	if err := w.stock.put(w.ctx, w.container, "sjis.txt", []byte("\x82\xa8\x92\x6d\x82\xe7\x82\xb9\n"), blobtest.Properties{ContentType: "text/plain; charset=shift_jis"}); err != nil {
		return err
	}
	first, err := w.etag("a.txt")
	if err != nil {
		return err
	}
	r, err := w.expect("done edited", "edit_blob", arguments{"blob_path": "a.txt", "old_text": "one\n", "new_text": "1\n1½\n", "if_match": string(first)})
	if err != nil {
		return err
	}
	errs := []error{w.stands("a.txt", "\ufeff1\r\n1½\r\ntwo\r\ntwo\r\n", r), differs("diff shown", strings.Contains(r.Diff, "-one") && strings.Contains(r.Diff, "+1½"), true)}
	_, err = w.expect("refused changed", "edit_blob", arguments{"blob_path": "a.txt", "old_text": "1\n", "new_text": "", "if_match": string(first)})
	errs = append(errs, err)
	_, err = w.expect("refused invalid_argument", "edit_blob", arguments{"blob_path": "a.txt", "old_text": "two", "new_text": "2"})
	errs = append(errs, err)
	_, err = w.expect("refused not_found", "edit_blob", arguments{"blob_path": "none.txt", "old_text": "two", "new_text": "2"})
	errs = append(errs, err, w.stands("a.txt", "\ufeff1\r\n1½\r\ntwo\r\ntwo\r\n", r))
	r, err = w.expect("done edited", "edit_blob", arguments{"blob_path": "a.txt", "old_text": "two", "new_text": "2", "count": 2})
	errs = append(errs, err, w.stands("a.txt", "\ufeff1\r\n1½\r\n2\r\n2\r\n", r))
	r, err = w.expect("done edited", "edit_blob", arguments{"blob_path": "sjis.txt", "old_text": "知らせ", "new_text": "しらせ"})
	return errors.Join(append(errs, err, w.stands("sjis.txt", "\x82\xa8\x82\xb5\x82\xe7\x82\xb9\n", r))...)
}

func toolDeletes(w *writer) error {
	if err := w.put("a.txt"); err != nil {
		return err
	}
	etag, err := w.etag("a.txt")
	if err != nil {
		return err
	}
	r, errStale := w.expect("refused changed", "delete_blob", arguments{"blob_path": "a.txt", "if_match": "0x1"})
	errs := []error{errStale, w.stands("a.txt", "a.txt\n", r)}
	r, err = w.expect("done deleted", "delete_blob", arguments{"blob_path": "a.txt", "if_match": string(etag)})
	errs = append(errs, err, w.gone("a.txt"), differs("promised undo", r.Undo != nil && r.Undo.Possible, false))
	_, err = w.expect("refused not_found", "delete_blob", arguments{"blob_path": "a.txt", "if_match": string(etag)})
	return errors.Join(append(errs, err)...)
}

func toolDeletesSnapshots(w *writer) error {
	if err := w.put("a.txt"); err != nil {
		return err
	}
	if _, err := w.stock.snapshot(w.ctx, w.container, "a.txt"); err != nil {
		return err
	}
	etag, err := w.etag("a.txt")
	if err != nil {
		return err
	}
	r, errRefused := w.expect("refused unsupported", "delete_blob", arguments{"blob_path": "a.txt", "if_match": string(etag)})
	errs := []error{errRefused, w.stands("a.txt", "a.txt\n", r), contains(r.Message, "delete_snapshots")}
	_, err = w.expect("done deleted", "delete_blob", arguments{"blob_path": "a.txt", "if_match": string(etag), "delete_snapshots": true})
	return errors.Join(append(errs, err, w.gone("a.txt"))...)
}

func toolLeased(w *writer) error {
	if err := w.put("a.txt"); err != nil {
		return err
	}
	other, err := lease.NewBlobClient(w.blobs.NewBlobClient("a.txt"), &lease.BlobClientOptions{LeaseID: new(leaseA)})
	if err != nil {
		return err
	}
	if _, err := other.AcquireLease(w.ctx, -1, nil); err != nil {
		return err
	}
	etag, err := w.etag("a.txt")
	if err != nil {
		return err
	}
	var errs []error
	for tool, a := range w.changesOf("a.txt", string(etag)) {
		r, err := w.expect("refused locked", tool, a)
		errs = append(errs, err, w.stands("a.txt", "a.txt\n", r))
		if r.Lease == nil || r.Lease.State != "leased" || r.Lease.Duration != "infinite" {
			errs = append(errs, fmt.Errorf("%s: the lease is %+v, want leased, infinite", tool, r.Lease))
		}
	}
	if _, err := other.ReleaseLease(w.ctx, nil); err != nil {
		return err
	}
	_, err = w.expect("done overwritten", "write_blob", w.changesOf("a.txt", string(etag))["write_blob"])
	return errors.Join(append(errs, err)...)
}

// changesOf are calls that change a blob of a line, by tool.
func (w *writer) changesOf(name, etag string) map[string]arguments {
	return map[string]arguments{
		"write_blob":   {"blob_path": name, "text": "new\n", "if_match": etag},
		"edit_blob":    {"blob_path": name, "old_text": name, "new_text": "new", "if_match": etag},
		"delete_blob":  {"blob_path": name, "if_match": etag},
		"set_metadata": {"blob_path": name, "set": arguments{"author": "alice"}, "if_match": etag},
		"set_tags":     {"blob_path": name, "old_tags": arguments{}, "tags": arguments{"project": "x"}, "if_match": etag},
	}
}
