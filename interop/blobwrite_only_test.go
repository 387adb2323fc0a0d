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
	return errors.Join(err, differs("promised undo", r.Undo.Possible, true), contains(listed, `"deleted":true`))
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
