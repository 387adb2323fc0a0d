package resourceuri

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Pattern is a full name, a prefix with a star ("blob_*"), or everything ("*").
type Pattern struct {
	text   string
	prefix bool
	uri    bool // a final slash makes no difference
	// forms are the names or prefixes to compare with. A URI pattern has several because a URI can
	// be spelled in several ways.
	forms []string
}

// Name returns a pattern that matches only that name.
func Name(name string) Pattern { return Pattern{text: name, forms: []string{name}} }

// ParseNamePattern parses a pattern for names of tools, prompts, and the like. The error says what
// to write instead.
func ParseNamePattern(pattern string) (Pattern, error) {
	text, prefix := strings.CutSuffix(pattern, "*")
	if err := checkPattern(pattern, text, false); err != nil {
		return Pattern{}, err
	}
	return Pattern{text: pattern, prefix: prefix, forms: []string{text}}, nil
}

// ParseURIPattern parses a pattern for URIs. The error says what to write instead.
func ParseURIPattern(pattern string) (Pattern, error) {
	text, prefix := strings.CutSuffix(pattern, "*")
	err := checkPattern(pattern, text, true)
	if err == nil && pattern != "*" {
		err = checkURI(text, prefix)
	}
	if err != nil {
		return Pattern{}, err
	}
	p := Pattern{text: pattern, prefix: prefix, uri: true}
	if prefix {
		p.forms = prefixForms(text)
	} else {
		p.forms = exactForms(text)
	}
	return p, nil
}

// String returns the pattern as written.
func (p *Pattern) String() string { return p.text }

// IsPrefix reports whether the pattern ends with a star.
func (p *Pattern) IsPrefix() bool { return p.prefix }

// Matches reports whether the pattern matches any of the names. For a URI, pass its [Readings].
func (p *Pattern) Matches(names ...string) bool {
	for _, name := range names {
		for _, form := range p.forms {
			switch {
			case p.prefix && strings.HasPrefix(name, form), !p.prefix && name == form,
				!p.prefix && p.uri && strings.TrimSuffix(name, "/") == strings.TrimSuffix(form, "/"):
				return true
			}
		}
	}
	return false
}

// MatchesURI reports whether the pattern matches any reading of the URI.
func (p *Pattern) MatchesURI(uri string) bool {
	all, complete := Readings(uri)
	return !complete || p.Matches(all...)
}

// Names reports whether a URI pattern names the URI in its canonical spelling and in every reading
// of it. Use it for what a pattern allows, and MatchesURI for what a pattern restricts.
func (p *Pattern) Names(uri string) bool {
	named, canonical := p.forms[0], Canonical(uri)
	if canonical != named && (!p.prefix || !strings.HasPrefix(canonical, named)) {
		return false
	}
	all, complete := Readings(uri)
	return complete && !slices.ContainsFunc(all, func(reading string) bool { return !p.Matches(reading, Canonical(reading)) })
}

// MatchesAll reports whether the pattern matches all URIs of the template.
func (p *Pattern) MatchesAll(template string) bool {
	fixed, _, isTemplate := strings.Cut(template, "{")
	if !isTemplate {
		return p.MatchesURI(template)
	}
	return p.prefix && p.Matches(prefixForms(fixed)...)
}

// MatchesSome reports whether the pattern may match a URI of the template.
func (p *Pattern) MatchesSome(template string) bool {
	return p.MatchesAll(template) || slices.ContainsFunc(p.forms, func(form string) bool {
		return canBegin(CanonicalTemplate(template), form, p.prefix)
	})
}

// MayMatchBelow reports whether the pattern may match a URI that begins with the prefix but not
// the prefix itself.
func (p *Pattern) MayMatchBelow(prefix string) bool {
	return slices.ContainsFunc(prefixForms(prefix), func(begin string) bool {
		return slices.ContainsFunc(p.forms, func(form string) bool { return strings.HasPrefix(form, begin) })
	})
}

// canBegin reports whether a URI of the template can equal the text or, with more, begin with it.
// It understands {name} and {+path}, the expressions that resources use, and assumes that any
// other expression can be anything.
func canBegin(template, text string, more bool) bool {
	literal, rest, isTemplate := strings.Cut(template, "{")
	if more && strings.HasPrefix(literal, text) {
		return true
	}
	text, ok := strings.CutPrefix(text, literal)
	if !ok || !isTemplate {
		return ok && text == ""
	}
	variable, rest, _ := strings.Cut(rest, "}")
	if strings.IndexAny(variable, operators) == 0 {
		return variable[0] != '+' || !strings.ContainsAny(text, "?#") && (text != "" || more)
	}
	for i := range len(text) { // a variable's value has at least one byte
		if classes[text[i]]&unreserved == 0 && text[i] != '%' && text[i] != ',' {
			return false
		}
		if canBegin(rest, text[i+1:], more) {
			return true
		}
	}
	return more && text == ""
}

// checkPattern returns an error for a pattern that can't match what it seems to say. The text is
// the pattern without its final star.
func checkPattern(pattern, text string, uri bool) error {
	if pattern == "" {
		return errors.New(`the pattern is empty; "*" matches all`)
	}
	if !utf8.ValidString(pattern) {
		return errors.New("the pattern is not valid UTF-8")
	}
	for i, c := range pattern {
		inside := c == ' ' && !uri && i > 0 && i < len(text)-1
		if !inside && (unicode.IsSpace(c) || !unicode.IsPrint(c)) {
			remedy := "remove it"
			if uri {
				remedy = "remove it, or write %20 for a space in the name"
			}
			return fmt.Errorf("the pattern has the character %q at byte %d; %s", c, i, remedy)
		}
	}
	if i := strings.IndexAny(text, "*{}"); i >= 0 {
		return fmt.Errorf("the pattern has %q at byte %d; only the last character may be a star, which matches everything that follows, including slashes: write %q for all that begin with it",
			text[i], i, text[:i]+"*")
	}
	return nil
}

// checkURI checks for errors that are specific to URIs.
func checkURI(text string, prefix bool) error {
	if i := strings.IndexAny(text, "<>"); i >= 0 {
		return fmt.Errorf("the pattern has %q at byte %d, which can't be part of a URI; write %q for all that begin with it, or %s for the character itself",
			text[i], i, text[:i]+"*", escape(text[i:i+1], unreserved))
	}
	for i := range len(text) {
		if _, ok := escapedByte(text[i:]); text[i] == '%' && !ok {
			return fmt.Errorf("the pattern has a percent sign at byte %d that does not begin an escape; write %%25 for a percent sign in the name", i)
		}
	}
	u := split(text)
	switch {
	case u.scheme == "" && (!prefix || !isScheme(text)):
		return errors.New("the pattern has no scheme; write the whole URI, such as note://team/*")
	case strings.ContainsAny(text, `\`):
		return errors.New("the pattern has a backslash; write / between the parts of a path")
	case strings.ContainsAny(u.path, "[]"):
		return errors.New("the pattern has a bracket, which is not part of a URI's path; write %5B or %5D for the character itself")
	}
	return nil
}
