package blobtool

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/content"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/pattern"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/walk"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/work"
)

const (
	// largestTextRange is the largest range in bytes.
	largestTextRange = 8 << 20
	// leastUnpacked is how many packed bytes may be read beyond the allowance, so that a
	// search always makes progress.
	leastUnpacked = 256 << 10
	// maxLineChars is the length of the text that a match shows.
	maxLineChars = 300
)

// errBinary: the content is not text.
var errBinary = errors.New("binary content")

// textJob is the search of one blob. Blobs are read concurrently and their results taken in
// order, so that a search that stops knows where to continue.
type textJob struct {
	entry  entry
	before walk.Place
	from   textMark
	nth    int        // among all examined blobs
	slots  work.Slots // its part of the line
	// allowance passes the number of bytes that may still be read from job to job, so
	// that the first blobs get it.
	allowance <-chan int64
	rest      chan<- int64
	outcome   chan textOutcome
}

// textOutcome is the result of a textJob.
type textOutcome struct {
	matches []textMatch
	to      textMark // where to continue
	read    int64
	binary  bool
	short   string // why the blob was not searched to its end
	note    string
	err     error // that ends the whole search

	panicked error // the same, always
}

// textInput is a blob that is being searched.
type textInput struct {
	*content.Reader
	lines *content.Lines
	from  textMark // of the first line
	note  string
}

// open opens a blob where its search starts.
func (q *searchQuery) open(w *work.Worker, job *textJob, buf *bufio.Reader) (*textInput, error) {
	if err := q.passOver(job.entry); err != nil {
		return nil, err
	}
	at, err := q.set.locate(w.Context, q.container, job.entry.name)
	if err != nil {
		return nil, err
	}
	in := &textInput{from: job.from}
	source := ranges(q.client.NewBlobClient(at.Blob))
	o := content.Options{Count: content.FirstRange, ETag: in.from.ETag, Largest: largestTextRange, Limit: content.FirstRange, Slots: &job.slots, Buffer: buf}
	if !in.from.Packed {
		o.Offset = in.from.Offset
	}
	in.Reader, err = content.Open(w, source, at.Blob, o)
	if bloberror.HasCode(err, bloberror.ConditionNotMet) {
		in.from = textMark{Line: 1}
		in.note = "The blob has changed since the previous call, so it was searched from the beginning."
		o.Offset, o.ETag = 0, ""
		in.Reader, err = content.Open(w, source, at.Blob, o)
	}
	if err != nil {
		return nil, err
	}
	in.from.ETag = in.ETag
	return in, nil
}

// passOver returns an error if the listing shows that a blob can't be read or is not text.
func (q *searchQuery) passOver(e entry) error {
	if e.blob == nil || e.blob.Properties == nil {
		return nil
	}
	p := e.blob.Properties
	if value(p.AccessTier) == container.AccessTierArchive {
		v, _ := byCode(names.Location{Container: q.container, Blob: e.name}, bloberror.BlobArchived)
		return &Error{Kind: v.kind, text: v.text}
	}
	if content.DeclaredMedia(value(p.ContentType)) {
		return errBinary
	}
	return nil
}

// begin starts unpacking packed content and goes to the first line. At the beginning of a
// blob it also detects the charset and whether the content is text.
func (in *textInput) begin(w *work.Worker) (err error) {
	if in.NeedsWindow() {
		if err := in.TakeWindow(); err != nil {
			return err
		}
	}
	if err := w.Begin(); err != nil {
		return err
	}
	if in.Pos() == 0 {
		if err := in.Begin(); err != nil {
			return err
		}
		format, _ := in.Packed()
		in.from.Packed = format != ""
	}
	if in.from.Offset > 0 {
		cs, err := content.FindCharset(in.from.Charset)
		if err != nil {
			return err
		}
		if in.Pos() == 0 {
			err = in.GoTo(in.from.Offset, content.FirstRange)
		}
		in.lines = in.Lines(cs)
		return err
	}
	cs := in.Charset()
	text, err := in.IsText(cs)
	switch {
	case err != nil:
		return err
	case !text && in.Coding() != "" && !in.from.Packed:
		return failuref(ErrUnsupported, "The blob was not searched: its Content-Encoding is %s, which this server can't unpack.", quote(in.Encoding))
	case !text:
		return errBinary
	}
	in.lines = in.Lines(cs)
	in.from.Charset = cs.Name
	in.from.Offset, err = in.SkipMark()
	return err
}

// late reports whether the rest of the allowance must be passed on before the search
// starts: it waits for memory or reads more than the first range, while the next searches
// wait and hold part of the line.
func (in *textInput) late() bool {
	return in.lines == nil && (in.NeedsWindow() || in.from.Packed && in.from.Offset > 0)
}

// searchBlob searches one blob. It opens the blob at once and then waits for its allowance,
// which counts stored bytes: what they unpack to is not known in advance.
func (q *searchQuery) searchBlob(ctx context.Context, job *textJob, buf *bufio.Reader) textOutcome {
	w := q.set.worker(ctx, q.user)
	defer func() {
		w.End()
		w.Unclaim(&job.slots)
	}()
	in, err := q.open(w, job, buf)
	out := textOutcome{to: job.from}
	if in != nil {
		defer func() { _ = in.Close() }()
		if !in.late() {
			err = in.begin(w)
			w.End()
		}
		out.read, out.note = in.Stored(), in.note
	}
	var left int64
	select {
	case left = <-job.allowance:
	case <-ctx.Done():
		return q.failed(ctx, job, out, ctx.Err(), false)
	}
	// Without waiting for a window, look whether the content is text before its whole size
	// is charged.
	if err == nil && left > 0 && in.NeedsWindow() && in.from.Offset == 0 && in.TryWindow() {
		err = in.begin(w)
		w.End()
		out.read = in.Stored()
	}
	if err != nil {
		if in != nil {
			_ = in.Close() // the next blob may need the window
		}
		job.rest <- left - out.read
		return q.failed(ctx, job, out, err, in != nil)
	}
	share := max(min(in.Left(), left), out.read)
	job.rest <- left - share
	if left <= 0 && in.Left() > 0 {
		out.short = reasonBytes
		return out
	}
	if in.late() {
		in.SetLimit(content.MaxScan)
		err = in.begin(w)
	} else {
		err = w.Begin()
	}
	if err != nil {
		return q.failed(ctx, job, out, err, true)
	}
	if in.from.Packed {
		in.SetLimit(max(share, leastUnpacked))
	} else {
		in.SetLimit(share - in.Stored())
	}
	return q.searchLines(ctx, w, job, in)
}

// searchLines searches the lines of a blob.
func (q *searchQuery) searchLines(ctx context.Context, w *work.Worker, job *textJob, in *textInput) textOutcome {
	out := textOutcome{to: in.from, note: in.note}
	err := in.grep(w, q.text, q.MaxResults, &out)
	out.read = in.Stored()
	for i := range out.matches {
		out.matches[i].Blob = job.entry.name
	}
	switch format, damaged := in.Packed(); {
	case errors.Is(err, io.EOF) && damaged:
		out.note = fmt.Sprintf("The content is damaged: only the part before the damage could be unpacked with %s and searched.", format)
	case errors.Is(err, io.EOF):
	case errors.Is(err, content.ErrLimit):
		out.short = reasonBytes
	case err != nil:
		return q.failed(ctx, job, out, err, true)
	default:
		if more, err := in.More(out.to.Offset); more || err != nil {
			out.short = reasonResults
		}
	}
	return out
}

// grep collects matches in out. It returns nil once there are most of them, and otherwise
// why it stopped.
func (in *textInput) grep(w *work.Worker, expr *pattern.Text, most int, out *textOutcome) error {
	for {
		piece, whole, err := in.lines.Next()
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, content.ErrLimit) {
			return err
		}
		// The next call searches a line that the limit cut, unless it is all that was read.
		if len(piece) == 0 || errors.Is(err, content.ErrLimit) && out.to.Offset > in.from.Offset {
			return err
		}
		m, ok, failure := in.matchLine(w, expr, piece, out.to)
		if failure != nil {
			return failure
		}
		if ok {
			out.matches = append(out.matches, m)
		}
		out.to.Offset += int64(len(piece))
		if whole {
			out.to.Line++
		}
		if len(out.matches) == most {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// matchLine matches the expression against a line or a piece of one.
func (in *textInput) matchLine(w *work.Worker, expr *pattern.Text, piece []byte, at textMark) (m textMatch, ok bool, err error) {
	text, err := in.lines.Decode(piece)
	if err != nil {
		return textMatch{}, false, err
	}
	text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	found, err := expr.Find(w, text)
	if found == nil || err != nil {
		return textMatch{}, false, err
	}
	start, shown := window(text, found[0])
	return textMatch{
		Line:   at.Line,
		Offset: at.Offset + in.lines.EncodedLen(text[:start]),
		Text:   strings.ToValidUTF8(string(shown), "\ufffd"),
		Cut:    len(shown) < len(text),
		at:     at,
	}, true, nil
}

// window returns the part of a line that a match shows: all of it, or the characters around
// the start of the match.
func window(text []byte, match int) (start int, shown []byte) {
	if utf8.RuneCount(text) <= maxLineChars {
		return 0, text
	}
	start = match
	for range maxLineChars / 4 {
		_, n := utf8.DecodeLastRune(text[:start])
		start -= n
	}
	end := start
	for range maxLineChars {
		_, n := utf8.DecodeRune(text[end:])
		end += n
	}
	return start, text[start:end]
}

// failed completes the outcome of a blob that was not searched to its end. Any error after
// opening concerns only this blob: if the service is down, opening the next one fails.
func (q *searchQuery) failed(ctx context.Context, job *textJob, out textOutcome, err error, opened bool) textOutcome {
	at := names.Location{Container: q.container, Blob: job.entry.name}
	switch e := fromAzure(ctx, at, err); {
	case errors.Is(err, errBinary):
		out.binary = true
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		out.short = reasonTime
	case opened || ofOneBlob(e):
		out.note = e.UserText()
	default: // the next blob would fail, too
		out.short, out.note, out.err = reasonFailure, e.UserText(), e
	}
	return out
}

// ofOneBlob reports whether an error concerns only its blob.
func ofOneBlob(err error) bool {
	for _, kind := range []error{ErrNotFound, ErrPermission, ErrUnsupported, ErrChanged, ErrInvalidPath, ErrNotAllowed, ErrDirectory} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}
