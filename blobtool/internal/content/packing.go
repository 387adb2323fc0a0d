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

// Limits on packed content, against decompression bombs.
const (
	maxUnpacked   = 64 << 20 // unpacked bytes per call
	maxRatio      = 512      // unpacked bytes per packed byte; ordinary text stays below 100
	ratioMatters  = 4 << 20  // check the ratio beyond this many unpacked bytes
	maxZstdWindow = 8 << 20  // memory; zstd levels up to 19 need no more
)

// Formats of packed content.
const (
	gzipFormat = "gzip"
	zstdFormat = "zstd"
)

// windowMemory is the memory for unpacking zstd.
const windowMemory = 2 * maxZstdWindow

// claimedPacking returns a blob's packing according to its Content-Encoding or name.
func claimedPacking(name, contentEncoding string) string {
	switch coding := codingOf(contentEncoding); coding {
	case "":
		return PackedName(name)
	case gzipFormat, zstdFormat:
		return coding
	}
	return ""
}

// PackedName returns a blob's packing according to its name.
func PackedName(name string) string {
	switch name = strings.ToLower(name); {
	case strings.HasSuffix(name, ".gz"):
		return gzipFormat
	case strings.HasSuffix(name, ".zst"):
		return zstdFormat
	}
	return ""
}

// confirmed returns the claimed packing if the content's first bytes confirm it, and "" otherwise.
func confirmed(claim string, head []byte) string {
	magic := map[string]string{gzipFormat: "\x1F\x8B\x08", zstdFormat: "\x28\xB5\x2F\xFD"}[claim]
	if magic == "" || !bytes.HasPrefix(head, []byte(magic)) {
		return ""
	}
	return claim
}

// plainCodings are values of Content-Encoding that mean no packing: HTTP's own, S3's for how a
// body was sent, and those of mail.
var plainCodings = []string{"identity", "aws-chunked", "none", "binary", "7bit", "8bit"}

// codingOf returns the packing that a Content-Encoding names, in lower case, or "" for plain
// content. Some writers put the charset in this header.
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

// charsetIn returns the charset that a Content-Encoding names, or "".
func charsetIn(contentEncoding string) string {
	for _, coding := range codingsOf(contentEncoding) {
		if isCharset(coding) {
			return coding
		}
	}
	return ""
}

// Coding returns the packing that Content-Encoding names, or "".
func (p *Properties) Coding() string { return codingOf(p.Encoding) }

// Strange reports whether Content-Encoding has any other value than those for plain content.
func (p *Properties) Strange() bool {
	return p.Coding() != "" || slices.Contains(codingsOf(p.Encoding), "aws-chunked")
}

// codingsOf splits the list of codings.
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

// isCharset reports whether the text is a charset's name, even one that is not supported.
func isCharset(name string) bool {
	if _, err := ianaindex.IANA.Encoding(name); err == nil {
		return true
	}
	_, err := htmlindex.Get(name)
	return err == nil
}

// An unpacker reads packed content within the limits.
type unpacker struct {
	worker  *work.Worker
	in      *countedReader
	out     io.Reader
	close   func()
	format  string
	total   int64 // bytes unpacked so far
	damaged bool  // the content is incomplete or corrupt
}

// newUnpacker returns an unpacker of the content that r reads. The caller must close it.
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

// Read implements [io.Reader]. Damaged content ends at the damage.
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

// errDamaged is the cause if packed content can't be unpacked.
var errDamaged = errors.New("damaged")

// explain distinguishes an error of the underlying reader from damage.
func (u *unpacker) explain(err error) error {
	switch {
	case u.in.err != nil:
		return u.in.err
	case errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return fault.New(fault.ErrTooLarge, "The blob is packed with zstd in a way that takes more than %d bytes of memory to unpack, which is more than this server allows.", maxZstdWindow)
	}
	return &fault.Error{Kind: fault.ErrUnsupported, Text: fmt.Sprintf("The blob is marked as packed with %s, but its content can't be unpacked with that.", u.format), Cause: fmt.Errorf("%w: %w", errDamaged, err)}
}

// A countedReader counts the bytes read, and keeps the reader's error, which unpackers may hide.
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

// ReadByte implements [io.ByteReader]; without it, package gzip reads ahead.
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
