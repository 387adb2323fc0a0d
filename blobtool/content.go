package blobtool

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
)

// maxScan is how many bytes of a blob one call goes through in search of something.
const maxScan = 64 << 20

// content is what a blob holds, unpacked if it is packed. It is read from its
// beginning, or from wherever seek leads.
type content struct {
	*stream
	name    string
	flow    *flow
	in      *bufio.Reader
	pos     int64     // of the next byte of in
	packed  *unpacker // nil if it is not
	release func()    // of the memory reserved for it
	head    []byte    // the first bytes; empty if opened elsewhere
	opaque  bool      // it has turned out to be no text
}

// openContent opens a blob and requests the first count bytes from offset on, which
// must be 0 where the blob may be packed. An ETag binds it to one version.
//
// chars is how many characters of text are wanted at most: memory for them is reserved
// before anything is read. Until the content is closed, it is read with a core.
func openContent(w *worker, client *blob.Client, name string, offset, count int64, etag azcore.ETag, chars int64) (*content, error) {
	s, err := openStream(w, client, offset, count, etag)
	if err != nil {
		return nil, err
	}
	c := &content{stream: s, name: name, pos: offset, flow: &flow{stream: s, next: 4 * count, left: maxScan}, release: func() {}}
	c.in = bufio.NewReaderSize(c.flow, int(min(max(min(count, s.size), leastRange), bufferSize)))
	if err = s.refuseDirectory(name); err == nil {
		err = c.start(chars)
	}
	if err == nil && offset == 0 {
		err = c.begin()
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// start waits for memory and a core.
func (c *content) start(chars int64) error {
	if claimedPacking(c.name, c.props.encoding) == "" {
		chars = min(chars, c.size)
	}
	if err := c.reserve(memoryPerChar * chars); err != nil {
		return err
	}
	return c.worker.begin()
}

// Memory that it takes to return content, in bytes for each character or byte of it: the
// content itself, what it grows from, and what encodes it.
const (
	memoryPerChar = 16
	memoryPerByte = 6
)

// reserve reserves memory for what is to be returned, in place of what was reserved
// before: a call that held one amount while it waits for another could wait for itself.
func (c *content) reserve(n int64) (err error) {
	if n += bufferSize; claimedPacking(c.name, c.props.encoding) == "zstd" {
		n += 2 * maxZstdWindow
	}
	busy := c.worker.end()
	c.unclaim()
	c.release()
	if c.release, err = c.worker.reserve(n); err != nil {
		c.release = func() {}
		return err
	}
	return c.worker.resume(busy)
}

// begin looks at the first bytes, and unpacks if they say so.
func (c *content) begin() error {
	head, err := c.peek(512)
	if err != nil {
		return err
	}
	if format := packing(c.name, c.props.encoding, head); format != "" {
		if c.packed, err = newUnpacker(c.worker, format, c.in); err != nil {
			return err
		}
		c.in = bufio.NewReaderSize(c.packed, bufferSize)
		if head, err = c.peek(512); err != nil {
			return err
		}
	}
	c.head = append([]byte(nil), head...)
	return nil
}

// Close ends the current request.
func (c *content) Close() error {
	if c.packed != nil {
		c.packed.close()
	}
	c.worker.end()
	return c.stream.Close()
}

// drain reads what is left of the current range if that is little, for a connection
// that is given up in the middle of an answer can't be used again.
func (c *content) drain() {
	if c.bodyPending <= bufferSize {
		_, _ = io.Copy(io.Discard, c.stream)
	}
}

// peek returns up to n of the next bytes, fewer if there are no more.
func (c *content) peek(n int) ([]byte, error) {
	next, err := c.in.Peek(min(n, c.in.Size()))
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return next, err
}

// Read implements [io.Reader].
func (c *content) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.pos += int64(n)
	if err := c.worker.step(decodeWork * int64(n)); err != nil {
		return n, err
	}
	return n, err
}

// discard passes over the next n bytes.
func (c *content) discard(n int64) error {
	for n > 0 {
		passed, err := c.in.Discard(int(min(n, math.MaxInt32)))
		c.pos += int64(passed)
		n -= int64(passed)
		if err := c.worker.step(int64(passed)); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			return beyondEnd(c.pos+n, c.pos)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// beyondEnd is the error for an offset at which nothing begins.
func beyondEnd(offset, size int64) error {
	return failuref(ErrInvalidArgument, "offset is %d, and the content ends at %d", offset, size)
}

// seek makes offset the next byte to be read. What is packed is unpacked up to
// there; else count bytes are requested.
func (c *content) seek(offset, count int64) error {
	if ahead := offset - c.pos; ahead >= 0 && (c.packed != nil || ahead <= int64(c.in.Buffered())) {
		return c.discard(ahead)
	}
	if offset >= c.size {
		return beyondEnd(offset, c.size)
	}
	c.drain()
	if err := c.stream.seek(offset, count); err != nil {
		return err
	}
	c.flow.next = 4 * count
	c.in.Reset(c.flow)
	c.pos = offset
	return nil
}

// more reports whether anything comes after position at, which has been read up to.
func (c *content) more(at int64) (bool, error) {
	if c.packed == nil {
		return at < c.size, nil
	}
	next, err := c.peek(1)
	return at < c.pos || len(next) > 0, err
}

// asStored gives the unpacking up: the content is then what the blob's bytes are.
func (c *content) asStored() error {
	c.packed.close()
	c.packed = nil
	c.in = bufio.NewReaderSize(c.flow, bufferSize)
	c.pos = -1 // the buffer is empty
	if err := c.seek(0, leastRange); err != nil {
		return err
	}
	head, err := c.peek(512)
	c.head = append([]byte(nil), head...)
	return err
}

// mediaType returns the type of the content: that of the blob's property, unless
// this is none or what the content is says that it is wrong.
func (c *content) mediaType() string {
	t := c.apparentType()
	if c.opaque && strings.HasPrefix(t, "text/") {
		return "application/octet-stream"
	}
	return t
}

func (c *content) apparentType() string { return apparentType(c.declaredType(), c.head) }

// declaredType is what its writer says the content is, if that is not what it is packed
// as.
func (c *content) declaredType() string {
	if c.packed != nil && c.props.coding == "" {
		return ""
	}
	return c.props.contentType
}

// isText reports whether the content is text in that charset, as far as the next
// bytes show. The first back of them come before what is asked for.
func (c *content) isText(cs charset, back int64) (bool, error) {
	sample, err := c.peek(sniffBytes)
	if err != nil {
		return false, err
	}
	window := sample[:min(int64(len(sample)), back)]
	text := isText(c.declaredType(), c.head, sample[cs.syncPoint(window, c.pos == 0):], cs)
	c.opaque = !text
	return text, nil
}

// flow reads a stream on, range after range, each larger than the last.
type flow struct {
	stream *stream
	next   int64 // how many bytes the next range has
	left   int64 // how many bytes more may be requested
}

// errScanned is the cause where a call has gone through all that it may.
var errScanned = errors.New("the bound of one call is reached")

// Read implements [io.Reader].
func (f *flow) Read(p []byte) (int, error) {
	for {
		n, err := f.stream.Read(p)
		if n > 0 || !errors.Is(err, io.EOF) {
			return n, err
		}
		if !f.stream.more() {
			return 0, io.EOF
		}
		count := min(f.next, largeRange)
		if f.left -= count; f.left <= 0 {
			return 0, &Error{Kind: ErrTooLarge, text: fmt.Sprintf("More than %d bytes of the blob would have to be read for that.", maxScan), cause: errScanned}
		}
		if err := f.stream.advance(count); err != nil {
			return 0, err
		}
		f.next = 4 * count
	}
}
