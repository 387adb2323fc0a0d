package blobtool

import (
	"context"
	"errors"
	"io"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// Ranges in which text is read, in bytes: the first, and the largest of those after it.
const (
	firstTextRange   = 256 << 10
	largestTextRange = 8 << 20
)

// searchBlob searches one blob, with part of the line that it has already. It opens the
// blob at once, and waits for its turn only with what it takes from the allowance.
func (q *searchQuery) searchBlob(ctx context.Context, job *textJob, buf []byte) textOutcome {
	w := q.set.worker(ctx, q.user)
	defer w.end()
	in, err := q.open(w, job, buf)
	if in != nil {
		defer func() { _ = in.stream.Close() }()
	} else {
		w.shares.line.give(w.user, 1)
	}
	var left int64
	select {
	case left = <-job.allowance:
	case <-ctx.Done():
		return q.failed(ctx, job, textOutcome{textResult: textResult{to: job.from}}, ctx.Err(), false)
	}
	if err != nil {
		job.rest <- left - in.bytes()
		return q.failed(ctx, job, textOutcome{textResult: textResult{to: job.from}, read: in.bytes()}, err, in != nil)
	}
	share := max(min(in.stream.size-in.begin, left), in.bytes())
	job.rest <- left - share
	if left <= 0 && in.stream.size > in.begin {
		return textOutcome{textResult: textResult{to: job.from}, read: in.bytes(), short: reasonBytes}
	}
	in.most = share
	if err := w.begin(); err != nil {
		return q.failed(ctx, job, textOutcome{textResult: textResult{to: job.from}, read: in.bytes()}, err, true)
	}
	t := textSearch{expr: q.text, most: q.MaxResults, worker: w}
	res, err := t.search(&in.lines, in.from, in.begin+share >= in.stream.size)
	for i := range res.matches {
		res.matches[i].Blob = job.entry.name
	}
	out := textOutcome{textResult: res, read: in.bytes(), note: in.note}
	switch {
	case res.to.Offset >= in.stream.size:
	case err != nil:
		return q.failed(ctx, job, out, err, true)
	case res.full:
		out.short = reasonResults
	default:
		out.short = reasonBytes
	}
	return out
}

// failed completes the outcome of a blob that could not be searched, or not to its end.
// Once it was opened, whatever happens is about this blob: if the service is down, the
// next one can't be opened.
func (q *searchQuery) failed(ctx context.Context, job *textJob, out textOutcome, err error, opened bool) textOutcome {
	at := location{q.container, job.entry.name}
	switch e := at.fromAzure(ctx, err); {
	case errors.Is(err, errBinary):
		out.binary = true
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		out.short = reasonTime
	case opened || ofOneBlob(e):
		out.note = e.UserText()
	default: // the next blob would fare no better
		out.short, out.note, out.err = reasonFailure, e.UserText(), e
	}
	return out
}

// ofOneBlob reports whether an error says something about its blob alone.
func ofOneBlob(err error) bool {
	for _, kind := range []error{ErrNotFound, ErrPermission, ErrUnsupported, ErrChanged, ErrInvalidPath, ErrNotAllowed} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// textInput is a blob that is being searched. It reads range after range, each larger
// than the last, up to a number of bytes.
type textInput struct {
	stream *stream
	lines  lineReader
	from   textMark // of the first line
	begin  int64    // offset of the first byte read
	read   int64
	most   int64 // bytes to read in all
	count  int64 // of the last range
	note   string
}

// open opens a blob, and finds out whether it is text. What it returns has taken over the
// part of the line.
func (q *searchQuery) open(w *worker, job *textJob, buf []byte) (*textInput, error) {
	if err := q.passOver(job.entry); err != nil {
		return nil, err
	}
	at, err := q.set.locate(w.ctx, q.container, job.entry.name)
	if err != nil {
		return nil, err
	}
	in := &textInput{from: job.from, most: firstTextRange, count: firstTextRange}
	client := q.client.NewBlobClient(at.blob)
	in.stream, err = openStream(w, client, in.from.Offset, in.count, azcore.ETag(in.from.ETag))
	if bloberror.HasCode(err, bloberror.ConditionNotMet) {
		in.from = textMark{Line: 1}
		in.note = "The blob has changed since the last call; it was searched from its beginning."
		in.stream, err = openStream(w, client, 0, in.count, "")
	}
	if err != nil {
		return nil, err
	}
	in.stream.slots = 1
	in.begin, in.from.ETag = in.from.Offset, string(in.stream.etag)
	in.lines = lineReader{r: in, buf: buf}
	return in, in.lines.begin(job.entry.name, &in.stream.props, &in.from)
}

// passOver returns why a blob need not be opened: what is listed says that it can't be
// read, or that it is no text.
func (q *searchQuery) passOver(e entry) error {
	if e.blob == nil || e.blob.Properties == nil {
		return nil
	}
	p := e.blob.Properties
	if value(p.AccessTier) == container.AccessTierArchive {
		v, _ := location{q.container, e.name}.byCode(bloberror.BlobArchived)
		return &Error{Kind: v.kind, text: v.text}
	}
	if declaredMedia(value(p.ContentType)) {
		return errBinary
	}
	return nil
}

// bytes is how much was read. nil has read nothing.
func (in *textInput) bytes() int64 {
	if in == nil {
		return 0
	}
	return in.read
}

// Read implements [io.Reader].
func (in *textInput) Read(p []byte) (int, error) {
	for in.read < in.most {
		n, err := in.stream.Read(p[:min(int64(len(p)), in.most-in.read)])
		in.read += int64(n)
		if n > 0 || !errors.Is(err, io.EOF) {
			return n, err
		}
		if !in.stream.more() {
			return 0, io.EOF
		}
		in.count = min(4*in.count, largestTextRange)
		if err := in.stream.advance(min(in.count, in.most-in.read)); err != nil {
			return 0, err
		}
	}
	return 0, io.EOF
}
