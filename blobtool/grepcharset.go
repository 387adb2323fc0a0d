package blobtool

import (
	"bytes"
	"unicode/utf8"
)

// lineCharset is a charset as far as lines need it.
type lineCharset struct {
	charset
	newline []byte // one unit
	ascii   bool   // bytes below 0x80 are always those of ASCII
}

func newLineCharset(cs charset) lineCharset {
	nl := cs.newline()
	return lineCharset{cs, nl, string(nl) == "\n" && !cs.stateful()}
}

// lineEnd returns the length of the line at the beginning of text, its newline
// included, or 0 if there is none; the first bytes were searched before.
func (c *lineCharset) lineEnd(text []byte, searched int) int {
	unit := len(c.newline)
	for i := searched / unit * unit; ; {
		n := bytes.Index(text[i:], c.newline)
		switch {
		case n < 0:
			return 0
		case (i+n)%unit == 0:
			return i + n + unit
		}
		i += n + 1 // a byte of two characters
	}
}

// boundary returns how much of the text can be cut off without cutting a character.
func (c *lineCharset) boundary(text []byte) int {
	if unit := int(c.unit()); unit > 1 {
		return len(text) / unit * unit
	}
	for back := 1; c.charset == utf8Charset && back < utf8.UTFMax; back++ {
		if i := len(text) - back; utf8.RuneStart(text[i]) {
			if !utf8.FullRune(text[i:]) {
				return i
			}
			break
		}
	}
	return len(text)
}

// decode returns text as UTF-8, in which what can't be decoded is U+FFFD, or as it is
// if it is to be UTF-8.
func (c *lineCharset) decode(w *worker, text []byte) ([]byte, error) {
	if c.charset == utf8Charset || c.ascii && isASCII(text) {
		return text, nil
	}
	decoded, err := c.NewDecoder().Bytes(text)
	if err != nil { // the decoders replace what is wrong; this is for one that may not
		decoded = bytes.ToValidUTF8(text, []byte("\ufffd"))
	}
	return decoded, w.step(decodeWork * int64(len(text)))
}

func isASCII(text []byte) bool {
	for _, b := range text {
		if b >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// encodedLen returns how many bytes the beginning of a decoded line has in the blob, or
// 0, the line's beginning, where that can't be told.
func (c *lineCharset) encodedLen(text []byte) int64 {
	switch {
	case c.charset == utf8Charset:
		return int64(len(text))
	case c.stateful():
		return 0
	case c.unit() > 1:
		n := 0
		for _, r := range string(text) {
			n++
			if r > 0xFFFF { // a pair
				n++
			}
		}
		return c.unit() * int64(n)
	}
	encoded, err := c.NewEncoder().Bytes(text)
	if err != nil {
		return 0
	}
	return int64(len(encoded))
}
