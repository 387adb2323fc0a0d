package blobtool

import (
	"bytes"
	"errors"
	"io"
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
func (l *lineReader) begin(contentType string, at *textMark) error {
	if at.Offset > 0 {
		cs, err := findCharset(at.Charset)
		l.cs = newLineCharset(cs)
		return err
	}
	for l.end < sniffBytes && l.err == nil {
		l.fill()
	}
	if l.err != nil && !errors.Is(l.err, io.EOF) {
		return l.err
	}
	head := l.buf[:min(l.end, sniffBytes)]
	l.cs = newLineCharset(detectCharset(head, contentType))
	at.Charset = l.cs.name
	l.start = byteOrderMark(head)
	at.Offset = int64(l.start)
	if l.cs.unit() == 1 && bytes.IndexByte(head, 0) >= 0 || l.cs.unit() == 2 && bytes.HasPrefix(head[l.start:], []byte{0, 0}) {
		return errBinary // the latter is UTF-32, or no text at all
	}
	return nil
}

// byteOrderMark returns the length of the mark that content begins with.
func byteOrderMark(head []byte) int {
	for _, mark := range []string{"\xEF\xBB\xBF", "\xFF\xFE", "\xFE\xFF"} {
		if bytes.HasPrefix(head, []byte(mark)) {
			return len(mark)
		}
	}
	return 0
}

// next returns the next line with its newline (whole), or a piece of it. At the end it
// returns io.EOF, with what stands behind the last newline. What it returns is valid
// until the next call.
func (l *lineReader) next() (piece []byte, whole bool, err error) {
	for searched := 0; ; {
		if n := l.cs.lineEnd(l.buf[l.start:l.end], searched); n > 0 {
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
