package blobtool

import (
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/content"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/textedit"
)

// editInput is what edit_blob takes.
type editInput struct {
	Container string `json:"container" jsonschema:"Name of the container."`
	BlobPath  string `json:"blob_path" jsonschema:"Name of the blob within the container. Case-sensitive."`
	OldText   string `json:"old_text" jsonschema:"The text to replace, exactly as in the blob, with enough around it to be unique."`
	NewText   string `json:"new_text" jsonschema:"The text to put in its place; empty to remove it."`
	Count     int64  `json:"count,omitempty" jsonschema:"How many times old_text is in the blob: all of them are replaced, and any other number is refused."`
	IfMatch   string `json:"if_match,omitempty" jsonschema:"etag that the blob must have. If omitted, the edit applies to the blob as it is when the call reads it, and still never overwrites what changes afterwards."`
	Encoding  string `json:"encoding,omitempty" jsonschema:"IANA name of the blob's character encoding, such as shift_jis, if neither the blob nor its content type says it. Defaults to utf-8."`
	DropTags  bool   `json:"drop_tags,omitempty" jsonschema:"Edit the blob without keeping its index tags, which is needed if the user may not read them."`
}

// maxEdits limits the places that a call edits.
const maxEdits = 10_000

// registerEditBlob adds the tool edit_blob.
func (s *Set) registerEditBlob(srv *mcp.Server) {
	input := schemaFor[editInput]()
	setBounds(input, "count", 1, maxEdits)
	setDefault(input, "count", 1)
	addWriteTool(s, srv, &mcp.Tool{
		Name:  "edit_blob",
		Title: "Edit a blob",
		Description: fmt.Sprintf("Replaces text in a text blob of up to %d bytes in %s, with the permissions of the signed-in user. ", s.writing.inline(), s.where()) +
			"Keeps the encoding, line ends, headers, metadata and tags, and returns a diff. Never overwrites what changed in between. " + saysOutcome,
		InputSchema: input,
		Annotations: writes("Edit a blob", false),
	}, s.editBlob)
}

// editBlob handles a call of edit_blob.
func (s *Set) editBlob(ctx context.Context, req *mcp.CallToolRequest, in editInput) (writeOutput, error) {
	at, err := s.locateToWrite(ctx, in.Container, in.BlobPath)
	out := outputFor(at)
	if err != nil {
		return out, err
	}
	e := &editCall{set: s, req: req, at: at, in: in}
	if in.Encoding != "" {
		cs, err := content.FindCharset(in.Encoding)
		if err != nil {
			return out, err
		}
		e.charset = &cs
	}
	if e.etag, err = parseETag(in.IfMatch); err != nil {
		return out, err
	}
	if e.all, err = s.beginWrite(ctx, req, at); err != nil {
		return out, err
	}
	err = e.run(ctx, &out)
	return out, err
}

// editCall is a running call of edit_blob.
type editCall struct {
	set     *Set
	req     *mcp.CallToolRequest
	at      names.Location
	in      editInput
	charset *content.Charset // nil: the blob's
	etag    string           // empty: any
	all     *container.Client
}

// editMemory is the memory of an edit, in multiples of the blob's size: stored, decoded, edited and
// encoded.
const editMemory = 6

// run reads the blob, edits the text and writes it if the blob has not changed.
func (e *editCall) run(ctx context.Context, out *writeOutput) error {
	most := e.set.writing.inline()
	worker := e.set.worker(ctx, userID(e.req))
	release, err := worker.Reserve(editMemory * most)
	if err != nil {
		return err
	}
	defer release()
	client := e.all.NewBlobClient(e.at.Blob)
	stored, old, err := e.read(ctx, client, most)
	if old.exists {
		out.refuse(&old)
	}
	if err != nil {
		return err
	}
	charset, err := e.charsetOf(stored, &old)
	if err != nil {
		return err
	}
	if err := worker.Begin(); err != nil {
		return err
	}
	defer worker.End() // also after a panic
	if e.charset == nil && !content.IsText(stored, value(old.headers.BlobContentType), charset) {
		return failuref(ErrUnsupported, "Blob %s is not text: its type or its content says so, and an edit could damage it. Nothing was changed. If it is text, call again with encoding.", quote(e.at.Blob))
	}
	edited, err := textedit.Edit{Old: e.in.OldText, New: e.in.NewText, Count: int(max(e.in.Count, 1)), Most: int(most)}.Apply(stored, charset)
	worker.End()
	if err != nil {
		return err
	}
	p := &put{at: e.at, data: edited.Content, headers: old.headers, metadata: old.metadata, before: old.etag}
	p.headers.BlobContentMD5 = nil
	_ = p.keepTier(&old) // what can be read is not archived
	if p.tags, err = e.set.planTags(ctx, e.at, client, &old, nil, e.in.DropTags); err != nil {
		return err
	}
	back := keptUndo(&old)
	reverse := "To undo this, make the reverse edit with this etag as if_match."
	if back.Possible {
		back.How += " " + reverse
	} else { // the call has the previous text
		back = &undo{Possible: true, How: reverse}
	}
	text := fmt.Sprintf("Edit blob %s in container %s:%s\n%s", quote(e.at.Blob), quote(e.at.Container), p.tags.loses, edited.Diff)
	action := ActionEdit
	if p.tags.loses != "" { // tags that the call does not quote
		action = ActionOverwrite
	}
	if err := e.set.mayDestroy(ctx, e.req, e.at, Question{Action: action, ETag: bareETag(string(old.etag)), Text: text}); err != nil {
		return err
	}
	done, now, err := e.set.put(ctx, e.all, p)
	if err != nil {
		*out = outputFor(e.at)
		out.refuse(now)
		return err
	}
	out.did("edited", done, int64(len(p.data)))
	out.Message = fmt.Sprintf("Blob %s was edited and has %d bytes now.", quote(e.at.Blob), len(p.data))
	out.Diff, out.Undo, out.Notes = edited.Diff, back, p.notes()
	return nil
}

// read reads the whole blob, and checks that it can be edited.
func (e *editCall) read(ctx context.Context, client *blob.Client, most int64) (data []byte, old standing, err error) {
	o := &blob.DownloadStreamOptions{Range: blob.HTTPRange{Count: most + 1}}
	if e.etag != "" {
		o.AccessConditions = &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfMatch: new(azcore.ETag(e.etag))}}
	}
	var raw *http.Response
	resp, err := client.DownloadStream(policy.WithCaptureResponse(ctx, &raw), o)
	switch {
	case isEmptyRange(err):
		if now, err := e.set.look(ctx, e.at, client); err == nil && now.directory {
			return nil, now, replaceable(e.at, now.etag, &now)
		}
		return nil, old, failuref(ErrInvalidArgument, "Blob %s is empty, so old_text is not in it. Nothing was changed. Use write_blob.", quote(e.at.Blob))
	case hasStatus(err, http.StatusPreconditionFailed) && e.etag != "":
		if now, err := e.set.look(ctx, e.at, client); err == nil {
			old = now
		}
		v := conflictVerdict(quote(e.at.Blob), azcore.ETag(e.etag), &old)
		return nil, old, failuref(v.kind, "%s", v.text)
	case err != nil:
		return nil, old, e.set.explain(ctx, e.at, client, err, e.etag)
	}
	body := resp.NewRetryReader(ctx, nil)
	defer func() { _ = body.Close() }()
	if old, err = standingOf(propertiesOf(&resp)); err != nil {
		return nil, old, err
	}
	old.hierarchical = inHierarchy(raw)
	if raw != nil && raw.Header.Get("x-ms-access-tier-inferred") != "true" { // azblob omits both headers
		old.tier = blob.AccessTier(printable(raw.Header.Get("x-ms-access-tier")))
	}
	if err := e.editable(&old, most); err != nil {
		return nil, old, err
	}
	if data, err = io.ReadAll(io.LimitReader(body, most)); err != nil {
		return nil, old, fromAzure(ctx, e.at, err)
	}
	if old.size = int64(len(data)); value(resp.ContentRange) != "" {
		if old.size, err = totalSize(&resp, 0); err != nil || old.size != int64(len(data)) {
			return nil, old, failuref(ErrTooLarge, "Blob %s is larger than %d bytes, the most that edit_blob edits. Nothing was changed.", quote(e.at.Blob), most)
		}
	}
	return data, old, nil
}

// editable returns why the blob can't be edited.
func (e *editCall) editable(old *standing, most int64) error {
	if err := replaceable(e.at, old.etag, old); err != nil {
		return err
	}
	if encoding := value(old.headers.BlobContentEncoding); encoding != "" {
		return failuref(ErrUnsupported, "Blob %s has the Content-Encoding %s, and edit_blob edits only plain text. Nothing was changed.", quote(e.at.Blob), quote(encoding))
	}
	if old.size > most {
		return failuref(ErrTooLarge, "Blob %s is larger than %d bytes, the most that edit_blob edits. Nothing was changed.", quote(e.at.Blob), most)
	}
	return e.set.writing.types.CheckKept(value(old.headers.BlobContentType), e.at.Blob)
}

// charsetOf returns the charset of the call, or of the blob.
func (e *editCall) charsetOf(stored []byte, old *standing) (content.Charset, error) {
	if cs, marked := content.Marked(stored); marked {
		return cs, nil
	}
	if e.charset != nil {
		return e.charset.Resolve(stored), nil
	}
	contentType := value(old.headers.BlobContentType)
	_, params, _ := mime.ParseMediaType(contentType)
	if declared := params["charset"]; declared != "" {
		if _, err := content.FindCharset(declared); err != nil {
			return content.Charset{}, failuref(ErrUnsupported, "The content type of blob %s says charset %s, which edits do not support. Nothing was changed. If the text is in another encoding, call again with encoding.", quote(e.at.Blob), quote(declared))
		}
	}
	return content.CharsetOf(stored, contentType, ""), nil
}

// propertiesOf returns the properties that come with a blob's content.
func propertiesOf(r *blob.DownloadStreamResponse) *blob.GetPropertiesResponse {
	return &blob.GetPropertiesResponse{
		ETag: r.ETag, ContentLength: r.ContentLength, BlobType: r.BlobType, Metadata: r.Metadata, TagCount: r.TagCount, VersionID: r.VersionID,
		ContentType: r.ContentType, ContentEncoding: r.ContentEncoding, ContentLanguage: r.ContentLanguage,
		ContentDisposition: r.ContentDisposition, CacheControl: r.CacheControl,
		LeaseState: r.LeaseState, LeaseDuration: r.LeaseDuration, LegalHold: r.LegalHold, ImmutabilityPolicyExpiresOn: r.ImmutabilityPolicyExpiresOn,
	}
}
