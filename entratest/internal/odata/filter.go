package odata

import (
	"fmt"
	"slices"
	"strings"
)

// A Filter is a parsed $filter: comparisons with eq and startswith, lambdas with any, joined by and
// and or.
type Filter struct {
	any        []Filter // or
	all        []Filter // and
	property   string
	operation  string // eq or startswith
	collection bool   // property is a list, of which one element must match
	value      any    // string, bool or nil
}

// maxDepth limits parentheses.
const maxDepth = 20

// ParseFilter parses a $filter whose comparisons use these properties.
func ParseFilter(text string, properties []string) (Filter, error) {
	p := parser{rest: text, properties: properties}
	f, err := p.or()
	if p.space(); err == nil && p.rest != "" {
		err = fmt.Errorf("syntax error at %q", clip(p.rest))
	}
	return f, err
}

// Matches reports whether an entity, as encoding/json decodes it, meets the filter. Strings are
// compared without regard to case, as the directory does.
func (f Filter) Matches(entity map[string]any) bool {
	switch {
	case len(f.any) > 0:
		return slices.ContainsFunc(f.any, func(f Filter) bool { return f.Matches(entity) })
	case len(f.all) > 0:
		return !slices.ContainsFunc(f.all, func(f Filter) bool { return !f.Matches(entity) })
	}
	value := entity[f.property]
	if f.collection {
		list, _ := value.([]any)
		return slices.ContainsFunc(list, f.holds)
	}
	return f.holds(value)
}

func (f Filter) holds(value any) bool {
	text, isText := value.(string)
	want, wantText := f.value.(string)
	switch {
	case isText != wantText:
		return false
	case f.operation == "startswith":
		return len(text) >= len(want) && strings.EqualFold(text[:len(want)], want)
	case isText:
		return strings.EqualFold(text, want)
	}
	return value == f.value
}

type parser struct {
	rest       string
	depth      int
	properties []string
}

func (p *parser) space() { p.rest = strings.TrimLeft(p.rest, " ") }

// take reads a symbol or keyword.
func (p *parser) take(token string) bool {
	p.space()
	rest, ok := strings.CutPrefix(p.rest, token)
	if ok && isName(token) && rest != "" && isName(rest[:1]) {
		return false // the beginning of a longer name
	}
	if ok {
		p.rest = rest
	}
	return ok
}

func (p *parser) or() (Filter, error) { return p.join("or", p.and) }

func (p *parser) and() (Filter, error) { return p.join("and", p.term) }

func (p *parser) join(word string, operand func() (Filter, error)) (Filter, error) {
	first, err := operand()
	parts := []Filter{first}
	for err == nil && p.take(word) {
		first, err = operand()
		parts = append(parts, first)
	}
	switch {
	case err != nil:
		return Filter{}, err
	case len(parts) == 1:
		return parts[0], nil
	case word == "or":
		return Filter{any: parts}, nil
	}
	return Filter{all: parts}, nil
}

func (p *parser) term() (Filter, error) {
	if p.take("(") {
		if p.depth++; p.depth > maxDepth {
			return Filter{}, fmt.Errorf("more than %d parentheses", maxDepth)
		}
		f, err := p.or()
		if err == nil && !p.take(")") {
			err = fmt.Errorf("a closing parenthesis is missing at %q", clip(p.rest))
		}
		return f, err
	}
	if p.take("startswith") {
		return p.startsWith(p.property)
	}
	property, err := p.property()
	if err != nil {
		return Filter{}, err
	}
	if p.take("/any(") {
		return p.lambda(property)
	}
	return p.equals(property)
}

func (p *parser) lambda(property string) (Filter, error) {
	variable := p.name()
	if variable == "" || !p.take(":") {
		return Filter{}, fmt.Errorf("syntax error in any() at %q", clip(p.rest))
	}
	name := func() (string, error) {
		if !p.take(variable) {
			return "", fmt.Errorf("any() must compare its variable %s", variable)
		}
		return property, nil
	}
	var f Filter
	var err error
	if p.take("startswith") {
		f, err = p.startsWith(name)
	} else if _, err = name(); err == nil {
		f, err = p.equals(property)
	}
	if err == nil && !p.take(")") {
		err = fmt.Errorf("a closing parenthesis is missing at %q", clip(p.rest))
	}
	f.collection = true
	return f, err
}

func (p *parser) equals(property string) (Filter, error) {
	if !p.take("eq") {
		return Filter{}, fmt.Errorf("the operator at %q is not supported", clip(p.rest))
	}
	f := Filter{property: property, operation: "eq"}
	p.space()
	for word, value := range map[string]any{"true": true, "false": false, "null": nil} {
		if p.take(word) {
			f.value = value
			return f, nil
		}
	}
	return p.text(f)
}

func (p *parser) startsWith(name func() (string, error)) (Filter, error) {
	f := Filter{operation: "startswith"}
	var err error
	if !p.take("(") {
		return f, fmt.Errorf("syntax error at %q", clip(p.rest))
	}
	if f.property, err = name(); err != nil {
		return f, err
	}
	if !p.take(",") {
		return f, fmt.Errorf("syntax error at %q", clip(p.rest))
	}
	p.space()
	if f, err = p.text(f); err == nil && !p.take(")") {
		err = fmt.Errorf("a closing parenthesis is missing at %q", clip(p.rest))
	}
	return f, err
}

func (p *parser) text(f Filter) (Filter, error) {
	value, rest, err := literal(p.rest)
	f.value, p.rest = value, rest
	return f, err
}

// property reads the name of a property that may be filtered by.
func (p *parser) property() (string, error) {
	name := p.name()
	if !slices.Contains(p.properties, name) {
		return "", fmt.Errorf("unsupported or invalid query filter clause specified for property '%s'", clip(name))
	}
	return name, nil
}

func (p *parser) name() string {
	p.space()
	end := 0
	for end < len(p.rest) && isName(p.rest[end:end+1]) {
		end++
	}
	name := p.rest[:end]
	p.rest = p.rest[end:]
	return name
}

func isName(text string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_'
	})
}

func clip(text string) string {
	if len(text) > 60 {
		return strings.ToValidUTF8(text[:60], "") + "…"
	}
	return text
}
