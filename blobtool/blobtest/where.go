package blobtest

import (
	"fmt"
	"regexp"
	"strings"
)

// A condition compares the value of one tag, or the container's name (@container), with a constant
// string.
type condition struct {
	key, operator, value string
}

// A where is an expression of Find Blobs by Tags: conditions that must all be true.
type where []condition

// Tokens of an expression: a key in double quotes, or without quotes if it is an identifier; an
// operator; a value in single quotes.
var (
	whereKey      = regexp.MustCompile(`^\s*(?:"([a-zA-Z0-9 +\-.:=_/]{1,128})"|([a-zA-Z_][a-zA-Z0-9_]*|@container))`)
	whereOperator = regexp.MustCompile(`^\s*(>=|<=|<>|=|>|<)`)
	whereValue    = regexp.MustCompile(`^\s*'([a-zA-Z0-9 +\-.:=_/$]{0,256})'`)
	whereAnd      = regexp.MustCompile(`^\s+(?i:and)(?:\s|$|")`)
)

// parseWhere parses an expression in the grammar of Find Blobs by Tags (REST reference, Remarks):
// comparisons joined by AND. A key has one comparison, or two that form a range; @container
// supports only =. OR, NOT and <> exist only in x-ms-if-tags.
func parseWhere(text string) (where, error) {
	var w where
	for rest := text; ; {
		c, after, err := parseCondition(rest)
		if err != nil {
			return nil, err
		}
		if c.operator == "<>" {
			return nil, fmt.Errorf("<> can't be used to find blobs")
		}
		if w.contradicts(c) {
			return nil, fmt.Errorf("can't have multiple conditions for %q unless they define a range", c.key)
		}
		w = append(w, c)
		if strings.TrimSpace(after) == "" {
			return w, nil
		}
		and := whereAnd.FindString(after)
		if and == "" {
			return nil, fmt.Errorf("AND expected before %.20q", after)
		}
		rest = strings.TrimLeft(after, " \t\r\n")[len("and"):]
	}
}

func parseCondition(text string) (c condition, rest string, err error) {
	m := whereKey.FindStringSubmatch(text)
	if m == nil {
		return c, "", fmt.Errorf("a tag's key expected at %.20q", text)
	}
	c.key, rest = m[1]+m[2], text[len(m[0]):]
	if m = whereOperator.FindStringSubmatch(rest); m == nil {
		return c, "", fmt.Errorf("an operator expected at %.20q", rest)
	}
	c.operator, rest = m[1], rest[len(m[0]):]
	if m = whereValue.FindStringSubmatch(rest); m == nil {
		return c, "", fmt.Errorf("a value in single quotes expected at %.20q", rest)
	}
	c.value, rest = m[1], rest[len(m[0]):]
	if c.key == "@container" && c.operator != "=" {
		return c, "", fmt.Errorf("@container can be compared by = only")
	}
	return c, rest, nil
}

// contradicts reports whether the expression has a condition for the same key that forms no range
// with c.
func (w where) contradicts(c condition) bool {
	for _, d := range w {
		if d.key == c.key && (d.operator[0] == c.operator[0] || d.operator == "=" || c.operator == "=") {
			return true
		}
	}
	return false
}

// matches reports whether a blob with the tags satisfies the expression.
func (w where) matches(container string, tags map[string]string) bool {
	for _, c := range w {
		value, ok := tags[c.key]
		if c.key == "@container" {
			value, ok = container, true
		}
		if !ok || !c.holds(value) {
			return false
		}
	}
	return true
}

func (c condition) holds(value string) bool {
	switch c.operator {
	case "=":
		return value == c.value
	case "<>":
		return value != c.value
	case ">":
		return value > c.value
	case ">=":
		return value >= c.value
	case "<":
		return value < c.value
	default:
		return value <= c.value
	}
}

// shown returns the tags in the expression. The response has no others.
func (w where) shown(tags map[string]string) map[string]string {
	out := map[string]string{}
	for _, c := range w {
		if v, ok := tags[c.key]; ok {
			out[c.key] = v
		}
	}
	return out
}

// A predicate is the value of x-ms-if-tags: comparisons joined by AND and OR, grouped by
// parentheses (REST reference, "Specifying conditional headers", Tags predicate syntax).
type predicate func(tags map[string]string) bool

// maxLogical is the maximum number of ANDs and ORs in a predicate.
const maxLogical = 10

var (
	predicateJoin = regexp.MustCompile(`^\s+(?i:(and|or))(?:\s|$|"|\()`)
	predicateOpen = regexp.MustCompile(`^\s*\(`)
	predicateEnd  = regexp.MustCompile(`^\s*\)`)
)

// parsePredicate parses the value of x-ms-if-tags. If the blob does not have a tag, every
// comparison with it is false, including <>, like NULL in SQL.
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

// either parses terms joined by OR, which binds less tightly than AND.
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

// join consumes the keyword if it is next.
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
