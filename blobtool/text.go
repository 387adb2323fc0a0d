package blobtool

import (
	"errors"
	"io"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/transform"
)

// truncationLine ends a text that was cut.
const truncationLine = "\n...<truncated>"

// findEncoding returns the encoding of an IANA name or, where IANA has none of
// that name, of a name that web pages use (utf8, sjis).
func findEncoding(name string) (encoding.Encoding, *Error) {
	if enc, err := ianaindex.IANA.Encoding(name); err == nil && enc != nil {
		return enc, nil
	}
	enc, err := htmlindex.Get(name)
	if err != nil || enc == nil || enc == encoding.Replacement {
		return nil, failuref(ErrInvalidArgument, "encoding %s is unknown; use an IANA name such as utf-8, utf-16, shift_jis, euc-jp, iso-2022-jp, gb18030, big5, euc-kr, windows-1252 or iso-8859-1", quote(name))
	}
	return enc, nil
}

// bytesPerChar is how many bytes a character of the encoding has at most, as far
// as fetching too little at first costs one more request.
func bytesPerChar(enc encoding.Encoding) int64 {
	if _, ok := enc.(*charmap.Charmap); ok {
		return 1
	}
	return 4
}

// collector decodes what is written to it and keeps the first characters. What
// can't be decoded becomes U+FFFD. A byte order mark at the beginning is neither
// kept nor counted.
type collector struct {
	decoder *transform.Writer
	kept    keptText
	broken  bool
}

// newCollector returns a collector for up to maxChars characters.
func newCollector(enc encoding.Encoding, maxChars int) *collector {
	c := &collector{kept: keptText{max: maxChars}}
	c.decoder = transform.NewWriter(&c.kept, enc.NewDecoder())
	return c
}

// full reports whether more content would change nothing. nil is not.
func (c *collector) full() bool { return c != nil && c.kept.truncated }

// Write decodes p. Once the collector is full it does nothing. It never fails.
func (c *collector) Write(p []byte) (int, error) {
	if !c.full() && !c.broken {
		_, err := c.decoder.Write(p)
		c.after(err)
	}
	return len(p), nil
}

// after ends the decoding on an error of the decoder: what it gave up on becomes
// one U+FFFD. The decoders of x/text replace what is wrong and go on, so this is
// for those that may not.
func (c *collector) after(err error) {
	if err != nil && !errors.Is(err, errFull) {
		c.broken = true
		c.kept.add(utf8.RuneError)
	}
}

// finish decodes what is left, if this was the end of the content, and returns the
// text; truncated reports whether there was more than that.
func (c *collector) finish(atEnd bool) (text string, truncated bool) {
	if atEnd && !c.full() && !c.broken {
		c.after(c.decoder.Close())
	}
	if atEnd && !c.full() {
		return string(c.kept.text), false
	}
	return string(c.kept.text) + truncationLine, true
}

// errFull stops the decoder.
var errFull = errors.New("enough characters")

// keptText keeps the first max characters of the UTF-8 written to it.
type keptText struct {
	max       int
	count     int
	begun     bool
	truncated bool
	text      []byte
	partial   []byte // a character that is not complete yet
}

var _ io.Writer = (*keptText)(nil)

// Write implements [io.Writer]. It returns errFull as soon as there is one
// character too many.
func (k *keptText) Write(p []byte) (int, error) {
	n := len(p)
	if len(k.partial) > 0 {
		p = append(k.partial, p...)
		k.partial = nil
	}
	for len(p) > 0 {
		if !utf8.FullRune(p) {
			k.partial = append([]byte(nil), p...)
			break
		}
		r, size := utf8.DecodeRune(p)
		if !k.add(r) {
			return n, errFull
		}
		p = p[size:]
	}
	return n, nil
}

// add keeps one character, or returns false if there are max already.
func (k *keptText) add(r rune) bool {
	if !k.begun {
		k.begun = true
		if r == '\ufeff' {
			return true
		}
	}
	if k.count == k.max {
		k.truncated = true
		return false
	}
	k.count++
	k.text = utf8.AppendRune(k.text, r)
	return true
}
