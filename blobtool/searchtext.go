package blobtool

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/content"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/walk"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/work"
)

// maxOverlap is how many blobs are read concurrently: one at a time, 20 ms of latency each
// would dominate. Each holds a buffer of 64 KiB, and a packed one twice that.
const maxOverlap = work.UserSlots

// searchText searches the blobs that match by name and tags for text.
func (q *searchQuery) searchText(ctx context.Context, w *walk.Walk[entry]) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()

	f := newTextFeeder(q, w, &running)
	running.Go(func() { f.feed(ctx) })
	r := walk.Rows[textMatch]{List: q.out.Matches}
	defer func() { q.out.Matches = r.List }()
	for job := range f.jobs {
		out := <-job.outcome
		if out.panicked != nil {
			return out.panicked
		}
		stopped, err := q.take(job, out, &r)
		if err != nil || stopped {
			return err
		}
		q.progress.report(ctx, job.nth, func() string {
			return fmt.Sprintf("%d blobs searched, %d MiB read, %d matches", q.out.Searched, q.out.Bytes>>20, len(r.List))
		})
	}
	return q.conclude(ctx, f)
}

// take adds a blob's outcome to the result and reports whether the search stops.
func (q *searchQuery) take(job *textJob, out textOutcome, r *walk.Rows[textMatch]) (stopped bool, err error) {
	if out.err != nil && len(r.List)+len(q.out.Notes)+q.out.Searched+q.out.Binary == 0 {
		return true, out.err // nothing to lose
	}
	q.out.Examined = job.nth
	q.out.Bytes += out.read
	for i, m := range out.matches {
		if len(r.List) == q.MaxResults || !r.Add(m) {
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

// conclude records why there were no more blobs.
func (q *searchQuery) conclude(ctx context.Context, f *textFeeder) error {
	q.out.Examined = f.examined
	switch {
	case f.err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) && f.examined > 0:
		q.stop(reasonTime, f.at)
	case f.err != nil:
		return f.err
	case !f.walk.Done():
		q.stop(reasonBlobs, f.at)
	}
	return nil
}

// textFeeder starts the searches of blobs in order.
type textFeeder struct {
	q       *searchQuery
	walk    *walk.Walk[entry]
	jobs    chan *textJob
	buffers chan *bufio.Reader // one for each blob that may be read at the same time
	running *sync.WaitGroup

	// How it has ended, once jobs is closed.
	at       searchPlace
	examined int
	err      error
}

func newTextFeeder(q *searchQuery, w *walk.Walk[entry], running *sync.WaitGroup) *textFeeder {
	n := q.set.overlap
	f := &textFeeder{q: q, walk: w, jobs: make(chan *textJob, n), buffers: make(chan *bufio.Reader, n), running: running, at: q.from}
	for range n {
		f.buffers <- nil // made when it is first needed
	}
	return f
}

// feed starts searches until there are no more blobs or MaxBlobs were started.
func (f *textFeeder) feed(ctx context.Context) {
	defer close(f.jobs)
	defer recovered(&f.err)
	allowance := make(chan int64, 1)
	allowance <- int64(f.q.MaxBytes)
	from := textMark{Line: 1}
	if f.q.from.Text != nil {
		from = *f.q.from.Text
	}
	defer f.walk.Worker.End()
	for started := 0; started < f.q.MaxBlobs; {
		if f.err = f.walk.Worker.Begin(); f.err != nil {
			return
		}
		before := f.walk.At
		e, ok, err := f.walk.Next(ctx)
		if err != nil || !ok {
			f.err = err
			return
		}
		found, err := f.q.wanted(f.walk.Worker, e)
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
		f.at = searchPlace{At: f.walk.At}
	}
}

// start waits for a buffer, starts a job and sends it to jobs.
func (f *textFeeder) start(ctx context.Context, job *textJob) error {
	f.walk.Worker.End()
	var buf *bufio.Reader
	select {
	case buf = <-f.buffers:
	case <-ctx.Done():
		return ctx.Err()
	}
	// Claim in order: a blob waits for the allowance that those before it leave.
	if err := f.q.set.worker(ctx, f.q.user).Claim(&job.slots, 1); err != nil {
		f.buffers <- buf
		return err
	}
	if buf == nil {
		buf = bufio.NewReaderSize(nil, content.BufferSize)
	}
	f.running.Go(func() {
		var out textOutcome
		defer func() {
			job.outcome <- out
			f.buffers <- buf
		}()
		defer recovered(&out.panicked)
		out = f.q.searchBlob(ctx, job, buf)
	})
	select {
	case f.jobs <- job:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
