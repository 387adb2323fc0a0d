package blobtool

import (
	"context"
	"fmt"
	"io"
	"strconv"
)

// What the fuzz targets of listings and searches look into.

// NamePattern is the pattern of search_blobs for names.
type NamePattern struct{ *namePattern }

// ParseNamePattern compiles one.
func ParseNamePattern(pattern string, ignoreCase bool) (NamePattern, error) {
	p, err := parseNamePattern(pattern, ignoreCase)
	return NamePattern{p}, err
}

// Match reports whether the pattern matches all of a name.
func (p NamePattern) Match(name string) bool {
	ok, err := p.match(nil, name)
	return ok && err == nil
}

// Prefix begins all names that match.
func (p NamePattern) Prefix() string { return p.prefix }

// TagCondition is a condition of search_blobs.
type TagCondition = tagCondition

// WhereTags writes conditions as a query.
func WhereTags(c []TagCondition) (string, error) { return whereTags(c) }

// TextMatch is a line that search_blobs has found.
type TextMatch = textMatch

// TextMark is where the search of a blob goes on.
type TextMark = textMark

// SearchText searches content that arrives in chunks of that size and is of that
// type, from a mark on. allowance is how much may be read; most, how many matches.
func SearchText(expr, contentType string, content []byte, chunk, most int, from TextMark, allowance int64) ([]TextMatch, TextMark, error) {
	e, err := compileText(expr, false)
	if err != nil {
		return nil, from, err
	}
	rest := content[min(from.Offset, int64(len(content))):]
	atEnd := int64(len(rest)) <= allowance
	rest = rest[:min(allowance, int64(len(rest)))]
	t := textSearch{expr: e, most: most}
	lines := lineReader{r: &chunks{rest, chunk}, buf: make([]byte, maxLineBytes)}
	if err := lines.begin("", &properties{contentType: contentType}, &from); err != nil {
		return nil, from, err
	}
	res, err := t.search(&lines, from, atEnd)
	return res.matches, res.to, err
}

// ErrBinary: the content is no text.
var ErrBinary = errBinary

// Bounds of lines.
const (
	MaxLineBytes = maxLineBytes
	MaxLineChars = maxLineChars
)

// chunks is content that arrives bit by bit.
type chunks struct {
	rest []byte
	size int
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.size)], c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// Overlap makes the set's searches read so many blobs at the same time.
func (s *Set) Overlap(n int) { s.overlap = n }

// Place is where a walk goes on.
type Place = place

// Walk goes through names that come in pages, from a place on, and returns those that
// it sees before it stops after most of them, and where to go on. pages are those of
// each root; the marker of a page is its number.
func Walk(pages [][][]string, from Place, most int) (seen []string, next Place, done bool, err error) {
	w := newWalk(source[string]{
		roots: len(pages),
		name:  func(s string) string { return s },
		fetch: func(_ context.Context, root int, marker string, _ int) ([]string, string, error) {
			n := 0
			if marker != "" {
				if n, err = strconv.Atoi(marker); err != nil || n >= len(pages[root]) {
					return nil, "", fmt.Errorf("marker %q", marker)
				}
			}
			if n+1 == len(pages[root]) {
				return pages[root][n], "", nil
			}
			return pages[root][n], strconv.Itoa(n + 1), nil
		},
	}, from, 0)
	for len(seen) < most {
		name, ok, err := w.nextEntry(context.Background())
		if err != nil {
			return nil, place{}, false, err
		}
		if !ok {
			break
		}
		seen = append(seen, name)
	}
	return seen, w.at, w.done(), nil
}

// MaxFetches is how many pages a walk asks for.
const MaxFetches = maxFetches

// SearchPlace is where a search goes on.
type SearchPlace = searchPlace

// EncodeCursor makes a cursor of a search.
func EncodeCursor(query string, at SearchPlace) string { return encodeCursor(query, at) }

// DecodeCursor is its inverse.
func DecodeCursor(query, text string) (SearchPlace, error) {
	return decodeCursor[searchPlace](query, text)
}
