package content

import (
	"errors"
	"mime"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// headBytes is how much content it takes to determine the type.
	headBytes = 512
	// sniffBytes is how much content it takes to determine whether it is text.
	sniffBytes = 8000
)

// IsText reports whether the content is text in the charset. It considers the declared type, the
// first bytes, and a sample at the reader's position. All tools use this rule.
func (r *Reader) IsText(cs Charset) (bool, error) {
	sample, err := r.Peek(sniffBytes)
	if err != nil && !errors.Is(err, ErrLimit) {
		return false, err
	}
	window := sample[:min(int64(len(sample)), r.back)]
	text := isText(r.declaredType(), r.head, sample[cs.syncPoint(window, r.pos == 0):], cs)
	r.opaque = !text
	return text, nil
}

// IsText is [Reader.IsText] for content in memory, from its beginning.
func IsText(stored []byte, contentType string, cs Charset) bool {
	return isText(contentType, stored[:min(len(stored), headBytes)], stored[:min(len(stored), sniffBytes)], cs)
}

func isText(declared string, head, sample []byte, cs Charset) bool {
	t := apparentType(declared, head)
	return !DeclaredMedia(declared) && !DeclaredMedia(t) && t != "application/pdf" && t != "application/zip" && cs.looksLikeText(sample)
}

// MediaType returns the content's type: the declared type, unless it is missing or the content
// shows that it is wrong.
func (r *Reader) MediaType() string {
	t := apparentType(r.declaredType(), r.head)
	if r.opaque && strings.HasPrefix(t, "text/") {
		return "application/octet-stream"
	}
	return t
}

// declaredType returns the type that the writer declared. For packed content it is the type of the
// package.
func (r *Reader) declaredType() string {
	if r.packed != nil && r.Coding() == "" {
		return ""
	}
	return r.ContentType
}

// DeclaredMedia reports whether a type means pictures, sound, and the like. Tools skip such blobs
// as not text without opening them. SVG and playlists are text, and so is TypeScript (.ts), which
// upload programs mistake for video.
func DeclaredMedia(mediaType string) bool {
	mediaType, _, _ = strings.Cut(strings.ToLower(mediaType), ";")
	major, minor, _ := strings.Cut(strings.TrimSpace(mediaType), "/")
	switch major {
	case "image", "audio", "video", "font":
		return !strings.Contains(minor, "xml") && minor != "mp2t" && !strings.HasSuffix(minor, "mpegurl")
	}
	return false
}

// IsMedia reports whether MCP has its own kind of content for the type.
func IsMedia(mediaType string) bool {
	return strings.HasPrefix(mediaType, "image/") || strings.HasPrefix(mediaType, "audio/")
}

// apparentType returns the content's type: the declared type, unless it is missing or the first
// bytes show that it is wrong.
func apparentType(contentType string, head []byte) string {
	declared, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		declared = "application/octet-stream"
	}
	sniffed, _, _ := strings.Cut(http.DetectContentType(head), ";")
	switch {
	case len(head) == 0 || sniffed == "application/octet-stream":
		return declared
	case IsMedia(sniffed):
		return sniffed // even if a picture is declared as text
	case IsMedia(declared) && sniffed == "text/plain" && declared != "image/svg+xml":
		return sniffed
	case declared == "application/octet-stream" || strings.HasPrefix(declared, "text/") && !strings.HasPrefix(sniffed, "text/"):
		return sniffed
	}
	return declared
}

// looksLikeText reports whether a sample looks like text: almost nothing undecodable, almost no
// control characters, and no NUL.
func (c Charset) looksLikeText(sample []byte) bool {
	const most = 32 // allow one odd character per most characters, and one in any case
	if c != UTF8 {
		p := NewPage(c, len(sample)+1)
		p.Text = make([]byte, 0, 2*len(sample))
		p.decode(sample, false)
		sample = p.Text
	}
	odd, chars := 0, 0
	for len(sample) > 0 && (c != UTF8 || utf8.FullRune(sample)) {
		r, size := utf8.DecodeRune(sample)
		sample = sample[size:]
		chars++
		switch {
		case r == 0:
			return false
		case r == utf8.RuneError && (size == 1 || c != UTF8), // a real U+FFFD counts as an ordinary character
			unicode.IsControl(r) && !strings.ContainsRune("\t\n\r\f\b\x1b\u0085", r):
			odd++
		}
	}
	return (odd-1)*most <= chars
}
