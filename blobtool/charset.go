package blobtool

import (
	"bytes"
	"mime"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"
	textunicode "golang.org/x/text/encoding/unicode"
)

// charset is a character encoding and its name, in lower case, which finds it
// again.
type charset struct {
	name string
	encoding.Encoding
}

var (
	utf8Charset    = charset{"utf-8", textunicode.UTF8}
	utf16BECharset = charset{"utf-16be", textunicode.UTF16(textunicode.BigEndian, textunicode.IgnoreBOM)}
	utf16LECharset = charset{"utf-16le", textunicode.UTF16(textunicode.LittleEndian, textunicode.IgnoreBOM)}
	utf16Charset   = charset{"utf-16", textunicode.UTF16(textunicode.BigEndian, textunicode.UseBOM)}
)

// findCharset returns the charset of that name.
func findCharset(name string) (charset, error) {
	enc, fault := findEncoding(name)
	if fault != nil {
		return charset{}, fault
	}
	for _, known := range []charset{utf8Charset, utf16BECharset, utf16LECharset, utf16Charset} {
		if enc == known.Encoding { // by whatever name
			return known, nil
		}
	}
	return charset{strings.ToLower(name), enc}, nil
}

// needsMark reports whether the byte order mark decides what the charset is.
func (c charset) needsMark() bool { return c == utf16Charset }

// resolve settles the byte order of utf-16 by the beginning of the content. Without
// a mark it is big-endian (RFC 2781, section 4.3).
func (c charset) resolve(head []byte) charset {
	switch {
	case !c.needsMark():
		return c
	case bytes.HasPrefix(head, []byte{0xFF, 0xFE}):
		return utf16LECharset
	}
	return utf16BECharset
}

// markedCharset returns the charset whose byte order mark the content begins with.
func markedCharset(head []byte) (cs charset, marked bool) {
	switch {
	case bytes.HasPrefix(head, []byte{0xEF, 0xBB, 0xBF}):
		return utf8Charset, true
	case bytes.HasPrefix(head, []byte{0xFE, 0xFF}):
		return utf16BECharset, true
	case bytes.HasPrefix(head, []byte{0xFF, 0xFE}):
		return utf16LECharset, true
	}
	return charset{}, false
}

// markedUTF32 reports whether content begins with the mark of UTF-32, of which one
// begins as that of UTF-16 does.
func markedUTF32(head []byte) bool {
	return bytes.HasPrefix(head, []byte{0xFF, 0xFE, 0, 0}) || bytes.HasPrefix(head, []byte{0, 0, 0xFE, 0xFF})
}

// detectCharset returns the charset that the content's byte order mark tells, or
// else its Content-Type, or its Content-Encoding, or else UTF-8.
func detectCharset(head []byte, p *properties) charset {
	if cs, marked := markedCharset(head); marked {
		return cs
	}
	declared := charsetIn(p.encoding)
	if _, params, err := mime.ParseMediaType(p.contentType); err == nil && params["charset"] != "" {
		declared = params["charset"]
	}
	if cs, err := findCharset(declared); declared != "" && err == nil {
		return cs.resolve(head)
	}
	return utf8Charset
}

// stateful reports whether what a byte means depends on all that came before.
func (c charset) stateful() bool {
	return c.Encoding == japanese.ISO2022JP || c.Encoding == simplifiedchinese.HZGB2312
}

// unit is how many bytes a character has at least: all begin at a multiple of it.
func (c charset) unit() int64 {
	if c == utf16BECharset || c == utf16LECharset {
		return 2
	}
	return 1
}

// newline is a line feed in this charset.
func (c charset) newline() []byte {
	if nl, err := c.NewEncoder().Bytes([]byte("\n")); err == nil && int64(len(nl)) == c.unit() {
		return nl
	}
	return []byte("\n")
}

// lookback is how many bytes before an offset must be seen to know whether a
// character begins there.
func (c charset) lookback(offset int64) int64 {
	_, single := c.Encoding.(*charmap.Charmap)
	switch {
	case single:
		return 0
	case c.stateful():
		return min(offset, leastRange)
	case c.unit() == 2:
		return min(offset, 2+offset%2)
	case c == utf8Charset:
		return min(offset, utf8.UTFMax-1)
	}
	return min(offset, 1024)
}

// syncPoint returns where in window, which is lookback bytes long, a character
// begins. Decoding from there tells which one the offset at its end is in.
func (c charset) syncPoint(window []byte, atStart bool) int {
	switch {
	case atStart || len(window) == 0:
		return 0
	case c.stateful():
		return max(0, c.resync(window))
	case c.unit() == 2:
		high := window[0]
		if c == utf16LECharset && len(window) > 1 {
			high = window[1]
		}
		if high >= 0xDC && high <= 0xDF { // the second half of a pair
			return min(2, len(window))
		}
		return 0
	case c == utf8Charset:
		for i, b := range window {
			if utf8.RuneStart(b) {
				return i
			}
		}
		return len(window)
	}
	// In all other multi-byte encodings, no byte below the digits is part of a
	// longer character. Where there is none, the offset is taken as it is.
	for i := len(window) - 1; i >= 0; i-- {
		if window[i] < '0' {
			return i + 1
		}
	}
	return len(window)
}

// resync returns where in window, which may begin anywhere, it is last known what bytes
// mean in a stateful charset: at an escape sequence, or at the beginning of a line, for
// lines end in ASCII (RFC 1468, RFC 1843). It is -1 if nothing tells.
func (c charset) resync(window []byte) int {
	for i := len(window) - 1; i >= 0; i-- {
		switch b := window[i]; {
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
