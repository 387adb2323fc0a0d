package blobtool

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

const (
	// maxOverlap is how many blobs are read at the same time: at 20 ms of latency one
	// after the other would take all the time. Each holds a buffer of maxLineBytes.
	maxOverlap = 32
	// searchMemory is what a search holds, with the pages of names and the connections.
	searchMemory = 8 << 20
	// maxNotes is how many notes a result has.
	maxNotes = 20
)

// textJob is the search of one blob. Blobs are read at the same time, and their
// results are taken in order: so a search that stops can tell where to go on.
type textJob struct {
	entry  entry
	before place
	from   textMark
	nth    int // among all that were looked at
	// allowance hands over how many bytes may still be read, from job to job in
	// order, so that it is spent on the first blobs.
	allowance <-chan int64
	rest      chan<- int64
	outcome   chan textOutcome
}

// textOutcome is what became of it.
type textOutcome struct {
	textResult
	read   int64
	binary bool
	short  string // reason why the blob was not searched to its end
	note   string
	err    error // that ends the whole search
}

// searchText searches the blobs that match by name and tags for text.
func (q *searchQuery) searchText(ctx context.Context, w *walk[entry]) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()

	f := newTextFeeder(q, w, &running)
	running.Go(func() { f.feed(ctx) })
	r := rows[textMatch]{list: q.out.Matches}
	defer func() { q.out.Matches = r.list }()
	for job := range f.jobs {
		out := <-job.outcome
		stopped, err := q.take(job, out, &r)
		if err != nil || stopped {
			return err
		}
		q.progress.report(ctx, job.nth, func() string {
			return fmt.Sprintf("%d blobs searched, %d MiB read, %d matches", q.out.Searched, q.out.Bytes>>20, len(r.list))
		})
	}
	return q.conclude(ctx, f)
}

// take adds the outcome of a blob to the result, and reports whether the search stops
// there.
func (q *searchQuery) take(job *textJob, out textOutcome, r *rows[textMatch]) (stopped bool, err error) {
	if out.err != nil && len(r.list)+len(q.out.Notes)+q.out.Searched+q.out.Binary == 0 {
		return true, out.err // nothing to lose
	}
	q.out.Examined = job.nth
	q.out.Bytes += out.read
	for i, m := range out.matches {
		if len(r.list) == q.MaxResults || !r.add(m) {
			q.stop(reasonResults, searchPlace{job.before, &out.matches[i].at})
			return true, nil
		}
	}
	if out.note != "" {
		q.note(job.entry.name, out.note)
	}
	switch {
	case out.short != "":
		q.stop(out.short, searchPlace{job.before, &out.to})
		return true, nil
	case out.binary:
		q.out.Binary++
	case out.note == "":
		q.out.Searched++
	}
	return false, nil
}

// conclude says why no more blobs came.
func (q *searchQuery) conclude(ctx context.Context, f *textFeeder) error {
	q.out.Examined = f.examined
	switch {
	case f.err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) && f.examined > 0:
		q.stop(reasonTime, f.at)
	case f.err != nil:
		return f.err
	case !f.walk.done():
		q.stop(reasonBlobs, f.at)
	}
	return nil
}

// note keeps a note, or counts it.
func (q *searchQuery) note(blob, text string) {
	if len(q.out.Notes) == maxNotes {
		q.out.MoreNotes++
		return
	}
	q.out.Notes = append(q.out.Notes, blobNote{blob, text})
}

// textFeeder starts the searches of blobs, in order.
type textFeeder struct {
	q       *searchQuery
	walk    *walk[entry]
	jobs    chan *textJob
	buffers chan []byte // one for each blob that may be read at the same time
	running *sync.WaitGroup

	// How it has ended, once jobs is closed.
	at       searchPlace
	examined int
	err      error
}

func newTextFeeder(q *searchQuery, w *walk[entry], running *sync.WaitGroup) *textFeeder {
	n := q.set.overlap
	f := &textFeeder{q: q, walk: w, jobs: make(chan *textJob, n), buffers: make(chan []byte, n), running: running, at: q.from}
	for range n {
		f.buffers <- nil // made when it is first needed
	}
	return f
}

// feed starts one search after the other until there are no more blobs, or enough.
func (f *textFeeder) feed(ctx context.Context) {
	defer close(f.jobs)
	allowance := make(chan int64, 1)
	allowance <- int64(f.q.MaxBytes)
	from := textMark{Line: 1}
	if f.q.from.Text != nil {
		from = *f.q.from.Text
	}
	defer f.walk.worker.end()
	for started := 0; started < f.q.MaxBlobs; {
		if f.err = f.walk.worker.begin(); f.err != nil {
			return
		}
		before := f.walk.at
		e, ok, err := f.walk.nextEntry(ctx)
		if err != nil || !ok {
			f.err = err
			return
		}
		found, err := f.q.wanted(f.walk.worker, e)
		if err != nil {
			f.err = err
			return
		}
		f.examined++
		if found {
			rest := make(chan int64, 1)
			job := &textJob{
				entry: e, before: before, from: from, nth: f.examined,
				allowance: allowance, rest: rest, outcome: make(chan textOutcome, 1),
			}
			if f.err = f.start(ctx, job); f.err != nil {
				return
			}
			allowance, from = rest, textMark{Line: 1}
			started++
		}
		f.at = searchPlace{At: f.walk.at}
	}
}

// start begins the search of a blob once there is a buffer, and hands it over.
func (f *textFeeder) start(ctx context.Context, job *textJob) error {
	f.walk.worker.end()
	var buf []byte
	select {
	case buf = <-f.buffers:
	case <-ctx.Done():
		return ctx.Err()
	}
	// In this order: a blob waits for what those before it leave of the allowance.
	if err := f.q.set.shares.line.take(ctx, f.q.user, 1); err != nil {
		f.buffers <- buf
		return err
	}
	if buf == nil {
		buf = make([]byte, maxLineBytes)
	}
	f.running.Go(func() {
		job.outcome <- f.q.searchBlob(ctx, job, buf)
		f.buffers <- buf
	})
	select {
	case f.jobs <- job:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
