package blobtool

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
)

// stream reads one version of a blob, range after range. The first range tells
// the blob's size and version; so no request is spent on asking, and no
// connection is given up in the middle of a body.
type stream struct {
	worker      *worker // of the call, in which the stream begins and ends
	client      *blob.Client
	size        int64
	etag        azcore.ETag
	props       properties
	next        int64 // where the next range begins
	body        io.ReadCloser
	bodyPending int64 // bytes of the current range that have not been read
	resumes     int   // connections that broke off
	slots       int64 // of the line, which the current range holds
	turn        int64 // bytes read since it got them
}

// properties are what the answer to a range says of the whole blob.
type properties struct {
	contentType string
	encoding    string // Content-Encoding
	coding      string // how that says that the content is packed; empty: not at all
	versionID   string // empty if the account keeps no versions
	modified    time.Time
	directory   bool // of a hierarchical namespace
}

// maxResumes is how many broken connections a call puts up with.
const maxResumes = 3

// errBadAnswer is the cause where the service contradicts itself.
var errBadAnswer = errors.New("unexpected answer")

// openStream requests up to count bytes from offset on: of the version with that
// ETag or, if it is empty, of the one that is there.
func openStream(w *worker, client *blob.Client, offset, count int64, etag azcore.ETag) (*stream, error) {
	s := &stream{worker: w, client: client, next: offset}
	var conditions *blob.AccessConditions
	if etag != "" {
		conditions = &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfMatch: &etag}}
	}
	resp, err := client.DownloadStream(w.ctx, &blob.DownloadStreamOptions{Range: blob.HTTPRange{Offset: offset, Count: count}, AccessConditions: conditions})
	if isEmptyRange(err) && offset == 0 {
		// No range of an empty blob exists.
		resp, err = client.DownloadStream(w.ctx, &blob.DownloadStreamOptions{AccessConditions: conditions})
	}
	if err != nil {
		return nil, err
	}
	if resp.Body == nil {
		return nil, fmt.Errorf("%w: no body", errBadAnswer)
	}
	if s.etag = value(resp.ETag); printable(bareETag(s.etag)) == "" { // it goes into results
		_ = resp.Body.Close()
		return nil, fmt.Errorf("%w: no ETag", errBadAnswer)
	}
	s.props = propertiesOf(&resp)
	if s.size, err = totalSize(&resp, offset); err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	s.take(&resp, min(count, s.size-offset))
	return s, nil
}

func propertiesOf(resp *blob.DownloadStreamResponse) properties {
	p := properties{
		contentType: value(resp.ContentType),
		encoding:    value(resp.ContentEncoding),
		versionID:   shownVersion(resp.VersionID),
		modified:    value(resp.LastModified),
	}
	p.coding = contentCoding(p.encoding)
	p.directory = isDirectory(resp.Metadata)
	return p
}

// refuseDirectory returns an error if the blob of that name is a directory.
func (s *stream) refuseDirectory(name string) error {
	if !s.props.directory || s.size > 0 {
		return nil
	}
	return failuref(ErrDirectory, "%s is a directory, not a file. See what is in it with list_blobs, prefix %s.", quote(name), quote(strings.TrimSuffix(name, "/")+"/"))
}

// isDirectory reports whether metadata is that of a directory: the blob endpoint of
// an account with hierarchical namespace shows it as an empty blob.
func isDirectory(metadata map[string]*string) bool {
	for name, v := range metadata {
		if strings.EqualFold(name, "hdi_isfolder") && strings.EqualFold(value(v), "true") {
			return true
		}
	}
	return false
}

// value is what a pointer of the SDK's points to, or zero.
func value[T any](p *T) T {
	if p == nil {
		return *new(T)
	}
	return *p
}

func isEmptyRange(err error) bool {
	var response *azcore.ResponseError
	return bloberror.HasCode(err, bloberror.InvalidRange) ||
		errors.As(err, &response) && response.StatusCode == http.StatusRequestedRangeNotSatisfiable
}

// advance requests the next count bytes of the same version.
func (s *stream) advance(count int64) error {
	_ = s.Close() // may be broken already
	if count = min(count, s.size-s.next); count <= 0 {
		s.bodyPending = 0
		return nil
	}
	busy := s.worker.end()
	if err := s.claim(count); err != nil {
		return err
	}
	resp, err := s.client.DownloadStream(s.worker.ctx, &blob.DownloadStreamOptions{
		Range:            blob.HTTPRange{Offset: s.next, Count: count},
		AccessConditions: &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfMatch: &s.etag}},
	})
	if err == nil {
		if err = s.worker.resume(busy); err != nil && resp.Body != nil {
			_ = resp.Body.Close()
		}
	}
	if err != nil {
		s.unclaim()
		return err
	}
	if resp.Body == nil {
		s.unclaim()
		return fmt.Errorf("%w: no body", errBadAnswer)
	}
	size, err := totalSize(&resp, s.next)
	if err == nil && size != s.size {
		err = fmt.Errorf("%w: the blob's size was %d and is %d", errBadAnswer, s.size, size)
	}
	if err != nil {
		s.unclaim()
		_ = resp.Body.Close()
		return err
	}
	s.take(&resp, count)
	return nil
}

// claim waits for the part of the line that a range of that size takes.
func (s *stream) claim(count int64) error {
	n := int64(1)
	if count > bulkBytes {
		n = min(bulkSlots, s.worker.shares.line.most)
	}
	if err := s.worker.shares.line.take(s.worker.ctx, s.worker.user, n); err != nil {
		return busyFailure(err)
	}
	s.slots, s.turn = n, 0
	return nil
}

// unclaim gives it back.
func (s *stream) unclaim() {
	if s.slots > 0 {
		s.worker.shares.line.give(s.worker.user, s.slots)
		s.slots = 0
	}
}

// passed gives the range's part of the line back at its end, and hands it over from time
// to time.
func (s *stream) passed(n int) error {
	s.bodyPending -= int64(n)
	s.turn += int64(n)
	switch {
	case s.bodyPending == 0:
		s.unclaim()
	case s.slots > 0 && s.turn >= turnBytes && s.worker.shares.line.wanted():
		s.unclaim()
		return s.claim(s.bodyPending)
	}
	return nil
}

// take makes an answer the current range.
func (s *stream) take(resp *blob.DownloadStreamResponse, count int64) {
	s.body = resp.Body
	s.bodyPending = count
	s.next += count
}

// Read reads the current range, and io.EOF at its end. A connection that breaks
// off is taken up again where it was. What a body has beyond the range is never
// read.
func (s *stream) Read(p []byte) (int, error) {
	if s.bodyPending == 0 {
		return 0, io.EOF
	}
	busy := s.worker.end()
	n, err := s.body.Read(p[:min(int64(len(p)), s.bodyPending)])
	if err := s.passed(n); err != nil {
		return n, err
	}
	if err := s.worker.resume(busy); err != nil {
		return n, err
	}
	if err != nil && s.bodyPending > 0 {
		return n, s.resume(err)
	}
	return n, nil
}

// fill reads until buf is full, or the current range at its end: TLS hands out 16
// KiB at a time, and a file is written faster in larger pieces.
func (s *stream) fill(buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var more int
		more, err = s.Read(buf[n:])
		n += more
	}
	return n, err
}

// resume requests what is left of the current range. It does the work of azblob's
// RetryReader, which goes on forever with a service that sends a byte at a time.
func (s *stream) resume(cause error) error {
	if errors.Is(cause, io.EOF) {
		cause = io.ErrUnexpectedEOF
	}
	if s.resumes == maxResumes || s.worker.ctx.Err() != nil || errors.Is(cause, errStalled) {
		return fmt.Errorf("the body broke off: %w", cause)
	}
	s.resumes++
	left := s.bodyPending
	s.next -= left
	return s.advance(left)
}

// seek makes the count bytes from offset on the current range.
func (s *stream) seek(offset, count int64) error {
	s.next = offset
	return s.advance(count)
}

// more reports whether the blob goes on after the current range.
func (s *stream) more() bool { return s.next < s.size }

// Close ends the current range.
func (s *stream) Close() error {
	s.unclaim()
	if s.body == nil {
		return nil
	}
	body := s.body
	s.body = nil
	return body.Close()
}

// totalSize returns the size of the whole blob, which the answer to a range has in
// Content-Range: bytes first-last/size.
func totalSize(resp *blob.DownloadStreamResponse, offset int64) (int64, error) {
	if resp.ContentRange == nil {
		if offset == 0 && resp.ContentLength != nil && *resp.ContentLength >= 0 {
			return *resp.ContentLength, nil
		}
		return 0, fmt.Errorf("%w: no Content-Range", errBadAnswer)
	}
	span, total, _ := strings.Cut(strings.TrimPrefix(*resp.ContentRange, "bytes "), "/")
	first, _, _ := strings.Cut(span, "-")
	size, err := strconv.ParseInt(total, 10, 64)
	start, err2 := strconv.ParseInt(first, 10, 64)
	if err != nil || err2 != nil || start != offset || size <= offset {
		return 0, fmt.Errorf("%w: Content-Range %q to a request from %d on", errBadAnswer, *resp.ContentRange, offset)
	}
	return size, nil
}
