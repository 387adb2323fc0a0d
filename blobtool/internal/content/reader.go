// Package content is the one reader of what blobs hold: ranges that grow, unpacking, the
// charset, the answer to whether it is text, characters and lines.
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

// Memory that it takes to return content, in bytes for each character or byte of it: the
// content itself, what it grows from, and what encodes it.
const (
	MemoryPerChar = 16
	memoryPerByte = 6
)

// A Reader reads what a blob holds, unpacked if it is packed: from its beginning, or from
// wherever GoTo leads. It must be closed.
type Reader struct {
	*ranges
	name    string
	stored  bool // is not unpacked
	in      *bufio.Reader
	pos     int64     // of the next byte of in
	back    int64     // how many of the next bytes stand before what was asked for
	packed  *unpacker // nil if it is not
	release func()    // of the memory reserved for it
	window  func()    // of the memory for a zstd window, nil if none was taken
	head    []byte    // the first bytes; empty if opened elsewhere
	opaque  bool      // it has turned out not to be text
}

// Open requests the first range of the blob of that name. Until Begin, the content is as
// it is stored.
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

// ReserveChars reserves the memory for that many characters of text, and begins to work.
func (r *Reader) ReserveChars(n int64) error {
	if r.claims() == "" {
		n = min(n, r.Size)
	}
	if err := r.reserve(MemoryPerChar * n); err != nil {
		return err
	}
	return r.worker.Begin()
}

// reserve reserves memory for what is to be returned, in place of what was reserved
// before: a call that held one amount while it waits for another could wait for itself.
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

// claims is how the content is packed if it is what the blob says.
func (r *Reader) claims() string {
	if r.stored {
		return ""
	}
	return claimedPacking(r.name, r.Encoding)
}

// Begin looks at the first bytes, and unpacks if they say so.
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

// NeedsWindow reports whether the content, of which nothing has been unpacked yet, may
// take a zstd window.
func (r *Reader) NeedsWindow() bool {
	return r.packed == nil && r.window == nil && r.pos == 0 && r.claims() == zstdFormat
}

// TryWindow is like TakeWindow, but reports false instead of waiting.
func (r *Reader) TryWindow() bool {
	r.window = r.worker.TryWindow(windowMemory)
	return r.window != nil
}

// TakeWindow waits for the memory of a zstd window, until the reader is closed. It is for
// calls that hold memory already, which would wait for themselves if they reserved more.
func (r *Reader) TakeWindow() (err error) {
	r.worker.Unclaim(&r.slots)
	if r.window, err = r.worker.ReserveWindow(windowMemory); err != nil {
		return err
	}
	return r.worker.Claim(&r.slots, r.pending)
}

// Packed returns what the content is being unpacked from, and whether it is damaged from
// where the reader is on.
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

// Drain is for a reader that has read enough: it keeps the connection usable.
func (r *Reader) Drain() { r.drain() }

// Pos is the position of the next byte.
func (r *Reader) Pos() int64 { return r.pos }

// Stored is how many bytes have been read of the blob, as it is stored.
func (r *Reader) Stored() int64 {
	if r == nil {
		return 0
	}
	return r.read
}

// Left is how many bytes the blob has from where reading began.
func (r *Reader) Left() int64 { return r.Size - r.first }

// SetLimit sets how many bytes more may be read, as they are stored.
func (r *Reader) SetLimit(n int64) { r.left = n }

// NextRange sets how many bytes the next range has, whatever the largest.
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

// Discard passes over the next n bytes.
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

// BeyondEnd is the error for an offset at which nothing begins.
func BeyondEnd(offset, size int64) error {
	return fault.New(fault.ErrInvalidArgument, "offset is %d, but the content ends at %d", offset, size)
}

// GoTo makes offset the next byte to be read. What is packed is unpacked up to there;
// else count bytes are requested.
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

// More reports whether anything comes after position at, which has been read up to.
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

// Whole reads up to most of the next bytes, with the memory that it takes to return them.
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
