package blobtool

import (
	"bytes"
	"errors"
	"io"
	"math"
	"unicode/utf8"

	"golang.org/x/text/transform"
)

// textPage is a piece of a text: it decodes what is given to it until it has enough
// characters, and knows how many bytes they took. So the next page begins where
// this one ends, and no character is split between the two. Bytes that can't be
// decoded become U+FFFD.
type textPage struct {
	decoder transform.Transformer
	max     int   // characters
	from    int64 // those that begin before are dropped
	until   int64 // those that begin here or later are left

	pos   int64 // of the next byte to decode
	begin int64 // of the text
	text  []byte
	chars int
	buf   [4096]byte
}

func newTextPage(cs charset, maxChars int) *textPage {
	return &textPage{decoder: cs.NewDecoder().Transformer, max: maxChars, until: math.MaxInt64}
}

// full reports whether the page takes no more.
func (p *textPage) full() bool { return p.chars >= p.max || p.pos >= p.until }

// fill decodes what r has until the page is full, and returns how many bytes it has
// read too many.
func (p *textPage) fill(r io.Reader) (left int, err error) {
	buf := make([]byte, 4<<10)
	for !p.full() {
		n, err := r.Read(buf[left:])
		left += n
		if err != nil && !errors.Is(err, io.EOF) {
			return left, err
		}
		used := p.decode(buf[:left], err != nil)
		left = copy(buf, buf[used:left])
		if err != nil {
			break
		}
	}
	return left, nil
}

// decodeAll decodes data, the end of a content, as far as the page takes it.
func (p *textPage) decodeAll(w *worker, data []byte) error {
	for n := bufferSize; len(data) > 0 && !p.full(); {
		piece := data[:min(n, len(data))]
		used := p.decode(piece, len(piece) == len(data))
		if used == 0 {
			n *= 2 // a character of that length
		}
		data = data[used:]
		if err := w.step(decodeWork * int64(used)); err != nil {
			return err
		}
	}
	return nil
}

// decode decodes src, of which atEnd says that nothing follows, and returns how
// many bytes of it belong to the page. The rest is to be given again, with more.
func (p *textPage) decode(src []byte, atEnd bool) int {
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
func (p *textPage) many(src []byte, atEnd bool) int {
	border, room := p.until, min(len(p.buf), p.max-p.chars)
	if p.pos < p.from {
		border, room = p.from, len(p.buf)
	}
	if int64(len(src)) > border-p.pos {
		src, atEnd = src[:border-p.pos], false
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
func (p *textPage) one(src []byte, atEnd bool) int {
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
func (p *textPage) take(nDst, nSrc int) {
	keep := p.pos >= p.from
	decoded := p.buf[:nDst]
	if p.pos == 0 {
		decoded = bytes.TrimPrefix(decoded, []byte("\ufeff"))
	}
	if p.pos += int64(nSrc); !keep {
		p.begin = p.pos
		return
	}
	p.text = append(p.text, decoded...)
	p.chars += utf8.RuneCount(decoded)
}
