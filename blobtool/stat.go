package blobtool

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
)

// stat_blob shows the newest shownVersions of the first versionPage versions, which is the
// largest page that Azure returns.
const (
	shownVersions = 20
	versionPage   = 5000
)

// statInput is what stat_blob takes.
type statInput struct {
	Container string `json:"container" jsonschema:"Name of the container."`
	BlobPath  string `json:"blob_path" jsonschema:"Name of the blob within the container, such as reports/2026/summary.txt. Case-sensitive."`
	VersionID string `json:"version_id,omitempty" jsonschema:"Version to describe, such as 2026-01-31T09:30:00.1234567Z. If omitted, the current one."`
}

// statOutput is what it returns.
type statOutput struct {
	Container          string            `json:"container" jsonschema:"Name of the container."`
	BlobPath           string            `json:"blob_path" jsonschema:"Name of the blob within the container."`
	URI                string            `json:"uri" jsonschema:"URI of the blob as a resource of this server."`
	Directory          bool              `json:"directory" jsonschema:"Whether this is a directory of a hierarchical namespace, not a file."`
	Size               int64             `json:"size" jsonschema:"Size in bytes, as stored."`
	ContentType        string            `json:"content_type" jsonschema:"Media type set by the blob's writer."`
	ContentEncoding    string            `json:"content_encoding,omitempty" jsonschema:"Content-Encoding, such as gzip."`
	ContentLanguage    string            `json:"content_language,omitempty" jsonschema:"Language of the content."`
	ContentDisposition string            `json:"content_disposition,omitempty" jsonschema:"Content-Disposition, which may suggest a file name."`
	ContentMD5         string            `json:"content_md5,omitempty" jsonschema:"MD5 of the content in base64, if the writer stored it."`
	ETag               string            `json:"etag" jsonschema:"Changes whenever the blob changes."`
	LastModified       string            `json:"last_modified" jsonschema:"When the blob was last changed."`
	Created            string            `json:"created,omitempty" jsonschema:"When the blob was created."`
	BlobType           string            `json:"blob_type" jsonschema:"BlockBlob, AppendBlob or PageBlob."`
	Tier               string            `json:"tier,omitempty" jsonschema:"Access tier, such as Hot, Cool, Cold or Archive. Content in Archive can't be read."`
	Rehydration        string            `json:"rehydration,omitempty" jsonschema:"Progress of moving an archived blob to a tier where it can be read."`
	LeaseState         string            `json:"lease_state,omitempty" jsonschema:"available, leased, expired, breaking or broken. A lease blocks writers, not readers."`
	LeaseDuration      string            `json:"lease_duration,omitempty" jsonschema:"infinite or fixed, if the blob is leased."`
	Metadata           map[string]string `json:"metadata" jsonschema:"Metadata set by the blob's writer. Names are in lowercase."`
	Tags               map[string]string `json:"tags,omitempty" jsonschema:"Index tags, if the user may see them."`
	VersionID          string            `json:"version_id,omitempty" jsonschema:"Version that this result describes, if the account keeps versions."`
	Versions           []versionRow      `json:"versions,omitempty" jsonschema:"The newest versions, newest first, if the account keeps versions."`
	VersionCount       int               `json:"version_count,omitempty" jsonschema:"Number of versions found; there may be more."`
	Notes              []string          `json:"notes,omitempty" jsonschema:"What could not be determined or was cut."`
}

// versionRow is one version of a blob.
type versionRow struct {
	VersionID    string `json:"version_id" jsonschema:"Pass this as version_id to read_blob or stat_blob."`
	LastModified string `json:"last_modified" jsonschema:"When the version was written."`
	Size         int64  `json:"size" jsonschema:"Size in bytes."`
	Current      bool   `json:"current" jsonschema:"Whether this is the current version."`
}

// registerStatBlob adds the tool stat_blob.
func (s *Set) registerStatBlob(srv *mcp.Server) {
	addTool(s, srv, &mcp.Tool{
		Name:  "stat_blob",
		Title: "Describe a blob",
		Description: "Describes a blob in " + s.where() + " without reading its content, with the permissions of the signed-in user. " +
			"Returns size, type, ETag, times, access tier, lease, MD5, metadata, tags and versions. " + untrusted,
		Annotations: readOnly("Describe a blob"),
	}, s.statBlob)
}

// statBlob handles a call of stat_blob.
func (s *Set) statBlob(ctx context.Context, _ *mcp.CallToolRequest, in statInput) (statOutput, error) {
	var out statOutput
	at, err := s.locateNamed(ctx, in.Container, in.BlobPath)
	if err != nil {
		return out, err
	}
	if err := checkVersionID(in.VersionID); err != nil {
		return out, err
	}
	all, err := s.containerClient(ctx, at.Container)
	if err != nil {
		return out, err
	}
	client, err := blobIn(all, at, in.VersionID)
	if err != nil {
		return out, err
	}
	props, err := client.GetProperties(ctx, nil)
	if err != nil {
		return out, fromAzure(ctx, at, err)
	}
	out = describe(at, &props)
	var tagNote, versionNote string
	var tagFault, versionFault error
	var wait sync.WaitGroup
	if value(props.TagCount) > 0 {
		wait.Go(func() {
			defer recovered(&tagFault)
			out.Tags, tagNote = tagsOf(ctx, at, client, *props.TagCount)
		})
	}
	if out.VersionID != "" {
		wait.Go(func() {
			defer recovered(&versionFault)
			versionNote = out.listVersions(ctx, at, all)
		})
	}
	wait.Wait()
	if err := cmp.Or(tagFault, versionFault); err != nil {
		return out, err
	}
	out.Notes = append(out.Notes, slices.DeleteFunc([]string{tagNote, versionNote}, func(s string) bool { return s == "" })...)
	return out, nil
}

// describe returns the output for a blob's properties.
func describe(at names.Location, p *blob.GetPropertiesResponse) statOutput {
	out := statOutput{
		Container: at.Container, BlobPath: at.Blob, URI: at.URI(),
		Directory:          isDirectory(p.Metadata),
		Size:               value(p.ContentLength),
		ContentType:        shorten(value(p.ContentType)),
		ContentEncoding:    shorten(value(p.ContentEncoding)),
		ContentLanguage:    shorten(value(p.ContentLanguage)),
		ContentDisposition: shorten(value(p.ContentDisposition)),
		ContentMD5:         base64.StdEncoding.EncodeToString(p.ContentMD5),
		ETag:               shorten(bareETag(string(value(p.ETag)))),
		LastModified:       timestamp(p.LastModified),
		Created:            timestamp(p.CreationTime),
		BlobType:           printable(string(value(p.BlobType))),
		Tier:               printable(value(p.AccessTier)),
		Rehydration:        rehydration(value(p.ArchiveStatus), value(p.RehydratePriority)),
		LeaseState:         printable(string(value(p.LeaseState))),
		LeaseDuration:      printable(string(value(p.LeaseDuration))),
		VersionID:          shownVersion(p.VersionID),
	}
	if strings.EqualFold(out.Tier, string(blob.AccessTierArchive)) && out.Rehydration == "" {
		out.Notes = append(out.Notes, archived)
	}
	metadata, _ := withoutMarker(p.Metadata)
	out.describeMetadata(metadata)
	return out
}

// describeMetadata copies metadata up to the size that Azure allows.
func (out *statOutput) describeMetadata(metadata map[string]*string) {
	out.Metadata = map[string]string{}
	bytes := 0
	for _, name := range slices.Sorted(maps.Keys(metadata)) {
		text := value(metadata[name])
		if bytes += len(name) + len(text); bytes > maxMetadata {
			out.Notes = append(out.Notes, fmt.Sprintf("Only the first %d bytes of the metadata are shown.", maxMetadata))
			return
		}
		out.Metadata[name] = text
	}
}

// Limits on a blob's description.
const (
	maxMetadata = 8 << 10 // bytes, as in Azure
	maxProperty = 1000    // bytes of a text
)

// shorten cuts a text from the service to maxProperty bytes.
func shorten(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), maxProperty)], "")
}

// tagsOf returns a blob's tags, or a note that says why there are none.
func tagsOf(ctx context.Context, at names.Location, client *blob.Client, count int64) (tags map[string]string, note string) {
	resp, err := client.GetTags(ctx, nil)
	var e *Error
	switch {
	case err == nil:
		tags = map[string]string{}
		for _, tag := range resp.BlobTagSet[:min(len(resp.BlobTagSet), maxTags)] {
			tags[shorten(value(tag.Key))] = shorten(value(tag.Value))
		}
		return tags, ""
	case errors.As(fromAzure(ctx, at, err), &e) && errors.Is(e, ErrPermission) && !e.between:
		return nil, fmt.Sprintf("The blob has %d index tags, which the signed-in user may not see: that requires the role Storage Blob Data Owner, or another with the action Microsoft.Storage/storageAccounts/blobServices/containers/blobs/tags/read.", count)
	}
	return nil, "The blob's index tags could not be read: " + e.UserText()
}

// listVersions fills in the blob's versions and may return a note.
func (out *statOutput) listVersions(ctx context.Context, at names.Location, in *container.Client) (note string) {
	most := int32(versionPage)
	page, err := in.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{
		Prefix: &at.Blob, MaxResults: &most, Include: container.ListBlobsInclude{Versions: true},
	}).NextPage(ctx)
	if err != nil {
		return "The versions could not be listed: " + fromAzure(ctx, at, err).UserText()
	}
	var rows []versionRow
	others := false // names after this one's
	if page.Segment != nil {
		for _, item := range page.Segment.BlobItems {
			if value(item.Name) != at.Blob {
				others = true
				continue
			}
			row := versionRow{VersionID: shownVersion(item.VersionID), Current: value(item.IsCurrentVersion)}
			if p := item.Properties; p != nil {
				row.LastModified, row.Size = timestamp(p.LastModified), value(p.ContentLength)
			}
			rows = append(rows, row)
		}
	}
	slices.SortFunc(rows, func(a, b versionRow) int { return strings.Compare(b.VersionID, a.VersionID) })
	out.VersionCount = len(rows)
	out.Versions = rows[:min(len(rows), shownVersions)]
	switch {
	case value(page.NextMarker) != "" && !others:
		return fmt.Sprintf("There are more than %d versions; newer ones may not be shown.", len(rows))
	case len(rows) > shownVersions:
		return fmt.Sprintf("The newest %[2]d of %[1]d versions are shown.", len(rows), shownVersions)
	}
	return ""
}
