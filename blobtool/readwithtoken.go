package blobtool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Bounds of the text of one call, in characters.
const (
	defaultMaxChars = 8000
	maxMaxChars     = 1_000_000
)

const defaultEncoding = "utf-8"

// readInput is what read_blob_with_token takes. max_chars is a float because any
// integer is allowed, however large.
type readInput struct {
	BlobPath string  `json:"blob_path" jsonschema:"Path of the blob within the container, such as reports/2026/summary.txt. Relative, without . or .. segments; upper and lower case matter."`
	MaxChars float64 `json:"max_chars,omitempty" jsonschema:"How many characters of the text to return, at least 1. More than 1000000 counts as 1000000."`
	Encoding string  `json:"encoding,omitempty" jsonschema:"Character encoding of the blob by its IANA name, such as utf-8, utf-16, shift_jis, euc-jp or windows-1252. Bytes that can't be decoded are replaced by U+FFFD."`
}

// readOutput is what it returns.
type readOutput struct {
	Container string `json:"container" jsonschema:"Name of the container."`
	BlobPath  string `json:"blob_path" jsonschema:"Path of the blob within the container."`
	Bytes     int64  `json:"bytes" jsonschema:"Size of the whole blob in bytes."`
	Text      string `json:"text" jsonschema:"The decoded text. If it was cut, it ends with a line ...<truncated>."`
	Truncated bool   `json:"truncated" jsonschema:"Whether the blob has more text than was returned."`
	LocalPath string `json:"local_path" jsonschema:"Where the server has saved the whole blob; empty if it has not."`
	Warning   string `json:"warning,omitempty" jsonschema:"What did not work although the text could be read, such as saving the blob."`
}

// registerReadWithToken adds the tool read_blob_with_token.
func (s *Set) registerReadWithToken(srv *mcp.Server) {
	input := schemaFor[readInput]()
	input.Properties["max_chars"].Type = "integer"
	setDefault(input, "max_chars", defaultMaxChars)
	setDefault(input, "encoding", defaultEncoding)
	addTool(s, srv, &mcp.Tool{
		Name:  "read_blob_with_token",
		Title: "Read a blob as text",
		Description: fmt.Sprintf("Reads a text blob of the Azure Blob Storage container %q with the permissions of the signed-in user. "+
			"Returns the first max_chars characters and the blob's size.", s.container),
		InputSchema: input,
		Annotations: readOnly("Read a blob as text"), // in Azure; the server's own copy is a cache
	}, s.read)
}

func setDefault(schema *jsonschema.Schema, property string, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("blobtool: default of %s: %v", property, err)) // constants always encode
	}
	schema.Properties[property].Default = text
}

// read handles a call of read_blob_with_token.
func (s *Set) read(ctx context.Context, req *mcp.CallToolRequest, in readInput) (readOutput, error) {
	out := readOutput{Container: s.container}
	_, path, err := s.named("", in.BlobPath)
	if err == nil {
		err = checkBlobPath(path)
	}
	if err == nil {
		_, err = s.locate(ctx, "", path)
	}
	if err != nil {
		return out, err
	}
	out.BlobPath = path
	if in.MaxChars < 1 {
		return out, failuref(ErrInvalidArgument, "max_chars is %.0f; it must be at least 1", in.MaxChars)
	}
	cs, err := findCharset(in.Encoding)
	if err != nil {
		return out, err
	}
	user := userID(req)
	if s.store != nil && user == "" {
		return out, failuref(ErrNoUser, "This call has no user to whom a saved copy could belong. Tell the operator of this server: the verified token must set TokenInfo.UserID, or nothing may be saved.")
	}
	maxChars := int(min(in.MaxChars, maxMaxChars))
	r := &reading{set: s, worker: s.worker(ctx, user), user: user, path: path, charset: cs, perChar: bytesPerChar(cs.Encoding), maxChars: int64(maxChars)}
	if err := r.run(ctx, &out); err != nil {
		return out, location{s.container, path}.fromAzure(ctx, err)
	}
	return out, nil
}

// reading is one call's way through a blob: every byte is seen once, and goes to
// the text and to the copy as far as these want it.
type reading struct {
	set      *Set
	worker   *worker
	user     string
	path     string
	charset  charset    // that the call names
	text     *collector // nil until the first bytes have told how to decode
	perChar  int64
	maxChars int64
	stream   *stream
	copy     *download // nil: nothing is saved, or no longer
	warning  string
}

// Sizes of ranges and buffers in bytes.
const (
	leastRange = 4 << 10
	firstRange = 256 << 10 // at most
	largeRange = 4 << 20
	bufferSize = 64 << 10
	copySize   = 256 << 10 // of a copy: a disk takes large pieces faster
)

// run reads the blob and fills in the output.
func (r *reading) run(ctx context.Context, out *readOutput) error {
	client, err := r.set.containerClient(ctx, r.set.container)
	if err != nil {
		return err
	}
	count := min(max(r.maxChars*r.perChar+r.perChar, leastRange), firstRange)
	if r.stream, err = openStream(r.worker, client.NewBlobClient(r.path), 0, count, ""); err != nil {
		return err
	}
	defer func() { _ = r.stream.Close() }()
	if err := r.stream.refuseDirectory(r.path); err != nil {
		return err
	}
	if _, err := r.worker.reserve(copySize + memoryPerChar*min(r.maxChars, r.stream.size)); err != nil {
		return err
	}
	r.startCopy(ctx)
	defer func() {
		if r.copy != nil {
			r.copy.abort()
		}
	}()
	if err := r.transfer(ctx, count); err != nil {
		return err
	}
	out.Bytes = r.stream.size
	if r.text == nil { // an empty blob
		r.settle(nil)
	}
	out.Text, out.Truncated = r.text.finish(!r.stream.more() && r.stream.bodyPending == 0)
	out.LocalPath = r.finishCopy(ctx)
	out.Warning = strings.TrimSpace(r.warning)
	return nil
}

// transfer reads range after range until neither text nor copy needs more.
func (r *reading) transfer(ctx context.Context, count int64) error {
	// A blob that decodes to next to nothing must not be read to its end.
	most := 16*r.maxChars + firstRange
	buf := make([]byte, min(bufferSize, count))
	for {
		if err := r.readRange(ctx, buf); err != nil {
			return err
		}
		switch {
		case !r.stream.more():
			return nil
		case r.copy != nil: // all the rest at once
			count = r.stream.size
			buf = make([]byte, copySize)
		case r.text.full() || r.stream.next >= most:
			return nil
		default:
			count = min(4*count, largeRange)
		}
		if err := r.stream.advance(count); err != nil {
			return err
		}
	}
}

// readRange reads the current range to its end, or to where nothing more is needed
// and reading on would cost more than another connection.
func (r *reading) readRange(ctx context.Context, buf []byte) error {
	for r.copy != nil || !r.text.full() || r.stream.bodyPending <= firstRange {
		n, err := r.stream.fill(buf)
		if err := r.decode(buf[:n]); err != nil {
			return err
		}
		if r.copy != nil {
			if _, err := r.copy.Write(buf[:n]); err != nil {
				r.copy.abort()
				r.copy = nil
				r.notSaved(ctx, diskRefusal(err))
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// decode adds to the text, with a core.
func (r *reading) decode(p []byte) error {
	if r.text == nil {
		r.settle(p)
	}
	if r.text.full() {
		return nil
	}
	if err := r.worker.begin(); err != nil {
		return err
	}
	defer r.worker.end()
	for len(p) > 0 {
		piece := p[:min(len(p), bufferSize)]
		_, _ = r.text.Write(piece) // never fails
		if err := r.worker.step(decodeWork * int64(len(piece))); err != nil {
			return err
		}
		p = p[len(piece):]
	}
	return nil
}

// settle decides by the first bytes how to decode. The mark of UTF-16 is no UTF-8, so it
// goes before that, which is what a call that says nothing asks for.
func (r *reading) settle(head []byte) {
	cs := r.charset
	marked, ok := markedCharset(head)
	switch {
	case markedUTF32(head):
		r.warning += "The blob begins with the byte order mark of UTF-32, which can't be decoded here: the text is not what was written. "
	case !ok || cs == marked || cs.needsMark():
	case cs == utf8Charset:
		cs = marked
		r.warning += fmt.Sprintf("The blob begins with the byte order mark of %s, so it was decoded as that. ", marked.name)
	default:
		r.warning += fmt.Sprintf("The blob begins with the byte order mark of %s; if the text is wrong, call again with encoding %s. ", marked.name, marked.name)
	}
	r.text = newCollector(cs.Encoding, int(r.maxChars))
}

// startCopy begins to save the blob, where that is wanted and possible.
func (r *reading) startCopy(ctx context.Context) {
	if strangeCoding(r.stream.props.encoding) {
		r.warning = fmt.Sprintf("The blob has the property Content-Encoding %s: the text is that of the encoded bytes. ", quote(r.stream.props.encoding))
	}
	if r.set.store == nil {
		return
	}
	var refused *refusal
	if r.copy, refused = r.set.store.create(ctx, r.user, r.path, r.stream.size); refused != nil {
		r.notSaved(ctx, refused)
	}
}

// finishCopy completes the copy and returns its path.
func (r *reading) finishCopy(ctx context.Context) string {
	if r.copy == nil {
		return ""
	}
	path, refused := r.copy.commit()
	r.copy = nil
	if refused != nil {
		r.notSaved(ctx, refused)
	}
	return path
}

// notSaved makes the reason a warning: the text is what the caller asked for.
func (r *reading) notSaved(ctx context.Context, why *refusal) {
	r.warning += "The blob was read but not saved: " + why.text + ". "
	r.set.log.LogAttrs(ctx, slog.LevelWarn, "blob not saved",
		slog.String("user", r.user), slog.String("blob", r.path), slog.String("reason", why.text), slog.Any("cause", why.cause))
}
