// Package content reads the content of blobs for all tools: growing ranges, unpacking,
// charset detection, the rule for what is text, characters and lines.
package content

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"
	"strings"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/fault"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/work"
)

// Memory for returning content, in bytes for each character or byte: the content, the
// buffer it grows from, and its encoding.
const (
	MemoryPerChar = 16
	memoryPerByte = 6
)

// A Reader reads a blob's content, unpacked if it is packed. It must be closed.
type Reader struct {
	*ranges
	name    string
	stored  bool // is not unpacked
	in      *bufio.Reader
	pos     int64     // of the next byte of in
	back    int64     // how many of the next bytes precede the requested offset
	packed  *unpacker // nil if it is not
	release func()    // of the memory reserved for it
	window  func()    // of the memory for a zstd window, nil if none was taken
	head    []byte    // the first bytes; empty if opened elsewhere
	opaque  bool      // the content is not text
}

// Open requests the first range of a blob. Until Begin, the content is read as stored.
func Open(w *work.Worker, source Source, name string, o Options) (*Reader, error) {
	if o.Largest == 0 {
		o.Largest = LargestRange
	}
	if o.Limit == 0 {
		o.Limit = math.MaxInt64
	}
	s, err := openRanges(w, source, o)
	if err != nil {
		return nil, err
	}
	r := &Reader{ranges: s, name: name, stored: o.Stored, pos: o.Offset, in: o.Buffer, release: func() {}}
	if r.in == nil {
		r.in = bufio.NewReaderSize(s, int(min(max(min(o.Count, s.Size), LeastRange), BufferSize)))
	} else {
		r.in.Reset(s)
	}
	if s.Directory && s.Size == 0 {
		_ = r.Close()
		return nil, fault.New(fault.ErrDirectory, "%s is a directory, not a file. To see what it contains, call list_blobs with prefix %s.", fault.Quote(name), fault.Quote(strings.TrimSuffix(name, "/")+"/"))
	}
	return r, nil
}

// ReserveChars reserves memory for n characters of text and takes a core.
func (r *Reader) ReserveChars(n int64) error {
	if r.claims() == "" {
		n = min(n, r.Size)
	}
	if err := r.reserve(MemoryPerChar * n); err != nil {
		return err
	}
	return r.worker.Begin()
}

// reserve reserves memory for the result and releases the previous reservation first: a
// call that waits for more while holding some could wait for itself.
func (r *Reader) reserve(n int64) (err error) {
	if n += BufferSize; r.claims() == zstdFormat {
		n += windowMemory
	}
	busy := r.worker.End()
	r.worker.Unclaim(&r.slots)
	r.release()
	if r.release, err = r.worker.Reserve(n); err != nil {
		r.release = func() {}
		return err
	}
	return r.worker.Resume(busy)
}

// claims returns how the blob's properties say the content is packed.
func (r *Reader) claims() string {
	if r.stored {
		return ""
	}
	return claimedPacking(r.name, r.Encoding)
}

// Begin reads the first bytes and starts unpacking if they confirm what the blob claims.
func (r *Reader) Begin() error {
	head, err := r.Peek(headBytes)
	if err != nil {
		return err
	}
	if format := confirmed(r.claims(), head); format != "" {
		if r.packed, err = newUnpacker(r.worker, format, r.in); err != nil {
			return err
		}
		r.in = bufio.NewReaderSize(r.packed, BufferSize)
		if head, err = r.Peek(headBytes); err != nil {
			return err
		}
	}
	r.head = bytes.Clone(head)
	return nil
}

// NeedsWindow reports whether unpacking the content, which has not started yet, may need a
// zstd window.
func (r *Reader) NeedsWindow() bool {
	return r.packed == nil && r.window == nil && r.pos == 0 && r.claims() == zstdFormat
}

// TryWindow is like TakeWindow, but reports false instead of waiting.
func (r *Reader) TryWindow() bool {
	r.window = r.worker.TryWindow(windowMemory)
	return r.window != nil
}

// TakeWindow waits for the memory of a zstd window and holds it until the reader is closed.
// It is for calls that already hold memory and could wait for themselves if they reserved
// more.
func (r *Reader) TakeWindow() (err error) {
	r.worker.Unclaim(&r.slots)
	if r.window, err = r.worker.ReserveWindow(windowMemory); err != nil {
		return err
	}
	return r.worker.Claim(&r.slots, r.pending)
}

// Packed returns the format of packed content, and whether it is damaged at the reader's
// position.
func (r *Reader) Packed() (format string, damaged bool) {
	if r.packed == nil {
		return "", false
	}
	return r.packed.format, r.packed.damaged
}

// Close ends the current request.
func (r *Reader) Close() error {
	if r.packed != nil {
		r.packed.close()
	}
	if r.window != nil {
		r.window()
	}
	r.worker.End()
	return r.ranges.Close()
}

// Pos returns the position of the next byte.
func (r *Reader) Pos() int64 { return r.pos }

// Stored returns how many bytes of the stored blob have been read.
func (r *Reader) Stored() int64 {
	if r == nil {
		return 0
	}
	return r.read
}

// Left returns how many stored bytes follow the offset at which reading began.
func (r *Reader) Left() int64 { return r.Size - r.first }

// SetLimit sets how many more stored bytes may be read.
func (r *Reader) SetLimit(n int64) { r.left = n }

// NextRange sets the size of the next range, which may exceed Options.Largest.
func (r *Reader) NextRange(n int64) { r.grow, r.largest = n, max(n, r.largest) }

// Peek returns up to n of the next bytes, fewer if there are no more.
func (r *Reader) Peek(n int) ([]byte, error) {
	next, err := r.in.Peek(min(n, r.in.Size()))
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return next, err
}

// Read implements [io.Reader].
func (r *Reader) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	r.pos += int64(n)
	if err := r.worker.Step(work.Decoding * int64(n)); err != nil {
		return n, err
	}
	return n, err
}

// Fill reads until buf is full: TLS hands out 16 KiB at a time, and a file is written
// faster in larger pieces.
func (r *Reader) Fill(buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var more int
		if r.packed == nil && r.in.Buffered() == 0 {
			more, err = r.ranges.Read(buf[n:]) // as much as arrives, without a copy
			r.pos += int64(more)
		} else {
			more, err = r.Read(buf[n:])
		}
		n += more
	}
	return n, err
}

// Discard skips the next n bytes.
func (r *Reader) Discard(n int64) error {
	for n > 0 {
		passed, err := r.in.Discard(int(min(n, math.MaxInt32)))
		r.pos += int64(passed)
		n -= int64(passed)
		if err := r.worker.Step(int64(passed)); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			return BeyondEnd(r.pos+n, r.pos)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// BeyondEnd returns the error for an offset past the end.
func BeyondEnd(offset, size int64) error {
	return fault.New(fault.ErrInvalidArgument, "offset is %d, but the content ends at %d", offset, size)
}

// GoTo makes offset the next byte to read. It unpacks packed content up to there, and
// otherwise requests count bytes.
func (r *Reader) GoTo(offset, count int64) error {
	if ahead := offset - r.pos; ahead >= 0 && (r.packed != nil || ahead <= int64(r.in.Buffered())) {
		return r.Discard(ahead)
	}
	if offset >= r.Size {
		return BeyondEnd(offset, r.Size)
	}
	if err := r.seek(offset, count); err != nil {
		return err
	}
	r.in.Reset(r.ranges)
	r.pos = offset
	return nil
}

// More reports whether there is content after position at, up to which it has been read.
func (r *Reader) More(at int64) (bool, error) {
	if r.packed == nil {
		return at < r.Size, nil
	}
	next, err := r.Peek(1)
	return at < r.pos || len(next) > 0, err
}

// AsStored stops unpacking a packed file, such as a .tar.gz: the content is then the
// blob's own bytes, from the beginning.
func (r *Reader) AsStored() error {
	if r.packed == nil || r.Coding() != "" {
		return nil
	}
	r.packed.close()
	r.packed, r.stored = nil, true
	r.in = bufio.NewReaderSize(r.ranges, BufferSize)
	r.pos = -1 // the buffer is empty
	if err := r.GoTo(0, LeastRange); err != nil {
		return err
	}
	return r.Begin()
}

// Bytes returns up to most bytes from offset on, and whether there are more.
func (r *Reader) Bytes(offset, most int64) (data []byte, more bool, err error) {
	if err := r.GoTo(offset, min(most, LargestRange)); err != nil {
		return nil, false, err
	}
	if r.packed == nil { // what is left to request, at once
		r.grow = max(offset+most-r.next, 1)
	}
	if data, err = r.Whole(most); err != nil {
		return nil, false, err
	}
	more, err = r.More(r.pos)
	return data, more, err
}

// Whole reads up to most of the next bytes, and reserves the memory for returning them.
func (r *Reader) Whole(most int64) ([]byte, error) {
	if r.packed == nil {
		most = min(most, r.Size-r.pos)
	}
	if err := r.reserve(memoryPerByte * most); err != nil {
		return nil, err
	}
	var data bytes.Buffer
	data.Grow(int(min(most, r.Size)) + bytes.MinRead)
	_, err := data.ReadFrom(io.LimitReader(r, most))
	return data.Bytes(), err
}
