package blobtool

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"mime"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/appendblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/properties"
)

// appendInput is what append_blob takes.
type appendInput struct {
	Container   string            `json:"container" jsonschema:"Name of the container."`
	BlobPath    string            `json:"blob_path" jsonschema:"Name of the append blob within the container, such as logs/2026.log. Case-sensitive."`
	Text        *string           `json:"text,omitempty" jsonschema:"The content to append as text, in UTF-8. No line feeds are added. Give either text or base64."`
	Base64      *string           `json:"base64,omitempty" jsonschema:"The content to append in base64, if it is not text."`
	Create      bool              `json:"create,omitempty" jsonschema:"Make a new append blob first. Refused if there is a blob of that name. The content may then be omitted."`
	ContentType string            `json:"content_type,omitempty" jsonschema:"With create: media type of the new blob, such as text/plain; charset=utf-8. Defaults to application/octet-stream."`
	Metadata    map[string]string `json:"metadata,omitempty" jsonschema:"With create: metadata of the new blob: names of letters, digits and underscores, values of printable ASCII."`
	IfMatch     string            `json:"if_match,omitempty" jsonschema:"etag that the blob must have. If omitted, the content goes to the end of the blob, wherever that is by then."`
}

// maxAppends is how often a call looks for the blob's end while others append.
const maxAppends = 10

// registerAppendBlob adds the tool append_blob.
func (s *Set) registerAppendBlob(srv *mcp.Server) {
	addWriteTool(s, srv, &mcp.Tool{
		Name:  "append_blob",
		Title: "Append to a blob",
		Description: fmt.Sprintf("Appends up to %d bytes to an append blob, such as a log, in %s, with the permissions of the signed-in user. ", s.writing.inline(), s.where()) +
			"With create, makes the blob first. Other types of blobs are refused: use edit_blob or write_blob for them. One call never appends twice. " + saysOutcome,
		Annotations: adds("Append to a blob"),
	}, s.appendBlob)
}

// appendBlob handles a call of append_blob.
func (s *Set) appendBlob(ctx context.Context, req *mcp.CallToolRequest, in appendInput) (writeOutput, error) {
	at, err := s.locateToWrite(ctx, in.Container, in.BlobPath)
	out := outputFor(at)
	if err != nil {
		return out, err
	}
	a := &appendCall{set: s, at: at, in: in}
	if err := a.check(); err != nil {
		return out, err
	}
	all, err := s.beginWrite(ctx, req, at)
	if err != nil {
		return out, err
	}
	a.client = all.NewAppendBlobClient(at.Blob)
	if in.Create {
		err = a.create(ctx, &out)
		return out, err
	}
	old, err := s.look(ctx, at, a.client.BlobClient())
	if err != nil {
		return out, err
	}
	err = a.add(ctx, &out, &old)
	return out, err
}

// appendCall is a running call of append_blob.
type appendCall struct {
	set      *Set
	at       names.Location
	in       appendInput
	data     []byte
	etag     azcore.ETag // that the call requires; empty: any
	headers  blob.HTTPHeaders
	metadata map[string]*string
	client   *appendblob.Client
	marker   string // of the blob that the call makes
	answered bool   // Azure said that the blob was made
}

// check checks the arguments.
func (a *appendCall) check() (err error) {
	in := &a.in
	if in.Text != nil || in.Base64 != nil || !in.Create {
		if a.data, err = (&writeInput{Text: in.Text, Base64: in.Base64}).content(a.set.writing.inline()); err != nil {
			return err
		}
	}
	etag, err := parseETag(in.IfMatch)
	if err != nil {
		return err
	}
	a.etag = azcore.ETag(etag)
	switch {
	case in.Create && etag != "":
		return failuref(ErrInvalidArgument, "create makes a new blob, and if_match names an existing one; give only one of them")
	case !in.Create && (in.ContentType != "" || in.Metadata != nil):
		return failuref(ErrInvalidArgument, "content_type and metadata are only for a new blob; give create, or leave them out")
	case !in.Create && len(a.data) == 0:
		return failuref(ErrInvalidArgument, "there is nothing to append; give text or base64 that is not empty")
	case !in.Create:
		return nil
	}
	if err := names.CheckNew(a.at.Blob); err != nil {
		return err
	}
	t, err := a.set.writing.types.Check(in.ContentType, a.at.Blob)
	if err != nil {
		return err
	}
	a.headers.BlobContentType = &t
	metadata, err := properties.CheckMetadata(in.Metadata)
	a.metadata = pointers(metadata)
	return err
}

// create makes the blob, and then appends. Azure has no request for both.
func (a *appendCall) create(ctx context.Context, out *writeOutput) error {
	a.marker = rand.Text()
	made := &attempt{set: a.set, at: a.at, client: a.client.BlobClient(), marker: a.marker, send: a.sendNew}
	made.same = func(_ context.Context, now *standing) bool { // of any size: others may have appended since
		return now.kind == blob.BlobTypeAppendBlob && now.has(&a.headers, a.metadata)
	}
	a.metadata[properties.Marker] = &a.marker
	w, now, err := made.run(ctx)
	if err != nil {
		out.refuse(now)
		return err
	}
	if len(a.data) > 0 {
		if err := a.fill(ctx, out, w); err != nil {
			return a.halfDone(err)
		}
	} else {
		out.did("", w, 0)
		out.Message = fmt.Sprintf("Append blob %s was created, without content.", quote(a.at.Blob))
		if out.Undo = createdUndo(); !a.answered {
			out.recognized()
			out.Undo = sharedUndo()
		}
	}
	out.Action = "created"
	return nil
}

// fill appends to the blob that this call has made.
func (a *appendCall) fill(ctx context.Context, out *writeOutput, w written) error {
	made := standing{exists: true, etag: w.etag, version: w.version, kind: blob.BlobTypeAppendBlob, headers: a.headers, marker: a.marker}
	if !a.answered { // others may have appended since
		now, err := a.set.look(ctx, a.at, a.client.BlobClient())
		if err != nil {
			return err
		}
		if made = now; now.exists && now.marker != a.marker {
			out.show(&now)
			return a.replaced()
		}
	}
	out.show(&made)
	if err := a.add(ctx, out, &made); err != nil {
		return err
	}
	offset := *out.Size - int64(len(a.data))
	out.Message = fmt.Sprintf("Append blob %s was created, and %d bytes were appended at offset %d.", quote(a.at.Blob), len(a.data), offset)
	if offset > 0 {
		out.Undo = sharedUndo()
	} else {
		out.Undo = createdUndo()
	}
	return nil
}

// sharedUndo is for a blob that this call has made, and that may have another's content too.
func sharedUndo() *undo {
	return &undo{How: "The blob is new, but another writer may have appended to it, which deleting the blob would lose. Read it before you delete it."}
}

// replaced says that what stands there is not the blob that this call has made.
func (a *appendCall) replaced() *Error {
	return failuref(ErrChanged, "someone else has replaced blob %s since. Read it before you append to it.", quote(a.at.Blob))
}

// sendNew makes the blob once.
func (a *appendCall) sendNew(ctx context.Context) (written, error) {
	resp, err := a.client.Create(ctx, &appendblob.CreateOptions{
		HTTPHeaders: &a.headers, Metadata: a.metadata,
		AccessConditions: &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: new(azcore.ETagAny)}},
	})
	if err != nil {
		return written{}, err
	}
	a.answered = true
	return writtenOf(resp.ETag, resp.VersionID)
}

// halfDone says that the blob was made, without its content. That is neither done nor refused.
func (a *appendCall) halfDone(err error) error {
	text, _ := userText(public(err))
	text = strings.ReplaceAll(strings.ReplaceAll(text, " Nothing was changed by this call.", ""), " Nothing was changed.", "")
	if errors.Is(err, ErrUncertain) {
		text = fmt.Sprintf("Append blob %s was created. %s", quote(a.at.Blob), text)
	} else {
		text = fmt.Sprintf("Append blob %s was created, but the content was not appended: %s If that can be fixed, call again without create.", quote(a.at.Blob), text)
	}
	return &Error{Kind: ErrUncertain, text: text, cause: err}
}

// add appends to what is there. If another writer was faster, it appends after that, unless the call
// has an ETag.
func (a *appendCall) add(ctx context.Context, out *writeOutput, old *standing) error {
	for n := 1; ; n++ {
		if err := a.appendable(old); err != nil {
			out.refuse(old)
			return err
		}
		send := func(ctx context.Context) (written, error) { return a.send(ctx, old) }
		w, now, err := (&attempt{set: a.set, at: a.at, client: a.client.BlobClient(), before: old.etag, send: send}).run(ctx)
		overtaken := errors.Is(err, ErrChanged) && now != nil && now.exists && now.etag != old.etag
		switch {
		case err == nil:
			out.did("appended", w, old.size+int64(len(a.data)))
			out.Message = fmt.Sprintf("%d bytes were appended to blob %s at offset %d.", len(a.data), quote(a.at.Blob), old.size)
			out.Undo = &undo{How: "There is no undo: appended content can't be removed, and Azure keeps no earlier version."}
			return nil
		case overtaken && a.marker != "" && now.marker != a.marker:
			err = a.replaced()
		case overtaken && a.etag == "" && n < maxAppends:
			old = now
			continue
		case errors.Is(err, ErrUncertain):
			err = a.lost(ctx, err, old, now)
		}
		if now != nil {
			*out = outputFor(a.at)
		}
		out.refuse(now)
		return err
	}
}

// appendable returns why the content can't be appended to what is there.
func (a *appendCall) appendable(old *standing) error {
	name := quote(a.at.Blob)
	switch most := a.set.writing.maxBytes; {
	case !old.exists && a.etag == "":
		return failuref(ErrNotFound, "Blob %s is not there. Nothing was changed. To make an append blob of that name, call again with create.", name)
	case !old.exists || a.etag != "" && old.etag != a.etag:
		v := conflictVerdict(name, a.etag, old)
		return failuref(v.kind, "%s", v.text)
	case old.directory:
		return failuref(ErrDirectory, "%s is a directory, not a file. Nothing was changed.", name)
	case old.kind != blob.BlobTypeAppendBlob:
		return failuref(ErrUnsupported, "Blob %s is of type %s, and only append blobs can be appended to. Nothing was changed. Use edit_blob or write_blob, or append to another blob.", name, printable(string(old.kind)))
	case old.sealed:
		return failuref(ErrLocked, "Append blob %s is sealed: nobody can append to it any more. Nothing was changed. Append to a new blob, made with create.", name)
	case int64(len(a.data)) > most-old.size:
		return failuref(ErrTooLarge, "Blob %s has %d bytes, and with these %d it would be larger than %d, the most that this server writes. Nothing was changed. Append to a new blob, made with create.", name, old.size, len(a.data), most)
	}
	if err := a.fits(value(old.headers.BlobContentEncoding), value(old.headers.BlobContentType)); err != nil {
		return err
	}
	return unleased(a.at, old)
}

// fits returns why text, which comes in UTF-8, or content of that type may not be added.
func (a *appendCall) fits(encoding, contentType string) error {
	_, params, err := mime.ParseMediaType(contentType)
	charset := strings.ToLower(params["charset"])
	switch {
	case a.in.Text == nil:
	case encoding != "":
		return failuref(ErrUnsupported, "Blob %s has the Content-Encoding %s, so text can't be appended. Nothing was changed. Append base64 in that encoding, or to another blob.", quote(a.at.Blob), quote(encoding))
	case err == nil && charset != "" && charset != "utf-8" && charset != "us-ascii":
		return failuref(ErrUnsupported, "The text of blob %s is in %s, and append_blob writes text in UTF-8. Nothing was changed. Append base64 in that charset, or to another blob.", quote(a.at.Blob), quote(charset))
	}
	return a.set.writing.types.CheckKept(contentType, a.at.Blob)
}

// send appends once, to exactly what is there.
func (a *appendCall) send(ctx context.Context, old *standing) (written, error) {
	resp, err := a.client.AppendBlock(ctx, streaming.NopCloser(bytes.NewReader(a.data)), &appendblob.AppendBlockOptions{
		TransactionalValidation:        blob.TransferValidationTypeComputeCRC64(),
		AppendPositionAccessConditions: &appendblob.AppendPositionAccessConditions{AppendPosition: &old.size},
		AccessConditions:               &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfMatch: &old.etag}},
	})
	if err != nil {
		return written{}, err
	}
	return writtenOf(resp.ETag, &old.version) // appending makes no version
}

// lost says what is known after a lost answer. Equal content at the offset may be another's.
func (a *appendCall) lost(ctx context.Context, err error, old, now *standing) error {
	text := fmt.Sprintf("The storage service's answer to this append to blob %s was lost. ", quote(a.at.Blob))
	switch {
	case now == nil:
		return err
	case !now.exists:
		text += "The blob is gone: someone else deleted it, before or after this append."
	case now.etag == old.etag:
		text += fmt.Sprintf("Nothing was appended so far, but the append may still arrive. To call again without appending twice, give if_match %s.", bareETag(string(now.etag)))
	default:
		there, readErr := a.present(ctx, old.size, now)
		switch {
		case readErr != nil:
			text += fmt.Sprintf("What is at offset %d now could not be read. Call read_blob with that offset before you append again.", old.size)
		case there:
			text += fmt.Sprintf("The content is present at offset %d, perhaps by another writer. Do not append it again unless the user asks for it.", old.size)
		default:
			text += fmt.Sprintf("Something else is at offset %d: someone else has changed the blob, before or after this append. Read its end before you append again.", old.size)
		}
	}
	return &Error{Kind: ErrUncertain, text: text, cause: err}
}

// present reports whether the content is at that offset.
func (a *appendCall) present(ctx context.Context, offset int64, now *standing) (bool, error) {
	n := int64(len(a.data))
	if now.size < offset+n {
		return false, nil
	}
	resp, err := a.client.DownloadStream(ctx, &blob.DownloadStreamOptions{Range: blob.HTTPRange{Offset: offset, Count: n}})
	if err != nil {
		return false, err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, n+1))
	return bytes.Equal(data, a.data), err
}
