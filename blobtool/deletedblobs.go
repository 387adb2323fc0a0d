package blobtool

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
)

// A deletion is a blob that was deleted and can be undeleted.
type deletion struct {
	id        string // in a hierarchical namespace, where a name can have several
	now       standing
	created   time.Time
	deleted   time.Time
	remaining *int32 // days until it is gone for good
}

// deletions is what a name had.
type deletions struct {
	blobs     []deletion
	snapshots int    // which come back with the blob
	version   string // the newest previous version, if the account keeps versions
}

// deletedPages bounds how many pages of a name's snapshots and versions a call lists.
const deletedPages = 20

// deletedAt finds what was deleted under a name. Accounts with a hierarchical namespace list it
// only apart from what is there.
func deletedAt(ctx context.Context, in *container.Client, at names.Location) (deletions, error) {
	found, err := listDeleted(ctx, in, at)
	if err != nil && !isBadRequest(err) || len(found.blobs) > 0 || found.version != "" {
		return found, err
	}
	files, why := listDeleted(context.WithValue(ctx, deletedOnly{}, true), in, at)
	if err == nil && isBadRequest(why) { // not such an account
		return found, nil
	}
	return files, why
}

// notDeleted returns why no blocks may be staged under a name: the first would make a new blob of it,
// and the one that was deleted could not be undeleted any more.
func (s *Set) notDeleted(ctx context.Context, in *container.Client, at names.Location, what string) error {
	deleted, err := deletedAt(ctx, in, at)
	if err == nil && len(deleted.blobs) > 0 {
		return failuref(ErrLocked, "Blob %s was deleted and can still be undeleted, which %s would prevent. Nothing was changed. Use another name, or undelete the blob and overwrite it.", quote(at.Blob), what)
	}
	return err
}

// isBadRequest reports whether Azure does not know a parameter, or not for that kind of account.
func isBadRequest(err error) bool {
	e := errorOf(err)
	return e != nil && e.Status == http.StatusBadRequest
}

// listDeleted finds it in a listing, where the name comes before longer ones.
func listDeleted(ctx context.Context, in *container.Client, at names.Location) (found deletions, err error) {
	most := int32(versionPage)
	var raw *http.Response
	include := container.ListBlobsInclude{Deleted: true, Versions: true, Snapshots: true, Metadata: true}
	if ctx.Value(deletedOnly{}) != nil {
		include = container.ListBlobsInclude{}
	}
	pages := in.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &at.Blob, MaxResults: &most, Include: include})
	for n, others := 0, false; pages.More() && !others; n++ {
		if n == deletedPages {
			return found, failuref(ErrTooLarge, "Blob %s has more snapshots and versions than this server lists to find what was deleted. Nothing was changed. If the account keeps versions, give version_id; or use another program.", quote(at.Blob))
		}
		page, err := pages.NextPage(policy.WithCaptureResponse(ctx, &raw))
		if err != nil {
			return found, fromAzure(ctx, at, err)
		}
		if page.Segment == nil { // Azure has pages without blobs, too
			continue
		}
		ids, err := deletionIDs(raw)
		if err != nil || len(ids) != len(page.Segment.BlobItems) {
			return found, &Error{Kind: ErrUnavailable, text: "The storage service answered with a list that this server does not understand. Tell the operator of this server.", cause: err}
		}
		for i, item := range page.Segment.BlobItems {
			if item != nil && value(item.Name) == at.Blob {
				found.add(item, ids[i])
			} else {
				others = true
			}
		}
	}
	return found, nil
}

// add adds an entry of a listing with the blob's name.
func (f *deletions) add(item *container.BlobItem, id string) {
	version, deleted := shownVersion(item.VersionID), value(item.Deleted) || id != ""
	switch {
	case item.Properties == nil:
	case value(item.Snapshot) != "":
		if deleted {
			f.snapshots++
		}
	case version != "":
		if !deleted {
			f.version = max(f.version, version)
		}
	case deleted:
		f.blobs = append(f.blobs, deletionOf(item, id))
	}
}

// deletionOf returns the deletion in an entry of a listing.
func deletionOf(item *container.BlobItem, id string) deletion {
	p := item.Properties
	d := deletion{id: id, created: value(p.CreationTime), deleted: value(p.DeletedTime), remaining: p.RemainingRetentionDays}
	d.now = standing{exists: true, etag: value(p.ETag), size: value(p.ContentLength), kind: value(p.BlobType), directory: isFolder(item)}
	d.now.headers = blob.HTTPHeaders{BlobContentType: p.ContentType, BlobContentMD5: p.ContentMD5}
	_, d.now.marker = withoutMarker(item.Metadata)
	return d
}

// is reports whether the blob there is this one, undeleted. Whether Azure keeps the ETag is not
// documented, so whatever else distinguishes contents is compared too.
func (d *deletion) is(now *standing, created time.Time) bool {
	if !now.exists {
		return false
	}
	if strings.Trim(string(now.etag), `"`) == strings.Trim(string(d.now.etag), `"`) {
		return true
	}
	sum := d.now.headers.BlobContentMD5
	return len(sum) > 0 && string(sum) == string(now.headers.BlobContentMD5) && now.size == d.now.size &&
		!d.created.IsZero() && d.created.Equal(created) && (d.now.marker == "" || d.now.marker == now.marker)
}

// described describes a deletion so that a caller can choose among those of one name.
func (d *deletion) described() string {
	text := fmt.Sprintf("%d bytes", d.now.size)
	if when := timestamp(&d.deleted); when != "" {
		text += ", deleted " + when
	}
	if d.remaining != nil {
		text += fmt.Sprintf(", kept for %d more days", *d.remaining)
	}
	return text
}

// deletedOnly is a policy that lists what was deleted in a hierarchical namespace, where the
// context has it as a key. azblob does not know the parameter.
type deletedOnly struct{}

// Do implements [policy.Policy].
func (deletedOnly) Do(req *policy.Request) (*http.Response, error) {
	if req.Raw().Context().Value(deletedOnly{}) != nil {
		req.Raw().URL.RawQuery += "&showonly=deleted"
	}
	return req.Next()
}

// deletionIDs returns what azblob leaves out of a listing: the ID of each entry, which is empty
// outside a hierarchical namespace.
func deletionIDs(resp *http.Response) ([]string, error) {
	if resp == nil {
		return nil, errors.New("no answer")
	}
	body, err := runtime.Payload(resp)
	if err != nil {
		return nil, err
	}
	return parseDeletionIDs(body)
}

func parseDeletionIDs(body []byte) ([]string, error) {
	var page struct {
		Blobs []struct {
			ID string `xml:"DeletionId"`
		} `xml:"Blobs>Blob"`
	}
	if err := xml.Unmarshal(body, &page); err != nil {
		return nil, err
	}
	ids := make([]string, len(page.Blobs))
	for i, b := range page.Blobs {
		if ids[i] = printable(b.ID); ids[i] != b.ID {
			return nil, errors.New("a deletion ID has characters that it should not have")
		}
	}
	return ids, nil
}
