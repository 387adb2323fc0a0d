package blobtest

import (
	"fmt"
	"regexp"
	"strings"
)

// A predicate is the value of x-ms-if-tags: comparisons joined by AND and OR, grouped by
// parentheses (REST reference, "Specifying conditional headers", Tags predicate syntax).
type predicate func(tags map[string]string) bool

// maxLogical is how many ANDs and ORs a predicate may have.
const maxLogical = 10

var (
	predicateJoin = regexp.MustCompile(`^\s+(?i:(and|or))(?:\s|$|"|\()`)
	predicateOpen = regexp.MustCompile(`^\s*\(`)
	predicateEnd  = regexp.MustCompile(`^\s*\)`)
)

// parsePredicate parses the value of x-ms-if-tags. A tag that the blob does not have fails each
// comparison, <> too, as NULL does in SQL.
func parsePredicate(text string) (predicate, error) {
	p := &predicateParser{rest: text}
	result, err := p.either()
	if err == nil && strings.TrimSpace(p.rest) != "" {
		err = fmt.Errorf("AND, OR or the end expected at %.20q", p.rest)
	}
	return result, err
}

type predicateParser struct {
	rest           string
	logical, depth int
}

// either parses terms joined by OR, which binds less than AND.
func (p *predicateParser) either() (predicate, error) {
	left, err := p.both()
	for err == nil && p.join("or") {
		var right predicate
		first := left
		right, err = p.both()
		left = func(tags map[string]string) bool { return first(tags) || right(tags) }
	}
	return left, p.tooMany(err)
}

// both parses terms joined by AND.
func (p *predicateParser) both() (predicate, error) {
	left, err := p.term()
	for err == nil && p.join("and") {
		var right predicate
		first := left
		right, err = p.term()
		left = func(tags map[string]string) bool { return first(tags) && right(tags) }
	}
	return left, p.tooMany(err)
}

func (p *predicateParser) tooMany(err error) error {
	if err == nil && p.logical > maxLogical {
		return fmt.Errorf("at most %d logical operations are allowed", maxLogical)
	}
	return err
}

// join takes the keyword if it comes next.
func (p *predicateParser) join(keyword string) bool {
	m := predicateJoin.FindStringSubmatchIndex(p.rest)
	if m == nil || !strings.EqualFold(p.rest[m[2]:m[3]], keyword) {
		return false
	}
	p.rest = p.rest[m[3]:]
	p.logical++
	return true
}

// term parses a comparison, or a predicate in parentheses.
func (p *predicateParser) term() (predicate, error) {
	if open := predicateOpen.FindString(p.rest); open != "" {
		return p.group(open)
	}
	c, rest, err := parseCondition(p.rest)
	switch {
	case err != nil:
		return nil, err
	case c.key == "@container":
		return nil, fmt.Errorf("@container is no tag")
	}
	p.rest = rest
	return func(tags map[string]string) bool {
		value, ok := tags[c.key]
		return ok && c.holds(value)
	}, nil
}

func (p *predicateParser) group(open string) (predicate, error) {
	if p.depth++; p.depth > maxLogical {
		return nil, fmt.Errorf("too many parentheses")
	}
	p.rest = p.rest[len(open):]
	inner, err := p.either()
	if err != nil {
		return nil, err
	}
	end := predicateEnd.FindString(p.rest)
	if end == "" {
		return nil, fmt.Errorf("a closing parenthesis expected at %.20q", p.rest)
	}
	p.rest = p.rest[len(end):]
	p.depth--
	return inner, nil
}
