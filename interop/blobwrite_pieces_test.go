//go:build unix

package interop_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/lease"
)

// pieces are what an upload is made of.
var pieces = []string{strings.Repeat("first\n", 100_000), strings.Repeat("second\n", 100_000), "third\n"}

// upload writes a blob in pieces, and cuts the connections of each. between is called before the
// last piece. want is how that ends.
func (w *writer) upload(want, name string, settings arguments, cuts []cut, between func() error) (writeResult, error) {
	var before writeResult
	for i, text := range pieces {
		a := arguments{"blob_path": name, "text": text}
		expected := "done staged"
		if i == 0 {
			maps.Copy(a, settings)
		} else {
			a["upload"], a["offset"] = before.Upload, *before.Offset
		}
		if i < len(pieces)-1 {
			a["more"] = true
		} else {
			expected = want
			if err := between(); err != nil {
				return before, err
			}
		}
		w.cutter.plan(cuts...)
		r, err := w.expect(expected, "write_blob", a)
		if err != nil {
			return r, fmt.Errorf("piece %d: %w", i, err)
		}
		if before = r; i < len(pieces)-1 && (r.Upload == "" || r.Offset == nil) {
			return r, fmt.Errorf("piece %d: got %+v, want an upload and an offset", i, r)
		}
	}
	return before, nil
}

func nothing() error { return nil }

func toolPieces(w *writer) error {
	whole := strings.Join(pieces, "")
	r, err := w.upload("done created", "a.txt", arguments{"content_type": "text/plain", "metadata": arguments{"author": "alice"}, "tags": arguments{"k": "v"}}, nil, func() error {
		var listed, found any
		_, errList := w.call("list_blobs", arguments{}, &listed)
		failed, _ := w.call("read_blob", arguments{"blob_path": "a.txt"}, &found) // it has no structured result
		return errors.Join(w.gone("a.txt"), errList, contains(listed, `"blobs":[]`), differs("read_blob fails", failed, true))
	})
	if err != nil {
		return err
	}
	h, err := w.properties("a.txt")
	if err != nil {
		return err
	}
	errs := []error{w.stands("a.txt", whole, r), differs("properties", fmt.Sprint(*h.ContentType, " ", *h.Metadata["Author"], " ", *h.TagCount), "text/plain alice 1")}
	if err := w.stock.put(w.ctx, w.container, "a.csv", []byte("a\n"), kept); err != nil {
		return err
	}
	etag, err := w.etag("a.csv")
	if err != nil {
		return err
	}
	r, err = w.upload("done overwritten", "a.csv", arguments{"if_match": string(etag)}, nil, func() error { return w.holds("a.csv", "a\n") })
	return errors.Join(append(errs, err, w.stands("a.csv", whole, r), w.has("a.csv"))...)
}

// toolPiecesLost cuts the connections of each piece, and of the commit.
func toolPiecesLost(w *writer) error {
	var errs []error
	for i, cuts := range [][]cut{{cutBefore}, {cutWithin}, {cutAfter}, {cutNever, cutBefore}, {cutNever, cutAfter}, {cutAfter, cutAfter}} {
		name := fmt.Sprintf("%d.txt", i)
		r, err := w.upload("done created", name, nil, cuts, nothing)
		if err = errors.Join(err, w.stands(name, strings.Join(pieces, ""), r)); err != nil {
			errs = append(errs, fmt.Errorf("cuts %v: %w", cuts, err))
		}
	}
	return errors.Join(errs...)
}

// toolPiecesOvertaken has others come before the last piece.
func toolPiecesOvertaken(w *writer) error {
	other := func(name string) func() error {
		return func() error {
			_, err := w.write(name, "other's", nil)
			return err
		}
	}
	r, err := w.upload("refused exists", "new.txt", nil, nil, other("new.txt"))
	errs := []error{err, w.stands("new.txt", "other's", r)}
	if err := w.put("old.txt", "leased.txt"); err != nil {
		return err
	}
	etag, err := w.etag("old.txt")
	if err != nil {
		return err
	}
	r, err = w.upload("refused changed", "old.txt", arguments{"if_match": string(etag)}, nil, other("old.txt"))
	errs = append(errs, err, w.stands("old.txt", "other's", r))
	if etag, err = w.etag("leased.txt"); err != nil {
		return err
	}
	r, err = w.upload("refused locked", "leased.txt", arguments{"if_match": string(etag)}, nil, func() error {
		client, err := lease.NewBlobClient(w.blobs.NewBlobClient("leased.txt"), &lease.BlobClientOptions{LeaseID: new(leaseA)})
		if err == nil {
			_, err = client.AcquireLease(w.ctx, -1, nil)
		}
		return err
	})
	errs = append(errs, err, w.stands("leased.txt", "leased.txt\n", r))
	return errors.Join(errs...)
}

// toolPiecesBesideAnother uploads where another has staged blocks: neither upload destroys the other.
func toolPiecesBesideAnother(w *writer) error {
	if err := w.stage("a.txt", 1, "other's"); err != nil {
		return err
	}
	_, err := w.expect("refused locked", "write_blob", arguments{"blob_path": "a.txt", "text": pieces[0], "more": true})
	return errors.Join(err, w.commitBlocks("a.txt", nil, 1), w.holds("a.txt", "other's"))
}
