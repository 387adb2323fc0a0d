package blobtool

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// parseLines reads a range of lines: "10-20", "10-" or "10". last is 0 if it is
// open. Lines count from 1.
func parseLines(s string) (first, last int64, err error) {
	from, to, isRange := strings.Cut(s, "-")
	first, err = strconv.ParseInt(strings.TrimSpace(from), 10, 64)
	last = first
	if to = strings.TrimSpace(to); err == nil && isRange {
		if last = 0; to != "" {
			last, err = strconv.ParseInt(to, 10, 64)
		}
	}
	switch {
	case err != nil:
		return 0, 0, failuref(ErrInvalidArgument, `lines is %s; give the first and the last line, as in "10-20", or "10-" for all from line 10 on`, quote(s))
	case first < 1 || isRange && to != "" && last < first:
		return 0, 0, failuref(ErrInvalidArgument, "lines is %s; lines count from 1, and the last must not come before the first", quote(s))
	}
	return first, last, nil
}

// lineCounter finds the ends of lines in content that arrives in pieces.
type lineCounter struct {
	newline []byte
	half    bool // of a unit of two bytes, the first has been seen:
	first   byte
}

func newLineCounter(cs charset) *lineCounter { return &lineCounter{newline: cs.newline()} }

// next returns how many bytes of p belong to the current line, its end included, or
// -1 if it does not end in p.
func (l *lineCounter) next(p []byte) int {
	if len(l.newline) == 1 {
		if i := bytes.IndexByte(p, l.newline[0]); i >= 0 {
			return i + 1
		}
		return -1
	}
	for i, b := range p {
		if l.half = !l.half; l.half {
			l.first = b
		} else if l.first == l.newline[0] && b == l.newline[1] {
			return i + 1
		}
	}
	return -1
}

// skipLines passes over n lines of a content that is at its beginning.
func (c *content) skipLines(n int64, cs charset) error {
	counter := newLineCounter(cs)
	var skipped, lineStart int64
	for skipped < n {
		next, err := c.peek(max(1, c.in.Buffered()))
		var tooLarge *Error
		if errors.As(err, &tooLarge) && errors.Is(err, ErrTooLarge) {
			return &Error{Kind: ErrTooLarge, text: fmt.Sprintf("Line %d is too far from the beginning: %s Line %d begins at offset %d; go on from there with offset.",
				n+1, tooLarge.text, skipped+1, lineStart), cause: err}
		}
		if err != nil {
			return err
		}
		if len(next) == 0 {
			if c.pos > lineStart {
				skipped++ // a last line without end
			}
			return failuref(ErrInvalidArgument, "lines begins at line %d, and the content has %d lines", n+1, skipped)
		}
		used := 0
		for used < len(next) && skipped < n {
			end := counter.next(next[used:])
			if end < 0 {
				used = len(next)
				break
			}
			used += end
			skipped++
			lineStart = c.pos + int64(used)
		}
		if err := c.discard(int64(used)); err != nil {
			return err
		}
	}
	return nil
}

// lineLimit reads no further than to the end of a line.
type lineLimit struct {
	in      io.Reader
	counter *lineCounter
	left    int64 // how many lines
}

// Read implements [io.Reader].
func (l *lineLimit) Read(p []byte) (int, error) {
	if l.left == 0 {
		return 0, io.EOF
	}
	n, err := l.in.Read(p)
	for used := 0; used < n; {
		end := l.counter.next(p[used:n])
		if end < 0 {
			break
		}
		used += end
		if l.left--; l.left == 0 {
			return used, io.EOF
		}
	}
	return n, err
}

// tailOf returns where the last n lines begin in data, the end of a content, which
// begins at position start of it; -1 if that is before data. A line feed at the
// end ends the last line and begins none.
func tailOf(data []byte, start, n int64, cs charset) int {
	unit := int(cs.unit())
	end := len(data) - (len(data)+int(start%int64(unit)))%unit
	newline := cs.newline()
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
