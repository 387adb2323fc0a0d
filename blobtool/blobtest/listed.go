package blobtest

import (
	"encoding/xml"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// listing is the XML of List Blobs.
type listing struct {
	XMLName         xml.Name `xml:"EnumerationResults"`
	ServiceEndpoint string   `xml:",attr"`
	ContainerName   string   `xml:",attr"`
	Prefix          string   `xml:",omitempty"`
	Marker          string   `xml:",omitempty"`
	MaxResults      string   `xml:",omitempty"`
	Delimiter       string   `xml:",omitempty"`
	Blobs           []any    `xml:"Blobs>Entry"` // *listedBlob or listedPrefix, each with its own element name
	NextMarker      string
}

type listedName struct {
	Encoded bool   `xml:",attr,omitempty"`
	Name    string `xml:",chardata"`
}

type listedPrefix struct {
	XMLName    xml.Name `xml:"BlobPrefix"`
	Name       listedName
	Properties *listedProperties `xml:",omitempty"` // of a directory
}

type listedBlob struct {
	XMLName    xml.Name `xml:"Blob"`
	Name       listedName
	Snapshot   string `xml:",omitempty"`
	Version    string `xml:"VersionId,omitempty"`
	Current    bool   `xml:"IsCurrentVersion,omitempty"`
	Deleted    bool   `xml:",omitempty"`
	DeletionID string `xml:"DeletionId,omitempty"`
	Properties listedProperties
	Metadata   *listedMap  `xml:",omitempty"`
	Tags       *listedTags `xml:",omitempty"`
	Only       bool        `xml:"HasVersionsOnly,omitempty"`
	OrMetadata struct{}
}

type listedProperties struct {
	Created           string `xml:"Creation-Time"`
	Modified          string `xml:"Last-Modified"`
	ETag              string `xml:"Etag"`
	ResourceType      string `xml:",omitempty"`
	Length            int64  `xml:"Content-Length"`
	Type              string `xml:"Content-Type"`
	Encoding          string `xml:"Content-Encoding"`
	Language          string `xml:"Content-Language"`
	CRC64             string `xml:"Content-CRC64"`
	MD5               string `xml:"Content-MD5"`
	CacheControl      string `xml:"Cache-Control"`
	Disposition       string `xml:"Content-Disposition"`
	BlobType          string
	AccessTier        string `xml:",omitempty"`
	TierInferred      bool   `xml:"AccessTierInferred,omitempty"`
	ArchiveStatus     string `xml:",omitempty"`
	RehydratePriority string `xml:",omitempty"`
	LeaseStatus       string `xml:",omitempty"`
	LeaseState        string `xml:",omitempty"`
	LeaseDuration     string `xml:",omitempty"`
	ServerEncrypted   bool
	TagCount          int    `xml:",omitempty"`
	Deleted           string `xml:"DeletedTime,omitempty"`
	RemainingDays     *int   `xml:"RemainingRetentionDays"`
	ImmutableUntil    string `xml:"ImmutabilityPolicyUntilDate,omitempty"`
	ImmutableMode     string `xml:"ImmutabilityPolicyMode,omitempty"`
	LegalHold         bool   `xml:",omitempty"`
	CopyID            string `xml:"CopyId,omitempty"`
	CopySource        string `xml:",omitempty"`
	CopyStatus        string `xml:",omitempty"`
}

// newListedPrefix describes a virtual directory, or a real one, which is the first entry below its
// own prefix.
func newListedPrefix(folder, first string, rows []row, in included, o Options) listedPrefix {
	l := listedPrefix{Name: encodeName(folder)}
	if rows[0].directory && first == folder {
		l.Properties = &newListedBlob(folder, rows[0], in, o).Properties
	}
	return l
}

// listedName returns the name of the row in a flat listing.
func (r row) listedName(name string) string {
	if r.directory {
		return strings.TrimSuffix(name, "/")
	}
	return name
}

// newListedBlob describes one row.
func newListedBlob(name string, r row, in included, o Options) *listedBlob {
	l := &listedBlob{
		Name: encodeName(name), Snapshot: r.snapshot, Version: r.version,
		Current: r.current, Deleted: !r.deleted.IsZero(), DeletionID: r.deletionID, Only: r.versionsOnly,
		Properties: listedProperties{
			Created: httpTime(r.created), Modified: httpTime(r.modified),
			ETag:         strings.Trim(r.etag, `"`), // the real service has no quotes here
			ResourceType: o.resourceType(r.storedBlob),
			Length:       r.size, Type: r.contentType(), Encoding: r.ContentEncoding, Language: r.ContentLanguage,
			MD5: base64MD5(r.MD5), CacheControl: r.CacheControl, Disposition: r.ContentDisposition,
			BlobType: r.kind.String(), ServerEncrypted: true,
		},
	}
	p := &l.Properties
	if r.snapshot == "" {
		p.AccessTier, p.TierInferred = r.tier(), r.Tier == ""
		p.ArchiveStatus, p.RehydratePriority = r.ArchiveStatus, r.RehydratePriority
		p.LeaseState, p.LeaseStatus, p.LeaseDuration = r.leaseState(), r.leaseStatus(), r.LeaseDuration
	}
	if l.Deleted {
		days := o.SoftDeleteDays - int(o.Now().Sub(r.deleted)/(24*time.Hour))
		p.Deleted, p.RemainingDays = httpTime(r.deleted), &days
	}
	if in.tagCount {
		p.TagCount = len(r.Tags)
	}
	if in.policies && !r.immutableUntil.IsZero() {
		p.ImmutableUntil, p.ImmutableMode = httpTime(r.immutableUntil), "unlocked"
	}
	p.LegalHold = in.holds && r.held
	if in.copies && r.copyID != "" {
		p.CopyID, p.CopySource, p.CopyStatus = r.copyID, r.copySource, "success"
	}
	if in.metadata {
		l.Metadata = (*listedMap)(&r.Metadata)
	}
	if in.tags && len(r.Tags) > 0 {
		l.Tags = newListedTags(r.Tags)
	}
	return l
}

// listedMap is metadata: one element for each name.
type listedMap map[string]string

// MarshalXML writes the names in order.
func (m *listedMap) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	if err := e.EncodeToken(start); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(*m)) {
		if err := e.EncodeElement((*m)[name], xml.StartElement{Name: xml.Name{Local: name}}); err != nil {
			return err
		}
	}
	return e.EncodeToken(start.End())
}

// listedTags are the tags of a blob, in the order of their keys.
type listedTags struct {
	Tags []listedTag `xml:"TagSet>Tag"`
}

type listedTag struct{ Key, Value string }

func newListedTags(tags map[string]string) *listedTags {
	l := &listedTags{}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		l.Tags = append(l.Tags, listedTag{key, tags[key]})
	}
	return l
}

// encodeName percent-encodes a name that XML can't represent, and marks it as encoded, as the
// service does since version 2021-02-12.
func encodeName(name string) listedName {
	for _, r := range name {
		if r == utf8.RuneError || r == 0xFFFE || r == 0xFFFF || r < 0x20 {
			return listedName{Encoded: true, Name: strings.ReplaceAll(url.QueryEscape(name), "+", "%20")}
		}
	}
	return listedName{Name: name}
}

// writeXML sends a listing.
func (x *exchange) writeXML(v any) {
	body, err := xml.Marshal(v)
	if err != nil {
		x.fail(http.StatusInternalServerError, "InternalError", "The server encountered an internal error.", "")
		return
	}
	text := byteOrderMark + `<?xml version="1.0" encoding="utf-8"?>` + string(body)
	x.w.Header().Set("Content-Type", "application/xml")
	x.w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	x.w.WriteHeader(http.StatusOK)
	_, _ = x.w.Write([]byte(text)) // the client may be gone
}

// included is what the include parameter of List Blobs adds to the current blobs.
type included struct {
	snapshots, versions, deleted, deletedWithVersions, metadata, tags, uncommitted, policies, holds, copies bool
	onlyDeleted                                                                                             bool // of showonly
	tagCount                                                                                                bool // the caller sees it
}

// parseInclude parses the parameter. It rejects values that Azure does not support.
func parseInclude(value string) (included, bool) {
	var in included
	if value == "" {
		return in, true
	}
	for v := range strings.SplitSeq(value, ",") {
		if !slices.Contains(knownIncludes, v) {
			return in, false
		}
		switch v {
		case "snapshots":
			in.snapshots = true
		case "versions":
			in.versions = true
		case "deleted":
			in.deleted = true
		case "deletedwithversions":
			in.deletedWithVersions = true
		case "metadata":
			in.metadata = true
		case "tags":
			in.tags = true
		case "uncommittedblobs":
			in.uncommitted = true
		case "immutabilitypolicy":
			in.policies = true
		case "legalhold":
			in.holds = true
		case "copy":
			in.copies = true
		}
	}
	return in, true
}

// A row is one entry of a listing.
type row struct {
	*storedBlob
	current      bool
	versionsOnly bool // for a name with versions but no current blob
}
