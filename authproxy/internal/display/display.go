// Package display makes text that strangers chose, such as a client's name, safe to show to people:
// on pages, in logs, and in answers.
package display

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxName bounds a name, in characters.
const MaxName = 100

// Name returns a name that a stranger chose so that it can be shown: [Text] of at most [MaxName]
// characters.
func Name(name string) string { return Text(name, MaxName) }

// maxMarks is how many combining marks a character may have. Languages need three at most; more of
// them grow over the lines above and below.
const maxMarks = 3

// Text returns the text on one line, without control characters, invisible ones and those that
// change the direction of text, and cut to that many characters with an ellipsis. It is "" if
// nothing is left.
func Text(text string, most int) string {
	var b strings.Builder
	count, marks, space := 0, maxMarks, false // a mark needs a character before it
	for _, r := range text {
		switch {
		case isBlank(r):
			space, marks = count > 0, maxMarks
			continue
		case !isVisible(r):
			continue
		case !unicode.Is(unicode.M, r):
			marks = 0
		case marks >= maxMarks:
			continue
		default:
			marks++
		}
		need := 1
		if space {
			need = 2
		}
		if count+need > most {
			return shorten(b.String())
		}
		if space {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
		count, space = count+need, false
	}
	return b.String()
}

// shorten replaces the last character with an ellipsis.
func shorten(text string) string {
	_, size := utf8.DecodeLastRuneInString(text)
	return strings.TrimRight(text[:len(text)-size], " ") + "…"
}

// isBlank reports whether a character shows only as space.
func isBlank(r rune) bool {
	const brailleBlank, hangulFiller, halfwidthFiller = '\u2800', '\u3164', '\uffa0'
	return unicode.IsSpace(r) || unicode.Is(unicode.Z, r) || r == brailleBlank || r == hangulFiller || r == halfwidthFiller
}

// isVisible reports whether a character shows, and by itself changes nothing else.
func isVisible(r rune) bool {
	return r != utf8.RuneError && unicode.IsPrint(r) &&
		!unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}
