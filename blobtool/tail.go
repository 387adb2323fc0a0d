package blobtool

import (
	"errors"
	"io"
	"unicode/utf8"
)

// firstTail is how much of a blob's end is fetched first, if it may be that much.
const firstTail = 16 << 10

// ending is the end of a content, from position start on.
type ending struct {
	data  []byte
	start int64
	whole bool // it begins with a line; else it may begin within a character
}

// tail returns a page with the last lines of the content, or the last characters
// of these if they are more than the page may have; cut reports that.
func (c *content) tail(lines int64, cs charset, maxChars int) (p *textPage, cut bool, err error) {
	e, err := c.ending(lines, cs, int64(maxChars)*bytesPerChar(cs.Encoding)+1024)
	if err != nil {
		return nil, false, err
	}
	p, cut, err = e.decode(c.worker, cs, maxChars)
	return p, cut || !e.whole, err
}

// ending returns the last lines of the content or, if these are longer, about the
// last most bytes.
func (c *content) ending(lines int64, cs charset, most int64) (ending, error) {
	e, err := ending{start: c.size}, error(nil)
	if c.packed != nil {
		e, err = c.unpackedEnding(most)
	}
	for chunk := int64(firstTail); err == nil; chunk *= 4 {
		if err := c.worker.step(decodeWork * int64(len(e.data))); err != nil {
			return e, err
		}
		if i := tailOf(e.data, e.start, lines, cs); i >= 0 {
			return ending{e.data[i:], e.start + int64(i), true}, nil
		}
		n := min(chunk, e.start, most-int64(len(e.data)))
		if n <= 0 || c.packed != nil {
			e.whole = e.start == 0
			return e, nil
		}
		part := make([]byte, n, n+int64(len(e.data)))
		if err = c.seek(e.start-n, n); err == nil {
			_, err = io.ReadFull(c, part)
		}
		e = ending{data: append(part, e.data...), start: e.start - n}
	}
	return e, err
}

// unpackedEnding reads all of a packed content and keeps the end.
func (c *content) unpackedEnding(most int64) (ending, error) {
	var data []byte
	buf := make([]byte, bufferSize)
	for {
		n, err := c.Read(buf)
		data = append(data, buf[:n]...)
		if over := int64(len(data)) - most; over > most || err != nil && over > 0 {
			data = append(data[:0], data[over:]...)
		}
		if errors.Is(err, io.EOF) {
			return ending{data: data, start: c.pos - int64(len(data))}, nil
		}
		if err != nil {
			return ending{}, err
		}
	}
}

// decode decodes the ending or, if it has more characters than that, the last of
// them.
func (e ending) decode(w *worker, cs charset, maxChars int) (p *textPage, cut bool, err error) {
	p, err = e.page(w, cs, len(e.data)+1)
	over := p.chars - maxChars
	if over <= 0 || err != nil {
		return p, false, err
	}
	before, err := e.page(w, cs, over)
	p.begin = before.pos
	p.chars = maxChars
	for range over {
		_, size := utf8.DecodeRune(p.text)
		p.text = p.text[size:]
	}
	return p, true, err
}

// page decodes the first characters of the ending.
func (e ending) page(w *worker, cs charset, maxChars int) (*textPage, error) {
	p := newTextPage(cs, maxChars)
	from, back := 0, 0
	if !e.whole {
		back = min(len(e.data), int(cs.lookback(1024)))
		from = cs.syncPoint(e.data[:back], false)
	}
	p.pos, p.from = e.start+int64(from), e.start+int64(back)
	p.begin = p.pos
	return p, p.decodeAll(w, e.data[from:])
}
