package blobtool

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"
)

// sniffBytes is how much of the beginning decides whether content is text.
const sniffBytes = 8000

// lineReader cuts what it reads into lines, and lines that do not fit its buffer into
// pieces.
type lineReader struct {
	r          io.Reader
	buf        []byte
	start, end int   // what is buffered
	err        error // of r
	cs         lineCharset
}

// begin settles the charset. At the beginning of the blob it also looks whether this
// is text, and returns errBinary if not, and skips a byte order mark.
func (l *lineReader) begin(declared lineCharset, at *textMark) error {
	l.cs = declared
	if at.UTF16 != "" {
		l.cs = utf16Lines(at.UTF16)
	}
	if at.Offset > 0 {
		return nil
	}
	for l.end < sniffBytes && l.err == nil {
		l.fill()
	}
	if l.err != nil && !errors.Is(l.err, io.EOF) {
		return l.err
	}
	head := l.buf[:min(l.end, sniffBytes)]
	order, mark := byteOrderMark(head)
	if order != "" {
		at.UTF16, l.cs = order, utf16Lines(order)
	}
	if l.cs.unit == 1 && bytes.IndexByte(head, 0) >= 0 || l.cs.unit == 2 && bytes.HasPrefix(head[mark:], []byte{0, 0}) {
		return errBinary // the latter is UTF-32, or none
	}
	l.start = mark
	at.Offset = int64(mark)
	return nil
}

// byteOrderMark returns the byte order of UTF-16, if there is its mark, and the
// length of any mark.
func byteOrderMark(head []byte) (utf16 string, length int) {
	switch {
	case bytes.HasPrefix(head, []byte{0xEF, 0xBB, 0xBF}):
		return "", 3
	case bytes.HasPrefix(head, []byte{0xFF, 0xFE}):
		return littleEndian, 2
	case bytes.HasPrefix(head, []byte{0xFE, 0xFF}):
		return bigEndian, 2
	}
	return "", 0
}

// next returns the next line with its newline (whole), or a piece of it. At the end it
// returns io.EOF, with what stands behind the last newline. What it returns is valid
// until the next call.
func (l *lineReader) next() (piece []byte, whole bool, err error) {
	for searched := 0; ; {
		if n := l.cs.newline(l.buf[l.start:l.end], searched); n > 0 {
			return l.take(n), true, nil
		}
		searched = l.end - l.start
		switch {
		case searched == len(l.buf):
			return l.take(l.cs.boundary(l.buf)), false, nil
		case errors.Is(l.err, io.EOF):
			return l.take(searched), false, io.EOF
		case l.err != nil:
			return nil, false, l.err
		}
		l.fill()
	}
}

func (l *lineReader) take(n int) []byte {
	piece := l.buf[l.start : l.start+n]
	l.start += n
	return piece
}

// fill reads more, once.
func (l *lineReader) fill() {
	if l.start > 0 {
		l.end = copy(l.buf, l.buf[l.start:l.end])
		l.start = 0
	}
	n, err := l.r.Read(l.buf[l.end:])
	l.end += n
	l.err = err
}

// newline returns the length of the line at the beginning of text, its newline
// included, or 0 if there is none; the first bytes were searched before.
func (c lineCharset) newline(text []byte, searched int) int {
	if c.unit == 1 {
		if i := bytes.IndexByte(text[searched:], '\n'); i >= 0 {
			return searched + i + 1
		}
		return 0
	}
	for i := searched &^ 1; i+1 < len(text); i += 2 {
		if text[i+c.low] == '\n' && text[i+1-c.low] == 0 {
			return i + 2
		}
	}
	return 0
}

// boundary returns how much of the text can be cut off without cutting a character.
func (c lineCharset) boundary(text []byte) int {
	if c.unit == 2 {
		return len(text) &^ 1
	}
	for back := 1; back < utf8.UTFMax; back++ {
		if i := len(text) - back; utf8.RuneStart(text[i]) {
			if !utf8.FullRune(text[i:]) {
				return i
			}
			break
		}
	}
	return len(text)
}
