package blobtool

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/properties"
)

// copyInput is what copy_blob takes.
type copyInput struct {
	SourceContainer string `json:"source_container,omitempty" jsonschema:"Name of the container of the source. If omitted, it is the container of the copy."`
	SourcePath      string `json:"source_path" jsonschema:"Name of the blob to copy within its container. Case-sensitive."`
	SourceVersionID string `json:"source_version_id,omitempty" jsonschema:"Version of the source to copy, as listed by stat_blob. If omitted, the current one."`
	SourceETag      string `json:"source_etag,omitempty" jsonschema:"etag of the source, from the result that showed it. A source that has changed since is not copied."`
	Container       string `json:"container" jsonschema:"Name of the container of the copy."`
	BlobPath        string `json:"blob_path" jsonschema:"Name of the copy within the container. Case-sensitive."`
	IfMatch         string `json:"if_match,omitempty" jsonschema:"etag of the blob to overwrite with the copy, from the result that showed it. If omitted, the copy is a new blob, and the call is refused if there is one of that name."`
	DropTags        bool   `json:"drop_tags,omitempty" jsonschema:"Overwrite the blob without keeping its index tags, which is needed if the user may not read them."`
}

// registerCopyBlob adds the tool copy_blob.
func (s *Set) registerCopyBlob(srv *mcp.Server) {
	input := schemaFor[copyInput]()
	if s.container != "" {
		dropProperty(input, "source_container")
	}
	addWriteTool(s, srv, &mcp.Tool{
		Name:  "copy_blob",
		Title: "Copy a blob",
		Description: fmt.Sprintf("Copies a blob of up to %d bytes, or a version of it, within the storage account, to %s, with the permissions of the signed-in user. The content does not pass through this server. ", s.writing.maxCopy, s.where()) +
			"The copy gets the source's headers and metadata; a new blob also gets its tags. With if_match, overwrites the blob that has that etag and keeps only that blob's tags. " + saysOutcome,
		InputSchema: input,
		Annotations: writes("Copy a blob", true),
	}, s.copyBlob)
}

// copyBlob handles a call of copy_blob.
func (s *Set) copyBlob(ctx context.Context, req *mcp.CallToolRequest, in copyInput) (writeOutput, error) {
	at, err := s.locateToWrite(ctx, in.Container, in.BlobPath)
	out := outputFor(at)
	if err != nil {
		return out, err
	}
	c := &copyCall{set: s, req: req, drop: in.DropTags, judge: s.writing.types.Check}
	if err := c.check(ctx, at, &in); err != nil {
		return out, err
	}
	if err := s.admitWrite(req); err != nil {
		return out, err
	}
	err = c.run(ctx, &out)
	return out, err
}

// copyCall is a running call that copies a blob within the account.
type copyCall struct {
	set      *Set
	req      *mcp.CallToolRequest
	source   copySource
	restores bool                                           // it brings a version of the same blob back
	judge    func(contentType, name string) (string, error) // of the source's type with the new name
	drop     bool
	all      *container.Client // of the copy
	put      put               // without content
}

// check checks the arguments.
func (c *copyCall) check(ctx context.Context, at names.Location, in *copyInput) (err error) {
	if c.restores {
		c.source.at = at
	} else if c.source.at, err = c.set.locateSource(ctx, at.Container, in.SourceContainer, in.SourcePath); err != nil {
		if e := errorOf(err); e != nil {
			e.text = "The source, source_path: " + e.text
			return e
		}
		return err
	}
	if err := checkVersionID(in.SourceVersionID); err != nil {
		return err
	}
	wanted, err := parseETag(in.SourceETag)
	if err != nil {
		return err
	}
	etag, err := parseETag(in.IfMatch)
	if err != nil {
		return err
	}
	c.source.version, c.source.wanted = in.SourceVersionID, azcore.ETag(wanted)
	c.put = put{at: at, before: azcore.ETag(etag)}
	switch {
	case at == c.source.at && in.SourceVersionID == "":
		return failuref(ErrInvalidArgument, "blob_path and source_path are the same blob; copy it to another name, or give source_version_id to bring a version back")
	case etag == "" && in.DropTags:
		return failuref(ErrInvalidArgument, "drop_tags is only for overwriting; give if_match, or leave drop_tags out")
	case etag == "" && !c.restores:
		return names.CheckNew(at.Blob)
	}
	return nil
}

// run looks at both blobs, asks, and copies.
func (c *copyCall) run(ctx context.Context, out *writeOutput) error {
	account, err := c.set.serviceClient(ctx)
	if err != nil {
		return err
	}
	c.all = account.NewContainerClient(c.put.at.Container)
	if err := c.source.find(ctx, account, c.set.writing.maxCopy); err != nil {
		return err
	}
	if err := c.set.admitCopy(c.req, c.source.size); err != nil {
		return err
	}
	t, err := c.judge(value(c.source.headers.BlobContentType), c.put.at.Blob)
	if err != nil {
		e := errorOf(err)
		if e == nil {
			return err
		}
		e.text = fmt.Sprintf("A copy keeps the content type of its source, %s: %s. Nothing was changed.", c.source.named(), strings.TrimSuffix(e.text, "."))
		return e
	}
	c.put.headers, c.put.metadata = c.source.headers, maps.Clone(c.source.metadata)
	if t != "" {
		c.put.headers.BlobContentType = &t
	}
	if c.put.before == "" {
		return c.create(ctx, out)
	}
	return c.overwrite(ctx, out)
}

// create makes a new blob, with the source's tags.
func (c *copyCall) create(ctx context.Context, out *writeOutput) error {
	tags, note := c.source.tags(ctx)
	c.put.tags = tagPlan{tags: tags, note: note}
	if err := c.copy(ctx, out, "created"); err != nil {
		return err
	}
	out.Undo = createdUndo()
	return nil
}

// overwrite replaces a blob, which keeps its tags.
func (c *copyCall) overwrite(ctx context.Context, out *writeOutput) error {
	at, client := c.put.at, c.all.NewBlobClient(c.put.at.Blob)
	old, err := c.set.look(ctx, at, client)
	if err == nil {
		if err = replaceable(at, c.put.before, &old); err != nil {
			out.refuse(&old)
		}
	}
	if err != nil {
		return err
	}
	if at == c.source.at && c.source.version == old.version {
		out.show(&old)
		return failuref(ErrInvalidArgument, "Version %s is the current one of blob %s already. Nothing was changed.", old.version, quote(at.Blob))
	}
	var tags map[string]string
	var note string
	if c.restores {
		tags, note = c.source.tags(ctx)
	}
	if c.put.tags, err = c.set.planTags(ctx, at, client, &old, tags, c.drop); err != nil {
		out.show(&old)
		return err
	}
	if c.restores && c.source.tagCount == 0 && c.put.tags.pinned != "" && tags == nil {
		note = "The version has no index tags, so the blob keeps its own."
	}
	tierNotes := c.put.keepTier(&old)
	back := keptUndo(&old)
	text := fmt.Sprintf("Overwrite blob %s (%d bytes) in container %s with a copy of %s (%d bytes). %s%s", quote(at.Blob), old.size, quote(at.Container), c.source.named(), c.source.size, back.How, c.put.tags.loses)
	if err := c.set.mayDestroy(ctx, c.req, at, Question{Action: ActionOverwrite, ETag: bareETag(string(old.etag)), Text: text, source: string(c.source.etag)}); err != nil {
		out.show(&old)
		return err
	}
	if err := c.copy(ctx, out, "overwritten"); err != nil {
		return err
	}
	out.Undo, out.Notes = back, append(out.Notes, tierNotes...)
	if note != "" {
		out.Notes = append(out.Notes, note)
	}
	return nil
}

// copy copies the source and fills in the output.
func (c *copyCall) copy(ctx context.Context, out *writeOutput, action string) error {
	if c.put.copied = &c.source; c.source.size > c.set.writing.onePut {
		b := blockCopy{set: c.set, all: c.all, at: c.put.at, before: c.put.before, source: &c.source, owner: ownerOf(userID(c.req), c.put.at)}
		var err error
		if c.put.blocks, err = b.stage(ctx, out); err != nil {
			return c.source.refusal(err)
		}
	}
	done, now, err := c.set.put(ctx, c.all, &c.put)
	if err != nil {
		out.refuse(now)
		c.likely(err, now)
		return c.source.refusal(err)
	}
	out.did(action, done, c.source.size)
	out.Message = fmt.Sprintf("Blob %s was %s with the %d bytes of %s.", quote(c.put.at.Blob), action, c.source.size, c.source.named())
	out.Notes = append(out.Notes, c.put.notes()...)
	return nil
}

// likely adds to a lost answer that the blob has this call's marker, and that only the source's MD5
// is missing to be sure.
func (c *copyCall) likely(err error, now *standing) {
	e := errorOf(err)
	if e == nil || !errors.Is(e, ErrUncertain) || now == nil || now.marker != value(c.put.metadata[properties.Marker]) || c.source.headers.BlobContentMD5 != nil {
		return
	}
	e.text = fmt.Sprintf("The storage service's answer to this copy was lost. Blob %s is there with this call's mark and %d bytes (the source has %d), so it is most likely the copy. "+
		"The source has no MD5 to tell for sure.", quote(c.put.at.Blob), now.size, c.source.size)
}
