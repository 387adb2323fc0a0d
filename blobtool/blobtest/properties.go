package blobtest

import (
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"time"
)

// Properties are the properties of a blob besides its name and content. See [Server.Update].
type Properties struct {
	ContentType        string // application/octet-stream if empty, as in Azure
	ContentEncoding    string // such as "gzip"; Azure stores it and does nothing with it
	ContentLanguage    string
	ContentDisposition string
	CacheControl       string
	MD5                []byte // of the content; nil if unknown, as after large uploads to Azure

	// Metadata are the x-ms-meta headers: names are C# identifiers, compared
	// without regard to case; values are ASCII.
	Metadata map[string]string

	// Tags are the blob index tags: at most 10, with keys of 1 to 128 and
	// values of up to 256 characters out of letters, digits, space and +-.:=_/.
	Tags map[string]string

	// Tier is the access tier: "Hot" (the default, and then inferred), "Cool", "Cold", "Smart", or
	// "Archive". The content of an archived blob can't be read (409 BlobArchived).
	Tier string

	// ArchiveStatus is the status of an archived blob that is being rehydrated, such as
	// "rehydrate-pending-to-hot"; RehydratePriority is then "Standard" or "High". The tier stays
	// Archive until rehydration ends.
	ArchiveStatus     string
	RehydratePriority string

	// LeaseState is "available" (the default), "leased", "expired", "breaking" or "broken".
	// LeaseDuration is "infinite" (the default) or "fixed" if leased: then the lease ends after 60
	// seconds by the server's clock. A lease that [Server.Update] sets is another's: nobody knows
	// its ID.
	LeaseState    string
	LeaseDuration string
}

// clone returns a copy that shares no memory.
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

// leaseStatus returns "locked" while a lease prevents writes.
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

// A storedBlob is one state of a blob: the current one, a previous version, a snapshot, or one
// kept by soft delete. It is never changed, only replaced, so that readers see a consistent state.
type storedBlob struct {
	Properties
	content  io.ReaderAt
	size     int64
	kind     blobKind
	blocks   []block // committed ones, if it was made of blocks
	appended int     // blocks of an append blob
	etag     string  // with its quotes
	created  time.Time
	modified time.Time
	version  string // x-ms-version-id, empty without versioning
	snapshot string // its time; empty if it is not a snapshot
	leaseID  string // the ID that permits writes, as of when a client looked

	deleted    time.Time // zero: not deleted
	deletionID string    // of a deleted file in a hierarchical namespace

	immutableUntil time.Time // zero: no policy
	held           bool

	copyID, copySource string // of Copy Blob From URL

	directory bool // in a hierarchical namespace
	fromFiles bool // made through the Data Lake endpoint
}

// headers sets the common headers of Get Blob and Get Blob Properties. current means that b is the
// current state of its name. resourceType is empty in a flat namespace.
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
	set("x-ms-blob-type", b.kind.String())
	set("x-ms-creation-time", httpTime(b.created))
	set("x-ms-resource-type", resourceType)
	set("x-ms-server-encrypted", "true")
	for name, value := range b.Metadata {
		h["x-ms-meta-"+name] = []string{value} // keeps the case of the name
	}
	if len(b.Tags) > 0 {
		set("x-ms-tag-count", strconv.Itoa(len(b.Tags)))
	}
	if b.snapshot == "" {
		b.stateHeaders(set)
	}
	if b.kind == appendBlob {
		set("x-ms-blob-committed-block-count", strconv.Itoa(b.appended))
	}
	if b.held {
		set("x-ms-legal-hold", "true")
	}
	if !b.immutableUntil.IsZero() {
		set("x-ms-immutability-policy-until-date", httpTime(b.immutableUntil))
		set("x-ms-immutability-policy-mode", "unlocked")
	}
	if b.copyID != "" {
		set("x-ms-copy-id", b.copyID)
		set("x-ms-copy-source", b.copySource)
		set("x-ms-copy-status", "success")
		set("x-ms-copy-progress", fmt.Sprintf("%d/%d", b.size, b.size))
		set("x-ms-copy-completion-time", httpTime(b.modified))
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

// httpTime formats a time for HTTP headers and Azure's listings.
func httpTime(t time.Time) string { return t.UTC().Format(http.TimeFormat) }
