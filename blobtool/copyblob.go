package blobtool

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
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
	DropTags        bool   `json:"drop_tags,omitempty" jsonschema:"Overwrite the blob even if that loses index tags that the user may not read."`
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
			"The copy takes the source's headers and metadata, and a new blob its tags. With if_match, it overwrites the blob that has that etag, which keeps only its tags. " + saysOutcome,
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
	return out, c.run(ctx, &out)
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
	if in.SourceContainer == "" {
		in.SourceContainer = at.Container
	}
	if c.source.at, err = c.set.locateNamed(ctx, in.SourceContainer, in.SourcePath); err != nil {
		e := errorOf(err)
		if e == nil {
			return err
		}
		e.text = "The source, source_path: " + e.text
		return e
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
	case etag == "":
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
	t, err := c.judge(value(c.source.headers.BlobContentType), c.put.at.Blob)
	if err != nil {
		return err
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
	out.Undo = &undo{Possible: true, How: "Nothing was there before: deleting the blob, as long as it has this etag, undoes it."}
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
	var tags map[string]string
	var note string
	if c.restores {
		tags, note = c.source.tags(ctx)
	}
	if c.put.tags, err = c.set.planTags(ctx, at, client, &old, tags, c.drop); err != nil {
		out.show(&old)
		return err
	}
	back := keptUndo(&old)
	text := fmt.Sprintf("Overwrite blob %s in container %s with a copy of %s: its %d bytes are replaced by %d others. %s", quote(at.Blob), quote(at.Container), c.source.named(), old.size, c.source.size, back.How)
	if err := c.set.mayDestroy(ctx, c.req, at, Question{Action: ActionOverwrite, ETag: bareETag(string(old.etag)), Text: text}); err != nil {
		out.show(&old)
		return err
	}
	if err := c.copy(ctx, out, "overwritten"); err != nil {
		return err
	}
	out.Undo = back
	if note != "" {
		out.Notes = append(out.Notes, note)
	}
	return nil
}

// named names the source in a sentence.
func (c *copySource) named() string {
	name := fmt.Sprintf("blob %s in container %s", quote(c.at.Blob), quote(c.at.Container))
	if c.version != "" {
		return "version " + c.version + " of " + name
	}
	return name
}

// copy copies the source and fills in the output.
func (c *copyCall) copy(ctx context.Context, out *writeOutput, action string) error {
	client := c.all.NewBlockBlobClient(c.put.at.Blob)
	send := c.inOne
	if c.source.size > c.set.writing.onePut {
		staged, err := c.stage(ctx, client, out)
		if err != nil {
			return c.source.refusal(err)
		}
		send = staged.commit
	}
	done, now, err := c.attempt(ctx, client, send)
	if err != nil {
		out.refuse(now)
		return c.source.refusal(err)
	}
	out.did(action, done, c.source.size)
	out.Message = fmt.Sprintf("Blob %s was %s with the %d bytes of %s.", quote(c.put.at.Blob), action, c.source.size, c.source.named())
	out.Notes = append(out.Notes, c.put.notes()...)
	return nil
}

// attempt writes the copy with a request that makes the blob or replaces it.
func (c *copyCall) attempt(ctx context.Context, client *blockblob.Client, send func(context.Context, *blockblob.Client) (written, error)) (written, *standing, error) {
	a := &attempt{set: c.set, at: c.put.at, client: client.BlobClient(), before: c.put.before, marker: rand.Text()}
	a.md5 = func() []byte { return c.source.headers.BlobContentMD5 }
	c.put.metadata[properties.Marker] = &a.marker
	a.send = func(ctx context.Context) (written, error) {
		w, err := send(ctx, client)
		if bloberror.HasCode(err, bloberror.AuthorizationPermissionMismatch) && len(c.put.tags.tags) > 0 && !c.put.tags.kept && !c.put.untagged {
			c.put.untagged = true // for the next tries too
			w, err = send(ctx, client)
		}
		return w, err
	}
	w, now, err := a.run(ctx)
	if e := errorOf(err); e != nil && errors.Is(e, ErrUncertain) && now != nil && now.marker == a.marker && !bytes.Equal(now.headers.BlobContentMD5, a.md5()) && a.md5() == nil {
		e.text = fmt.Sprintf("The answer of the storage service to this copy was lost. Blob %s is there with this call's mark and %d bytes (the source has %d), so it is most likely the copy. "+
			"The source has no MD5 to tell for sure.", quote(a.at.Blob), now.size, c.source.size)
	}
	return w, now, err
}

// conditions are those of the request that makes the copy visible.
func (c *copyCall) conditions() *blob.AccessConditions {
	m := &blob.ModifiedAccessConditions{}
	if c.put.before == "" {
		m.IfNoneMatch = new(azcore.ETagAny)
	} else {
		m.IfMatch = &c.put.before
	}
	if c.put.tags.pinned != "" {
		m.IfTags = &c.put.tags.pinned
	}
	return &blob.AccessConditions{ModifiedAccessConditions: m}
}

// sentTags are the tags to send, if the user may set them.
func (c *copyCall) sentTags() map[string]string {
	if c.put.untagged {
		return nil
	}
	return c.put.tags.tags
}

// sourceCondition pins the source to the state that was judged.
func (c *copyCall) sourceCondition() *blob.SourceModifiedAccessConditions {
	return &blob.SourceModifiedAccessConditions{SourceIfMatch: &c.source.etag}
}

// inOne copies in one request (Put Blob From URL), which is atomic.
func (c *copyCall) inOne(ctx context.Context, client *blockblob.Client) (written, error) {
	headers := c.put.headers
	headers.BlobContentMD5 = nil // Azure computes it
	resp, err := client.UploadBlobFromURL(ctx, c.source.url, &blockblob.UploadBlobFromURLOptions{
		HTTPHeaders: &headers, Metadata: c.put.metadata, Tags: c.sentTags(), CopySourceBlobProperties: new(false),
		AccessConditions: c.conditions(), SourceModifiedAccessConditions: c.sourceCondition(),
	})
	if err != nil {
		return written{}, err
	}
	return writtenOf(resp.ETag, resp.VersionID)
}
