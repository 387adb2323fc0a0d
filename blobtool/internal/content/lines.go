package content

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"unicode/utf8"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/fault"
)

// newline returns a line feed in this charset. It takes one unit.
func (c Charset) newline() []byte {
	if nl, err := c.NewEncoder().Bytes([]byte("\n")); err == nil && int64(len(nl)) == c.unit() {
		return nl
	}
	return []byte("\n")
}

// lineEnd returns the length of the first line of text, including its newline, or 0 if there is no
// newline. It skips the first bytes, which were searched before.
func lineEnd(text, newline []byte, searched int) int {
	unit := len(newline)
	for i := searched / unit * unit; ; {
		n := bytes.Index(text[i:], newline)
		switch {
		case n < 0:
			return 0
		case (i+n)%unit == 0:
			return i + n + unit
		}
		i += n + 1 // not aligned: parts of two characters
	}
}

// tailOf returns the index in data where the last n lines begin, or -1 if they begin before data.
// data is the end of the content and begins at position start. A final newline ends the last line
// and begins no new one.
func tailOf(data []byte, start, n int64, newline []byte) int {
	unit := len(newline)
	end := len(data) - (len(data)+int(start%int64(unit)))%unit
	for i := end - unit; i >= 0; i -= unit {
		if !bytes.Equal(data[i:i+unit], newline) || i+unit == end {
			continue
		}
		if n--; n == 0 {
			return i + unit
		}
	}
	return -1
}

// boundary returns the length of the longest prefix of text that splits no character.
func (c Charset) boundary(text []byte) int {
	if unit := int(c.unit()); unit > 1 {
		return len(text) / unit * unit
	}
	for back := 1; c == UTF8 && back < utf8.UTFMax; back++ {
		if i := len(text) - back; utf8.RuneStart(text[i]) {
			if !utf8.FullRune(text[i:]) {
				return i
			}
			break
		}
	}
	return len(text)
}

// Lines reads content by lines.
type Lines struct {
	r       *Reader
	cs      Charset
	newline []byte
	ascii   bool // bytes below 0x80 always mean ASCII
	decoder *Page
}

// Lines returns the lines from the reader's position.
func (r *Reader) Lines(cs Charset) *Lines {
	nl := cs.newline()
	return &Lines{r: r, cs: cs, newline: nl, ascii: len(nl) == 1 && nl[0] == '\n' && !cs.Stateful()}
}

// Next returns the next line with its newline (whole), or a piece of a line that is longer than
// the reader's buffer. At the end it returns io.EOF with what follows the last newline; on
// ErrLimit it returns what it has of the line. The piece is valid until the next call.
func (l *Lines) Next() (piece []byte, whole bool, err error) {
	in := l.r.in
	for searched := 0; ; {
		text, _ := in.Peek(in.Buffered())
		if n := lineEnd(text, l.newline, searched); n > 0 {
			return l.take(text[:n]), true, nil
		}
		searched = len(text)
		if searched == in.Size() {
			return l.take(text[:l.cs.boundary(text)]), false, nil
		}
		if _, err := in.Peek(searched + 1); errors.Is(err, io.EOF) || errors.Is(err, ErrLimit) {
			text, _ = in.Peek(searched) // the buffer may have moved
			return l.take(text), false, err
		} else if err != nil {
			return nil, false, err
		}
	}
}

func (l *Lines) take(piece []byte) []byte {
	_, _ = l.r.in.Discard(len(piece)) // can't fail: they are buffered
	l.r.pos += int64(len(piece))
	return piece
}

// Skip skips the first n lines of content. The reader must be at the beginning.
func (l *Lines) Skip(n int64) error {
	lineStart := l.r.pos
	for skipped := int64(0); skipped < n; {
		piece, whole, err := l.Next()
		switch {
		case errors.Is(err, fault.ErrTooLarge):
			var f *fault.Error
			_ = errors.As(err, &f)
			return &fault.Error{Kind: f.Kind, Text: fmt.Sprintf("Line %d is too far from the beginning: %s Line %d starts at offset %d; continue from there with offset.",
				n+1, f.Text, skipped+1, lineStart), Cause: err}
		case errors.Is(err, io.EOF):
			if l.r.pos > lineStart {
				skipped++ // a last line without a newline
			}
			if skipped == n {
				return nil
			}
			return fault.New(fault.ErrInvalidArgument, "lines begins at line %d, but the content has only %d lines", n+1, skipped)
		case err != nil:
			return err
		}
		if whole {
			skipped++
			lineStart = l.r.pos
		}
		if err := l.r.worker.Step(int64(len(piece))); err != nil {
			return err
		}
	}
	return nil
}

// Limited returns a reader of up to n lines.
func (l *Lines) Limited(n int64) *LimitedLines { return &LimitedLines{lines: l, left: n} }

// LimitedLines reads a number of lines and nothing beyond the last.
type LimitedLines struct {
	lines *Lines
	left  int64  // number of lines
	rest  []byte // rest of the current line
	err   error
}

// AtEnd reports whether all lines have been read.
func (l *LimitedLines) AtEnd() bool { return l.left == 0 && len(l.rest) == 0 }

// Read implements [io.Reader].
func (l *LimitedLines) Read(p []byte) (int, error) {
	if len(l.rest) == 0 {
		if l.left == 0 {
			return 0, io.EOF
		}
		if l.err != nil {
			return 0, l.err
		}
		var whole bool
		if l.rest, whole, l.err = l.lines.Next(); whole {
			l.left--
		}
		if err := l.lines.r.worker.Step(int64(len(l.rest))); err != nil {
			return 0, err
		}
		if len(l.rest) == 0 {
			return 0, l.err
		}
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

// Decode returns a line as UTF-8 with U+FFFD for what can't be decoded. A line whose charset is
// UTF-8 is returned as it is. The result is valid until the next call.
func (l *Lines) Decode(line []byte) ([]byte, error) {
	if l.cs == UTF8 || l.ascii && isASCII(line) {
		return line, nil
	}
	if l.decoder == nil {
		l.decoder = NewPage(l.cs, math.MaxInt)
	}
	l.decoder.reset()
	err := l.decoder.DecodeAll(l.r.worker, line)
	return l.decoder.Text, err
}

func isASCII(text []byte) bool {
	for _, b := range text {
		if b >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// EncodedLen returns the length in the blob of the beginning of a decoded line, or 0 if it can't
// be determined. The caller then uses the beginning of the line.
func (l *Lines) EncodedLen(text []byte) int64 {
	switch {
	case l.cs == UTF8:
		return int64(len(text))
	case l.cs.Stateful():
		return 0
	case l.cs.unit() > 1:
		n := 0
		for _, r := range string(text) {
			n++
			if r > 0xFFFF { // a surrogate pair
				n++
			}
		}
		return l.cs.unit() * int64(n)
	}
	encoded, err := l.cs.NewEncoder().Bytes(text)
	if err != nil {
		return 0
	}
	return int64(len(encoded))
}
