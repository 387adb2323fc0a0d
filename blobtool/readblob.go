package blobtool

import (
	"context"
	"fmt"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/content"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/work"
)

// registerReadBlob adds the tool read_blob.
func (s *Set) registerReadBlob(srv *mcp.Server) {
	input := schemaFor[readBlobInput]()
	input.Properties["max_chars"].Type = "integer"
	input.Properties["max_chars"].Minimum = new(1.0)
	setDefault(input, "max_chars", defaultMaxChars)
	setBounds(input, "offset", 0, maxBlobBytes)
	setBounds(input, "length", 1, maxBlobBytes)
	setBounds(input, "tail_lines", 1, maxMaxChars)
	addTool(s, srv, &mcp.Tool{
		Name:  "read_blob",
		Title: "Read a blob",
		Description: "Reads a blob in " + s.where() + ", with the permissions of the signed-in user. Returns text in pages; images, audio and other content are attached. " +
			"Give at most one of offset (with or without length), lines and tail_lines; without any, reading starts at the beginning. " +
			"To continue, call again with offset set to the result's next_offset, the same etag and, if you gave one, the same encoding. " +
			"gzip and zstd are unpacked. " + untrusted,
		InputSchema: input,
		Annotations: readOnly("Read a blob"),
	}, s.readBlob)
}

// readBlob handles a call of read_blob.
func (s *Set) readBlob(ctx context.Context, req *mcp.CallToolRequest, in readBlobInput) (readBlobOutput, error) {
	var out readBlobOutput
	at, err := s.locateNamed(ctx, in.Container, in.BlobPath)
	if err != nil {
		return out, err
	}
	q, err := in.query()
	if err != nil {
		return out, err
	}
	client, err := s.blobClient(ctx, at, q.versionID)
	if err != nil {
		return out, err
	}
	r := &blobReading{at: at, query: q, client: client, worker: s.worker(ctx, userID(req)), out: &out}
	out.Container, out.BlobPath, out.URI = at.Container, at.Blob, at.URI()
	if err := r.run(ctx); err != nil {
		return out, s.explain(ctx, at, client, err, q.etag)
	}
	return out, nil
}

// Limits on attached content in bytes, before base64.
const (
	maxMedia    = 3 << 20   // of an image or audio
	maxAttached = 256 << 10 // of anything else
)

// openContent opens a blob for a tool that returns its content, and reserves memory for
// chars characters of text. The worker holds a core until the content is closed.
func openContent(w *work.Worker, client *blob.Client, name string, count int64, etag string, chars int64) (*content.Reader, error) {
	c, err := content.Open(w, ranges(client), name, content.Options{Count: count, ETag: etag, Limit: content.MaxScan})
	if err != nil {
		return nil, err
	}
	if err = c.ReserveChars(chars); err == nil {
		err = c.Begin()
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// blobReading is a running call of read_blob.
type blobReading struct {
	at      names.Location
	query   readQuery
	client  *blob.Client
	worker  *work.Worker
	content *content.Reader
	out     *readBlobOutput
}

// run reads the requested part and fills in the output.
func (r *blobReading) run(ctx context.Context) error {
	if err := r.open(ctx); err != nil {
		return err
	}
	defer func() { _ = r.content.Close() }()
	cs, err := r.find()
	if err != nil {
		return err
	}
	var p *content.Page
	switch q := r.query; {
	case cs == nil:
		err = r.binary()
	case q.tail > 0:
		p, err = r.tail(*cs)
	case q.first > 0:
		p, err = r.lines(*cs)
	default:
		if p, err = r.content.Piece(*cs, q.offset, q.length, q.maxChars); err == nil {
			err = r.showPage(p, "")
		}
	}
	if err != nil {
		return err
	}
	r.describe(cs, p)
	r.content.Drain()
	return nil
}

// open opens the blob at the offset if the charset is known and the content not packed, and
// otherwise at its beginning.
func (r *blobReading) open(ctx context.Context) (err error) {
	q := r.query
	count, back := r.fetch(), int64(0)
	direct := q.offset > 0 && q.charset != nil && !q.charset.NeedsMark() && !q.charset.Stateful() && content.PackedName(r.at.Blob) == ""
	if direct {
		back = q.charset.Lookback(q.offset)
	}
	if direct && back < q.offset {
		r.content, err = content.OpenText(r.worker, ranges(r.client), r.at.Blob, *q.charset, q.offset, content.Options{Count: count, ETag: q.etag, Limit: content.MaxScan})
		if isEmptyRange(err) {
			return r.beyond(ctx, err)
		}
		if err != nil {
			return err
		}
		if r.content.Coding() == "" {
			if err = r.content.ReserveChars(r.chars()); err != nil {
				_ = r.content.Close()
			}
			return err
		}
		_ = r.content.Close() // it may be packed
		q.etag = r.content.ETag
		direct = false
	}
	switch {
	case direct: // the text is where the blob begins
		count += back
	case q.offset > 0 || q.tail > 0:
		count = content.LeastRange
	}
	r.content, err = openContent(r.worker, r.client, r.at.Blob, count, q.etag, r.chars())
	return err
}

// beyond returns the error for an offset past the end.
func (r *blobReading) beyond(ctx context.Context, err error) error {
	props, err2 := r.client.GetProperties(ctx, nil)
	if err2 != nil || props.ContentLength == nil {
		return err
	}
	return content.BeyondEnd(r.query.offset, *props.ContentLength)
}

// chars returns how many characters are held in memory at most.
func (r *blobReading) chars() int64 {
	n := int64(r.query.maxChars)
	if r.query.tail > 0 { // what is before them is decoded as well
		n *= 2
	}
	return n
}

// fetch returns how many bytes to request for the text.
func (r *blobReading) fetch() int64 {
	perChar := int64(4)
	if r.query.charset != nil {
		perChar = r.query.charset.BytesPerChar()
	}
	n := int64(r.query.maxChars)*perChar + perChar
	if r.query.length > 0 {
		n = min(n, r.query.length+perChar)
	}
	return min(max(n, content.LeastRange), content.LargestRange)
}

// find goes to the text and returns its charset, or nil if it is not text.
func (r *blobReading) find() (*content.Charset, error) {
	q, c := r.query, r.content
	cs := c.Charset()
	if q.charset != nil {
		cs = c.Resolve(*q.charset)
	}
	if err := c.GoToText(cs, q.offset, r.fetch()); err != nil || q.charset != nil {
		return &cs, err
	}
	text, err := c.IsText(cs)
	switch {
	case err != nil:
		return nil, err
	case text:
		return &cs, nil
	case q.first > 0 || q.tail > 0:
		return nil, failuref(ErrUnsupported, "%s does not look like text in %s, so it has no lines; its type is %s. If it is text, set encoding; otherwise read it without lines and tail_lines.", quote(r.at.Blob), cs.Name, quote(c.MediaType()))
	}
	return nil, nil //nolint:nilnil // no charset is not an error
}

// lines reads the requested lines.
func (r *blobReading) lines(cs content.Charset) (*content.Page, error) {
	q, c := r.query, r.content
	lines := c.Lines(cs)
	if err := lines.Skip(q.first - 1); err != nil {
		return nil, err
	}
	if next, err := c.Peek(1); err != nil {
		return nil, err
	} else if len(next) == 0 && q.first > 1 {
		return nil, failuref(ErrInvalidArgument, "lines begins at line %d, but the content has only %d lines", q.first, q.first-1)
	}
	p := content.NewPageAt(cs, q.maxChars, c.Pos())
	limited := lines.Limited(q.lineCount())
	left, err := p.Fill(limited)
	if err != nil {
		return nil, err
	}
	if left == 0 && limited.AtEnd() {
		p.Until = p.Pos // all that was asked for
	}
	at := q.first + int64(strings.Count(string(p.Text), "\n")) // the line that begins, or goes on, at next_offset
	last, lead := at, fmt.Sprintf("Line %d is cut. ", at)
	if at > q.first && strings.HasSuffix(string(p.Text), "\n") {
		last--
		lead = fmt.Sprintf("Line %d and the lines after it are not included. ", at)
	}
	if len(p.Text) > 0 {
		r.out.Lines = fmt.Sprintf("%d-%d", q.first, last)
	}
	return p, r.showPage(p, lead)
}

// tail reads the last lines.
func (r *blobReading) tail(cs content.Charset) (*content.Page, error) {
	p, cut, err := r.content.Tail(r.query.tail, cs, r.query.maxChars)
	if err != nil {
		return nil, err
	}
	r.out.Offset = p.Begin
	if r.out.Truncated = cut; cut {
		r.out.NextStep = fmt.Sprintf("The beginning of these lines is cut. To see more, call read_blob again with a larger max_chars, or with an offset below %d and etag=%s%s.",
			p.Begin, bareETag(r.content.ETag), r.sameAgain())
	}
	return p, nil
}

// showPage puts a page into the output. lead precedes the text on how to continue.
func (r *blobReading) showPage(p *content.Page, lead string) error {
	more, err := r.content.More(p.Pos)
	if err != nil {
		return err
	}
	r.out.Offset = p.Begin
	if more {
		r.out.Truncated = p.Pos < p.Until
		r.goOn(p.Pos, lead)
	}
	return nil
}

// goOn says how to continue.
func (r *blobReading) goOn(next int64, lead string) {
	r.out.NextOffset = next
	r.out.NextStep = fmt.Sprintf("%sThere is more: call read_blob again with offset=%d and etag=%s%s.", lead, next, bareETag(r.content.ETag), r.sameAgain())
}

// sameAgain names the other arguments to pass when continuing.
func (r *blobReading) sameAgain() string {
	var more strings.Builder
	if r.query.charset != nil {
		more.WriteString(" and encoding=" + r.query.charset.Name)
	}
	if r.query.versionID != "" {
		more.WriteString(" and version_id=" + r.query.versionID)
	}
	return more.String()
}

// binary attaches or links content that is not text.
func (r *blobReading) binary() error {
	q, c := r.query, r.content
	if err := c.AsStored(); err != nil {
		return err
	}
	whole := q.offset == 0 && q.length == 0
	kind, most := "binary", int64(maxAttached)
	if t := c.MediaType(); whole && content.IsMedia(t) {
		kind, _, _ = strings.Cut(t, "/")
		most = maxMedia
	}
	if packed, _ := c.Packed(); whole && packed == "" && c.Size > most {
		r.link(most)
		return nil
	}
	wanted := most
	if q.length > 0 {
		wanted = min(most, q.length)
	}
	data, more, err := c.Bytes(q.offset, wanted)
	if err != nil {
		return err
	}
	if more && whole {
		r.link(most)
		return nil
	}
	r.attach(kind, data)
	if more {
		r.out.Truncated = q.length == 0 || int64(len(data)) < q.length
		r.goOn(q.offset+int64(len(data)), "")
	}
	return nil
}

// attach adds content to the result.
func (r *blobReading) attach(kind string, data []byte) {
	t := r.content.MediaType()
	r.out.Kind, r.out.Offset = kind, r.query.offset
	var attached mcp.Content
	switch kind {
	case "image":
		attached = &mcp.ImageContent{Data: data, MIMEType: t}
	case "audio":
		attached = &mcp.AudioContent{Data: data, MIMEType: t}
	default:
		attached = &mcp.EmbeddedResource{Resource: &mcp.ResourceContents{URI: r.out.URI, MIMEType: t, Blob: data}}
		r.out.NextStep = "This does not look like text, so it is attached as is. If it is text, call read_blob again with encoding set."
	}
	r.out.attached = []mcp.Content{attached}
}

// link adds a link to content that is too large to attach.
func (r *blobReading) link(most int64) {
	size, t := r.content.Size, r.content.MediaType()
	r.out.Kind, r.out.Truncated = "link", true
	r.out.NextStep = fmt.Sprintf("This is not text (%s) and is larger than the %d bytes a result can hold, so the result has only a link. Read parts of it with offset and length.", t, most)
	r.out.attached = []mcp.Content{&mcp.ResourceLink{URI: r.out.URI, Name: r.at.Blob, MIMEType: t, Size: &size}}
}

// describe fills in the properties of the blob and the text.
func (r *blobReading) describe(cs *content.Charset, p *content.Page) {
	c, out := r.content, r.out
	out.Size, out.ETag, out.VersionID, out.ContentType = c.Size, bareETag(c.ETag), c.VersionID, c.MediaType()
	var warnings []string
	if format, damaged := c.Packed(); format != "" {
		out.Unpacked = format
		if damaged {
			warnings = append(warnings, fmt.Sprintf("The content is damaged: unpacking it with %s failed after what is returned here.", format))
		}
	} else if c.Strange() {
		warnings = append(warnings, fmt.Sprintf("The blob's Content-Encoding is %s; the content is returned as stored.", quote(c.Encoding)))
	}
	if p != nil {
		out.Kind, out.Encoding, out.Text = "text", cs.Name, string(p.Text)
		if n := strings.Count(out.Text, "\ufffd"); n > 0 {
			warnings = append(warnings, fmt.Sprintf("The text has U+FFFD %d times, in place of what can't be decoded as %s; if that is often, try another encoding.", n, cs.Name))
		}
	}
	out.Warning = strings.Join(warnings, " ")
}
