package blobtool

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
)

// blobReading is a call of read_blob on its way.
type blobReading struct {
	at      location
	query   readQuery
	client  *blob.Client
	worker  *worker
	content *content
	out     *readBlobOutput
}

// run reads what is asked for and fills in the output.
func (r *blobReading) run(ctx context.Context) error {
	if err := r.open(ctx); err != nil {
		return err
	}
	defer func() { _ = r.content.Close() }()
	cs, err := r.find()
	if err != nil {
		return err
	}
	var p *textPage
	var cut bool
	switch q := r.query; {
	case cs == nil:
		err = r.binary()
	case q.tail > 0:
		if p, cut, err = r.content.tail(q.tail, *cs, q.maxChars); err == nil {
			r.showTail(p, cut)
		}
	case q.first > 0:
		p, err = r.lines(*cs)
	default:
		p, err = r.piece(*cs)
	}
	if err != nil {
		return err
	}
	r.describe(cs, p)
	r.content.drain()
	return nil
}

// open opens the blob where the text is, if it is known where that is and what the
// bytes there mean. Else it begins at the beginning.
func (r *blobReading) open(ctx context.Context) (err error) {
	q := r.query
	start, count := int64(0), r.fetch()
	direct := q.offset > 0 && q.charset != nil && !q.charset.needsMark() && !q.charset.stateful() && packedName(r.at.blob) == ""
	switch {
	case direct:
		back := q.charset.lookback(q.offset)
		start, count = q.offset-back, count+back
	case q.offset > 0, q.tail > 0:
		count = leastRange
	}
	r.content, err = openContent(r.worker, r.client, r.at.blob, start, count, q.etag, r.chars())
	if isEmptyRange(err) {
		return r.beyond(ctx, err)
	}
	if err == nil && start > 0 && r.content.props.coding != "" { // it may be packed
		etag := r.content.etag
		_ = r.content.Close()
		r.content, err = openContent(r.worker, r.client, r.at.blob, 0, leastRange, etag, r.chars())
	}
	return err
}

// beyond returns the error for an offset beyond the end.
func (r *blobReading) beyond(ctx context.Context, err error) error {
	props, err2 := r.client.GetProperties(ctx, nil)
	if err2 != nil || props.ContentLength == nil {
		return err
	}
	return beyondEnd(r.query.offset, *props.ContentLength)
}

// chars is how many characters are held at most.
func (r *blobReading) chars() int64 {
	n := int64(r.query.maxChars)
	if r.query.tail > 0 { // what is before them is decoded as well
		n *= 2
	}
	return n
}

// fetch is how many bytes to request for the text.
func (r *blobReading) fetch() int64 {
	perChar := int64(4)
	if r.query.charset != nil {
		perChar = bytesPerChar(r.query.charset.Encoding)
	}
	n := int64(r.query.maxChars)*perChar + perChar
	if r.query.length > 0 {
		n = min(n, r.query.length+perChar)
	}
	return min(max(n, leastRange), largeRange)
}

// find goes to where the text is and returns its charset, nil if it is no text.
func (r *blobReading) find() (*charset, error) {
	q, c := r.query, r.content
	var cs charset
	if q.charset != nil {
		cs = q.charset.resolve(c.head)
	} else {
		cs = detectCharset(c.head, &c.props)
	}
	back, err := r.goTo(cs)
	if err != nil {
		return nil, err
	}
	if q.charset != nil {
		return &cs, nil
	}
	text, err := c.isText(cs, back)
	switch {
	case err != nil:
		return nil, err
	case text:
		return &cs, nil
	case q.first > 0 || q.tail > 0:
		return nil, failuref(ErrUnsupported, "%s does not look like text in %s, so it has no lines: its type is %s. If it is text, say in which encoding; else read it without lines and tail_lines.", quote(r.at.blob), cs.name, quote(c.mediaType()))
	}
	return nil, nil
}

// goTo goes to where the text is, and as far before it as it returns.
func (r *blobReading) goTo(cs charset) (back int64, err error) {
	q, c := r.query, r.content
	back = cs.lookback(q.offset)
	if q.offset == 0 || c.pos != 0 {
		return back, nil
	}
	if cs.stateful() && c.packed != nil {
		return q.offset, nil // all is unpacked anyway
	}
	if err := c.seek(q.offset-back, r.fetch()+back); err != nil || !cs.stateful() || back == q.offset {
		return back, err
	}
	window, err := c.peek(int(back))
	if err == nil && cs.resync(window) < 0 {
		back, err = q.offset, c.seek(0, r.fetch())
	}
	return back, err
}

// piece reads the text from offset on.
func (r *blobReading) piece(cs charset) (*textPage, error) {
	q, c := r.query, r.content
	p := newTextPage(cs, q.maxChars)
	p.from = q.offset
	if q.length > 0 {
		p.until = q.offset + q.length
	}
	window, err := c.peek(int(q.offset - c.pos))
	if err != nil {
		return nil, err
	}
	if err := c.discard(int64(cs.syncPoint(window, c.pos == 0))); err != nil {
		return nil, err
	}
	p.pos, p.begin = c.pos, c.pos
	if _, err := p.fill(c); err != nil {
		return nil, err
	}
	if more, err := c.more(p.pos); err == nil && !more && q.offset > 0 && q.offset >= p.pos {
		return nil, beyondEnd(q.offset, p.pos)
	}
	return p, r.showPage(p, func(rest string) string { return rest })
}

// showPage puts a page into the output. next says how to get the rest of which the
// arguments are given.
func (r *blobReading) showPage(p *textPage, next func(rest string) string) error {
	more, err := r.content.more(p.pos)
	if err != nil {
		return err
	}
	r.out.Offset = p.begin
	if !more {
		return nil
	}
	r.out.NextOffset = p.pos
	r.out.Truncated = p.pos < p.until
	r.out.NextStep = next(fmt.Sprintf("The content goes on: call read_blob again with offset=%d and etag=%s%s.", p.pos, bareETag(r.content.etag), r.sameAgain()))
	return nil
}

// sameAgain names the other arguments with which to go on.
func (r *blobReading) sameAgain() string {
	var more strings.Builder
	if r.query.charset != nil {
		more.WriteString(" and encoding=" + r.query.charset.name)
	}
	if r.query.versionID != "" {
		more.WriteString(" and version_id=" + r.query.versionID)
	}
	return more.String()
}

// lines reads the lines that are asked for.
func (r *blobReading) lines(cs charset) (*textPage, error) {
	q, c := r.query, r.content
	if err := c.skipLines(q.first-1, cs); err != nil {
		return nil, err
	}
	if next, err := c.peek(1); err != nil {
		return nil, err
	} else if len(next) == 0 && q.first > 1 {
		return nil, failuref(ErrInvalidArgument, "lines begins at line %d, and the content has %d lines", q.first, q.first-1)
	}
	p := newTextPage(cs, q.maxChars)
	p.pos, p.from, p.begin = c.pos, c.pos, c.pos
	reader := &lineLimit{in: c, counter: newLineCounter(cs), left: math.MaxInt64}
	if q.last > 0 {
		reader.left = q.last - q.first + 1
	}
	left, err := p.fill(reader)
	if err != nil {
		return nil, err
	}
	if left == 0 && reader.left == 0 {
		p.until = p.pos // all that was asked for
	}
	whole := int64(strings.Count(string(p.text), "\n"))
	at := q.first + whole // the line that begins, or goes on, at next_offset
	last := at
	if whole > 0 && strings.HasSuffix(string(p.text), "\n") {
		last--
	}
	if len(p.text) > 0 {
		r.out.Lines = fmt.Sprintf("%d-%d", q.first, last)
	}
	return p, r.showPage(p, func(rest string) string {
		if last < at {
			return fmt.Sprintf("Line %d and those after it were not returned. %s", at, rest)
		}
		return fmt.Sprintf("Line %d was cut. %s", at, rest)
	})
}

// showTail puts the page of a tail into the output.
func (r *blobReading) showTail(p *textPage, cut bool) {
	r.out.Offset = p.begin
	if r.out.Truncated = cut; cut {
		r.out.NextStep = fmt.Sprintf("The beginning of these lines was cut. For more, call read_blob again with a larger max_chars, or with an offset below %d and etag=%s%s.",
			p.begin, bareETag(r.content.etag), r.sameAgain())
	}
}

// describe fills in what the output says of the blob and of the text.
func (r *blobReading) describe(cs *charset, p *textPage) {
	c, out := r.content, r.out
	out.Size, out.ETag, out.VersionID, out.ContentType = c.size, bareETag(c.etag), c.props.versionID, c.mediaType()
	var warnings []string
	if c.packed != nil {
		out.Unpacked = c.packed.format
		if c.packed.broken {
			warnings = append(warnings, fmt.Sprintf("The content is damaged: it can't be unpacked with %s beyond what is here.", c.packed.format))
		}
	} else if strangeCoding(c.props.encoding) {
		warnings = append(warnings, fmt.Sprintf("The blob has the property Content-Encoding %s, and the content is as stored.", quote(c.props.encoding)))
	}
	if p != nil {
		out.Kind, out.Encoding, out.Text = "text", cs.name, string(p.text)
		if n := strings.Count(out.Text, "\ufffd"); n > 0 {
			warnings = append(warnings, fmt.Sprintf("%d times the text has U+FFFD, which stands for what can't be decoded as %s; if these are many, another encoding may be right.", n, cs.name))
		}
	}
	out.Warning = strings.Join(warnings, " ")
}
