package content

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/fault"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/work"
)

// Source requests up to count bytes of a blob from offset on: of the version with that
// ETag, or of the current one if it is empty. The range of an empty blob is empty.
type Source func(ctx context.Context, offset, count int64, etag string) (*Range, error)

// Range is the answer to a request, which also describes the whole blob.
type Range struct {
	Properties
	Body io.ReadCloser
	Size int64 // of the blob
	ETag string
}

// Properties are a blob's properties.
type Properties struct {
	ContentType string
	Encoding    string // Content-Encoding
	VersionID   string // empty if the account keeps no versions
	Directory   bool   // of a hierarchical namespace
}

// Sizes of ranges and buffers in bytes.
const (
	LeastRange   = 4 << 10
	FirstRange   = 256 << 10 // at most
	LargestRange = 4 << 20
	BufferSize   = 64 << 10
)

const (
	maxResumes = 3       // broken connections that a call resumes
	turnBytes  = 8 << 20 // bytes after which a range yields its part of the line
)

// MaxScan limits the bytes of a blob that one call scans.
const MaxScan = 64 << 20

// ErrLimit is returned at the limit of what may be read.
var ErrLimit error = &fault.Error{Kind: fault.ErrTooLarge, Text: fmt.Sprintf("This needs more than the first %d bytes of the blob, the most that one call reads.", MaxScan)}

// ranges reads one version of a blob in growing ranges. The first one also returns the
// blob's size and version, so that no other request is needed, and no connection is dropped
// in the middle of a body.
type ranges struct {
	Range
	worker  *work.Worker
	source  Source
	first   int64 // where reading began
	next    int64 // where the next range begins
	grow    int64 // how many bytes it has,
	largest int64 // at most
	left    int64 // bytes that may still be read
	read    int64 // bytes so far
	pending int64 // bytes of the current range that have not been read
	resumes int   // connections that broke off
	slots   work.Slots
	turn    int64 // bytes read since it got them
}

// openRanges requests the first range.
func openRanges(w *work.Worker, source Source, o Options) (*ranges, error) {
	r := &ranges{worker: w, source: source, first: o.Offset, next: o.Offset, grow: 4 * o.Count, largest: o.Largest, left: o.Limit}
	if o.Slots != nil {
		r.slots, *o.Slots = *o.Slots, work.Slots{}
	}
	answer, err := source(w.Context, o.Offset, o.Count, o.ETag)
	if err != nil {
		w.Unclaim(&r.slots)
		return nil, err
	}
	r.take(answer, min(o.Count, answer.Size-o.Offset))
	return r, nil
}

// take makes an answer the current range.
func (r *ranges) take(answer *Range, count int64) {
	r.Range = *answer
	r.pending = count
	r.next += count
}

// Read reads on, and io.EOF at the blob's end.
func (r *ranges) Read(p []byte) (int, error) {
	if r.pending == 0 {
		if r.next >= r.Size {
			return 0, io.EOF
		}
		if r.left <= 0 {
			return 0, ErrLimit
		}
		if err := r.request(min(r.grow, r.largest, r.left)); err != nil {
			return 0, err
		}
		r.grow = 4 * max(r.grow, 1)
	}
	if r.left <= 0 {
		return 0, ErrLimit
	}
	n, err := r.current(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	r.read += int64(n)
	return n, err
}

// request makes the next count bytes the current range.
func (r *ranges) request(count int64) error {
	_ = r.Close() // may be broken already
	if count = min(count, r.Size-r.next); count <= 0 {
		r.pending = 0
		return nil
	}
	busy := r.worker.End()
	if err := r.worker.Claim(&r.slots, count); err != nil {
		return err
	}
	r.turn = 0
	answer, err := r.source(r.worker.Context, r.next, count, r.ETag)
	if err == nil {
		if err = r.worker.Resume(busy); err == nil && answer.Size != r.Size {
			err = fmt.Errorf("%w: the blob's size was %d and is %d", fault.ErrBadAnswer, r.Size, answer.Size)
		}
		if err != nil {
			_ = answer.Body.Close()
		}
	}
	if err != nil {
		r.worker.Unclaim(&r.slots)
		return err
	}
	r.take(answer, count)
	return nil
}

// current reads the current range. A connection that breaks off is resumed where it was.
// What a body has beyond the range is never read.
func (r *ranges) current(p []byte) (int, error) {
	busy := r.worker.End()
	n, err := r.Body.Read(p[:min(int64(len(p)), r.pending)])
	if err := r.passed(n); err != nil {
		return n, err
	}
	if err := r.worker.Resume(busy); err != nil {
		return n, err
	}
	if err != nil && r.pending > 0 {
		return n, r.resume(err)
	}
	return n, nil
}

// passed returns the range's part of the line at its end, and yields it from time to time.
func (r *ranges) passed(n int) error {
	r.pending -= int64(n)
	r.turn += int64(n)
	switch {
	case r.pending == 0:
		r.worker.Unclaim(&r.slots)
	case r.turn >= turnBytes && r.worker.LineWanted(&r.slots):
		r.worker.Unclaim(&r.slots)
		r.turn = 0
		return r.worker.Claim(&r.slots, r.pending)
	}
	return nil
}

// resume requests the rest of the current range. It replaces azblob's RetryReader, which
// never gives up on a service that sends one byte at a time.
func (r *ranges) resume(cause error) error {
	if errors.Is(cause, io.EOF) {
		cause = io.ErrUnexpectedEOF
	}
	var final interface {
		error
		NonRetriable()
	}
	if r.resumes == maxResumes || r.worker.Context.Err() != nil || errors.As(cause, &final) {
		return fmt.Errorf("the body broke off: %w", cause)
	}
	r.resumes++
	left := r.pending
	r.next -= left
	return r.request(left)
}

// seek makes the count bytes from offset on the current range.
func (r *ranges) seek(offset, count int64) error {
	r.Drain()
	r.next = offset
	r.grow = 4 * count
	return r.request(count)
}

// Drain reads the rest of the current range if it is short, because a connection that is
// dropped in the middle of an answer can't be reused.
func (r *ranges) Drain() {
	for buf := [4 << 10]byte{}; r.Body != nil && r.pending > 0 && r.pending <= BufferSize; {
		if _, err := r.current(buf[:]); err != nil {
			return
		}
	}
}

// Close ends the current range.
func (r *ranges) Close() error {
	r.worker.Unclaim(&r.slots)
	if r.Body == nil {
		return nil
	}
	body := r.Body
	r.Body = nil
	return body.Close()
}

// Options configure a Reader.
type Options struct {
	Offset  int64 // of the first range; 0 where the blob may be packed
	Count   int64 // bytes of the first range
	ETag    string
	Largest int64         // bytes of a range. Defaults to LargestRange
	Limit   int64         // bytes to read in all. Defaults to no limit
	Slots   *work.Slots   // the range's part of the line, which the reader takes over
	Stored  bool          // do not unpack
	Buffer  *bufio.Reader // reused if not nil
}
