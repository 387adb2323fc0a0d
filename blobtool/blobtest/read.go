package blobtest

import (
	"crypto/md5" // Content-MD5 is part of the protocol, not a protection
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc64"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// readBlob answers Get Blob and Get Blob Properties.
func (x *exchange) readBlob() {
	b, current, ok := x.findBlob()
	if !ok || x.unmet(b) {
		return
	}
	if len(b.Tags) > 0 && !x.countsTags(x.blob) {
		hidden := *b
		hidden.Tags = nil
		b = &hidden
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

// sendContent sends the requested range, or the whole blob.
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

// rangeForm matches bytes=first-last and bytes=first-. Azure supports no other ranges: no
// suffixes, and not several at once.
var rangeForm = regexp.MustCompile(`^bytes=([0-9]{1,18})-([0-9]{0,18})$`)

// checkRange rejects ranges in any other form, and reports whether to continue. Azure's behavior
// for such a Range header is unknown; sending the whole blob could be mistaken for the range.
func (x *exchange) checkRange() bool {
	for _, name := range []string{"X-Ms-Range", "Range"} {
		values := x.r.Header.Values(name)
		if len(values) == 0 {
			continue
		}
		m := rangeForm.FindStringSubmatch(values[0])
		if m == nil || len(values) > 1 || m[2] != "" && number(m[2]) < number(m[1]) {
			x.invalidHeader(name)
			return false
		}
	}
	return true
}

// number parses digits that fit an int64.
func number(digits string) int64 {
	n, _ := strconv.ParseInt(digits, 10, 64)
	return n
}

// parseRange parses a range that passed checkRange into a half-open range. Without a header, it
// returns the whole blob. It fails if the range contains no byte of the blob, as always for an
// empty blob.
func parseRange(header string, size int64) (start, end int64, partial bool, err error) {
	m := rangeForm.FindStringSubmatch(header)
	if m == nil {
		return 0, size, false, nil
	}
	start, end = number(m[1]), size
	if m[2] != "" && number(m[2]) < size-1 {
		end = number(m[2]) + 1
	}
	if start >= size {
		return 0, 0, false, fmt.Errorf("range begins at %d of %d bytes", start, size)
	}
	return start, end, true, nil
}

// crcTable is the table for Azure Storage's polynomial.
var crcTable = crc64.MakeTable(0x9A6C9329AC4BC9B5)

// wantsHash reports whether the request asks for a hash of its range.
func (x *exchange) wantsHash(name string) bool {
	return strings.EqualFold(x.r.Header.Get(name), "true")
}

// checkHashes rejects a request for a hash without a range or for two hashes, and reports whether
// to continue.
func (x *exchange) checkHashes() bool {
	if x.operation == OpGetBlob && !x.checkRange() {
		return false
	}
	for _, name := range []string{"X-Ms-Range-Get-Content-Md5", "X-Ms-Range-Get-Content-Crc64"} {
		v := x.r.Header.Get(name)
		if v == "" || strings.EqualFold(v, "false") {
			continue
		}
		if !x.wantsHash(name) || rangeHeader(x.r) == "" || name == "X-Ms-Range-Get-Content-Crc64" && x.wantsHash("X-Ms-Range-Get-Content-Md5") {
			x.invalidHeader(name)
			return false
		}
	}
	return true
}

// hashRange adds the range's hash if the client asked for one; Azure computes it for up to 4 MiB.
// It reports whether to continue.
func (x *exchange) hashRange(b *storedBlob, start, length int64) bool {
	sum := md5.New()
	crc := crc64.New(crcTable)
	var into io.Writer
	switch {
	case x.wantsHash("X-Ms-Range-Get-Content-Md5"):
		into = sum
	case x.wantsHash("X-Ms-Range-Get-Content-Crc64"):
		into = crc
	default:
		return true
	}
	if length > 4<<20 {
		x.fail(http.StatusBadRequest, "OutOfRangeInput", "One of the request inputs is out of range.", "")
		return false
	}
	if _, err := io.Copy(into, io.NewSectionReader(b.content, start, length)); err != nil {
		x.fail(http.StatusInternalServerError, "InternalError", "The server encountered an internal error.", "")
		return false
	}
	if into == sum {
		x.setMD5("Content-MD5", sum.Sum(nil))
		return true
	}
	x.w.Header().Set("x-ms-content-crc64", base64.StdEncoding.EncodeToString(binary.LittleEndian.AppendUint64(nil, crc.Sum64())))
	return true
}
