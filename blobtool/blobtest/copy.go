package blobtest

import (
	"crypto/md5" // Content-MD5 is part of the protocol, not a protection
	"encoding/base64"
	"encoding/binary"
	"hash/crc64"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Copies: the service reads the source itself, with a token for it in the request. These are
// Azure's limits on a source, in bytes.
const (
	maxCopy        = 256 << 20 // Copy Blob From URL
	maxPutFromURL  = 5000 << 20
	maxBlockSource = maxBlock
)

// sourceHeaders are those of a request that reads a source.
var sourceHeaders = append([]string{"X-Ms-Copy-Source", "X-Ms-Copy-Source-Authorization", "X-Ms-Source-Content-Md5"}, sourceConditions.headers()[:4]...)

// cannotVerify is the refusal of a source that can't be read.
func cannotVerify(status int, message string) *refusal {
	return &refusal{status, "CannotVerifyCopySource", message}
}

var sourceConditionNotMet = &refusal{http.StatusPreconditionFailed, "SourceConditionNotMet",
	"The source condition specified using HTTP conditional header(s) is not met."}

// source finds the source of a copy as its own account shows it to the source's token, and checks
// the conditions on it. The statuses beside CannotVerifyCopySource are unknown, except 404.
func (x *exchange) source() (*storedBlob, *refusal) {
	raw := x.r.Header.Get("X-Ms-Copy-Source")
	u, err := url.Parse(raw)
	if err != nil || !u.IsAbs() || u.Fragment != "" || u.User != nil || len(raw) > 2048 {
		return nil, invalidValue("x-ms-copy-source")
	}
	q := u.Query()
	for name := range q {
		if name != "snapshot" && name != "versionid" { // a SAS, for one
			return nil, cannotVerify(http.StatusForbidden, "Server failed to authenticate the request.")
		}
	}
	account, path := x.accounts.find(u)
	container, blob, _ := strings.Cut(path, "/")
	if account == nil || blob == "" {
		return nil, cannotVerify(http.StatusNotFound, "The specified resource does not exist.")
	}
	caller, err := account.verifier.callerOf(x.r.Header.Get("X-Ms-Copy-Source-Authorization"))
	n := need{container, blob, reader}
	if x.copiesTags() || x.r.Header.Get(sourceConditions.tags) != "" {
		n.role = owner
	}
	switch {
	case err != nil:
		return nil, cannotVerify(http.StatusUnauthorized, "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.")
	case !account.allowed(caller, n):
		return nil, cannotVerify(http.StatusForbidden, "This request is not authorized to perform this operation using this permission.")
	}
	b := account.stateAt(container, blob, q.Get("snapshot"), q.Get("versionid"))
	if b == nil {
		return nil, cannotVerify(http.StatusNotFound, "The specified blob does not exist.")
	}
	return b, x.sourceFits(b)
}

// sourceFits checks the conditions on the source, and that it can be copied.
func (x *exchange) sourceFits(b *storedBlob) *refusal {
	if none := x.r.Header.Get("X-Ms-Source-If-None-Match"); none != "" && matchesETag(none, b.etag) {
		return cannotVerify(http.StatusNotModified, "")
	}
	if x.unmetWrite(sourceConditions, b) != nil {
		return sourceConditionNotMet
	}
	limit := map[Operation]int64{OpCopyBlobFromURL: maxCopy, OpPutBlobFromURL: maxPutFromURL, OpPutBlockFromURL: maxBlockSource}[x.operation]
	switch {
	case b.kind != blockBlob || b.directory:
		return &refusal{http.StatusConflict, "InvalidSourceBlobType", "The copy source blob type is invalid for this operation."}
	case b.Tier == "Archive":
		return blobArchived
	case b.size > limit && x.operation != OpPutBlockFromURL: // of a block, its range counts; the code is unknown
		return tooLarge
	}
	return nil
}

// stateAt returns a state of a blob, or nil.
func (s *Server) stateAt(container, blob, snapshot, version string) *storedBlob {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.containers[container]
	if c == nil {
		return nil
	}
	h := s.historyOf(c, blob)
	switch {
	case h == nil && snapshot+version == "":
		return findGenerated(c.generated, blob)
	case h == nil:
		return nil
	case version != "":
		b, _ := h.version(version)
		return b
	case snapshot != "":
		return h.snapshot(snapshot)
	}
	return h.present(s.opts.Now())
}

// copiesTags reports whether the request asks for the source's tags.
func (x *exchange) copiesTags() bool {
	return strings.EqualFold(x.r.Header.Get("X-Ms-Copy-Source-Tag-Option"), "COPY")
}

// putFromURL answers Put Blob From URL and Copy Blob From URL.
func (x *exchange) putFromURL() {
	if x.r.ContentLength != 0 {
		x.refuse(invalidValue("content-length"))
		return
	}
	p, r := x.given()
	switch option := strings.ToUpper(x.r.Header.Get("X-Ms-Copy-Source-Tag-Option")); {
	case r != nil:
	case option != "" && option != "REPLACE" && option != "COPY":
		r = invalidValue("x-ms-copy-source-tag-option")
	case x.copiesTags() && p.Tags != nil:
		r = &refusal{http.StatusBadRequest, "BothUserTagsAndSourceTagsCopyPresentException",
			"x-ms-tags header must not be present with x-ms-copy-source-tag-option as COPY."}
	case x.operation == OpPutBlobFromURL && x.r.Header.Get("X-Ms-Blob-Type") != "BlockBlob":
		r = invalidValue("x-ms-blob-type")
	}
	var src *storedBlob
	if r == nil {
		src, r = x.source()
	}
	if r == nil {
		p, r = x.copied(p, src)
	}
	if r != nil {
		x.refuse(r)
		return
	}
	b := &storedBlob{Properties: p, content: src.content, size: src.size}
	status, h := http.StatusCreated, x.w.Header()
	x.setMD5("Content-MD5", p.MD5)
	h.Set("x-ms-request-server-encrypted", "true")
	if x.operation == OpCopyBlobFromURL {
		status = http.StatusAccepted
		b.copyID, b.copySource = newLeaseID(), strings.Split(x.r.Header.Get("X-Ms-Copy-Source"), "?")[0]
		h.Set("x-ms-copy-id", b.copyID)
		h.Set("x-ms-copy-status", "success")
	}
	x.change(status, func(t *target) *refusal {
		if r := x.overwrite(t, blockBlob); r != nil {
			return r
		}
		x.commit(t, b)
		return nil
	})
}

// copied returns the properties of the copy. Copy Blob From URL takes the source's headers; Put
// Blob From URL does too, unless x-ms-copy-source-blob-properties is false, and then none may be
// given: whether Azure would take them is unknown. Both take the source's metadata if the request
// has none, which is unknown for Put Blob From URL.
func (x *exchange) copied(p Properties, src *storedBlob) (Properties, *refusal) {
	sum, r := x.givenHash("X-Ms-Source-Content-Md5", md5.Size, "InvalidMd5")
	if r != nil {
		return p, r
	}
	whole, err := hashOf(src, 0, src.size)
	switch {
	case err != nil:
		return p, cannotVerify(http.StatusNotFound, "The specified resource does not exist.")
	case sum != nil && string(sum) != string(whole.md5):
		return p, md5Mismatch
	}
	out := src.clone()
	out.Metadata, out.Tags, out.Tier, out.ArchiveStatus, out.RehydratePriority = p.Metadata, p.Tags, p.Tier, "", ""
	out.LeaseState, out.LeaseDuration = "", ""
	keeps := x.r.Header.Get("X-Ms-Copy-Source-Blob-Properties")
	switch {
	case x.operation == OpCopyBlobFromURL:
	case keeps != "" && !strings.EqualFold(keeps, "true") && !strings.EqualFold(keeps, "false"):
		return p, invalidValue("x-ms-copy-source-blob-properties")
	case strings.EqualFold(keeps, "false"):
		given := p.MD5
		out.ContentType, out.ContentEncoding, out.ContentLanguage = p.ContentType, p.ContentEncoding, p.ContentLanguage
		out.ContentDisposition, out.CacheControl, out.MD5 = p.ContentDisposition, p.CacheControl, whole.md5
		if given != nil && string(given) != string(whole.md5) {
			return p, md5Mismatch
		}
	case slices.ContainsFunc(blobHeaders, func(name string) bool { return x.r.Header.Get(name) != "" }):
		return p, invalidValue("x-ms-copy-source-blob-properties")
	}
	if p.Metadata == nil {
		out.Metadata = maps.Clone(src.Metadata)
	}
	if x.copiesTags() {
		out.Tags = maps.Clone(src.Tags)
	}
	return out, nil
}

// hashOf reads a part of a source and computes its hashes.
func hashOf(src *storedBlob, start, size int64) (*body, error) {
	sum, crc := md5.New(), crc64.New(crcTable)
	if _, err := io.Copy(io.MultiWriter(sum, crc), io.NewSectionReader(src.content, start, size)); err != nil {
		return nil, err
	}
	return &body{md5: sum.Sum(nil), crc: binary.LittleEndian.AppendUint64(nil, crc.Sum64())}, nil
}

var sourceRange = regexp.MustCompile(`^bytes=([0-9]{1,18})-([0-9]{1,18})$`)

// sourceBlock returns the block that Put Block From URL copies, and sets the headers about it.
// What Azure does with a range beyond the source's end is unknown; here it is invalid.
func (x *exchange) sourceBlock(src *storedBlob, id string) (block, *refusal) {
	start, end := int64(0), src.size
	if v := x.r.Header.Get("X-Ms-Source-Range"); v != "" {
		m := sourceRange.FindStringSubmatch(v)
		if m == nil || number(m[2]) < number(m[1]) {
			return block{}, invalidValue("x-ms-source-range")
		}
		start, end = number(m[1]), number(m[2])+1
	}
	switch {
	case end > src.size || start >= end:
		return block{}, &refusal{http.StatusRequestedRangeNotSatisfiable, "InvalidRange", "The range specified is invalid for the current size of the resource."}
	case end-start > maxBlockSource:
		return block{}, tooLarge
	}
	wantMD5, wantCRC, r := x.givenHashes("X-Ms-Source-Content-Md5", "X-Ms-Source-Content-Crc64")
	if r != nil {
		return block{}, r
	}
	sums, err := hashOf(src, start, end-start)
	if err != nil {
		return block{}, cannotVerify(http.StatusNotFound, "The specified resource does not exist.")
	}
	if r := sums.differs(wantMD5, wantCRC); r != nil {
		return block{}, r
	}
	x.w.Header().Set("x-ms-content-crc64", base64.StdEncoding.EncodeToString(sums.crc))
	if wantMD5 != nil {
		x.setMD5("Content-MD5", sums.md5)
	}
	x.w.Header().Set("x-ms-request-server-encrypted", "true")
	return block{id, end - start, io.NewSectionReader(src.content, start, end-start)}, nil
}
