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

// A Page is a piece of a text. It decodes its input until it has enough characters, and counts the
// bytes they took, so that the next page begins where this one ends and no character is split
// between the two. Bytes that can't be decoded become U+FFFD.
type Page struct {
	From  int64 // drop characters that begin earlier
	Until int64 // stop at characters that begin here or later
	Pos   int64 // position of the next byte to decode
	Begin int64 // position where the text begins
	Text  []byte

	decoder transform.Transformer
	mark    bool // a byte order mark that the decoder returns is not text
	max     int  // characters
	chars   int
	buf     [4096]byte
}

// NewPage returns a page of up to maxChars characters.
func NewPage(cs Charset, maxChars int) *Page {
	// The decoder of utf-16 drops the mark itself. What it returns is text, even another U+FEFF.
	return &Page{decoder: cs.NewDecoder().Transformer, mark: !cs.NeedsMark(), max: maxChars, Until: math.MaxInt64}
}

// NewPageAt returns a page that begins at the position.
func NewPageAt(cs Charset, maxChars int, at int64) *Page {
	p := NewPage(cs, maxChars)
	p.From, p.Pos, p.Begin = at, at, at
	return p
}

// reset empties the page. What follows is not the beginning of the content.
func (p *Page) reset() {
	p.decoder.Reset()
	p.From, p.Pos, p.Begin, p.chars, p.Text = 1, 1, 1, 0, p.Text[:0]
}

// Cut shortens the text to most characters, and reports whether it was longer.
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

// full reports whether the page accepts no more.
func (p *Page) full() bool { return p.chars >= p.max || p.Pos >= p.Until }

// Fill decodes from r until the page is full, and returns how many bytes it read beyond the page.
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

// DecodeAll decodes data, the end of the content, until the page is full.
func (p *Page) DecodeAll(w *work.Worker, data []byte) error {
	for n := BufferSize; len(data) > 0 && !p.full(); {
		piece := data[:min(n, len(data))]
		used := p.decode(piece, len(piece) == len(data))
		if used == 0 {
			n *= 2 // the character needs more bytes
		}
		data = data[used:]
		if err := w.Step(work.Decoding * int64(used)); err != nil {
			return err
		}
	}
	return nil
}

// decode decodes src and returns how many of its bytes belong to the page. The caller must pass
// the rest again, followed by more. atEnd means that nothing follows src.
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

// many decodes as many characters as surely fit: each takes at least one byte.
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

// one decodes a single character, by offering the smallest output buffer that fits it. It returns
// 0 if the character is incomplete.
func (p *Page) one(src []byte, atEnd bool) int {
	for room := 1; room <= 2*utf8.UTFMax; room++ {
		nDst, nSrc, err := p.decoder.Transform(p.buf[:room], src, atEnd)
		if nSrc > 0 {
			// If four bytes are not valid UTF-8, the buffer also has room for an ASCII character
			// after U+FFFD.
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
	// The decoders of x/text replace invalid bytes. This is for others.
	p.take(copy(p.buf[:], "\ufffd"), len(src))
	return len(src)
}

// take adds decoded text to the page, without a byte order mark.
func (p *Page) take(nDst, nSrc int) {
	keep := p.Pos >= p.From
	decoded := p.buf[:nDst]
	if p.Pos == 0 && p.mark {
		decoded = bytes.TrimPrefix(decoded, []byte("\ufeff"))
	}
	if p.Pos += int64(nSrc); !keep {
		p.Begin = p.Pos
		return
	}
	p.Text = append(p.Text, decoded...)
	p.chars += utf8.RuneCount(decoded)
}
