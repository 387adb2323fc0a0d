package blobtool

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/content"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/pattern"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/work"
)

// SetShares gives a set shares of its own.
func (s *Set) SetShares(shares *work.Shares) { s.shares = shares }

// SetRetryDelay sets how long a failed request waits before it is tried again.
func (s *Set) SetRetryDelay(d time.Duration) { s.retryDelay = d }

// SetStall sets how long a connection may bring nothing.
func (s *Set) SetStall(d time.Duration) { s.transport.stall = d }

// SetAsking sets how long users may take to answer in a session, and how often their clients hear
// of the call meanwhile.
func (s *Set) SetAsking(most, awake time.Duration) {
	s.writing.asker.time, s.writing.asker.awake = most, awake
}

// UsedStates remembers which states were used.
type UsedStates = usedStates

// Take uses a state up.
func (u *UsedStates) Take(user, state string, made, now time.Time) error {
	return u.take(user, state, made, now)
}

// Bounds of UsedStates.
const (
	MaxUsed     = maxUsed
	MaxUsedEver = maxUsedEver
)

// Overlap makes the set's searches read so many blobs at the same time.
func (s *Set) Overlap(n int) { s.overlap = n }

// Locate is the check of each call that names a blob or a container.
func (s *Set) Locate(container, blob string) error {
	_, err := s.locate(context.Background(), container, blob)
	return public(err)
}

// MayList is the check of each listing.
func (s *Set) MayList(container, prefix string) error {
	_, err := s.mayList(context.Background(), container, prefix)
	return public(err)
}

// ReadBlob is the tool read_blob with nothing around it.
func (s *Set) ReadBlob(ctx context.Context, blob string) (text string, err error) {
	out, err := s.readBlob(ctx, nil, readBlobInput{BlobPath: blob, MaxChars: defaultMaxChars})
	return out.Text, err
}

// CopyBlob is the tool read_blob_with_token with nothing around it, for a user.
func (s *Set) CopyBlob(ctx context.Context, user, blob string) (path string, err error) {
	out, err := s.read(ctx, &mcp.CallToolRequest{Extra: &mcp.RequestExtra{TokenInfo: &auth.TokenInfo{UserID: user}}}, readInput{BlobPath: blob, MaxChars: defaultMaxChars, Encoding: defaultEncoding})
	return out.LocalPath, err
}

// WriteBlob is the tool write_blob with nothing around it.
func (s *Set) WriteBlob(ctx context.Context, req *mcp.CallToolRequest, blob, text, etag string) (string, error) {
	out, err := s.writeBlob(ctx, req, writeInput{BlobPath: blob, Text: &text, IfMatch: etag})
	return out.ETag, err
}

// What write_blob takes and returns.
type (
	WriteInput  = writeInput
	WriteOutput = writeOutput
)

// Write is the tool write_blob with all of its arguments, and nothing around it.
func (s *Set) Write(ctx context.Context, req *mcp.CallToolRequest, in WriteInput) (WriteOutput, error) {
	return s.writeBlob(ctx, req, in)
}

// EditBlob is the tool edit_blob with nothing around it.
func (s *Set) EditBlob(ctx context.Context, req *mcp.CallToolRequest, blob, from, to string) error {
	_, err := s.editBlob(ctx, req, editInput{BlobPath: blob, OldText: from, NewText: to, Count: 1})
	return err
}

// DeleteBlob is the tool delete_blob with nothing around it.
func (s *Set) DeleteBlob(ctx context.Context, req *mcp.CallToolRequest, blob, etag string) error {
	_, err := s.deleteBlob(ctx, req, deleteInput{BlobPath: blob, IfMatch: etag})
	return err
}

// SavedFiles is what is known of a user's copies.
func (s *Set) SavedFiles(user string) (used, total int64, measured time.Time) {
	return s.store.Used(user)
}

// Search is the tool search_blobs with nothing around it.
func (s *Set) Search(ctx context.Context, text string) (reason, cursor string, err error) {
	out, err := s.search(ctx, nil, searchInput{Text: text, MaxResults: 1, MaxBlobs: 1, MaxBytes: leastBytes, MaxSeconds: maxSeconds})
	return out.Reason, out.NextCursor, err
}

// URITemplate is the template of the set's resources.
func (s *Set) URITemplate() string { return s.uriTemplate() }

// Arguments of the tools.
var (
	ParseLines     = parseLines
	ParseETag      = parseETag
	CheckVersionID = checkVersionID
	WhereTags      = whereTags
	ErrBinary      = errBinary
)

// What searches find, and where they go on.
type (
	TagCondition = tagCondition
	TextMatch    = textMatch
	TextMark     = textMark
	SearchPlace  = searchPlace
)

// MaxLineChars is how much of a line a match shows.
const MaxLineChars = maxLineChars

// SearchText searches a blob that arrives in chunks of that size and is of that type,
// from a mark on. allowance is how much may be read; most, how many matches.
func SearchText(expr, contentType string, blob []byte, chunk, most int, from TextMark, allowance int64) ([]TextMatch, TextMark, error) {
	e, err := pattern.ParseText(expr, false)
	if err != nil {
		return nil, from, public(err)
	}
	source := func(_ context.Context, offset, count int64, _ string) (*content.Range, error) {
		return &content.Range{
			Properties: content.Properties{ContentType: contentType}, Size: int64(len(blob)),
			Body: io.NopCloser(&chunks{bytes.NewReader(blob[offset:min(offset+count, int64(len(blob)))]), chunk}),
		}, nil
	}
	w := work.New(context.Background(), work.NewShares(1, 8<<20, work.LineSlots), "")
	in := &textInput{from: from}
	o := content.Options{Offset: from.Offset, Count: content.FirstRange, Largest: largestTextRange, Buffer: bufio.NewReaderSize(nil, content.BufferSize)}
	if in.Reader, err = content.Open(w, source, "a", o); err != nil {
		return nil, from, err
	}
	defer func() { _ = in.Close() }()
	if err := in.begin(w); err != nil {
		return nil, from, err
	}
	in.SetLimit(allowance - in.Stored())
	out := textOutcome{to: in.from}
	if err = in.grep(w, e, most, &out); errors.Is(err, io.EOF) || errors.Is(err, content.ErrLimit) {
		err = nil
	}
	return out.matches, out.to, err
}

// chunks reads a few bytes at a time.
type chunks struct {
	io.Reader
	size int
}

func (c *chunks) Read(p []byte) (int, error) { return c.Reader.Read(p[:min(len(p), c.size)]) }

// BlobURL is the URL to which requests for a blob, or a version of it, are sent.
func BlobURL(name, versionID string) (string, error) {
	in, err := container.NewClientWithNoCredential("https://account.blob.core.windows.net/docs", nil)
	if err != nil {
		return "", err
	}
	client, err := blobIn(in, names.Location{Container: "docs", Blob: name}, versionID)
	if err != nil {
		return "", err
	}
	return client.URL(), nil
}

// SetCopyLimits sets what one request copies, and the size of blocks beyond.
func (s *Set) SetCopyLimits(one, block int64) { s.writing.onePut, s.writing.copiedBlock = one, block }

// ParseDeletionIDs is the parser of listings for what azblob leaves out.
var ParseDeletionIDs = parseDeletionIDs

// CopyWithin is the tool copy_blob with nothing around it, for a user.
func (s *Set) CopyWithin(ctx context.Context, user, from, to string) error {
	req := &mcp.CallToolRequest{Extra: &mcp.RequestExtra{TokenInfo: &auth.TokenInfo{UserID: user}}}
	_, err := s.copyBlob(ctx, req, copyInput{SourcePath: from, BlobPath: to})
	return err
}
