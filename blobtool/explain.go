package blobtool

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
)

// explain turns the error of a call about a blob into one that says what to do. Of
// an archived blob it finds out whether it is on its way back. etag is the one that
// the caller gave, if any.
func (s *Set) explain(ctx context.Context, at location, client *blob.Client, err error, etag azcore.ETag) error {
	e := at.fromAzure(ctx, err)
	if errors.Is(e, ErrChanged) && etag != "" {
		e.text = fmt.Sprintf("Blob %s was changed: it no longer has the etag %s. To read what it is now, begin again, without offset and etag.", quote(at.blob), bareETag(etag))
	}
	if e.Code == "BlobNotFound" && s.offers("list_blobs") {
		e.text += " What there is in a folder list_blobs shows, with the folder's name and a slash as prefix."
	}
	if e.Code != "BlobArchived" && e.Code != "BlobBeingRehydrated" {
		return e
	}
	props, err := client.GetProperties(ctx, nil)
	if err != nil {
		return e
	}
	if status := rehydration(value(props.ArchiveStatus), value(props.RehydratePriority)); status != "" {
		e.text = fmt.Sprintf("Blob %s is in the Archive tier and can't be read yet: %s", quote(at.blob), status)
	}
	return e
}

// rehydration says how an archived blob comes back, from x-ms-archive-status and
// x-ms-rehydrate-priority; nothing if it does not.
func rehydration(status, priority string) string {
	tier, ok := strings.CutPrefix(status, "rehydrate-pending-to-")
	if !ok || printable(tier) == "" {
		return ""
	}
	takes := "up to 15 hours"
	if strings.EqualFold(priority, "High") {
		takes = "under an hour if it is small, else up to 15 hours"
	}
	return fmt.Sprintf("it is being moved to the %s tier, which takes %s from when that began. Try again later.", tier, takes)
}
