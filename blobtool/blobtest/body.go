package blobtest

import (
	"crypto/md5" // Content-MD5 is part of the protocol, not a protection
	"encoding/base64"
	"encoding/binary"
	"hash/crc64"
	"io"
	"net/http"
)

// Limits on the bodies of requests, in bytes.
const (
	maxPut        = 5000 << 20
	maxBlock      = 4000 << 20
	maxAppend     = 4 << 20 // what is beyond is a preview in Azure
	maxListOfXML  = 8 << 20
	maxTagsOfXML  = 64 << 10
	crc64Checksum = "X-Ms-Content-Crc64"
)

// A body is the received body of a request and its hashes.
type body struct {
	data []byte
	md5  []byte
	crc  []byte
}

// receive reads the body and compares it with the hashes that the request has for it, or responds
// and returns false.
func (x *exchange) receive(limit int64) (*body, bool) {
	wantMD5, wantCRC, r := x.givenHashes("Content-Md5", crc64Checksum)
	switch {
	case r != nil:
	case x.r.ContentLength < 0:
		r = &refusal{http.StatusLengthRequired, "MissingContentLengthHeader", "The Content-Length header was not specified."}
	case x.r.ContentLength > limit:
		r = tooLarge
	}
	if r != nil {
		x.refuse(r)
		return nil, false
	}
	b := &body{data: make([]byte, x.r.ContentLength)}
	if _, err := io.ReadFull(x.r.Body, b.data); err != nil {
		panic(http.ErrAbortHandler) // the client is gone: nothing happens
	}
	b.hash()
	if r := b.differs(wantMD5, wantCRC); r != nil {
		x.refuse(r)
		return nil, false
	}
	return b, true
}

// hash computes the hashes.
func (b *body) hash() {
	sum := md5.Sum(b.data)
	b.md5 = sum[:]
	b.crc = binary.LittleEndian.AppendUint64(nil, crc64.Checksum(b.data, crcTable))
}

// differs compares the hashes with those given, if any.
func (b *body) differs(wantMD5, wantCRC []byte) *refusal {
	switch {
	case wantMD5 != nil && string(wantMD5) != string(b.md5):
		return md5Mismatch
	case wantCRC != nil && string(wantCRC) != string(b.crc):
		return &refusal{http.StatusBadRequest, "Crc64Mismatch",
			"The CRC64 value specified in the request did not match with the CRC64 value calculated by the server."}
	}
	return nil
}

var md5Mismatch = &refusal{http.StatusBadRequest, "Md5Mismatch",
	"The MD5 value specified in the request did not match with the MD5 value calculated by the server."}

// givenHashes parses the MD5 and the CRC64 of the named headers; a nil one is not given.
func (x *exchange) givenHashes(md5Header, crcHeader string) (sum, crc []byte, r *refusal) {
	if sum, r = x.givenHash(md5Header, md5.Size, "InvalidMd5"); r != nil {
		return nil, nil, r
	}
	if crc, r = x.givenHash(crcHeader, crc64.Size, "InvalidCrc64"); r != nil {
		return nil, nil, r
	}
	if sum != nil && crc != nil {
		return nil, nil, &refusal{http.StatusBadRequest, "BothCrc64AndMd5HeaderPresent", "Both x-ms-content-crc64 header and Content-MD5 header are present."}
	}
	return sum, crc, nil
}

func (x *exchange) givenHash(header string, size int, code string) ([]byte, *refusal) {
	v := x.r.Header.Get(header)
	if v == "" {
		return nil, nil
	}
	sum, err := base64.StdEncoding.DecodeString(v)
	if err != nil || len(sum) != size {
		return nil, &refusal{http.StatusBadRequest, code, "The hash specified in the request is invalid: " + header + "."}
	}
	return sum, nil
}

// confirm sets the headers that tell the client what arrived: the CRC64, and the MD5 if it was
// asked for by sending one.
func (x *exchange) confirm(b *body) {
	h := x.w.Header()
	h.Set("x-ms-content-crc64", base64.StdEncoding.EncodeToString(b.crc))
	if x.r.Header.Get("Content-Md5") != "" || x.operation == OpPutBlob {
		x.setMD5("Content-MD5", b.md5)
	}
	h.Set("x-ms-request-server-encrypted", "true")
}

// drain reads what is left of the request's body, so that a client that is still sending gets the
// answer and not a broken connection.
func drain(r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // the client may be gone
}
