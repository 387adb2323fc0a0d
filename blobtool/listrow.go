package blobtool

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// Bounds of a row, in characters.
const (
	maxRowField    = 200  // a content type and the like
	maxRowMetadata = 2000 // all metadata of a blob
)

// blobRow is a blob or a folder in a result. What is not known, or goes without
// saying, is left out.
type blobRow struct {
	Name     string            `json:"name" jsonschema:"Name of the blob within the container; that of a folder ends with a slash."`
	Folder   bool              `json:"folder,omitempty" jsonschema:"It is a folder: list it with its name as prefix."`
	Size     *int64            `json:"size,omitempty" jsonschema:"Size in bytes."`
	Modified string            `json:"modified,omitempty" jsonschema:"When it was last modified, in UTC."`
	Type     string            `json:"type,omitempty" jsonschema:"Content type, as whoever stored the blob has set it."`
	Encoding string            `json:"encoding,omitempty" jsonschema:"Content encoding, such as gzip, if any."`
	ETag     string            `json:"etag,omitempty" jsonschema:"Changes whenever the content does."`
	Tier     string            `json:"tier,omitempty" jsonschema:"Access tier if it is not Hot; a blob in Archive can't be read."`
	Version  string            `json:"version,omitempty" jsonschema:"Id of the version."`
	Current  bool              `json:"current,omitempty" jsonschema:"It is the current version."`
	Snapshot string            `json:"snapshot,omitempty" jsonschema:"It is the snapshot of that time."`
	Deleted  bool              `json:"deleted,omitempty" jsonschema:"It is deleted and can't be read, but could still be undeleted."`
	Metadata map[string]string `json:"metadata,omitempty" jsonschema:"Metadata, if included."`
	Tags     map[string]string `json:"tags,omitempty" jsonschema:"Tags, if included or searched for."`
	Cut      bool              `json:"cut,omitempty" jsonschema:"The row is cut because it is too long: stat_blob has all of it."`
}

// row describes an entry.
func (e entry) row() blobRow {
	r := blobRow{Name: e.name, Folder: e.folder}
	if e.blob == nil {
		return r
	}
	r.Version, r.Current = value(e.blob.VersionID), value(e.blob.IsCurrentVersion)
	r.Snapshot, r.Deleted = value(e.blob.Snapshot), value(e.blob.Deleted)
	r.metadata(e.blob.Metadata)
	r.tags(e.blob.BlobTags)
	if p := e.blob.Properties; p != nil {
		r.Modified = shownTime(p.LastModified)
		if !e.folder {
			r.Size = p.ContentLength
			r.Type, r.Encoding = r.cut(value(p.ContentType)), r.cut(value(p.ContentEncoding))
			r.ETag = bareETag(value(p.ETag))
			if tier := string(value(p.AccessTier)); tier != string(container.AccessTierHot) {
				r.Tier = r.cut(tier)
			}
		}
	}
	return r
}

// cut shortens a text of the service's.
func (r *blobRow) cut(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if utf8.RuneCountInString(s) <= maxRowField {
		return s
	}
	r.Cut = true
	return string([]rune(s)[:maxRowField])
}

// metadata takes over metadata as far as there is room.
func (r *blobRow) metadata(all map[string]*string) {
	room := maxRowMetadata
	for _, name := range slices.Sorted(maps.Keys(all)) {
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

// tags takes over tags, of which Azure allows ten.
func (r *blobRow) tags(set *container.BlobTags) {
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

// rows are the rows of a result, bounded in bytes.
type rows[R any] struct {
	list  []R
	bytes int
}

// add appends a row, unless there is no room for it.
func (r *rows[R]) add(row R) bool {
	n := len(mustJSON(row)) + 1
	if len(r.list) > 0 && r.bytes+n > maxRowsBytes {
		return false
	}
	r.list, r.bytes = append(r.list, row), r.bytes+n
	return true
}
