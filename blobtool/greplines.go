package blobtool

import (
	"bytes"
	"errors"
	"io"
)

// lineReader cuts what it reads into lines, and lines that do not fit its buffer into
// pieces.
type lineReader struct {
	r          io.Reader
	buf        []byte
	start, end int   // what is buffered
	err        error // of r
	cs         lineCharset
}

// begin settles the charset. At the beginning of the blob of that name it also looks
// whether this is text, and if not returns an error that says so, errBinary if there is
// no more to say; and skips a byte order mark.
func (l *lineReader) begin(name string, p *properties, at *textMark) error {
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
	if format := packing(name, p.encoding, head); format != "" {
		return failuref(ErrUnsupported, "The blob is packed with %s, so it was not searched. read_blob can unpack it.", format)
	}
	l.cs = newLineCharset(detectCharset(head, p))
	switch {
	case isText(p.contentType, head[:min(len(head), 512)], head, l.cs.charset):
	case p.coding != "":
		return failuref(ErrUnsupported, "The blob is packed (Content-Encoding %s) in a way that can't be unpacked here, so it was not searched.", quote(p.encoding))
	default:
		return errBinary
	}
	at.Charset = l.cs.name
	l.start = byteOrderMark(head)
	at.Offset = int64(l.start)
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
