package blobtool

import (
	"bytes"
	"mime"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
)

// Byte orders of UTF-16.
const (
	littleEndian = "le"
	bigEndian    = "be"
)

// lineCharset is how text is written, as far as lines need it: a newline is a newline
// byte, or in UTF-16 a newline unit.
type lineCharset struct {
	unit int               // bytes of a code unit: 2 in UTF-16, else 1
	low  int               // where the low byte of a unit is
	enc  encoding.Encoding // nil for UTF-8
}

var utf8Lines = lineCharset{unit: 1}

func utf16Lines(order string) lineCharset {
	if order == bigEndian {
		return lineCharset{unit: 2, low: 1, enc: unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)}
	}
	return lineCharset{unit: 2, enc: unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)}
}

// charsetOf returns the charset that a content type declares, or UTF-8. Those of the
// Encoding Standard all have ASCII's newline, but for UTF-16.
func charsetOf(contentType string) lineCharset {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return utf8Lines
	}
	enc, err := htmlindex.Get(params["charset"])
	if err != nil || enc == encoding.Replacement {
		return utf8Lines
	}
	switch name, _ := htmlindex.Name(enc); name {
	case "utf-8":
		return utf8Lines
	case "utf-16le":
		return utf16Lines(littleEndian)
	case "utf-16be":
		return utf16Lines(bigEndian)
	}
	return lineCharset{unit: 1, enc: enc}
}

// decode returns text as UTF-8, in which what can't be decoded is U+FFFD, or as it is
// if it is to be UTF-8.
func (c lineCharset) decode(text []byte) []byte {
	if c.enc == nil || c.unit == 1 && plainASCII(text) {
		return text
	}
	decoded, err := c.enc.NewDecoder().Bytes(text)
	if err != nil { // the decoders replace what is wrong; this is for one that may not
		return bytes.ToValidUTF8(text, []byte("\ufffd"))
	}
	return decoded
}

// plainASCII reports whether no charset takes the text for anything but ASCII: an
// escape may begin ISO-2022-JP.
func plainASCII(text []byte) bool {
	for _, b := range text {
		if b >= utf8.RuneSelf || b == 0x1B {
			return false
		}
	}
	return true
}

// encodedLen returns how many bytes the beginning of a decoded line has in the blob,
// or 0, the line's beginning, where the charset can't tell.
func (c lineCharset) encodedLen(text []byte) int64 {
	switch {
	case c.enc == nil:
		return int64(len(text))
	case c.unit == 2:
		n := 0
		for len(text) > 0 {
			r, size := utf8.DecodeRune(text)
			n++
			if r > 0xFFFF {
				n++
			}
			text = text[size:]
		}
		return int64(2 * n)
	}
	encoded, err := c.enc.NewEncoder().Bytes(text)
	if err != nil {
		return 0
	}
	return int64(len(encoded))
}
