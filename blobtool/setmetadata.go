package blobtool

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"maps"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/properties"
)

// metadataInput is what set_metadata takes.
type metadataInput struct {
	Container string            `json:"container" jsonschema:"Name of the container."`
	BlobPath  string            `json:"blob_path" jsonschema:"Name of the blob within the container. Case-sensitive."`
	IfMatch   string            `json:"if_match" jsonschema:"etag of the blob, from the result that showed its metadata. A blob that has changed since is not changed."`
	Set       map[string]string `json:"set,omitempty" jsonschema:"Entries to add or replace: names of letters, digits and underscores, values of printable ASCII. All others stay."`
	Remove    []string          `json:"remove,omitempty" jsonschema:"Names of entries to remove."`
}

// registerSetMetadata adds the tool set_metadata.
func (s *Set) registerSetMetadata(srv *mcp.Server) {
	addWriteTool(s, srv, &mcp.Tool{
		Name:  "set_metadata",
		Title: "Change a blob's metadata",
		Description: "Adds, replaces and removes entries of the metadata of a blob in " + s.where() + ", if it still has the given etag, with the permissions of the signed-in user. " +
			"Keeps all other entries, and returns a diff. " + saysOutcome,
		Annotations: writes("Change a blob's metadata", true),
	}, s.setMetadata)
}

// setMetadata handles a call of set_metadata.
func (s *Set) setMetadata(ctx context.Context, req *mcp.CallToolRequest, in metadataInput) (writeOutput, error) {
	at, err := s.locateToWrite(ctx, in.Container, in.BlobPath)
	out := outputFor(at)
	if err != nil {
		return out, err
	}
	etag, err := requiredETag(in.IfMatch)
	if err != nil {
		return out, err
	}
	if _, err := properties.ChangeMetadata(nil, in.Set, in.Remove); err != nil {
		return out, err
	}
	all, err := s.beginWrite(ctx, req, at)
	if err != nil {
		return out, err
	}
	c := &metadataCall{set: s, req: req, at: at, in: in, client: all.NewBlobClient(at.Blob)}
	old, err := s.look(ctx, at, c.client)
	if err == nil {
		if err = changeable(at, etag, &old); err != nil {
			out.refuse(&old)
		}
	}
	if err != nil {
		return out, err
	}
	err = c.run(ctx, &out, &old)
	return out, err
}

// requiredETag parses an if_match that may not be left out.
func requiredETag(ifMatch string) (azcore.ETag, error) {
	etag, err := parseETag(ifMatch)
	if err == nil && etag == "" {
		err = failuref(ErrInvalidArgument, "if_match is empty; give the etag of the blob, which stat_blob shows")
	}
	return azcore.ETag(etag), err
}

// changeable returns why the properties of what is there may not be changed.
func changeable(at names.Location, before azcore.ETag, now *standing) error {
	switch {
	case !now.exists || now.etag != before:
		v := conflictVerdict(quote(at.Blob), before, now)
		return failuref(v.kind, "%s", v.text)
	case now.directory:
		return failuref(ErrDirectory, "%s is a directory, not a file. Nothing was changed.", quote(at.Blob))
	}
	return unleased(at, now)
}

// metadataCall is a running call of set_metadata.
type metadataCall struct {
	set    *Set
	req    *mcp.CallToolRequest
	at     names.Location
	in     metadataInput
	client *blob.Client
}

// run merges the entries with the blob's, asks, and writes all of them: Azure replaces the whole.
func (c *metadataCall) run(ctx context.Context, out *writeOutput, old *standing) error {
	out.show(old)
	before := texts(old.metadata)
	next, err := properties.ChangeMetadata(before, c.in.Set, c.in.Remove)
	if err != nil {
		return err
	}
	diff, destroys := properties.Diff(before, next)
	if diff == "" {
		return failuref(ErrInvalidArgument, "The metadata of blob %s is already so. Nothing was changed.", quote(c.at.Blob))
	}
	if destroys {
		text := fmt.Sprintf("Change the metadata of blob %s in container %s:\n%s", quote(c.at.Blob), quote(c.at.Container), diff)
		if err := c.set.mayDestroy(ctx, c.req, c.at, Question{Action: ActionSetMetadata, ETag: bareETag(string(old.etag)), Text: text}); err != nil {
			return err
		}
	}
	a := &attempt{set: c.set, at: c.at, client: c.client, before: old.etag, marker: rand.Text()}
	metadata := pointers(next)
	a.same = func(_ context.Context, now *standing) bool {
		return bytes.Equal(now.headers.BlobContentMD5, old.headers.BlobContentMD5) && now.has(&old.headers, metadata)
	}
	metadata[properties.Marker] = &a.marker
	answered := false
	a.send = func(ctx context.Context) (written, error) {
		resp, err := c.client.SetMetadata(ctx, metadata, &blob.SetMetadataOptions{
			AccessConditions: &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfMatch: &old.etag}},
		})
		if err != nil {
			return written{}, err
		}
		answered = true
		return writtenOf(resp.ETag, resp.VersionID)
	}
	w, now, err := a.run(ctx)
	if err != nil {
		*out = outputFor(c.at)
		out.refuse(now)
		return err
	}
	out.did("metadata_set", w, old.size)
	out.Message = fmt.Sprintf("The metadata of blob %s was changed.", quote(c.at.Blob))
	if !answered && len(old.headers.BlobContentMD5) == 0 {
		out.recognized()
	}
	out.Diff = diff
	out.Undo = metadataUndo(old, before, next)
	return nil
}

// metadataUndo says how to go back to the metadata before. Other programs write values that this
// tool does not.
func metadataUndo(old *standing, before, next map[string]string) *undo {
	gone := maps.Clone(before)
	maps.DeleteFunc(gone, func(name, v string) bool { now, ok := next[name]; return ok && now == v })
	_, err := properties.CheckMetadata(gone)
	switch {
	case err == nil:
		return &undo{Possible: true, VersionID: old.version, How: "To undo this, call set_metadata with the previous entries in set and the new ones in remove, as the diff shows, and this etag as if_match."}
	case old.version != "":
		return keptUndo(old)
	}
	return &undo{How: "There is no undo here: a previous entry is empty or has characters that set_metadata does not write. The diff shows it."}
}

// recognized says that a lost write was recognized by its marker alone. Content without an MD5, such
// as an append blob's, may have been changed by others since.
func (out *writeOutput) recognized() {
	out.Size = nil
	out.Notes = append(out.Notes, "The storage service's answer was lost; a mark in the metadata shows that this call did it. Someone else may have changed the content since: read the blob before you use this etag.")
}

// texts is the reverse of pointers.
func texts(m map[string]*string) map[string]string {
	t := make(map[string]string, len(m))
	for k, v := range m {
		t[k] = value(v)
	}
	return t
}
