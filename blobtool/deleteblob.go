package blobtool

import (
	"context"
	"fmt"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
)

// deleteInput is what delete_blob takes.
type deleteInput struct {
	Container       string `json:"container" jsonschema:"Name of the container."`
	BlobPath        string `json:"blob_path" jsonschema:"Name of the blob within the container. Case-sensitive."`
	IfMatch         string `json:"if_match" jsonschema:"etag of the blob to delete, from the result that showed it. A blob that has changed since is not deleted."`
	DeleteSnapshots bool   `json:"delete_snapshots,omitempty" jsonschema:"Delete the blob's snapshots too. If omitted, a blob with snapshots is not deleted."`
}

// registerDeleteBlob adds the tool delete_blob.
func (s *Set) registerDeleteBlob(srv *mcp.Server) {
	addWriteTool(s, srv, &mcp.Tool{
		Name:  "delete_blob",
		Title: "Delete a blob",
		Description: "Deletes a blob in " + s.where() + ", if it still has the given etag, with the permissions of the signed-in user. " +
			"The result says whether it can be undone. " + saysOutcome,
		Annotations: writes("Delete a blob", true),
	}, s.deleteBlob)
}

// deleteBlob handles a call of delete_blob.
func (s *Set) deleteBlob(ctx context.Context, req *mcp.CallToolRequest, in deleteInput) (writeOutput, error) {
	at, err := s.locateToWrite(ctx, in.Container, in.BlobPath)
	out := outputFor(at)
	if err != nil {
		return out, err
	}
	etag, err := requiredETag(in.IfMatch)
	if err != nil {
		return out, err
	}
	all, err := s.beginWrite(ctx, req, at)
	if err != nil {
		return out, err
	}
	d := &deleteCall{set: s, req: req, at: at, etag: etag, snapshots: in.DeleteSnapshots, all: all}
	err = d.run(ctx, &out)
	return out, err
}

// deleteCall is a running call of delete_blob.
type deleteCall struct {
	set       *Set
	req       *mcp.CallToolRequest
	at        names.Location
	etag      azcore.ETag
	snapshots bool // delete them too
	all       *container.Client
}

// run looks at the blob, asks, and deletes it.
func (d *deleteCall) run(ctx context.Context, out *writeOutput) error {
	client := d.all.NewBlobClient(d.at.Blob)
	old, err := d.set.look(ctx, d.at, client)
	if err != nil {
		return err
	}
	if !old.exists || old.etag != d.etag {
		out.refuse(&old)
		v := conflictVerdict(quote(d.at.Blob), d.etag, &old)
		return failuref(v.kind, "%s", v.text)
	}
	if err := unleased(d.at, &old); err != nil {
		out.refuse(&old)
		return err
	}
	text, err := d.question(ctx, &old)
	if err == nil {
		err = d.set.mayDestroy(ctx, d.req, d.at, Question{Action: ActionDelete, ETag: bareETag(string(old.etag)), Text: text})
	}
	if err != nil {
		out.show(&old)
		return err
	}
	a := &attempt{set: d.set, at: d.at, client: client, before: d.etag, send: func(ctx context.Context) (written, error) { return d.send(ctx, client) }}
	w, now, err := a.run(ctx)
	if err != nil {
		out.refuse(now)
		return err
	}
	out.Outcome, out.Action, out.Exists = writeDone, "deleted", new(false)
	out.Message = fmt.Sprintf("Blob %s was deleted.", quote(d.at.Blob))
	out.Undo = deleteUndo(&old, w.undo)
	return nil
}

// question says in words what is about to happen.
func (d *deleteCall) question(ctx context.Context, old *standing) (string, error) {
	what := "blob"
	if old.directory {
		what = "the empty directory"
	}
	text := fmt.Sprintf("Delete %s %s in container %s (%d bytes)", what, quote(d.at.Blob), quote(d.at.Container), old.size)
	if d.snapshots {
		n, more, err := d.countSnapshots(ctx)
		if err != nil {
			return "", err
		}
		least := ""
		if more {
			least = "at least "
		}
		text += fmt.Sprintf(" and its snapshots (%s%d)", least, n)
	}
	if old.version != "" {
		return text + ". The account keeps the content as a version.", nil
	}
	return text + ". Whether this can be undone is known only afterwards.", nil
}

// countSnapshots counts the blob's snapshots on one page of a listing.
func (d *deleteCall) countSnapshots(ctx context.Context) (n int, more bool, err error) {
	most := int32(versionPage)
	page, err := d.all.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{
		Prefix: &d.at.Blob, MaxResults: &most, Include: container.ListBlobsInclude{Snapshots: true},
	}).NextPage(ctx)
	if err != nil {
		return 0, false, fromAzure(ctx, d.at, err)
	}
	if page.Segment != nil {
		for _, item := range page.Segment.BlobItems {
			if value(item.Name) == d.at.Blob && value(item.Snapshot) != "" {
				n++
			}
		}
	}
	return n, value(page.NextMarker) != "", nil
}

// send deletes the blob once.
func (d *deleteCall) send(ctx context.Context, client *blob.Client) (written, error) {
	o := &blob.DeleteOptions{AccessConditions: &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfMatch: &d.etag}}}
	if d.snapshots {
		o.DeleteSnapshots = new(blob.DeleteSnapshotsOptionTypeInclude)
	}
	var raw *http.Response
	if _, err := client.Delete(policy.WithCaptureResponse(ctx, &raw), o); err != nil {
		return written{}, err
	}
	// azblob omits this header. Without it, no undo is promised.
	return written{undo: raw != nil && raw.Header.Get("x-ms-delete-type-permanent") == "false"}, nil
}
