//go:build unix

package interop_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
)

// lostAnswers are cuts of one call, the outcome of what leaves a marker and of delete_blob, and
// how many requests that takes.
var lostAnswers = []struct {
	cuts            []cut
	written, delete string
	requests        int
}{
	{[]cut{cutBefore}, "done", "done", 2},
	{[]cut{cutWithin}, "done", "", 2}, // a delete has no body
	{[]cut{cutAfter}, "done", "unknown", 1},
	{[]cut{cutBefore, cutAfter}, "done", "unknown", 2},
	{[]cut{cutBefore, cutBefore, cutBefore, cutBefore, cutBefore}, "unknown", "unknown", 5},
}

// toolLostAnswer cuts the connections of each tool.
func toolLostAnswer(w *writer) error {
	var errs []error
	for i, c := range lostAnswers {
		outcomes := map[string]string{"created": c.written, "overwritten": c.written, "edited": c.written, "deleted": c.delete}
		if c.requests == 5 { // waits for seconds in between
			outcomes = map[string]string{"edited": c.written}
		}
		for action, outcome := range outcomes {
			if outcome == "" {
				continue
			}
			name := fmt.Sprintf("%s-%d.txt", action, i)
			r, err := w.attempt(name, action, outcome, c.cuts...)
			if n := w.cutter.seen(); n != c.requests {
				err = errors.Join(err, fmt.Errorf("%d requests, want %d", n, c.requests))
			}
			if err = errors.Join(err, w.truthful(name, action, r)); err != nil {
				errs = append(errs, fmt.Errorf("%s, cut %v: %w", action, c.cuts, err))
			}
		}
	}
	return errors.Join(errs...)
}

// attempt makes the call of an action, on a blob of a line if it needs one, and cuts its connections.
func (w *writer) attempt(name, action, outcome string, cuts ...cut) (writeResult, error) {
	etag := ""
	if action != "created" {
		if err := w.put(name); err != nil {
			return writeResult{}, err
		}
		e, err := w.etag(name)
		if err != nil {
			return writeResult{}, err
		}
		etag = string(e)
	}
	tool := map[string]string{"created": "write_blob", "overwritten": "write_blob", "edited": "edit_blob", "deleted": "delete_blob"}[action]
	a := w.changesOf(name, etag)[tool]
	if etag == "" {
		delete(a, "if_match")
	}
	want := map[string]string{"done": "done " + action, "unknown": "unknown uncertain"}[outcome]
	w.cutter.plan(cuts...)
	return w.expect(want, tool, a)
}

// truthful returns an error unless the blob is as the result says.
func (w *writer) truthful(name, action string, r writeResult) error {
	switch {
	case r.Exists == nil:
		return errors.New("the result does not say whether the blob exists")
	case !*r.Exists:
		return w.gone(name)
	case r.Outcome == "done":
		return w.stands(name, "new\n", r)
	case strings.HasPrefix(action, "created"):
		return fmt.Errorf("%s exists", name)
	}
	return w.stands(name, name+"\n", r)
}

// toolLostToAnother has another writer come right after the connection is cut: what is there then
// is never called this call's, also if the other has copied the marker.
func toolLostToAnother(w *writer) error {
	var errs []error
	for i, c := range []cut{cutBefore, cutAfter} {
		for _, action := range []string{"created", "overwritten", "edited"} {
			for _, copied := range []bool{false, true} {
				name := fmt.Sprintf("%s-%d-%t.txt", action, i, copied)
				failed := w.cutter.onCut(func() error { return w.interfere(name, copied) })
				r, err := w.attempt(name, action, "unknown", c)
				if err = errors.Join(err, failed(), w.stands(name, "other's", r)); err != nil {
					errs = append(errs, fmt.Errorf("%s, cut %s, marker copied %t: %w", action, c, copied, err))
				}
			}
		}
	}
	return errors.Join(errs...)
}

// interfere overwrites a blob as another program, which may copy the metadata.
func (w *writer) interfere(name string, copyMetadata bool) error {
	var o blockblob.UploadOptions
	if copyMetadata {
		h, err := w.properties(name)
		if err == nil {
			o.Metadata = h.Metadata
		}
	}
	_, err := w.write(name, "other's", &o)
	return err
}

// toolEditsOfTwo has two agents edit one blob a hundred times each, over bad connections. Whoever is
// refused reads again.
func toolEditsOfTwo(w *writer) error {
	const edits = 100
	if err := w.stock.put(w.ctx, w.container, "a.txt", []byte("end\n"), kept); err != nil {
		return err
	}
	var agents [2]*writer
	for i := range agents {
		agent, err := w.writer()
		if err != nil {
			return err
		}
		defer agent.close()
		for n := range edits {
			agent.cutter.planned = append(agent.cutter.planned, map[int]cut{10: cutBefore, 11: cutAfter, 12: cutWithin}[n%25])
		}
		agents[i] = agent
	}
	var wait sync.WaitGroup
	var errs [2]error
	outcomes := map[string]string{} // by line
	var mu sync.Mutex
	for i, agent := range agents {
		wait.Go(func() {
			for n := 0; n < edits && errs[i] == nil; {
				line := fmt.Sprintf("agent %d, line %d\n", i, n)
				var r writeResult
				if _, errs[i] = agent.call("edit_blob", arguments{"blob_path": "a.txt", "old_text": "end\n", "new_text": line + "end\n"}, &r); r.Outcome == "refused" && r.Reason == "changed" {
					continue
				}
				mu.Lock()
				outcomes[line] = r.Outcome + " " + r.Reason
				mu.Unlock()
				n++
			}
		})
	}
	wait.Wait()
	_, text, err := w.read(w.blobs.NewBlobClient("a.txt"), nil)
	if err = errors.Join(err, errs[0], errs[1], w.has("a.txt")); err != nil {
		return err
	}
	return account(string(text), outcomes)
}

// account compares the lines of a text with what became of each.
func account(text string, outcomes map[string]string) error {
	lines := map[string]int{}
	for line := range strings.Lines(text) {
		lines[line]++
	}
	delete(lines, "end\n")
	var errs []error
	done := 0
	for line, outcome := range outcomes {
		n := lines[line]
		delete(lines, line)
		switch {
		case outcome == "done " && n == 1:
			done++
		case outcome == "unknown uncertain" && n < 2:
		case outcome == "refused changed" && n == 0: // an append that was overtaken too often
		default:
			errs = append(errs, fmt.Errorf("%q is there %d times; the result is %s", line, n, outcome))
		}
	}
	for line, n := range lines {
		errs = append(errs, fmt.Errorf("nobody wrote %q (%d times)", line, n))
	}
	if done < len(outcomes)*3/4 {
		errs = append(errs, fmt.Errorf("%d of %d are done, want most", done, len(outcomes)))
	}
	return errors.Join(errs...)
}
