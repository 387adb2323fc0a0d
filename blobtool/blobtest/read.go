package blobtest

import (
	"crypto/md5" // Content-MD5 is part of the protocol, not a protection
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// readBlob answers Get Blob and Get Blob Properties.
func (x *exchange) readBlob() {
	b, current, ok := x.findBlob()
	if !ok || x.unchanged(b) {
		return
	}
	if x.r.Method == http.MethodHead {
		b.headers(x.w.Header(), current, x.opts.resourceType(b))
		x.w.Header().Set("Content-Length", strconv.FormatInt(b.size, 10))
		x.setMD5("Content-MD5", b.MD5)
		x.w.WriteHeader(http.StatusOK)
		return
	}
	if b.Tier == "Archive" {
		x.fail(http.StatusConflict, "BlobArchived", "This operation is not permitted on an archived blob.", "")
		return
	}
	x.sendContent(b, current)
}

// unchanged evaluates the conditional headers (If-Match, If-None-Match,
// If-Modified-Since, If-Unmodified-Since) and reports whether it has answered.
func (x *exchange) unchanged(b *storedBlob) bool {
	h := x.r.Header
	modified := b.modified.Truncate(time.Second)
	if v := h.Get("If-Match"); v != "" && !matchesETag(v, b.etag) {
		x.conditionNotMet(http.StatusPreconditionFailed)
		return true
	}
	if t, err := http.ParseTime(h.Get("If-Unmodified-Since")); err == nil && modified.After(t) {
		x.conditionNotMet(http.StatusPreconditionFailed)
		return true
	}
	if v := h.Get("If-None-Match"); v != "" && matchesETag(v, b.etag) {
		x.w.Header().Set("ETag", b.etag)
		x.conditionNotMet(http.StatusNotModified)
		return true
	}
	if t, err := http.ParseTime(h.Get("If-Modified-Since")); err == nil && !modified.After(t) {
		x.w.Header().Set("ETag", b.etag)
		x.conditionNotMet(http.StatusNotModified)
		return true
	}
	return false
}

func (x *exchange) conditionNotMet(status int) {
	if status == http.StatusNotModified { // has no body
		x.w.Header().Set("x-ms-error-code", "ConditionNotMet")
		x.w.WriteHeader(status)
		return
	}
	x.fail(status, "ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met.", "")
}

// matchesETag reports whether one of the tags in the header is etag.
func matchesETag(header, etag string) bool {
	for tag := range strings.SplitSeq(header, ",") {
		if tag = strings.TrimSpace(tag); tag == "*" || tag == etag {
			return true
		}
	}
	return false
}

// sendContent sends the range that was asked for, or all.
func (x *exchange) sendContent(b *storedBlob, current bool) {
	h := x.w.Header()
	start, end, partial, err := parseRange(rangeHeader(x.r), b.size)
	if err != nil {
		h.Set("Content-Range", fmt.Sprintf("bytes */%d", b.size))
		x.fail(http.StatusRequestedRangeNotSatisfiable, "InvalidRange",
			"The range specified is invalid for the current size of the resource.", "")
		return
	}
	status := http.StatusOK
	if partial {
		status = http.StatusPartialContent
		if !x.rangeMD5(b, end-start, start) {
			return
		}
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", start, end-1, b.size))
		x.setMD5("x-ms-blob-content-md5", b.MD5)
	} else {
		x.setMD5("Content-MD5", b.MD5)
	}
	b.headers(h, current, x.opts.resourceType(b))
	h.Set("Content-Length", strconv.FormatInt(end-start, 10))
	x.w.WriteHeader(status)
	_, _ = io.Copy(x.w, io.NewSectionReader(b.content, start, end-start)) // the client may be gone
}

// rangeMD5 adds the hash of the range where the client asks for it; Azure
// computes it up to 4 MiB. It reports whether to go on.
func (x *exchange) rangeMD5(b *storedBlob, length, start int64) bool {
	if x.r.Header.Get("x-ms-range-get-content-md5") != "true" {
		return true
	}
	if length > 4<<20 {
		x.fail(http.StatusBadRequest, "OutOfRangeInput", "One of the request inputs is out of range.", "")
		return false
	}
	hash := md5.New()
	if _, err := io.Copy(hash, io.NewSectionReader(b.content, start, length)); err != nil {
		x.fail(http.StatusInternalServerError, "InternalError", "The server encountered an internal error.", "")
		return false
	}
	x.setMD5("Content-MD5", hash.Sum(nil))
	return true
}

func (x *exchange) setMD5(header string, sum []byte) {
	if sum != nil {
		x.w.Header().Set(header, base64MD5(sum))
	}
}

// rangeHeader returns the range that the request asks for; x-ms-range wins.
func rangeHeader(r *http.Request) string {
	if v := r.Header.Get("x-ms-range"); v != "" {
		return v
	}
	return r.Header.Get("Range")
}

// parseRange parses bytes=first-last or bytes=first-, the two forms that Azure
// knows, into a half-open range. Anything else counts as no range. An error
// means that no byte of the blob is in the range: so it is for each range of
// an empty blob.
func parseRange(header string, size int64) (start, end int64, partial bool, err error) {
	spec, ok := strings.CutPrefix(header, "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	start, startErr := strconv.ParseInt(first, 10, 64)
	if !ok || !dash || startErr != nil || start < 0 {
		return 0, size, false, nil
	}
	end = size
	if last != "" {
		n, err := strconv.ParseInt(last, 10, 64)
		if err != nil || n < start {
			return 0, size, false, nil
		}
		if n < size-1 {
			end = n + 1
		}
	}
	if start >= size {
		return 0, 0, false, fmt.Errorf("range begins at %d of %d bytes", start, size)
	}
	return start, end, true, nil
}
