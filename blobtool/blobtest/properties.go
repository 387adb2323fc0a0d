package blobtest

import (
	"encoding/base64"
	"io"
	"maps"
	"net/http"
	"strconv"
	"time"
)

// Properties are what a blob has besides its name and content. See
// [Server.Update].
type Properties struct {
	ContentType        string // application/octet-stream if empty, as in Azure
	ContentEncoding    string // such as "gzip"; Azure keeps it and does not act on it
	ContentLanguage    string
	ContentDisposition string
	CacheControl       string
	MD5                []byte // of the content; nil: none, as for large uploads to Azure

	// Metadata are the x-ms-meta headers: names are C# identifiers, compared
	// without regard to case; values are ASCII.
	Metadata map[string]string

	// Tags are the blob index tags: at most 10, with keys of 1 to 128 and
	// values of up to 256 characters out of letters, digits, space and +-.:=_/.
	Tags map[string]string

	// Tier is the access tier: "Hot" (if empty, and then inferred), "Cool",
	// "Cold", "Smart", or "Archive", whose content can't be read (409
	// BlobArchived).
	Tier string

	// ArchiveStatus is that of an archived blob that is being rehydrated, such as
	// "rehydrate-pending-to-hot"; RehydratePriority is then "Standard" or
	// "High". Meanwhile the tier is Archive.
	ArchiveStatus     string
	RehydratePriority string

	// LeaseState is "available" (if empty), "leased", "expired", "breaking" or
	// "broken"; LeaseDuration is "infinite" or "fixed" if leased.
	LeaseState    string
	LeaseDuration string
}

// clone returns a copy that shares nothing.
func (p Properties) clone() Properties {
	p.Metadata, p.Tags = maps.Clone(p.Metadata), maps.Clone(p.Tags)
	p.MD5 = append([]byte(nil), p.MD5...)
	if len(p.MD5) == 0 {
		p.MD5 = nil
	}
	return p
}

// sameHeaders reports whether two blobs have the same ETag: Set Blob Metadata and Set
// Blob Properties change it; Set Blob Tags, Set Blob Tier and leases don't.
func (p Properties) sameHeaders(q Properties) bool {
	return p.ContentType == q.ContentType && p.ContentEncoding == q.ContentEncoding &&
		p.ContentLanguage == q.ContentLanguage && p.ContentDisposition == q.ContentDisposition &&
		p.CacheControl == q.CacheControl && string(p.MD5) == string(q.MD5) && maps.Equal(p.Metadata, q.Metadata)
}

func (p Properties) contentType() string { return orElse(p.ContentType, "application/octet-stream") }
func (p Properties) tier() string        { return orElse(p.Tier, "Hot") }
func (p Properties) leaseState() string  { return orElse(p.LeaseState, "available") }

// leaseStatus is "locked" as long as a lease keeps writers out.
func (p Properties) leaseStatus() string {
	if s := p.leaseState(); s == "leased" || s == "breaking" {
		return "locked"
	}
	return "unlocked"
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// A storedBlob is one state of a blob: the present one, a previous version, a
// snapshot, or one that soft delete kept. It is never changed, only replaced, so that
// readers are not disturbed.
type storedBlob struct {
	Properties
	content   io.ReaderAt
	size      int64
	etag      string // with its quotes
	created   time.Time
	modified  time.Time
	version   string // x-ms-version-id, empty without versioning
	snapshot  string // its time, empty for what is no snapshot
	deleted   time.Time
	directory bool // of a hierarchical namespace
}

// headers sets what Get Blob and Get Blob Properties have in common. current says
// that it is the present state of its name; resourceType is empty in a flat
// namespace.
func (b *storedBlob) headers(h http.Header, current bool, resourceType string) {
	set := func(name, value string) {
		if value != "" {
			h.Set(name, value)
		}
	}
	set("Accept-Ranges", "bytes")
	set("Cache-Control", b.CacheControl)
	set("Content-Disposition", b.ContentDisposition)
	set("Content-Encoding", b.ContentEncoding)
	set("Content-Language", b.ContentLanguage)
	set("Content-Type", b.contentType())
	set("ETag", b.etag)
	set("Last-Modified", httpTime(b.modified))
	set("x-ms-blob-type", "BlockBlob")
	set("x-ms-creation-time", httpTime(b.created))
	set("x-ms-resource-type", resourceType)
	set("x-ms-server-encrypted", "true")
	for name, value := range b.Metadata {
		h["x-ms-meta-"+name] = []string{value} // with the case of its name
	}
	if len(b.Tags) > 0 {
		set("x-ms-tag-count", strconv.Itoa(len(b.Tags)))
	}
	if b.snapshot == "" {
		b.stateHeaders(set)
	}
	if b.version != "" {
		set("x-ms-version-id", b.version)
		if current {
			set("x-ms-is-current-version", "true")
		}
	}
}

// stateHeaders sets tier and lease, which a snapshot does not have.
func (b *storedBlob) stateHeaders(set func(name, value string)) {
	set("x-ms-access-tier", b.tier())
	if b.Tier == "" {
		set("x-ms-access-tier-inferred", "true")
	}
	set("x-ms-archive-status", b.ArchiveStatus)
	set("x-ms-rehydrate-priority", b.RehydratePriority)
	set("x-ms-lease-state", b.leaseState())
	set("x-ms-lease-status", b.leaseStatus())
	set("x-ms-lease-duration", b.LeaseDuration)
}

func base64MD5(sum []byte) string { return base64.StdEncoding.EncodeToString(sum) }

// httpTime formats a time as HTTP headers and Azure's listings have it.
func httpTime(t time.Time) string { return t.UTC().Format(http.TimeFormat) }
