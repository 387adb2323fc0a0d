package blobtool

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// SetStall sets how long a connection may bring nothing.
func (s *Set) SetStall(d time.Duration) { s.transport.stall = d }

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

// Page decodes the piece of text that begins at byte from, of up to maxChars
// characters, as read_blob does: with what it looks at before.
func Page(encoding string, content []byte, from int64, maxChars, chunk int) (text string, begin, end int64, err error) {
	cs, err := findCharset(encoding)
	if err != nil {
		return "", 0, 0, err
	}
	start := from - cs.lookback(from)
	window := content[start:from]
	start += int64(cs.syncPoint(window, start == 0))
	p := newTextPage(cs, maxChars)
	p.from, p.pos, p.begin = from, start, start
	_, err = p.fill(pieces{bytes.NewReader(content[start:]), chunk})
	return string(p.text), p.begin, p.pos, err
}

// pieces reads a few bytes at a time.
type pieces struct {
	r io.Reader
	n int
}

func (c pieces) Read(p []byte) (int, error) { return c.r.Read(p[:min(len(p), c.n)]) }

// ParseLines reads a range of lines.
func ParseLines(s string) (first, last int64, err error) { return parseLines(s) }

// ParseETag reads an ETag.
func ParseETag(s string) (string, error) {
	e, err := parseETag(s)
	return string(e), err
}

// CheckVersionID checks a version id.
func CheckVersionID(id string) error { return checkVersionID(id) }

// CountLines passes over lines as far as there are any and returns how many there
// were, and Tail returns where the last n begin, -1 if there are not so many.
func CountLines(encoding string, content []byte, chunk int) int {
	cs, _ := findCharset(encoding)
	counter := newLineCounter(cs)
	lines := 0
	for len(content) > 0 {
		piece := content[:min(chunk, len(content))]
		content = content[len(piece):]
		for {
			end := counter.next(piece)
			if end < 0 {
				break
			}
			piece = piece[end:]
			lines++
		}
	}
	return lines
}

// Tail returns where the last n lines of a content begin, of which data is the end
// from start on.
func Tail(encoding string, data []byte, start, n int64) int {
	cs, _ := findCharset(encoding)
	return tailOf(data, start, n, cs)
}

// Unpack unpacks as much as it may.
func Unpack(format string, packed []byte) (content []byte, broken bool, err error) {
	u, err := newUnpacker(nil, format, bufio.NewReader(bytes.NewReader(packed)))
	if err != nil {
		return nil, false, err
	}
	defer u.close()
	content, err = io.ReadAll(u)
	return content, u.broken, err
}

// Bounds of what is unpacked.
const (
	MaxUnpacked = maxUnpacked
	MaxRatio    = maxRatio
)

// BlobURL is the URL to which requests for a blob, or a version of it, are sent.
func BlobURL(name, versionID string) (string, error) {
	in, err := container.NewClientWithNoCredential("https://account.blob.core.windows.net/docs", nil)
	if err != nil {
		return "", err
	}
	client, err := blobIn(in, location{"docs", name}, versionID)
	if err != nil {
		return "", err
	}
	return client.URL(), nil
}
