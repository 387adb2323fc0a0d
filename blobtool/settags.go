package blobtool

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/properties"
)

// tagsInput is what set_tags takes.
type tagsInput struct {
	Container string            `json:"container" jsonschema:"Name of the container."`
	BlobPath  string            `json:"blob_path" jsonschema:"Name of the blob within the container. Case-sensitive."`
	IfMatch   string            `json:"if_match" jsonschema:"etag of the blob, from the result that showed its tags. The tags of a blob that has changed since are not changed."`
	OldTags   map[string]string `json:"old_tags" jsonschema:"All tags that the blob has now, as stat_blob shows them; empty if it has none. If the blob has others, the call is refused: the etag does not change with tags."`
	Tags      map[string]string `json:"tags" jsonschema:"All tags that the blob is to have, at most 10; empty removes all. Keys and values of ASCII letters, digits, space and + - . : = _ /."`
}

// registerSetTags adds the tool set_tags.
func (s *Set) registerSetTags(srv *mcp.Server) {
	addWriteTool(s, srv, &mcp.Tool{
		Name:  "set_tags",
		Title: "Set a blob's index tags",
		Description: "Replaces the index tags of a blob in " + s.where() + ", if it still has the given etag and tags, with the permissions of the signed-in user, who needs the role Storage Blob Data Owner. " +
			"Accounts with a hierarchical namespace have no tags. Returns a diff. " + saysOutcome,
		Annotations: writes("Set a blob's index tags", true),
	}, s.setTags)
}

// setTags handles a call of set_tags.
func (s *Set) setTags(ctx context.Context, req *mcp.CallToolRequest, in tagsInput) (writeOutput, error) {
	at, err := s.locateToWrite(ctx, in.Container, in.BlobPath)
	out := outputFor(at)
	if err != nil {
		return out, err
	}
	etag, err := requiredETag(in.IfMatch)
	if err != nil {
		return out, err
	}
	for _, tags := range []map[string]string{in.OldTags, in.Tags} {
		if err := properties.CheckTags(tags); err != nil {
			return out, err
		}
	}
	c := &tagsCall{set: s, req: req, at: at, in: in}
	var destroys bool
	if c.diff, destroys = properties.Diff(in.OldTags, in.Tags); c.diff == "" {
		return out, failuref(ErrInvalidArgument, "tags and old_tags are the same. Nothing was changed.")
	}
	all, err := s.beginWrite(ctx, req, at)
	if err != nil {
		return out, err
	}
	c.client = all.NewBlobClient(at.Blob)
	old, err := s.look(ctx, at, c.client)
	if err == nil {
		err = c.check(ctx, etag, &old)
		out.refuse(&old)
	}
	if err == nil && destroys {
		text := fmt.Sprintf("Change the index tags of blob %s in container %s:\n%s", quote(at.Blob), quote(at.Container), c.diff)
		err = s.mayDestroy(ctx, req, at, Question{Action: ActionSetTags, ETag: bareETag(string(etag)), Text: text})
	}
	if err != nil {
		return out, err
	}
	err = c.write(ctx, &out, &old)
	return out, err
}

// tagsCall is a running call of set_tags.
type tagsCall struct {
	set    *Set
	req    *mcp.CallToolRequest
	at     names.Location
	in     tagsInput
	diff   string
	client *blob.Client
}

// check returns why the tags of what is there may not be changed.
func (c *tagsCall) check(ctx context.Context, before azcore.ETag, old *standing) error {
	if err := changeable(c.at, before, old); err != nil {
		return err
	}
	if old.hierarchical {
		return noTagsThere()
	}
	tags, err := readTags(ctx, c.client)
	if err != nil {
		return c.refused(refusedWrite(ctx, c.at, err, before, old))
	}
	if !maps.Equal(tags, c.in.OldTags) {
		return c.changed()
	}
	return nil
}

// write replaces the tags. The blob's ETag, which stays the same, pins its content, and
// x-ms-if-tags the tags that were read. Azure has no condition that a blob has no other tags: what
// another writer adds after the look, under other keys, is replaced.
func (c *tagsCall) write(ctx context.Context, out *writeOutput, old *standing) error {
	o := &blob.SetTagsOptions{BlobModifiedAccessConditions: &blob.BlobModifiedAccessConditions{IfMatch: &old.etag}}
	if pinned := pinTags(c.in.OldTags); pinned != "" {
		o.AccessConditions = &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfTags: &pinned}}
	}
	a := &attempt{set: c.set, at: c.at, client: c.client, before: old.etag, tags: c.in.OldTags, send: func(ctx context.Context) (written, error) {
		_, err := c.client.SetTags(ctx, c.in.Tags, o)
		return written{etag: old.etag, version: old.version}, err
	}}
	if a.tags == nil {
		a.tags = map[string]string{}
	}
	w, now, err := a.run(ctx)
	if err != nil {
		*out = outputFor(c.at)
		out.refuse(now)
		return c.refused(c.lost(a, err, now))
	}
	out.did("tags_set", w, old.size)
	out.Message = fmt.Sprintf("The index tags of blob %s were set. Its etag stays the same. Searches by tags may show them only after a while.", quote(c.at.Blob))
	out.Diff = c.diff
	out.Undo = &undo{Possible: true, How: "To undo this, call set_tags with tags and old_tags swapped, and this etag as if_match."}
	return nil
}

// lost says what is known after a lost answer. Tags carry no mark of who set them.
func (c *tagsCall) lost(a *attempt, err error, now *standing) error {
	if !errors.Is(err, ErrUncertain) || now == nil {
		return err
	}
	text := fmt.Sprintf("The storage service's answer to this change of the tags of blob %s was lost. ", quote(c.at.Blob))
	switch {
	case !now.exists:
		text += "The blob is gone: someone else deleted it, before or after this change."
	case a.untouched(now):
		text += "The tags are as before, but the change may still arrive. It is safe to call again with the same arguments."
	case maps.Equal(now.tags, c.in.Tags):
		text += "The blob has the tags of this call, perhaps set by another writer. If that does not matter, there is nothing left to do."
	default:
		text += "Someone else has changed the blob or its tags, before or after this change. Call stat_blob before you decide what to do."
	}
	return &Error{Kind: ErrUncertain, text: text, cause: err}
}

// refused gives refusals the texts for tags.
func (c *tagsCall) refused(err error) error {
	e := errorOf(err)
	switch {
	case e == nil || e.between:
	case e.Code == "AuthorizationPermissionMismatch":
		e.text = fmt.Sprintf("The signed-in user may not read and set the index tags of blob %s. Nothing was changed. That requires the role Storage Blob Data Owner, or another with the actions "+
			"tags/read and tags/write of Microsoft.Storage/storageAccounts/blobServices/containers/blobs; Storage Blob Data Contributor is not enough.", quote(c.at.Blob))
	case errors.Is(e, ErrChanged):
		return &Error{Kind: ErrChanged, Status: e.Status, Code: e.Code, RequestID: e.RequestID, text: c.changed().text, cause: e.cause}
	}
	return err
}

func (c *tagsCall) changed() *Error {
	return failuref(ErrChanged, "Blob %s does not have the tags old_tags and the etag if_match: one of them has changed since. Nothing was changed by this call. Call stat_blob, then call again with what it shows.", quote(c.at.Blob))
}
