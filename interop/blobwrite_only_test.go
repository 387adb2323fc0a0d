//go:build unix

package interop_test

import (
	"errors"
	"fmt"
)

// What only blobtest shows of the tools that write.

func toolVersions(w *writer) error {
	first, err := w.expect("done created", "write_blob", arguments{"blob_path": "a.txt", "text": "old"})
	if err != nil {
		return err
	}
	second, err := w.expect("done overwritten", "write_blob", arguments{"blob_path": "a.txt", "text": "new", "if_match": first.ETag})
	if err != nil {
		return err
	}
	if second.Undo.VersionID == "" {
		return fmt.Errorf("the undo has no version: %+v", *second.Undo)
	}
	var read struct {
		Text string `json:"text"`
	}
	_, err = w.call("read_blob", arguments{"blob_path": "a.txt", "version_id": second.Undo.VersionID}, &read)
	return errors.Join(err, differs("the version before", read.Text, "old"))
}

func toolSoftDelete(w *writer) error {
	r, err := w.expect("done created", "write_blob", arguments{"blob_path": "a.txt", "text": "old"})
	if err != nil {
		return err
	}
	r, err = w.expect("done deleted", "delete_blob", arguments{"blob_path": "a.txt", "if_match": r.ETag})
	if err != nil {
		return err
	}
	var listed any
	_, err = w.call("list_blobs", arguments{"include": []string{"deleted"}}, &listed)
	errs := []error{err, differs("promised undo", r.Undo.Possible, true), contains(listed, `"deleted":true`)}
	r, err = w.expect("done undeleted", "undelete_blob", arguments{"blob_path": "a.txt"})
	errs = append(errs, err, w.stands("a.txt", "old", r))
	_, err = w.expect("refused exists", "undelete_blob", arguments{"blob_path": "a.txt"})
	return errors.Join(append(errs, err)...)
}

// toolRestores overwrites and deletes a blob, and brings its versions back.
func toolRestores(w *writer) error {
	if err := w.stock.put(w.ctx, w.container, "a.csv", []byte("old"), kept); err != nil {
		return err
	}
	etag, err := w.etag("a.csv")
	if err != nil {
		return err
	}
	over, err := w.expect("done overwritten", "write_blob", arguments{"blob_path": "a.csv", "text": "new", "if_match": string(etag)})
	if err != nil {
		return err
	}
	back, err := w.expect("done overwritten", "undelete_blob", arguments{"blob_path": "a.csv", "version_id": over.Undo.VersionID, "if_match": over.ETag})
	if err != nil {
		return err
	}
	errs := []error{w.stands("a.csv", "old", back), w.has("a.csv")}
	gone, err := w.expect("done deleted", "delete_blob", arguments{"blob_path": "a.csv", "if_match": back.ETag})
	if err != nil {
		return err
	}
	back, err = w.expect("done undeleted", "undelete_blob", arguments{"blob_path": "a.csv", "version_id": gone.Undo.VersionID})
	return errors.Join(append(errs, err, w.stands("a.csv", "old", back))...)
}

// toolCopies copies a blob to a new name, and over another blob.
func toolCopies(w *writer) error {
	if err := errors.Join(w.stock.put(w.ctx, w.container, "a.csv", []byte("a\n"), kept), w.put("old.csv")); err != nil {
		return err
	}
	etag, err := w.etag("old.csv")
	if err != nil {
		return err
	}
	copied, err := w.expect("done created", "copy_blob", arguments{"source_path": "a.csv", "blob_path": "b.csv"})
	if err != nil {
		return err
	}
	errs := []error{w.stands("b.csv", "a\n", copied), w.has("b.csv")}
	again, err := w.expect("refused exists", "copy_blob", arguments{"source_path": "a.csv", "blob_path": "b.csv"})
	errs = append(errs, err, w.stands("b.csv", "a\n", again))
	over, err := w.expect("done overwritten", "copy_blob", arguments{"source_path": "a.csv", "blob_path": "old.csv", "if_match": string(etag)})
	errs = append(errs, err, w.stands("old.csv", "a\n", over))
	_, err = w.expect("refused changed", "copy_blob", arguments{"source_path": "a.csv", "source_etag": "0x1", "blob_path": "c.csv"})
	errs = append(errs, err)
	_, err = w.expect("refused not_found", "copy_blob", arguments{"source_path": "none.csv", "blob_path": "c.csv"})
	return errors.Join(append(errs, err, w.gone("c.csv"))...)
}

func toolHeld(w *writer) error {
	if err := w.put("a.txt"); err != nil {
		return err
	}
	etag, err := w.etag("a.txt")
	if err != nil {
		return err
	}
	if box, ok := w.stock.(boxStock); ok {
		box.SetLegalHold(w.container, "", true)
	}
	var errs []error
	for tool, a := range w.changesOf("a.txt", string(etag)) {
		r, err := w.expect("refused locked", tool, a)
		errs = append(errs, err, w.stands("a.txt", "a.txt\n", r), contains(r.Message, "legal hold"))
	}
	return errors.Join(errs...)
}

// toolStranger writes as a user without a role.
func toolStranger(w *writer) error {
	p := *w.place
	p.user = p.stranger
	stranger, err := p.writer()
	if err != nil {
		return err
	}
	defer stranger.close()
	_, err = stranger.expect("refused permission", "write_blob", arguments{"blob_path": "a.txt", "text": "x"})
	return errors.Join(err, w.gone("a.txt"))
}
