//go:build unix

package interop_test

import (
	"errors"
	"fmt"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
)

func toolAppends(w *writer) error {
	if err := w.put("a.txt"); err != nil {
		return err
	}
	r, err := w.expect("done created", "append_blob", arguments{"blob_path": "a.log", "create": true, "content_type": "text/plain", "text": "one\n", "metadata": arguments{"author": "alice"}})
	if err != nil {
		return err
	}
	errs := []error{w.stands("a.log", "one\n", r)}
	r, err = w.expect("done appended", "append_blob", arguments{"blob_path": "a.log", "text": "two\n"})
	errs = append(errs, err, w.stands("a.log", "one\ntwo\n", r), contains(r.Message, "offset 4"))
	h, err := w.properties("a.log")
	if err != nil {
		return err
	}
	errs = append(errs, differs("properties", fmt.Sprint(*h.BlobType, " ", *h.ContentType, " ", *h.Metadata["Author"]), "AppendBlob text/plain alice"))
	for _, c := range []struct {
		want string
		a    arguments
	}{
		{"refused changed", arguments{"blob_path": "a.log", "text": "x", "if_match": "0x1"}},
		{"refused exists", arguments{"blob_path": "a.log", "text": "x", "create": true}},
		{"refused unsupported", arguments{"blob_path": "a.txt", "text": "x"}},
		{"refused not_found", arguments{"blob_path": "none.log", "text": "x"}},
	} {
		_, err := w.expect(c.want, "append_blob", c.a)
		errs = append(errs, err)
	}
	return errors.Join(append(errs, w.stands("a.log", "one\ntwo\n", r), w.holds("a.txt", "a.txt\n"), w.gone("none.log"))...)
}

// toolAppendsLost cuts connections of append_blob. What was appended has no marker.
func toolAppendsLost(w *writer) error {
	if _, err := w.expect("done created", "append_blob", arguments{"blob_path": "a.log", "create": true}); err != nil {
		return err
	}
	var errs []error
	text := ""
	for i, c := range []struct {
		how     cut
		want    string
		message string
		other   bool // another's line comes right after
	}{
		{cutBefore, "done appended", "", false},
		{cutWithin, "done appended", "", false},
		{cutAfter, "unknown uncertain", "present at offset", false},
		{cutAfter, "unknown uncertain", "present at offset", true},
		{cutBefore, "unknown uncertain", "Something else is at offset", true},
	} {
		line := fmt.Sprintf("line %d\n", i)
		failed := func() error { return nil }
		if c.other {
			failed = w.cutter.onCut(func() error {
				_, err := w.blobs.NewAppendBlobClient("a.log").AppendBlock(w.ctx, textBody("other's\n"), nil)
				return err
			})
		}
		w.cutter.plan(c.how)
		r, err := w.expect(c.want, "append_blob", arguments{"blob_path": "a.log", "text": line})
		if !c.other || c.how == cutAfter {
			text += line
		}
		if c.other {
			text += "other's\n"
		}
		if err = errors.Join(err, failed(), w.stands("a.log", text, r), contains(r.Message, c.message)); err != nil {
			errs = append(errs, fmt.Errorf("%+v: %w", c, err))
		}
	}
	return errors.Join(errs...)
}

// toolAppendsOfTwo has two agents append a hundred lines each.
func toolAppendsOfTwo(w *writer) error {
	if _, err := w.expect("done created", "append_blob", arguments{"blob_path": "a.log", "create": true}); err != nil {
		return err
	}
	var wait sync.WaitGroup
	var errs [2]error
	outcomes := map[string]string{}
	var mu sync.Mutex
	for i := range errs {
		wait.Go(func() {
			for n := 0; n < 100 && errs[i] == nil; n++ {
				line := fmt.Sprintf("agent %d, line %d\n", i, n)
				var r writeResult
				_, errs[i] = w.call("append_blob", arguments{"blob_path": "a.log", "text": line}, &r)
				mu.Lock()
				outcomes[line] = r.Outcome + " " + r.Reason
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	_, text, err := w.read(w.blobs.NewBlobClient("a.log"), nil)
	if err = errors.Join(err, errs[0], errs[1]); err != nil {
		return err
	}
	return account(string(text), outcomes)
}

func toolSetsMetadata(w *writer) error {
	if err := w.stock.put(w.ctx, w.container, "a.csv", []byte("a\n"), kept); err != nil {
		return err
	}
	first, err := w.etag("a.csv")
	if err != nil {
		return err
	}
	a := func(etag string, set arguments, remove ...string) arguments {
		return arguments{"blob_path": "a.csv", "if_match": etag, "set": set, "remove": remove}
	}
	second, err := w.expect("done metadata_set", "set_metadata", a(string(first), arguments{"reviewed": "bob"}))
	if err != nil {
		return err
	}
	errs := []error{w.stands("a.csv", "a\n", second), w.has("a.csv"), contains(second.Diff, "+reviewed")}
	stale, err := w.expect("refused changed", "set_metadata", a(string(first), arguments{"author": "bob"}))
	errs = append(errs, err, w.stands("a.csv", "a\n", stale), w.has("a.csv"))
	w.cutter.plan(cutAfter)
	third, err := w.expect("done metadata_set", "set_metadata", a(second.ETag, arguments{"reviewed": "carol"}))
	errs = append(errs, err, w.stands("a.csv", "a\n", third), differs("requests", w.cutter.seen(), 1))
	w.cutter.plan(cutBefore)
	last, err := w.expect("done metadata_set", "set_metadata", a(third.ETag, nil, "reviewed"))
	errs = append(errs, err, w.stands("a.csv", "a\n", last), w.has("a.csv"), differs("requests", w.cutter.seen(), 2))
	var stat any
	_, err = w.call("stat_blob", arguments{"blob_path": "a.csv"}, &stat)
	return errors.Join(append(errs, err, contains(stat, `"metadata":{"author":"alice"}`))...)
}

func toolSetsTags(w *writer) error {
	if err := w.stock.put(w.ctx, w.container, "a.csv", []byte("a\n"), kept); err != nil {
		return err
	}
	etag, err := w.etag("a.csv")
	if err != nil {
		return err
	}
	a := func(etag string, old, tags arguments) arguments {
		return arguments{"blob_path": "a.csv", "if_match": etag, "old_tags": old, "tags": tags}
	}
	old, next := arguments{"project": "x", "rank": "10"}, arguments{"project": "y"}
	r, err := w.expect("done tags_set", "set_tags", a(string(etag), old, next))
	errs := []error{err, w.stands("a.csv", "a\n", r), w.hasTags("a.csv", map[string]string{"project": "y"})}
	_, err = w.expect("refused changed", "set_tags", a(string(etag), old, arguments{"project": "z"}))
	errs = append(errs, err, w.hasTags("a.csv", map[string]string{"project": "y"}))
	_, err = w.expect("refused changed", "set_tags", a("0x1", next, arguments{"project": "z"}))
	errs = append(errs, err, w.hasTags("a.csv", map[string]string{"project": "y"}))
	w.cutter.plan(cutBefore)
	_, err = w.expect("done tags_set", "set_tags", a(string(etag), next, arguments{}))
	errs = append(errs, err, w.hasTags("a.csv", map[string]string{}))
	w.cutter.plan(cutAfter)
	r, err = w.expect("unknown uncertain", "set_tags", a(string(etag), arguments{}, old))
	return errors.Join(append(errs, err, contains(r.Message, "has the tags"), w.has("a.csv"))...)
}

// toolSetsTagsRace has another change the tags between the tool's look and its write.
func toolSetsTagsRace(w *writer) error {
	if err := w.stock.put(w.ctx, w.container, "a.csv", []byte("a\n"), kept); err != nil {
		return err
	}
	etag, err := w.etag("a.csv")
	if err != nil {
		return err
	}
	failed := w.cutter.onCut(func() error {
		_, err := w.blobs.NewBlobClient("a.csv").SetTags(w.ctx, map[string]string{"project": "other"}, &blob.SetTagsOptions{})
		return err
	})
	w.cutter.plan(overtaken)
	_, err = w.expect("refused changed", "set_tags", arguments{"blob_path": "a.csv", "if_match": string(etag), "old_tags": kept.Tags, "tags": arguments{"project": "y"}})
	return errors.Join(err, failed(), w.hasTags("a.csv", map[string]string{"project": "other"}))
}
