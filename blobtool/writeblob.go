package blobtool

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/properties"
)

// writeInput is what write_blob takes.
type writeInput struct {
	Container   string            `json:"container" jsonschema:"Name of the container."`
	BlobPath    string            `json:"blob_path" jsonschema:"Name of the blob within the container, such as reports/2026/summary.txt. Case-sensitive."`
	Text        *string           `json:"text,omitempty" jsonschema:"The content as text. It is stored in UTF-8. Give either text or base64."`
	Base64      *string           `json:"base64,omitempty" jsonschema:"The content in base64, if it is not text."`
	ContentType string            `json:"content_type,omitempty" jsonschema:"Media type, such as text/plain; charset=utf-8. If omitted, an overwritten blob keeps its own, and a new one gets application/octet-stream. Types that programs run, such as HTML, may be refused."`
	Metadata    map[string]string `json:"metadata,omitempty" jsonschema:"Metadata: names of letters, digits and underscores, values of printable ASCII. If omitted, an overwritten blob keeps its own; otherwise these replace all of them."`
	Tags        map[string]string `json:"tags,omitempty" jsonschema:"Index tags, at most 10. If omitted, an overwritten blob keeps its own; otherwise these replace all of them. They require the role Storage Blob Data Owner."`
	IfMatch     string            `json:"if_match,omitempty" jsonschema:"etag of the blob to overwrite, from the result that showed its content. If omitted, the call makes a new blob, and is refused if there is one of that name."`
	DropTags    bool              `json:"drop_tags,omitempty" jsonschema:"Overwrite the blob without keeping its index tags, which is needed if the user may not read them."`
	More        bool              `json:"more,omitempty" jsonschema:"For content in pieces: true with each piece but the last. The blob is written with the last piece, which may be empty text."`
	Upload      string            `json:"upload,omitempty" jsonschema:"For content in pieces: upload from the previous piece's result; omit it with the first piece. Other arguments, such as tags, are only for the first piece."`
	Offset      *int64            `json:"offset,omitempty" jsonschema:"For content in pieces: next_offset from the previous piece's result, given together with upload."`
}

// registerWriteBlob adds the tool write_blob.
func (s *Set) registerWriteBlob(srv *mcp.Server) {
	input, output, pieces := schemaFor[writeInput](), writeSchema(), ""
	if s.writing.inPieces() {
		output = uploadSchema()
		output.Properties["action"].Description = "What was done: created, overwritten, or staged (a piece; the blob is not changed yet)."
		pieces = fmt.Sprintf("Larger content, of up to %d bytes, comes in pieces, one call after the other: see the argument more. ", s.writing.maxBytes)
	} else {
		for _, name := range []string{"more", "upload", "offset"} {
			dropProperty(input, name)
		}
	}
	addWriteTool(s, srv, &mcp.Tool{
		Name:  "write_blob",
		Title: "Write a blob",
		Description: fmt.Sprintf("Writes a whole blob of up to %d bytes in %s, with the permissions of the signed-in user. ", s.writing.inline(), s.where()) + pieces +
			"Makes a new blob, or, with if_match, overwrites the one that has that etag; headers, metadata and tags that the call does not give are kept. " + saysOutcome,
		InputSchema:  input,
		OutputSchema: output,
		Annotations:  writes("Write a blob", true),
	}, s.writeBlob)
}

// saysOutcome ends the description of each tool that writes.
const saysOutcome = "The result's outcome is done, refused (nothing was changed) or unknown (look before you try again)."

// writeBlob handles a call of write_blob.
func (s *Set) writeBlob(ctx context.Context, req *mcp.CallToolRequest, in writeInput) (writeOutput, error) {
	at, err := s.locateToWrite(ctx, in.Container, in.BlobPath)
	out := outputFor(at)
	if err != nil {
		return out, err
	}
	w := &writeCall{set: s, req: req, at: at, in: in}
	if err := w.resume(); err != nil {
		return out, err
	}
	if err := w.check(); err != nil {
		return out, err
	}
	if w.all, err = s.beginWrite(ctx, req, at); err != nil {
		return out, err
	}
	switch {
	case w.piece != nil:
		err = w.upload(ctx, &out)
	case w.put.before == "":
		err = w.create(ctx, &out)
	default:
		err = w.overwrite(ctx, &out)
	}
	return out, err
}

// admitWrite counts a write of the call's user, or returns why it must wait.
func (s *Set) admitWrite(req *mcp.CallToolRequest) error { return s.admit(req, 1) }

// beginWrite counts a write whose arguments have been checked, and returns a client for it.
func (s *Set) beginWrite(ctx context.Context, req *mcp.CallToolRequest, at names.Location) (*container.Client, error) {
	if err := s.admitWrite(req); err != nil {
		return nil, err
	}
	return s.containerClient(ctx, at.Container)
}

// admitCopy counts what a copy of that size weighs more than another write.
func (s *Set) admitCopy(req *mcp.CallToolRequest, size int64) error {
	if more := int(size / copiedBytes); more > 0 {
		return s.admit(req, more)
	}
	return nil
}

func (s *Set) admit(req *mcp.CallToolRequest, writes int) error {
	user := userID(req)
	if user == "" {
		return failuref(ErrNoUser, "The call has no user to count writes for. Tell the operator of this server to set TokenInfo.UserID when verifying tokens.")
	}
	return s.writing.rates.take(user, writes)
}

// writeCall is a running call of write_blob.
type writeCall struct {
	set *Set
	req *mcp.CallToolRequest
	at  names.Location
	in  writeInput
	all *container.Client
	put put

	piece *piece // of an upload; nil: the call brings all of the content
}

// check checks the arguments and begins the put.
func (w *writeCall) check() error {
	in := &w.in
	data, err := in.content(w.set.writing.inline())
	if errors.Is(err, ErrTooLarge) && w.set.writing.inPieces() {
		return failuref(ErrTooLarge, "The content is larger than %d bytes, the most that one call can bring. Nothing was written. Write it in pieces, each with more except the last.", maxInline)
	}
	if err != nil {
		return err
	}
	etag, err := parseETag(in.IfMatch)
	if err != nil {
		return err
	}
	w.put = put{at: w.at, data: data, before: azcore.ETag(etag)}
	if etag == "" {
		if err := names.CheckNew(w.at.Blob); err != nil {
			return err
		}
	}
	if in.ContentType != "" || etag == "" {
		t, err := w.set.writing.types.Check(in.ContentType, w.at.Blob)
		if err != nil {
			return err
		}
		if in.Text != nil {
			if err := properties.CheckText(t); err != nil {
				return err
			}
		}
		w.put.headers.BlobContentType = &t
	}
	metadata, err := properties.CheckMetadata(in.Metadata)
	if err != nil {
		return err
	}
	w.put.metadata = pointers(metadata)
	w.put.tags.tags = in.Tags
	if in.DropTags && etag == "" {
		return failuref(ErrInvalidArgument, "drop_tags is only for overwriting; give if_match, or leave drop_tags out")
	}
	if err := properties.CheckTags(in.Tags); err != nil {
		return err
	}
	return w.checkPiece()
}

// content returns the content of the call.
func (in *writeInput) content(most int64) (data []byte, err error) {
	switch {
	case (in.Text == nil) == (in.Base64 == nil):
		return nil, failuref(ErrInvalidArgument, "Give the content as either text or base64; text may be empty.")
	case in.Text != nil:
		data = []byte(*in.Text)
	case int64(base64.StdEncoding.DecodedLen(len(*in.Base64)-lineEnds(*in.Base64))) > most+2:
		return nil, tooLargeToWrite(most)
	default:
		if data, err = base64.StdEncoding.DecodeString(*in.Base64); err != nil {
			return nil, failuref(ErrInvalidArgument, "base64 is not valid (RFC 4648, section 4, with padding); encode the content again, or give text")
		}
	}
	if int64(len(data)) > most {
		return nil, tooLargeToWrite(most)
	}
	return data, nil
}

// lineEnds counts the bytes that base64 ignores.
func lineEnds(s string) int { return strings.Count(s, "\n") + strings.Count(s, "\r") }

func tooLargeToWrite(most int64) error {
	return failuref(ErrTooLarge, "The content is larger than %d bytes, the most that this server writes in one call. Nothing was written. Write less, or several blobs.", most)
}

// create makes a new blob.
func (w *writeCall) create(ctx context.Context, out *writeOutput) error {
	done, now, err := w.set.put(ctx, w.all, &w.put)
	if err != nil {
		*out = outputFor(w.at)
		out.refuse(now)
		return err
	}
	out.did("created", done, w.put.size())
	out.Message = fmt.Sprintf("Blob %s was created with %d bytes.", quote(w.at.Blob), w.put.size())
	out.Notes = w.put.notes()
	out.Undo = createdUndo()
	return nil
}

// overwrite replaces a blob and keeps what the call does not give.
func (w *writeCall) overwrite(ctx context.Context, out *writeOutput) error {
	client := w.all.NewBlobClient(w.at.Blob)
	old, err := w.set.look(ctx, w.at, client)
	if err == nil {
		if err = replaceable(w.at, w.put.before, &old); err != nil {
			out.refuse(&old)
		}
	}
	if err != nil {
		return err
	}
	notes, err := w.prepare(ctx, client, &old, int64(len(w.put.data)))
	if err != nil {
		out.show(&old)
		return err
	}
	return w.replace(ctx, out, &old, notes)
}

// prepare decides what is kept of the blob that is overwritten, and asks for confirmation. size is
// that of the new content.
func (w *writeCall) prepare(ctx context.Context, client *blob.Client, old *standing, size int64) (notes []string, err error) {
	if notes, err = w.keep(ctx, client, old); err != nil {
		return nil, err
	}
	text := fmt.Sprintf("Overwrite blob %s (%d bytes) in container %s with %d bytes. %s%s", quote(w.at.Blob), old.size, quote(w.at.Container), size, keptUndo(old).How, w.put.tags.loses)
	if w.in.Metadata != nil && len(old.metadata) > 0 {
		text += " Its metadata is replaced."
	}
	return notes, w.set.mayDestroy(ctx, w.req, w.at, Question{Action: ActionOverwrite, ETag: bareETag(string(old.etag)), Text: text})
}

// replace writes over a blob.
func (w *writeCall) replace(ctx context.Context, out *writeOutput, old *standing, notes []string) error {
	done, now, err := w.set.put(ctx, w.all, &w.put)
	if err != nil {
		*out = outputFor(w.at)
		out.refuse(now)
		return err
	}
	out.did("overwritten", done, w.put.size())
	out.Message = fmt.Sprintf("Blob %s was overwritten with %d bytes.", quote(w.at.Blob), w.put.size())
	out.Undo, out.Notes = keptUndo(old), append(notes, w.put.notes()...)
	return nil
}

// keep fills in what the blob has and the call does not give.
func (w *writeCall) keep(ctx context.Context, client *blob.Client, old *standing) (notes []string, err error) {
	given := w.put.headers.BlobContentType
	if w.put.headers, notes = old.headersFor(given, w.isText()); given == nil {
		if err := w.set.writing.types.CheckKept(value(old.headers.BlobContentType), w.at.Blob); err != nil {
			return nil, err
		}
	}
	if w.in.Metadata == nil {
		w.put.metadata = old.metadata
	}
	notes = append(notes, w.put.keepTier(old)...)
	w.put.tags, err = w.set.planTags(ctx, w.at, client, old, w.in.Tags, w.in.DropTags)
	return notes, err
}

// isText reports whether all of the content was given as text.
func (w *writeCall) isText() bool {
	if w.piece != nil {
		return w.piece.after.Text
	}
	return w.in.Text != nil
}

// headersFor returns a blob's headers for new content, of that type if one is given, without those
// that would be false for the new content.
func (n *standing) headersFor(given *string, text bool) (h blob.HTTPHeaders, notes []string) {
	h = n.headers
	h.BlobContentMD5 = nil // Azure computes it
	if encoding := value(h.BlobContentEncoding); encoding != "" {
		h.BlobContentEncoding = nil
		notes = append(notes, fmt.Sprintf("The blob's Content-Encoding %s was dropped: the new content is not encoded.", quote(encoding)))
	}
	if given != nil {
		h.BlobContentType = given
		return h, notes
	}
	t, params, err := mime.ParseMediaType(value(h.BlobContentType))
	if charset := params["charset"]; err == nil && text && charset != "" && !strings.EqualFold(charset, "utf-8") {
		params["charset"] = "utf-8"
		h.BlobContentType = new(cmp.Or(mime.FormatMediaType(t, params), t))
		notes = append(notes, fmt.Sprintf("The content type says charset=utf-8 now; the content before was in %s.", quote(charset)))
	}
	return h, notes
}

// replaceable returns why a call may not overwrite what is there with a block blob.
func replaceable(at names.Location, before azcore.ETag, now *standing) error {
	name := quote(at.Blob)
	switch {
	case !now.exists || now.etag != before:
		v := conflictVerdict(name, before, now)
		return failuref(v.kind, "%s", v.text)
	case now.directory:
		return failuref(ErrDirectory, "%s is a directory, not a file. Nothing was changed.", name)
	case now.kind != blob.BlobTypeBlockBlob:
		return failuref(ErrUnsupported, "Blob %s is of type %s, which this would turn into a block blob. Nothing was changed. Write to another name.", name, printable(string(now.kind)))
	}
	return unleased(at, now)
}

func pointers(m map[string]string) map[string]*string {
	p := make(map[string]*string, len(m))
	for k, v := range m {
		p[k] = &v
	}
	return p
}
