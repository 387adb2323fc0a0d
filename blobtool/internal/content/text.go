package content

import (
	"errors"
	"io"
	"unicode/utf8"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/work"
)

// firstTail is how much of a blob's end the first request fetches at most.
const firstTail = 16 << 10

// An ending is the end of content, from position start.
type ending struct {
	data  []byte
	start int64
	whole bool // begins with a line; otherwise it may begin within a character
}

// Tail returns a page with the last lines of the content. If they don't fit the page, it returns
// their last characters and reports cut.
func (r *Reader) Tail(lines int64, cs Charset, maxChars int) (p *Page, cut bool, err error) {
	e, err := r.ending(lines, cs, int64(maxChars)*cs.BytesPerChar()+1024)
	if err != nil {
		return nil, false, err
	}
	p, cut, err = e.decode(r.worker, cs, maxChars)
	return p, cut || !e.whole, err
}

// ending returns the last lines of the content or, if they are longer, roughly the last most
// bytes.
func (r *Reader) ending(lines int64, cs Charset, most int64) (ending, error) {
	newline := cs.newline()
	e, err := ending{start: r.Size}, error(nil)
	if r.packed != nil {
		e, err = r.unpackedEnding(most)
	}
	for chunk := int64(firstTail); err == nil; chunk *= 4 {
		if err := r.worker.Step(work.Decoding * int64(len(e.data))); err != nil {
			return e, err
		}
		if i := tailOf(e.data, e.start, lines, newline); i >= 0 {
			return ending{e.data[i:], e.start + int64(i), true}, nil
		}
		n := min(chunk, e.start, most-int64(len(e.data)))
		if n <= 0 || r.packed != nil {
			e.whole = e.start == 0
			return e, nil
		}
		part := make([]byte, n, n+int64(len(e.data)))
		if err = r.GoTo(e.start-n, n); err == nil {
			_, err = io.ReadFull(r, part)
		}
		e = ending{data: append(part, e.data...), start: e.start - n}
	}
	return e, err
}

// unpackedEnding reads all of the packed content and keeps the end.
func (r *Reader) unpackedEnding(most int64) (ending, error) {
	var data []byte
	buf := make([]byte, BufferSize)
	for {
		n, err := r.Read(buf)
		data = append(data, buf[:n]...)
		if over := int64(len(data)) - most; over > most || err != nil && over > 0 {
			data = append(data[:0], data[over:]...)
		}
		if errors.Is(err, io.EOF) {
			return ending{data: data, start: r.pos - int64(len(data))}, nil
		}
		if err != nil {
			return ending{}, err
		}
	}
}

// decode decodes the ending. If it has more than maxChars characters, it decodes the last ones.
func (e ending) decode(w *work.Worker, cs Charset, maxChars int) (p *Page, cut bool, err error) {
	p, err = e.page(w, cs, len(e.data)+1)
	over := p.chars - maxChars
	if over <= 0 || err != nil {
		return p, false, err
	}
	before, err := e.page(w, cs, over)
	p.Begin = before.Pos
	p.chars = maxChars
	for range over {
		_, size := utf8.DecodeRune(p.Text)
		p.Text = p.Text[size:]
	}
	return p, true, err
}

// page decodes the ending's first characters.
func (e ending) page(w *work.Worker, cs Charset, maxChars int) (*Page, error) {
	p := NewPage(cs, maxChars)
	from, back := 0, 0
	if !e.whole {
		back = min(len(e.data), int(cs.Lookback(1024)))
		from = cs.syncPoint(e.data[:back], false)
	}
	p.Pos, p.From = e.start+int64(from), e.start+int64(back)
	p.Begin = p.Pos
	return p, p.DecodeAll(w, e.data[from:])
}

// GoToText moves to the text at offset, or as far before it as needed to find where characters
// begin. It requests count bytes of the text.
func (r *Reader) GoToText(cs Charset, offset, count int64) error {
	r.back = cs.Lookback(offset)
	switch {
	case offset == 0 || r.pos != 0:
		return nil
	case cs.Stateful() && r.packed != nil: // everything is unpacked anyway
		r.back = offset
		return nil
	}
	if err := r.GoTo(offset-r.back, count+r.back); err != nil || !cs.Stateful() || r.back == offset {
		return err
	}
	window, err := r.Peek(int(r.back))
	if err == nil && cs.resync(window) < 0 { // nothing shows what the bytes mean
		r.back = offset
		return r.GoTo(0, count)
	}
	return err
}

// Piece returns length bytes of text from the offset, or all if length is 0. Call GoToText first.
func (r *Reader) Piece(cs Charset, offset, length int64, maxChars int) (*Page, error) {
	window, err := r.Peek(int(offset - r.pos))
	if err != nil {
		return nil, err
	}
	if err := r.Discard(int64(cs.syncPoint(window, r.pos == 0))); err != nil {
		return nil, err
	}
	p := NewPageAt(cs, maxChars, r.pos)
	p.From = offset
	if length > 0 {
		p.Until = offset + length
	}
	if _, err := p.Fill(r); err != nil {
		return nil, err
	}
	if more, err := r.More(p.Pos); err == nil && !more && offset > 0 && offset >= p.Pos {
		return nil, BeyondEnd(offset, p.Pos)
	}
	return p, nil
}

// OpenText is Open for text at an offset, for a blob that is known not to be packed, in a known
// charset that is not stateful.
func OpenText(w *work.Worker, source Source, name string, cs Charset, offset int64, o Options) (*Reader, error) {
	back := cs.Lookback(offset)
	o.Offset, o.Count = offset-back, o.Count+back
	r, err := Open(w, source, name, o)
	if err == nil {
		r.back = back
	}
	return r, err
}
