package blobtest

import (
	"encoding/base64"
	"encoding/xml"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxResults is how many entries a page of a listing has at most.
const maxResults = 5000

// listing is the answer to List Blobs.
type listing struct {
	XMLName         xml.Name `xml:"EnumerationResults"`
	ServiceEndpoint string   `xml:",attr"`
	ContainerName   string   `xml:",attr"`
	Prefix          string   `xml:",omitempty"`
	Marker          string   `xml:",omitempty"`
	MaxResults      int      `xml:",omitempty"`
	Delimiter       string   `xml:",omitempty"`
	Blobs           []any    `xml:"Blobs>Entry"` // listedBlob or listedPrefix, each with its own element name
	NextMarker      string
}

type listedName struct {
	Encoded bool   `xml:",attr,omitempty"`
	Name    string `xml:",chardata"`
}

type listedPrefix struct {
	XMLName xml.Name `xml:"BlobPrefix"`
	Name    listedName
}

type listedBlob struct {
	XMLName    xml.Name `xml:"Blob"`
	Name       listedName
	Properties listedProperties
	OrMetadata struct{}
}

type listedProperties struct {
	Created       string `xml:"Creation-Time"`
	Modified      string `xml:"Last-Modified"`
	ETag          string `xml:"Etag"`
	Length        int64  `xml:"Content-Length"`
	Type          string `xml:"Content-Type"`
	Encoding      string `xml:"Content-Encoding"`
	Language      string `xml:"Content-Language"`
	CRC64         string `xml:"Content-CRC64"`
	MD5           string `xml:"Content-MD5"`
	CacheControl  string `xml:"Cache-Control"`
	Disposition   string `xml:"Content-Disposition"`
	BlobType      string
	AccessTier    string
	TierInferred  bool `xml:"AccessTierInferred"`
	LeaseStatus   string
	LeaseState    string
	ServerEncrypt bool `xml:"ServerEncrypted"`
}

// listBlobs answers List Blobs, flat or, with a delimiter, by hierarchy.
func (x *exchange) listBlobs() {
	c, _, ok := x.find()
	if !ok {
		return
	}
	q := x.r.URL.Query()
	limit := maxResults
	out := listing{
		ServiceEndpoint: x.URL() + "/", ContainerName: x.container,
		Prefix: q.Get("prefix"), Marker: q.Get("marker"), Delimiter: q.Get("delimiter"),
	}
	if v := q.Get("maxresults"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			x.fail(http.StatusBadRequest, "OutOfRangeQueryParameterValue",
				"One of the query parameters specified in the request URI is outside the permissible range.", "")
			return
		}
		limit, out.MaxResults = min(n, maxResults), n
	}
	after, err := decodeMarker(out.Marker)
	if err != nil {
		x.fail(http.StatusBadRequest, "InvalidQueryParameterValue",
			"Value for one of the query parameters specified in the request URI is invalid.", "")
		return
	}
	x.mu.Lock()
	out.fill(c, after, limit)
	x.mu.Unlock()
	x.writeXML(out)
}

// fill puts up to limit entries after the marker into the listing.
func (l *listing) fill(c *container, after string, limit int) {
	last := ""
	for _, name := range c.names() {
		entry, key := l.entry(name, c.blobs[name])
		if entry == nil || key <= after || key == last {
			continue
		}
		if len(l.Blobs) == limit {
			l.NextMarker = encodeMarker(last)
			return
		}
		l.Blobs = append(l.Blobs, entry)
		last = key
	}
}

// entry returns what the blob contributes to the listing, and the name under
// which that is sorted: the blob, a virtual directory, or nothing.
func (l *listing) entry(name string, b *storedBlob) (entry any, key string) {
	rest, ok := strings.CutPrefix(name, l.Prefix)
	if !ok {
		return nil, ""
	}
	if l.Delimiter != "" {
		if dir, _, ok := strings.Cut(rest, l.Delimiter); ok {
			key = l.Prefix + dir + l.Delimiter
			return listedPrefix{Name: encodeName(key)}, key
		}
	}
	return listedBlob{Name: encodeName(name), Properties: listedProperties{
		Created: httpTime(b.modified), Modified: httpTime(b.modified),
		ETag:   strings.Trim(b.etag, `"`), // the real service has no quotes here
		Length: b.size, Type: b.contentType, Encoding: b.encoding,
		MD5:      base64.StdEncoding.EncodeToString(b.md5),
		BlobType: "BlockBlob", AccessTier: b.tier, TierInferred: b.tier == "Hot",
		LeaseStatus: "unlocked", LeaseState: "available", ServerEncrypt: true,
	}}, name
}

// encodeName percent-encodes a name that XML can't hold, and says so, as the
// service does since version 2021-02-12.
func encodeName(name string) listedName {
	for _, r := range name {
		if r == utf8.RuneError || r == 0xFFFE || r == 0xFFFF || r < 0x20 {
			return listedName{Encoded: true, Name: url.PathEscape(name)}
		}
	}
	return listedName{Name: name}
}

// Markers are opaque to clients.
func encodeMarker(name string) string { return base64.URLEncoding.EncodeToString([]byte(name)) }

func decodeMarker(marker string) (string, error) {
	name, err := base64.URLEncoding.DecodeString(marker)
	return string(name), err
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
