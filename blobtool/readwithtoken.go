package blobtool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/content"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/copies"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/work"
)

const defaultEncoding = "utf-8"

// readInput is the input of read_blob_with_token. max_chars is a float to accept an integer of any
// size.
type readInput struct {
	BlobPath string  `json:"blob_path" jsonschema:"Path of the blob within the container, such as reports/2026/summary.txt. Relative, without . or .. segments; upper and lower case matter."`
	MaxChars float64 `json:"max_chars,omitempty" jsonschema:"How many characters of the text to return, at least 1. More than 1000000 counts as 1000000."`
	Encoding string  `json:"encoding,omitempty" jsonschema:"Character encoding of the blob by its IANA name, such as utf-8, utf-16, shift_jis, euc-jp or windows-1252. Bytes that can't be decoded are replaced by U+FFFD."`
}

// readOutput is the output of read_blob_with_token.
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
		Annotations: readOnly("Read a blob as text"), // it changes nothing in Azure; the server's copy is a cache
	}, s.read)
}

// read handles a call of read_blob_with_token.
func (s *Set) read(ctx context.Context, req *mcp.CallToolRequest, in readInput) (readOutput, error) {
	out := readOutput{Container: s.container}
	_, path, err := s.named("", in.BlobPath)
	if err == nil {
		err = names.CheckPath(path)
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
	cs, err := content.FindCharset(in.Encoding)
	if err != nil {
		return out, err
	}
	user := userID(req)
	if s.store != nil && user == "" {
		return out, failuref(ErrNoUser, "The call has no user to save a copy for. Tell the operator of this server to set TokenInfo.UserID when verifying tokens, or to turn off saving (DownloadDir).")
	}
	r := &reading{set: s, worker: s.worker(ctx, user), user: user, path: path, charset: cs, maxChars: int64(min(in.MaxChars, maxMaxChars))}
	if err := r.run(ctx, &out); err != nil {
		return out, fromAzure(ctx, names.Location{Container: s.container, Blob: path}, err)
	}
	return out, nil
}

// copySize is a copy's buffer size: disks write large pieces faster.
const copySize = 256 << 10

// A reading is one call's pass over a blob. It reads every byte once, for both the text and the
// copy.
type reading struct {
	set      *Set
	user     string
	path     string
	charset  content.Charset // requested by the call
	maxChars int64
	worker   *work.Worker
	content  *content.Reader
	copy     *copies.Copy // nil: save nothing, or no more
	warning  string
}

// run reads the blob and fills in the output.
func (r *reading) run(ctx context.Context, out *readOutput) error {
	client, err := r.set.containerClient(ctx, r.set.container)
	if err != nil {
		return err
	}
	perChar := r.charset.BytesPerChar()
	count := min(max((r.maxChars+1)*perChar, content.LeastRange), content.FirstRange)
	r.content, err = content.Open(r.worker, ranges(client.NewBlobClient(r.path)), r.path, content.Options{Count: count, Stored: true})
	if err != nil {
		return err
	}
	defer func() { _ = r.content.Close() }()
	if _, err := r.worker.Reserve(copySize + content.MemoryPerChar*min(r.maxChars, r.content.Size)); err != nil {
		return err
	}
	r.startCopy(ctx)
	defer func() {
		if r.copy != nil {
			r.copy.Abort()
		}
	}()
	if err := r.worker.Begin(); err != nil {
		return err
	}
	out.Text, out.Truncated, err = r.decode()
	r.worker.End()
	if err == nil {
		err = r.copyRest()
	}
	if err != nil {
		return err
	}
	r.content.Drain()
	out.Bytes = r.content.Size
	out.LocalPath = r.finishCopy(ctx)
	out.Warning = strings.TrimSpace(r.warning)
	return nil
}

// decode returns the text at the beginning. It does not read to the end of a blob whose bytes
// decode to almost nothing.
func (r *reading) decode() (text string, truncated bool, err error) {
	head, err := r.content.Peek(content.LeastRange)
	if err != nil {
		return "", false, err
	}
	p := content.NewPage(r.settle(head), int(r.maxChars)+1) // one extra character shows whether to cut
	if _, err := p.Fill(io.LimitReader(io.TeeReader(r.content, r), 16*r.maxChars+content.FirstRange)); err != nil {
		return "", false, err
	}
	if p.Cut(int(r.maxChars)) || p.Pos < r.content.Size {
		return string(p.Text) + truncationLine, true, nil
	}
	return string(p.Text), false, nil
}

// truncationLine ends a text that was truncated.
const truncationLine = "\n...<truncated>"

// settle chooses the charset by the first bytes. The byte order mark of UTF-16 is not valid UTF-8,
// so it takes precedence over UTF-8, the default.
func (r *reading) settle(head []byte) content.Charset {
	cs := r.charset
	marked, ok := content.Marked(head)
	switch {
	case content.MarkedUTF32(head):
		r.warning += "The blob begins with the byte order mark of UTF-32, which is not supported: the text is wrong. "
	case !ok || cs == marked || cs.NeedsMark():
	case cs == content.UTF8:
		cs = marked
		r.warning += fmt.Sprintf("The blob begins with the byte order mark of %s, so it was decoded as that. ", marked.Name)
	default:
		r.warning += fmt.Sprintf("The blob begins with the byte order mark of %s; if the text is wrong, call again with encoding %s. ", marked.Name, marked.Name)
	}
	return cs
}

// Write adds to the copy, if there is one. It never fails: the text is still readable.
func (r *reading) Write(p []byte) (int, error) {
	if r.copy != nil {
		if _, err := r.copy.Write(p); err != nil {
			r.copy.Abort()
			r.copy = nil
			r.notSaved(r.worker.Context, copies.DiskRefusal(err))
		}
	}
	return len(p), nil
}

// copyRest saves the part that the text did not need.
func (r *reading) copyRest() error {
	if r.copy == nil {
		return nil
	}
	for buf := make([]byte, copySize); r.copy != nil; {
		n, err := r.content.Fill(buf)
		_, _ = r.Write(buf[:n])
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// startCopy starts saving the blob, if the call wants that and it is possible.
func (r *reading) startCopy(ctx context.Context) {
	if r.content.Strange() {
		r.warning = fmt.Sprintf("The blob's Content-Encoding is %s: the text is decoded from the stored, still encoded bytes. ", quote(r.content.Encoding))
	}
	if r.set.store == nil {
		return
	}
	var refused *copies.Refusal
	if r.copy, refused = r.set.store.Create(ctx, r.user, r.path, r.content.Size); refused != nil {
		r.notSaved(ctx, refused)
		return
	}
	r.content.NextRange(r.content.Size) // fetch the rest with one request
}

// finishCopy completes the copy and returns its path.
func (r *reading) finishCopy(ctx context.Context) string {
	if r.copy == nil {
		return ""
	}
	path, refused := r.copy.Commit()
	r.copy = nil
	if refused != nil {
		r.notSaved(ctx, refused)
		return path
	}
	r.set.tell.saved(ctx, r.content.Size)
	return path
}

// notSaved reports the reason as a warning: the caller still gets the text.
func (r *reading) notSaved(ctx context.Context, why *copies.Refusal) {
	r.warning += "The blob was read but not saved: " + why.Text + ". "
	r.set.tell.notSaved(ctx, why)
	r.set.log.LogAttrs(ctx, slog.LevelWarn, "blob not saved",
		slog.String("user", r.user), slog.String("blob", r.path), slog.String("reason", why.Text), slog.Any("cause", why.Cause))
}
