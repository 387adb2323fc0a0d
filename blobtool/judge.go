package blobtool

import (
	"mime"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"
)

// sniffBytes is how much of the content decides whether it is text.
const sniffBytes = 8000

// isText is the answer of all tools to whether content is text in that charset: by the
// type that its writer has declared, and by its first bytes and a sample, which begins
// with a character.
func isText(declared string, head, sample []byte, cs charset) bool {
	if declaredMedia(declared) {
		return false
	}
	t := apparentType(declared, head)
	return !declaredMedia(t) && t != "application/pdf" && t != "application/zip" && cs.looksLikeText(sample[:min(len(sample), sniffBytes)])
}

// declaredMedia reports whether a type is of pictures, sound and the like. Such blobs
// need not be opened to know that they are not text. SVG and playlists are text, and so
// is TypeScript (.ts), which upload programs mistake for video.
func declaredMedia(mediaType string) bool {
	mediaType, _, _ = strings.Cut(strings.ToLower(mediaType), ";")
	major, minor, _ := strings.Cut(strings.TrimSpace(mediaType), "/")
	switch major {
	case "image", "audio", "video", "font":
		return !strings.Contains(minor, "xml") && minor != "mp2t" && !strings.HasSuffix(minor, "mpegurl")
	}
	return false
}

// isMedia reports whether a type has content of its own in MCP.
func isMedia(mediaType string) bool {
	return strings.HasPrefix(mediaType, "image/") || strings.HasPrefix(mediaType, "audio/")
}

// apparentType returns the type of content: the declared one, unless there is none or the
// first bytes show that it is wrong.
func apparentType(contentType string, head []byte) string {
	declared, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		declared = "application/octet-stream"
	}
	sniffed, _, _ := strings.Cut(http.DetectContentType(head), ";")
	switch {
	case len(head) == 0 || sniffed == "application/octet-stream":
		return declared
	case isMedia(sniffed):
		return sniffed // also of a picture that is called text
	case isMedia(declared) && sniffed == "text/plain" && declared != "image/svg+xml":
		return sniffed
	case declared == "application/octet-stream" || strings.HasPrefix(declared, "text/") && !strings.HasPrefix(sniffed, "text/"):
		return sniffed
	}
	return declared
}

// looksLikeText reports whether a sample of the content is text: hardly anything
// undecodable, hardly any control characters, and no NUL at all.
func (c charset) looksLikeText(sample []byte) bool {
	const most = 32 // one of that many characters may be odd, and one in any case
	if c != utf8Charset {
		p := newTextPage(c, len(sample)+1)
		p.text = make([]byte, 0, 2*len(sample))
		p.decode(sample, false)
		sample = p.text
	}
	odd, chars := 0, 0
	for len(sample) > 0 && (c != utf8Charset || utf8.FullRune(sample)) {
		r, size := utf8.DecodeRune(sample)
		sample = sample[size:]
		chars++
		switch {
		case r == 0:
			return false
		case r == utf8.RuneError && (size == 1 || c != utf8Charset), // U+FFFD itself is a character like others
			unicode.IsControl(r) && !strings.ContainsRune("\t\n\r\f\b\x1b\u0085", r):
			odd++
		}
	}
	return (odd-1)*most <= chars
}
