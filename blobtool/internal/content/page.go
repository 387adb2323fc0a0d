package content

import (
	"bytes"
	"errors"
	"io"
	"math"
	"unicode/utf8"

	"golang.org/x/text/transform"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/work"
)

// Page is a piece of a text. It decodes what is given to it until it has enough
// characters, and knows how many bytes they took. So the next page begins where this one
// ends, and no character is split between the two. Bytes that can't be decoded become
// U+FFFD.
type Page struct {
	From  int64 // characters that begin before are dropped
	Until int64 // those that begin here or later are left
	Pos   int64 // of the next byte to decode
	Begin int64 // of the text
	Text  []byte

	decoder transform.Transformer
	max     int // characters
	chars   int
	buf     [4096]byte
}

// NewPage returns a page of up to maxChars characters.
func NewPage(cs Charset, maxChars int) *Page {
	return &Page{decoder: cs.NewDecoder().Transformer, max: maxChars, Until: math.MaxInt64}
}

// NewPageAt returns a page that begins at position at.
func NewPageAt(cs Charset, maxChars int, at int64) *Page {
	p := NewPage(cs, maxChars)
	p.From, p.Pos, p.Begin = at, at, at
	return p
}

// reset makes the page empty, and what follows no beginning of a content.
func (p *Page) reset() {
	p.decoder.Reset()
	p.From, p.Pos, p.Begin, p.chars, p.Text = 1, 1, 1, 0, p.Text[:0]
}

// Cut cuts the text to most characters, and reports whether it had more.
func (p *Page) Cut(most int) bool {
	if p.chars <= most {
		return false
	}
	for ; p.chars > most; p.chars-- {
		_, size := utf8.DecodeLastRune(p.Text)
		p.Text = p.Text[:len(p.Text)-size]
	}
	return true
}

// full reports whether the page takes no more.
func (p *Page) full() bool { return p.chars >= p.max || p.Pos >= p.Until }

// Fill decodes what r has until the page is full, and returns how many bytes it has
// read too many.
func (p *Page) Fill(r io.Reader) (left int, err error) {
	buf := make([]byte, 4<<10)
	for atEnd := false; !atEnd && !p.full(); {
		n, err := r.Read(buf[left:])
		left += n
		if atEnd = errors.Is(err, io.EOF); err != nil && !atEnd {
			return left, err
		}
		used := p.decode(buf[:left], atEnd)
		left = copy(buf, buf[used:left])
	}
	return left, nil
}

// DecodeAll decodes data, the end of a content, as far as the page takes it.
func (p *Page) DecodeAll(w *work.Worker, data []byte) error {
	for n := BufferSize; len(data) > 0 && !p.full(); {
		piece := data[:min(n, len(data))]
		used := p.decode(piece, len(piece) == len(data))
		if used == 0 {
			n *= 2 // a character of that length
		}
		data = data[used:]
		if err := w.Step(work.Decoding * int64(used)); err != nil {
			return err
		}
	}
	return nil
}

// decode decodes src, of which atEnd says that nothing follows, and returns how
// many bytes of it belong to the page. The rest is to be given again, with more.
func (p *Page) decode(src []byte, atEnd bool) int {
	used := 0
	for used < len(src) && !p.full() {
		n := p.many(src[used:], atEnd)
		if n == 0 {
			n = p.one(src[used:], atEnd)
		}
		if n == 0 {
			break
		}
		used += n
	}
	return used
}

// many decodes as much as is sure not to be too much: each character takes a byte
// at least.
func (p *Page) many(src []byte, atEnd bool) int {
	border, room := p.Until, min(len(p.buf), p.max-p.chars)
	if p.Pos < p.From {
		border, room = p.From, len(p.buf)
	}
	if int64(len(src)) > border-p.Pos {
		src, atEnd = src[:border-p.Pos], false
	}
	if room < 4*utf8.UTFMax {
		return 0
	}
	nDst, nSrc, _ := p.decoder.Transform(p.buf[:room], src, atEnd)
	p.take(nDst, nSrc)
	return nSrc
}

// one decodes a single character: the one that fits into the least space. It
// returns 0 if it is not complete.
func (p *Page) one(src []byte, atEnd bool) int {
	for room := 1; room <= 2*utf8.UTFMax; room++ {
		nDst, nSrc, err := p.decoder.Transform(p.buf[:room], src, atEnd)
		if nSrc > 0 {
			// Where four bytes of UTF-8 turn out to be none, an ASCII character
			// that follows still fits.
			if over := nDst - len("\ufffd"); over == 1 && bytes.HasPrefix(p.buf[:nDst], []byte("\ufffd")) {
				nDst, nSrc = nDst-over, nSrc-over
			}
			p.take(nDst, nSrc)
			return nSrc
		}
		if !errors.Is(err, transform.ErrShortDst) {
			break
		}
	}
	if !atEnd {
		return 0
	}
	// The decoders of x/text replace what is wrong, so this is for those that may
	// not.
	p.take(copy(p.buf[:], "\ufffd"), len(src))
	return len(src)
}

// take adds what has been decoded to the page, but for a byte order mark.
func (p *Page) take(nDst, nSrc int) {
	keep := p.Pos >= p.From
	decoded := p.buf[:nDst]
	if p.Pos == 0 {
		decoded = bytes.TrimPrefix(decoded, []byte("\ufeff"))
	}
	if p.Pos += int64(nSrc); !keep {
		p.Begin = p.Pos
		return
	}
	p.Text = append(p.Text, decoded...)
	p.chars += utf8.RuneCount(decoded)
}
