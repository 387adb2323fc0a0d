package blobtest

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// readBlob answers Get Blob and Get Blob Properties.
func (x *exchange) readBlob() {
	b, current, ok := x.findBlob()
	if !ok || x.unmet(b) {
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
		if !x.hashRange(b, start, end-start) {
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

func (x *exchange) setMD5(header string, sum []byte) {
	if sum != nil {
		x.w.Header().Set(header, base64MD5(sum))
	}
}
