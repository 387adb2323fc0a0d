package blobtool

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Bounds of what a result carries beside text, in bytes; as base64 it takes a third
// more.
const (
	maxMedia    = 3 << 20   // of an image or audio
	maxAttached = 256 << 10 // of anything else
)

// binary puts content that is no text into the output.
func (r *blobReading) binary() error {
	q, c := r.query, r.content
	if c.packed != nil && c.props.coding == "" { // a packed file, such as a .tar.gz, is what it is
		if err := c.asStored(); err != nil {
			return err
		}
	}
	whole := q.offset == 0 && q.length == 0
	kind, most := "binary", int64(maxAttached)
	if t := c.mediaType(); whole && isMedia(t) {
		kind, _, _ = strings.Cut(t, "/")
		most = maxMedia
	}
	if whole && c.packed == nil && c.size > most {
		r.link(most)
		return nil
	}
	data, more, err := r.bytes(most)
	if err != nil {
		return err
	}
	if more && whole {
		r.link(most)
		return nil
	}
	r.attach(kind, data)
	if more {
		next := q.offset + int64(len(data))
		r.out.NextOffset, r.out.Truncated = next, q.length == 0 || int64(len(data)) < q.length
		r.out.NextStep = fmt.Sprintf("The content goes on: call read_blob again with offset=%d and etag=%s%s.", next, bareETag(c.etag), r.sameAgain())
	}
	return nil
}

// bytes reads the range that is asked for, or most bytes of it.
func (r *blobReading) bytes(most int64) (data []byte, more bool, err error) {
	q, c := r.query, r.content
	if q.length > 0 {
		most = min(most, q.length)
	}
	if err := c.seek(q.offset, min(most, largeRange)); err != nil {
		return nil, false, err
	}
	if c.packed == nil { // what is left to fetch, at once
		c.flow.next = max(q.offset+most-c.next, 1)
	}
	if data, err = c.whole(most); err != nil {
		return nil, false, err
	}
	more, err = c.more(c.pos)
	return data, more, err
}

// whole reads the next bytes, most of them at most, with the memory that it takes to
// return them.
func (c *content) whole(most int64) ([]byte, error) {
	if c.packed == nil {
		most = min(most, c.size-c.pos)
	}
	if err := c.reserve(memoryPerByte * most); err != nil {
		return nil, err
	}
	var data bytes.Buffer
	data.Grow(int(min(most, c.size)) + bytes.MinRead)
	_, err := data.ReadFrom(io.LimitReader(c, most))
	return data.Bytes(), err
}

// attach adds content to the result.
func (r *blobReading) attach(kind string, data []byte) {
	t := r.content.mediaType()
	r.out.Kind, r.out.Offset = kind, r.query.offset
	var content mcp.Content
	switch kind {
	case "image":
		content = &mcp.ImageContent{Data: data, MIMEType: t}
	case "audio":
		content = &mcp.AudioContent{Data: data, MIMEType: t}
	default:
		content = &mcp.EmbeddedResource{Resource: &mcp.ResourceContents{URI: r.out.URI, MIMEType: t, Blob: data}}
		r.out.NextStep = "This does not look like text, so it is attached as it is. If it is text, call read_blob again and say in which encoding."
	}
	r.out.attached = []mcp.Content{content}
}

// link adds a link to what is too large to be in the result.
func (r *blobReading) link(most int64) {
	size, t := r.content.size, r.content.mediaType()
	r.out.Kind, r.out.Truncated = "link", true
	r.out.NextStep = fmt.Sprintf("This is no text (%s) and has more than the %d bytes that a result may carry, so it is only linked. Read parts of it with offset and length.", t, most)
	r.out.attached = []mcp.Content{&mcp.ResourceLink{URI: r.out.URI, Name: r.at.blob, MIMEType: t, Size: &size}}
}
