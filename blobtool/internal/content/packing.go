package content

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/fault"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/work"
)

// Bounds of packed content, against bombs.
const (
	maxUnpacked   = 64 << 20 // bytes that one call unpacks
	maxRatio      = 512      // unpacked bytes for each packed one; of ordinary text it is below 100
	ratioMatters  = 4 << 20  // unpacked bytes from which on that is checked
	maxZstdWindow = 8 << 20  // memory; zstd's levels up to 19 need no more
)

// Formats of packed content.
const (
	gzipFormat = "gzip"
	zstdFormat = "zstd"
)

// windowMemory is what unpacking zstd takes.
const windowMemory = 2 * maxZstdWindow

// claimedPacking returns how a blob is packed according to its Content-Encoding or name.
func claimedPacking(name, contentEncoding string) string {
	switch coding := codingOf(contentEncoding); coding {
	case "":
		return PackedName(name)
	case gzipFormat, zstdFormat:
		return coding
	}
	return ""
}

// PackedName returns how a blob is packed according to its name.
func PackedName(name string) string {
	switch name = strings.ToLower(name); {
	case strings.HasSuffix(name, ".gz"):
		return gzipFormat
	case strings.HasSuffix(name, ".zst"):
		return zstdFormat
	}
	return ""
}

// confirmed returns how content is packed, if its first bytes confirm the claim, or
// nothing.
func confirmed(claim string, head []byte) string {
	magic := map[string]string{gzipFormat: "\x1F\x8B\x08", zstdFormat: "\x28\xB5\x2F\xFD"}[claim]
	if magic == "" || !bytes.HasPrefix(head, []byte(magic)) {
		return ""
	}
	return claim
}

// plainCodings are values of Content-Encoding that stand for no packing: HTTP's own, S3's
// for how a body was sent, and those of mail.
var plainCodings = []string{"identity", "aws-chunked", "none", "binary", "7bit", "8bit"}

// codingOf returns how a Content-Encoding says that content is packed, in lower case, or
// nothing if it is plain. Some writers put the charset there.
func codingOf(contentEncoding string) string {
	var codings []string
	for _, coding := range codingsOf(contentEncoding) {
		switch {
		case coding == "x-gzip":
			coding = "gzip"
		case slices.Contains(plainCodings, coding), isCharset(coding):
			continue
		}
		codings = append(codings, coding)
	}
	return strings.Join(codings, ", ")
}

// charsetIn returns the charset that a Content-Encoding names, or nothing.
func charsetIn(contentEncoding string) string {
	for _, coding := range codingsOf(contentEncoding) {
		if isCharset(coding) {
			return coding
		}
	}
	return ""
}

// Coding is how Content-Encoding says that the content is packed, or nothing.
func (p *Properties) Coding() string { return codingOf(p.Encoding) }

// Strange reports whether Content-Encoding says more than that the content is plain.
func (p *Properties) Strange() bool {
	return p.Coding() != "" || slices.Contains(codingsOf(p.Encoding), "aws-chunked")
}

// codingsOf splits the list.
func codingsOf(contentEncoding string) []string {
	var codings []string
	for coding := range strings.SplitSeq(contentEncoding, ",") {
		coding, found := strings.CutPrefix(strings.ToLower(strings.TrimSpace(coding)), "charset=")
		if coding = strings.Trim(coding, `"' `); coding != "" || found {
			codings = append(codings, coding)
		}
	}
	return codings
}

// isCharset reports whether it is the name of a charset, known to us or not.
func isCharset(name string) bool {
	if _, err := ianaindex.IANA.Encoding(name); err == nil {
		return true
	}
	_, err := htmlindex.Get(name)
	return err == nil
}

// unpacker reads packed content, within bounds.
type unpacker struct {
	worker  *work.Worker
	in      *countedReader
	out     io.Reader
	close   func()
	format  string
	total   int64 // unpacked so far
	damaged bool  // the content ended before its end
}

// newUnpacker begins to unpack what r reads. It must be closed.
func newUnpacker(w *work.Worker, format string, r *bufio.Reader) (*unpacker, error) {
	u := &unpacker{worker: w, in: &countedReader{in: r}, format: format, close: func() {}}
	var err error
	if format == gzipFormat {
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
		return nil, u.explain(err)
	}
	return u, nil
}

// Read implements [io.Reader]. Content that is damaged ends where the damage is.
func (u *unpacker) Read(p []byte) (int, error) {
	n, err := u.out.Read(p)
	u.total += int64(n)
	if err := u.worker.Step(work.Unpacking * int64(n)); err != nil {
		return n, err
	}
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		if err = u.explain(err); u.total > 0 && errors.Is(err, errDamaged) {
			u.damaged = true
			err = io.EOF
		}
	case u.total > maxUnpacked:
		err = fault.New(fault.ErrTooLarge, "The blob is packed with %s and unpacks to more than %d bytes, the most this server reads.", u.format, maxUnpacked)
	case u.total > ratioMatters && u.total/max(u.in.n, 1) > maxRatio:
		err = fault.New(fault.ErrTooLarge, "The blob is packed with %s and unpacks to more than %d times its size, which looks like a decompression bomb; reading stopped.", u.format, maxRatio)
	}
	return n, err
}

// errDamaged is the cause where packed content can't be unpacked.
var errDamaged = errors.New("damaged")

// explain tells an error of the packed content's reader from damage.
func (u *unpacker) explain(err error) error {
	switch {
	case u.in.err != nil:
		return u.in.err
	case errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return fault.New(fault.ErrTooLarge, "The blob is packed with zstd in a way that takes more than %d bytes of memory to unpack, which is more than this server allows.", maxZstdWindow)
	}
	return &fault.Error{Kind: fault.ErrUnsupported, Text: fmt.Sprintf("The blob is marked as packed with %s, but its content can't be unpacked with that.", u.format), Cause: fmt.Errorf("%w: %w", errDamaged, err)}
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
