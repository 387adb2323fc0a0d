// Package jsonspan finds the members of a JSON object and the elements of an array without
// decoding them, to change a few values in a text that another parser reads next. It does not
// validate: invalid JSON yields some spans or none, and the next parser rejects it.
package jsonspan

import (
	"bytes"
	"encoding/json"
	"iter"
)

// A Span is a part of a text: text[Start:End].
type Span struct{ Start, End int }

// Of returns the part of the text.
func (s Span) Of(text []byte) []byte { return text[s.Start:s.End] }

// Value returns the span of the first value in text[at:].
func Value(text []byte, at int) Span {
	at = skipSpace(text, at)
	return Span{at, valueEnd(text, at)}
}

// Members yields the name and the value of each member of the object in the span, in
// order and including duplicates, and nothing if it is not an object.
func Members(text []byte, object Span) iter.Seq2[[]byte, Span] {
	return func(yield func([]byte, Span) bool) {
		text := text[:object.End]
		at := object.Start
		if at >= len(text) || text[at] != '{' {
			return
		}
		for at++; ; {
			at = skipSpace(text, at)
			if at >= len(text) || text[at] != '"' {
				return
			}
			end := stringEnd(text, at+1)
			name := Span{at, end}
			at = skipSpace(text, end)
			if at >= len(text) || text[at] != ':' {
				return
			}
			value := Value(text, at+1)
			if value.Start == value.End || !yield(decoded(name.Of(text)), value) {
				return
			}
			at = skipSpace(text, value.End)
			if at >= len(text) || text[at] != ',' {
				return
			}
			at++
		}
	}
}

// Elements yields each element of the array in the span, and nothing if it is not an
// array.
func Elements(text []byte, array Span) iter.Seq[Span] {
	return func(yield func(Span) bool) {
		text := text[:array.End]
		at := array.Start
		if at >= len(text) || text[at] != '[' {
			return
		}
		for at++; ; at++ {
			value := Value(text, at)
			if value.Start == value.End || !yield(value) {
				return
			}
			at = skipSpace(text, value.End)
			if at >= len(text) || text[at] != ',' {
				return
			}
		}
	}
}

// Count returns the number of values in the text, including members and elements, or slightly
// more.
func Count(text []byte) int {
	n := 1
	for at := 0; at < len(text); at++ {
		switch text[at] {
		case '"':
			at = stringEnd(text, at+1) - 1
		case '[', '{', ',':
			n++
		}
	}
	return n
}

// String decodes a JSON string. Anything else is "".
func String(literal []byte) string { return string(decoded(literal)) }

// decoded is String, but returns part of the literal itself if that has no escapes.
func decoded(literal []byte) []byte {
	if n := len(literal); n >= 2 && literal[0] == '"' && literal[n-1] == '"' && bytes.IndexByte(literal, '\\') < 0 {
		return literal[1 : n-1]
	}
	var s string
	_ = json.Unmarshal(literal, &s)
	return []byte(s)
}

func skipSpace(text []byte, at int) int {
	for at < len(text) && (text[at] == ' ' || text[at] == '\t' || text[at] == '\r' || text[at] == '\n') {
		at++
	}
	return at
}

// valueEnd returns the end of the value that begins at the index.
func valueEnd(text []byte, at int) int {
	depth := 0
	for at < len(text) {
		switch c := text[at]; c {
		case '"':
			at = stringEnd(text, at+1)
		case '{', '[':
			depth++
			at++
		case '}', ']':
			if depth == 0 {
				return at // the end of the enclosing value
			}
			depth--
			at++
		default:
			if depth > 0 {
				at++
				continue
			}
			return at + scalarLen(text[at:])
		}
		if depth == 0 {
			return at
		}
	}
	return len(text)
}

// scalarLen returns the length of a number, true, false or null.
func scalarLen(text []byte) int {
	for i, c := range text {
		switch c {
		case ',', ']', '}', ' ', '\t', '\r', '\n':
			return i
		}
	}
	return len(text)
}

// stringEnd returns the index after the closing quote of a string. The index at is that of the
// string's first character.
func stringEnd(text []byte, at int) int {
	quote := -1
	for at <= len(text) {
		if quote < at {
			i := bytes.IndexByte(text[at:], '"')
			if i < 0 {
				break
			}
			quote = at + i
		}
		i := bytes.IndexByte(text[at:quote], '\\')
		if i < 0 {
			return quote + 1
		}
		at += i + 2
	}
	return len(text)
}
