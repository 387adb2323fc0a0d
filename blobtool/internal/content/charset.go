package content

import (
	"bytes"
	"mime"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"
	textunicode "golang.org/x/text/encoding/unicode"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/fault"
)

// A Charset is a character encoding and its name in lower case, with which FindCharset finds it
// again.
type Charset struct {
	Name string
	encoding.Encoding
}

// UTF8 is the default charset of content.
var UTF8 = Charset{"utf-8", textunicode.UTF8}

var (
	utf16BECharset = Charset{"utf-16be", textunicode.UTF16(textunicode.BigEndian, textunicode.IgnoreBOM)}
	utf16LECharset = Charset{"utf-16le", textunicode.UTF16(textunicode.LittleEndian, textunicode.IgnoreBOM)}
	utf16Charset   = Charset{"utf-16", textunicode.UTF16(textunicode.BigEndian, textunicode.UseBOM)}
)

// FindCharset returns the charset with the given name.
func FindCharset(name string) (Charset, error) {
	enc, err := findEncoding(name)
	if err != nil {
		return Charset{}, err
	}
	for _, known := range []Charset{UTF8, utf16BECharset, utf16LECharset, utf16Charset} {
		if enc == known.Encoding { // whatever name was given
			return known, nil
		}
	}
	return Charset{strings.ToLower(name), enc}, nil
}

// NeedsMark reports whether the byte order mark determines the charset.
func (c Charset) NeedsMark() bool { return c == utf16Charset }

// Resolve is [Charset.Resolve] with the content's first bytes.
func (r *Reader) Resolve(cs Charset) Charset { return cs.Resolve(r.head) }

// Resolve determines the byte order of utf-16 from the first bytes. Without a mark it is
// big-endian (RFC 2781, section 4.3).
func (c Charset) Resolve(head []byte) Charset {
	switch {
	case !c.NeedsMark():
		return c
	case bytes.HasPrefix(head, []byte{0xFF, 0xFE}):
		return utf16LECharset
	}
	return utf16BECharset
}

// Marked returns the charset of the byte order mark at the beginning of the content.
func Marked(head []byte) (cs Charset, marked bool) {
	switch {
	case bytes.HasPrefix(head, []byte{0xEF, 0xBB, 0xBF}):
		return UTF8, true
	case bytes.HasPrefix(head, []byte{0xFE, 0xFF}):
		return utf16BECharset, true
	case bytes.HasPrefix(head, []byte{0xFF, 0xFE}):
		return utf16LECharset, true
	}
	return Charset{}, false
}

// SkipMark skips the byte order mark at the beginning and returns its length.
func (r *Reader) SkipMark() (int64, error) {
	head, err := r.Peek(3)
	for _, mark := range []string{"\xEF\xBB\xBF", "\xFF\xFE", "\xFE\xFF"} {
		if err == nil && bytes.HasPrefix(head, []byte(mark)) {
			return int64(len(mark)), r.Discard(int64(len(mark)))
		}
	}
	return 0, err
}

// MarkedUTF32 reports whether content begins with a UTF-32 byte order mark. The little-endian one
// begins like that of UTF-16.
func MarkedUTF32(head []byte) bool {
	return bytes.HasPrefix(head, []byte{0xFF, 0xFE, 0, 0}) || bytes.HasPrefix(head, []byte{0, 0, 0xFE, 0xFF})
}

// findEncoding returns the encoding with an IANA name or, if IANA has no such name, with a name
// that web pages use (utf8, sjis).
func findEncoding(name string) (encoding.Encoding, error) {
	if enc, err := ianaindex.IANA.Encoding(name); err == nil && enc != nil {
		return enc, nil
	}
	enc, err := htmlindex.Get(name)
	if err != nil || enc == nil || enc == encoding.Replacement {
		return nil, fault.New(fault.ErrInvalidArgument, "unknown encoding %s; use an IANA name such as utf-8, utf-16, shift_jis, euc-jp, iso-2022-jp, gb18030, big5, euc-kr, windows-1252 or iso-8859-1", fault.Quote(name))
	}
	return enc, nil
}

// BytesPerChar returns the usual maximum length of a character. It sizes requests: if it is too
// small, the reader sends one more request.
func (c Charset) BytesPerChar() int64 {
	if _, ok := c.Encoding.(*charmap.Charmap); ok {
		return 1
	}
	return 4
}

// Charset is CharsetOf for the reader's content.
func (r *Reader) Charset() Charset { return CharsetOf(r.head, r.ContentType, r.Encoding) }

// CharsetOf returns the charset of the content's byte order mark, or else of its Content-Type, or
// else of its Content-Encoding, or else UTF-8.
func CharsetOf(head []byte, contentType, contentEncoding string) Charset {
	if cs, marked := Marked(head); marked {
		return cs
	}
	declared := charsetIn(contentEncoding)
	if _, params, err := mime.ParseMediaType(contentType); err == nil && params["charset"] != "" {
		declared = params["charset"]
	}
	if cs, err := FindCharset(declared); declared != "" && err == nil {
		return cs.Resolve(head)
	}
	return UTF8
}

// Stateful reports whether the meaning of a byte depends on everything before it.
func (c Charset) Stateful() bool {
	return c.Encoding == japanese.ISO2022JP || c.Encoding == simplifiedchinese.HZGB2312
}

// unit returns the minimum length of a character. Every character begins at a multiple of it.
func (c Charset) unit() int64 {
	if c == utf16BECharset || c == utf16LECharset {
		return 2
	}
	return 1
}

// Lookback returns how many bytes before an offset are needed to know whether a character begins
// there.
func (c Charset) Lookback(offset int64) int64 {
	_, single := c.Encoding.(*charmap.Charmap)
	switch {
	case single:
		return 0
	case c.Stateful():
		return min(offset, LeastRange)
	case c.unit() == 2:
		return min(offset, 2+offset%2)
	case c == UTF8:
		return min(offset, utf8.UTFMax-1)
	}
	return min(offset, 1024)
}

// syncPoint returns an index in window, the Lookback bytes before an offset, where a character
// begins. Decoding from there shows which character the offset is in.
func (c Charset) syncPoint(window []byte, atStart bool) int {
	switch {
	case atStart || len(window) == 0:
		return 0
	case c.Stateful():
		return max(0, c.resync(window))
	case c.unit() == 2:
		high := window[0]
		if c == utf16LECharset && len(window) > 1 {
			high = window[1]
		}
		if high >= 0xDC && high <= 0xDF { // the second half of a surrogate pair
			return min(2, len(window))
		}
		return 0
	case c == UTF8:
		for i, b := range window {
			if utf8.RuneStart(b) {
				return i
			}
		}
		return len(window)
	}
	// In all other multi-byte encodings, no byte below the digits is part of a longer character.
	// If there is no such byte, use the offset as it is.
	for i, b := range slices.Backward(window) {
		if b < '0' {
			return i + 1
		}
	}
	return len(window)
}

// resync returns the last index in window at which the meaning of bytes in a Stateful charset is
// known: at an escape sequence, or at the beginning of a line, because lines end in ASCII (RFC
// 1468, RFC 1843). It returns -1 if there is none. The window may begin anywhere.
func (c Charset) resync(window []byte) int {
	for i, b := range slices.Backward(window) {
		switch {
		case b == '\n':
			return i + 1
		case c.Encoding == japanese.ISO2022JP:
			if b == 0x1B {
				return i
			}
		case (b == '{' || b == '}') && i >= 2 && window[i-1] == '~' && window[i-2] != '~':
			return i - 1
		}
	}
	return -1
}
