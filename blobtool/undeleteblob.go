package blobtool

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
)

// undeleteInput is what undelete_blob takes.
type undeleteInput struct {
	Container  string `json:"container" jsonschema:"Name of the container."`
	BlobPath   string `json:"blob_path" jsonschema:"Name of the blob within the container. Case-sensitive."`
	VersionID  string `json:"version_id,omitempty" jsonschema:"Version to bring back, if the account keeps versions: from the result that deleted or overwrote the blob, or from stat_blob or list_blobs."`
	IfMatch    string `json:"if_match,omitempty" jsonschema:"etag of the blob that is there now, to overwrite it with the version. If omitted, the call is refused if there is a blob of that name."`
	DropTags   bool   `json:"drop_tags,omitempty" jsonschema:"With if_match: overwrite the blob without keeping its index tags, which is needed if the user may not read them."`
	DeletionID string `json:"deletion_id,omitempty" jsonschema:"Which deleted file to bring back, if there are several of the name (hierarchical namespaces only): from the result that listed them."`
}

// registerUndeleteBlob adds the tool undelete_blob.
func (s *Set) registerUndeleteBlob(srv *mcp.Server) {
	addWriteTool(s, srv, &mcp.Tool{
		Name:  undeleteName,
		Title: "Undelete a blob",
		Description: "Brings back a blob in " + s.where() + " that was deleted or overwritten, with the permissions of the signed-in user: a soft-deleted blob, if no blob has its name now, " +
			"or with version_id a previous version, by copying it. " + saysOutcome,
		Annotations: writes("Undelete a blob", true),
	}, s.undeleteBlob)
}

// undeleteBlob handles a call of undelete_blob.
func (s *Set) undeleteBlob(ctx context.Context, req *mcp.CallToolRequest, in undeleteInput) (writeOutput, error) {
	at, err := s.locateToWrite(ctx, in.Container, in.BlobPath)
	out := outputFor(at)
	if err != nil {
		return out, err
	}
	if in.VersionID != "" {
		err = s.restoreVersion(ctx, req, at, &in, &out)
		return out, err
	}
	switch {
	case in.IfMatch != "" || in.DropTags:
		return out, failuref(ErrInvalidArgument, "if_match and drop_tags are only for version_id: a deleted blob can't be undeleted over another one")
	case printable(in.DeletionID) != in.DeletionID:
		return out, failuref(ErrInvalidArgument, "invalid deletion_id %s; use one from the result that listed them", quote(in.DeletionID))
	}
	all, err := s.beginWrite(ctx, req, at)
	if err != nil {
		return out, err
	}
	u := &undeleteCall{set: s, at: at, all: all, client: all.NewBlobClient(at.Blob)}
	err = u.run(ctx, in.DeletionID, &out)
	return out, err
}

// restoreVersion copies a version back to the blob's name. The rules are those of a copy, but a
// content type that contradicts the name is kept.
func (s *Set) restoreVersion(ctx context.Context, req *mcp.CallToolRequest, at names.Location, in *undeleteInput, out *writeOutput) error {
	if in.DeletionID != "" {
		return failuref(ErrInvalidArgument, "give either version_id or deletion_id: accounts with a hierarchical namespace have no versions")
	}
	keep := func(contentType, name string) (string, error) {
		return "", s.writing.types.CheckKept(contentType, name)
	}
	c := &copyCall{set: s, req: req, restores: true, drop: in.DropTags, judge: keep}
	if err := c.check(ctx, at, &copyInput{SourceVersionID: in.VersionID, IfMatch: in.IfMatch, DropTags: in.DropTags}); err != nil {
		return err
	}
	if err := s.admitWrite(req); err != nil {
		return err
	}
	if err := c.run(ctx, out); err != nil {
		return err
	}
	if out.Action = "undeleted"; in.IfMatch != "" {
		out.Action = "overwritten"
	}
	return nil
}

// undeleteCall is a running call of undelete_blob for a soft-deleted blob.
type undeleteCall struct {
	set    *Set
	at     names.Location
	all    *container.Client
	client *blob.Client
}

// run finds what was deleted and brings it back.
func (u *undeleteCall) run(ctx context.Context, id string, out *writeOutput) error {
	now, err := u.set.look(ctx, u.at, u.client)
	if err != nil {
		return err
	}
	if now.exists {
		out.show(&now)
		return u.taken(&now)
	}
	found, err := deletedAt(ctx, u.all, u.at)
	if err != nil {
		return err
	}
	d, err := u.choose(&found, id)
	if err == nil {
		err = u.set.writing.types.CheckKept(value(d.now.headers.BlobContentType), u.at.Blob)
	}
	if err != nil {
		out.show(&now)
		return err
	}
	a := &attempt{set: u.set, at: u.at, client: u.client, send: func(ctx context.Context) (written, error) { return written{}, u.send(ctx, d) }}
	_, after, err := a.run(ctx)
	if err != nil {
		out.refuse(after)
		return u.refusal(err, d, after)
	}
	return u.confirm(ctx, d, found.snapshots, out)
}

// taken says that something has the name.
func (u *undeleteCall) taken(now *standing) error {
	name := quote(u.at.Blob)
	switch {
	case now.directory:
		return failuref(ErrDirectory, "%s is a directory now, so no file of that name can be undeleted. Nothing was changed.", name)
	case now.hierarchical:
		return failuref(ErrExists, "Blob %s exists, so no other file of that name can be undeleted. Nothing was changed. If the user wants the deleted one instead, delete or copy this one first.", name)
	}
	return failuref(ErrExists, "Blob %s exists, so it can't be undeleted. Nothing was changed. To go back to a previous version, if the account keeps versions, call again with version_id, which stat_blob lists, and the blob's etag as if_match.", name)
}

// choose returns the deletion to undo, or why there is none.
func (u *undeleteCall) choose(found *deletions, id string) (*deletion, error) {
	name := quote(u.at.Blob)
	var list []string
	for i := range found.blobs {
		d := &found.blobs[i]
		if d.id == id || id == "" && len(found.blobs) == 1 {
			if d.now.directory {
				return nil, failuref(ErrDirectory, "%s was a directory; this tool undeletes only files. Nothing was changed.", name)
			}
			return d, nil
		}
		if d.id == "" {
			return nil, failuref(ErrInvalidArgument, "deletion_id is only for accounts with a hierarchical namespace, and this account has none. Nothing was changed. Call again without it.")
		}
		list = append(list, fmt.Sprintf("%s (%s)", d.id, d.described()))
	}
	switch {
	case len(list) > maxShownDeletions:
		list = append(list[:maxShownDeletions], fmt.Sprintf("and %d more", len(list)-maxShownDeletions))
		fallthrough
	case len(list) > 0:
		return nil, failuref(ErrInvalidArgument, "Several blobs %s were deleted, or none with that deletion_id. Nothing was changed. Call again with one of these as deletion_id: %s.", name, strings.Join(list, ", "))
	case found.version != "":
		return nil, failuref(ErrInvalidArgument, "The account keeps versions, so the content of blob %s is a previous version. Nothing was changed. To bring it back, call again with version_id %s, which is the newest; list_blobs with include versions shows all.", name, found.version)
	}
	return nil, failuref(ErrNotFound, "There is no blob %s that can be undeleted: it was never there, the account has no soft delete, or its retention has ended.", name)
}

// maxShownDeletions limits how many deletions of a name a result lists.
const maxShownDeletions = 20

// send undeletes it once. There is no condition on the request but that the name is free.
func (u *undeleteCall) send(ctx context.Context, d *deletion) error {
	if d.id != "" { // azblob does not know this header
		ctx = policy.WithHTTPHeader(ctx, http.Header{"X-Ms-Undelete-Source": {"?deletionid=" + d.id}})
	}
	_, err := u.client.Undelete(ctx, nil)
	return err
}

// confirm checks that the blob is back: Azure also reports success if it restored nothing.
func (u *undeleteCall) confirm(ctx context.Context, d *deletion, snapshots int, out *writeOutput) error {
	name := quote(u.at.Blob)
	var now standing
	props, err := u.client.GetProperties(ctx, nil)
	if err == nil {
		now, err = standingOf(&props)
	}
	switch {
	case isNoBlob(err):
		out.show(&standing{})
		return &Error{Kind: ErrUncertain, text: fmt.Sprintf("Azure Storage has carried the request out, but there is no blob %s now: it restored nothing, or someone has deleted the blob again.", name)}
	case err != nil:
		return &Error{Kind: ErrUncertain, text: fmt.Sprintf("Azure Storage has carried the request out, but what is there now could not be read. Call stat_blob to see whether blob %s is back.", name), cause: err}
	}
	out.show(&now)
	if !d.is(&now, value(props.CreationTime)) {
		return &Error{Kind: ErrUncertain, text: fmt.Sprintf("Azure Storage has carried the request out, but what is there now is not what was deleted: someone else has written blob %s, before or after this call. Read it before you decide what to do.", name)}
	}
	out.did("undeleted", written{etag: now.etag, version: now.version}, now.size)
	out.Message = fmt.Sprintf("Blob %s is back with its %d bytes, its properties and its metadata.", name, now.size)
	out.Undo = &undo{Possible: true, How: "To undo this, delete the blob again with this etag as if_match."}
	if snapshots > 0 { // all that are deleted come back, also those of overwrites
		out.Message += fmt.Sprintf(" Its deleted snapshots (%d) are back too.", snapshots)
		out.Undo.How = "To undo this, delete the blob again with delete_snapshots and this etag as if_match."
	}
	return nil
}

// refusal says why nothing was undeleted, or that the outcome is unknown.
func (u *undeleteCall) refusal(err error, d *deletion, now *standing) error {
	e := errorOf(err)
	if e == nil {
		return err
	}
	name := quote(u.at.Blob)
	switch code := bloberror.Code(e.Code); {
	case errors.Is(e, ErrUncertain) && now != nil && now.exists:
		e.text = fmt.Sprintf("The storage service's answer was lost. A blob %s is there now, ", name)
		if strings.Trim(string(now.etag), `"`) == strings.Trim(string(d.now.etag), `"`) {
			e.text += "and it is the one that was deleted: this call brought it back, or another writer did."
		} else {
			e.text += "whether undeleted or written by someone else. Read it before you decide what to do."
		}
	case code == bloberror.BlobNotFound:
		e.Kind, e.text = ErrNotFound, fmt.Sprintf("Blob %s can't be undeleted any more: its retention has ended, or someone else has restored or replaced it. Nothing was changed.", name)
	case code == "ResourceNotFound", code == "PathNotFound", code == "ParentNotFound":
		e.Kind, e.text = ErrNotFound, fmt.Sprintf("Blob %s can't be undeleted: the folder that it was in is not there any more. Nothing was changed. Write a blob to that folder first, or undelete the folder with another program.", name)
	case code == bloberror.BlobAlreadyExists:
		e.Kind, e.text = ErrExists, fmt.Sprintf("Someone has just written a blob %s, so the deleted one can't be undeleted. Nothing was changed.", name)
	}
	return e
}
