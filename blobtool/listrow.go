package blobtool

import (
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/properties"
)

// listed says which container or prefix a result is for.
type listed struct {
	BaseURI string   `json:"base_uri" jsonschema:"Append a blob's name to this, percent-encoded except for slashes, to get the URI of its MCP resource."`
	Only    []string `json:"only,omitempty" jsonschema:"What this server offers, if that is less than the requested prefix: names of blobs and, ending in a slash or an asterisk, prefixes of names. Nothing else is shown."`
}

// paging says whether more results follow.
type paging struct {
	Truncated  bool   `json:"truncated" jsonschema:"Whether there is more. If so, call again with cursor set to next_cursor and all other arguments the same. A page can be empty and still have a next one."`
	NextCursor string `json:"next_cursor,omitempty" jsonschema:"Cursor for the next page."`
}

func (s *Set) listed(containerName, prefix string, roots []root) listed {
	l := listed{BaseURI: names.Scheme + names.Encode(containerName) + "/"}
	if len(roots) != 1 || roots[0] != (root{Prefix: prefix}) {
		l.Only = shownOnly(roots)
	}
	return l
}

// Limits on a row, in characters.
const (
	maxRowField    = 200  // a content type and the like
	maxRowMetadata = 2000 // all metadata of a blob
)

// A blobRow is a blob or folder in a result. It omits what is unknown or obvious.
type blobRow struct {
	Name     string            `json:"name" jsonschema:"Name of the blob within the container. A folder's name ends with a slash."`
	Folder   bool              `json:"folder,omitempty" jsonschema:"Whether this is a folder. To list it, use its name as prefix."`
	Size     *int64            `json:"size,omitempty" jsonschema:"Size in bytes."`
	Modified string            `json:"modified,omitempty" jsonschema:"When it was last modified, in UTC."`
	Type     string            `json:"type,omitempty" jsonschema:"Content type set by the blob's writer."`
	Encoding string            `json:"encoding,omitempty" jsonschema:"Content encoding, such as gzip, if any."`
	ETag     string            `json:"etag,omitempty" jsonschema:"Changes whenever the content changes."`
	Tier     string            `json:"tier,omitempty" jsonschema:"Access tier if it is not Hot; a blob in Archive can't be read."`
	Version  string            `json:"version,omitempty" jsonschema:"ID of the version."`
	Current  bool              `json:"current,omitempty" jsonschema:"Whether this is the current version."`
	Snapshot string            `json:"snapshot,omitempty" jsonschema:"Time of the snapshot, if this is one."`
	Deleted  bool              `json:"deleted,omitempty" jsonschema:"Whether the blob is soft-deleted: it can't be read, but can be undeleted."`
	Metadata map[string]string `json:"metadata,omitempty" jsonschema:"Metadata, if requested."`
	Tags     map[string]string `json:"tags,omitempty" jsonschema:"Index tags, if requested or searched for."`
	Cut      bool              `json:"cut,omitempty" jsonschema:"Whether the row was shortened. Call stat_blob for all of it."`
}

// row describes an entry.
func (e entry) row() blobRow {
	r := blobRow{Name: e.name, Folder: e.folder}
	if e.blob == nil {
		return r
	}
	r.Version, r.Current = value(e.blob.VersionID), value(e.blob.IsCurrentVersion)
	r.Snapshot, r.Deleted = value(e.blob.Snapshot), value(e.blob.Deleted)
	r.addMetadata(e.blob.Metadata)
	r.addTags(e.blob.BlobTags)
	if p := e.blob.Properties; p != nil {
		r.Modified = timestamp(p.LastModified)
		if !e.folder {
			r.Size = p.ContentLength
			r.Type, r.Encoding = r.cut(value(p.ContentType)), r.cut(value(p.ContentEncoding))
			r.ETag = bareETag(string(value(p.ETag)))
			if tier := string(value(p.AccessTier)); tier != string(container.AccessTierHot) {
				r.Tier = r.cut(tier)
			}
		}
	}
	return r
}

// cut shortens a text from the service.
func (r *blobRow) cut(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if utf8.RuneCountInString(s) <= maxRowField {
		return s
	}
	r.Cut = true
	return string([]rune(s)[:maxRowField])
}

// addMetadata adds metadata while there is room.
func (r *blobRow) addMetadata(all map[string]*string) {
	room := maxRowMetadata
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if strings.EqualFold(name, properties.Marker) {
			continue
		}
		value := value(all[name])
		if room -= utf8.RuneCountInString(name) + utf8.RuneCountInString(value); room < 0 {
			r.Cut = true
			return
		}
		if r.Metadata == nil {
			r.Metadata = map[string]string{}
		}
		r.Metadata[name] = value
	}
}

// addTags adds index tags. Azure allows at most ten.
func (r *blobRow) addTags(set *container.BlobTags) {
	if set == nil {
		return
	}
	for _, tag := range set.BlobTagSet {
		if tag == nil {
			continue
		}
		if len(r.Tags) == maxTags {
			r.Cut = true
			return
		}
		if r.Tags == nil {
			r.Tags = map[string]string{}
		}
		r.Tags[r.cut(value(tag.Key))] = r.cut(value(tag.Value))
	}
}

// timestamp formats a time for results (RFC 3339, UTC, seconds). It returns "" for nil.
func timestamp(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
