package blobtool

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Bounds of packed content, against bombs.
const (
	maxUnpacked   = 64 << 20 // bytes that one call unpacks
	maxRatio      = 512      // unpacked bytes for each packed one; of ordinary text it is below 100
	ratioMatters  = 4 << 20  // unpacked bytes from which on that is checked
	maxZstdWindow = 8 << 20  // memory; zstd's levels up to 19 need no more
)

// packing returns how content is packed: "gzip", "zstd", or "" for not at all. What
// the property Content-Encoding or the blob's name says must be confirmed by the
// first bytes.
func packing(name, contentEncoding string, head []byte) string {
	claimed := claimedPacking(name, contentEncoding)
	switch {
	case claimed == "gzip" && bytes.HasPrefix(head, []byte{0x1F, 0x8B, 8}):
		return "gzip"
	case claimed == "zstd" && bytes.HasPrefix(head, []byte{0x28, 0xB5, 0x2F, 0xFD}):
		return "zstd"
	}
	return ""
}

// claimedPacking returns how content is packed if it is what the property or the name
// says.
func claimedPacking(name, contentEncoding string) string {
	switch coding := contentCoding(contentEncoding); coding {
	case "":
		return packedName(name)
	case "gzip", "zstd":
		return coding
	}
	return ""
}

// packedName returns how a blob of that name is packed if it is what its name says.
func packedName(name string) string {
	switch name = strings.ToLower(name); {
	case strings.HasSuffix(name, ".gz"):
		return "gzip"
	case strings.HasSuffix(name, ".zst"):
		return "zstd"
	}
	return ""
}

// unpacker reads packed content, within bounds.
type unpacker struct {
	worker *worker
	in     *countedReader
	out    io.Reader
	close  func()
	format string
	total  int64 // unpacked so far
	broken bool  // the content ended before its end
}

// newUnpacker begins to unpack what r reads. It must be closed.
func newUnpacker(w *worker, format string, r *bufio.Reader) (*unpacker, error) {
	u := &unpacker{worker: w, in: &countedReader{in: r}, format: format, close: func() {}}
	var err error
	if format == "gzip" {
		u.out, err = gzip.NewReader(u.in)
	} else {
		var z *zstd.Decoder
		z, err = zstd.NewReader(u.in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxZstdWindow), zstd.WithDecoderMaxMemory(maxUnpacked+1))
		if err == nil {
			u.out, u.close = z, z.Close
		}
	}
	if err != nil {
		return nil, u.fault(err)
	}
	return u, nil
}

// Read implements [io.Reader]. Content that is damaged ends where the damage is.
func (u *unpacker) Read(p []byte) (int, error) {
	n, err := u.out.Read(p)
	u.total += int64(n)
	if err := u.worker.step(unpackWork * int64(n)); err != nil {
		return n, err
	}
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		if err = u.fault(err); u.total > 0 && errors.Is(err, errDamaged) {
			u.broken = true
			err = io.EOF
		}
	case u.total > maxUnpacked:
		err = failuref(ErrTooLarge, "The blob is packed with %s and unpacks to more than %d bytes, of which no more can be read here.", u.format, maxUnpacked)
	case u.total > ratioMatters && u.total/max(u.in.n, 1) > maxRatio:
		err = failuref(ErrTooLarge, "The blob is packed with %s and unpacks to more than %d times its size, which no ordinary content does; it is not read on.", u.format, maxRatio)
	}
	return n, err
}

// errDamaged is the cause where packed content can't be unpacked.
var errDamaged = errors.New("damaged")

// fault tells an error of the packed content's reader from damage.
func (u *unpacker) fault(err error) error {
	switch {
	case u.in.err != nil:
		return u.in.err
	case errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return failuref(ErrTooLarge, "The blob is packed with zstd in a way that takes more than %d bytes of memory to unpack; it can't be read here.", maxZstdWindow)
	}
	return &Error{Kind: ErrUnsupported, text: fmt.Sprintf("The blob's content is not what it claims: it can't be unpacked with %s.", u.format), cause: fmt.Errorf("%w: %w", errDamaged, err)}
}

// countedReader counts what is read, and keeps the reader's error, which unpackers
// may hide.
type countedReader struct {
	in  *bufio.Reader
	n   int64
	err error
}

// Read implements [io.Reader].
func (r *countedReader) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	r.note(int64(n), err)
	return n, err
}

// ReadByte implements [io.ByteReader], for package gzip, which else reads ahead.
func (r *countedReader) ReadByte() (byte, error) {
	b, err := r.in.ReadByte()
	if err == nil {
		r.n++
	}
	r.note(0, err)
	return b, err
}

func (r *countedReader) note(n int64, err error) {
	r.n += n
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
}
