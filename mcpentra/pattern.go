package mcpentra

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

// A rule is a policy for all names that match its pattern: a full name, a prefix with
// a star ("blob_*"), or all ("*").
type rule struct {
	pattern string // as it was written
	policy  entraauth.Policy
	prefix  bool
	uri     bool // the pattern is of URIs: a slash at their end means nothing
	// forms are what a name must equal or begin with, one of them: a resource's
	// pattern has several, for URIs can be spelled in several ways.
	forms []string
}

func newRule(k kind, pattern string, p entraauth.Policy) rule {
	text, prefix := strings.CutSuffix(pattern, "*")
	r := rule{pattern: pattern, policy: p.Clone(), prefix: prefix, uri: k == resource, forms: []string{text}}
	switch {
	case k == resource && prefix:
		r.forms = prefixForms(text)
	case k == resource:
		r.forms = exactForms(text)
	}
	return r
}

// matches reports whether the rule holds for one of the names: that of a tool or
// prompt, or the readings of a resource's URI.
func (r *rule) matches(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		return slices.ContainsFunc(r.forms, func(form string) bool {
			if r.prefix {
				return strings.HasPrefix(name, form)
			}
			return name == form || r.uri && strings.TrimSuffix(name, "/") == strings.TrimSuffix(form, "/")
		})
	})
}

// covers reports whether the rule holds for all URIs of the template.
func (r *rule) covers(template string) bool {
	fixed, _, isTemplate := strings.Cut(template, "{")
	if !isTemplate {
		all, complete := readings(template)
		return !complete || r.matches(all...)
	}
	return r.prefix && r.matches(prefixForms(fixed)...)
}

// reaches reports whether the rule can hold for some URI of the template.
func (r *rule) reaches(template string) bool {
	return r.covers(template) || slices.ContainsFunc(r.forms, func(form string) bool {
		return canBegin(canonicalTemplate(template), form, r.prefix)
	})
}

// canBegin reports whether a URI of the template can be the text or, if more may
// follow, begin with it. Of variables it knows the two kinds that resources have,
// {name} and {+path}; others can be anything.
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
	if strings.IndexAny(variable, "+#/.;?&") == 0 {
		return variable[0] != '+' || !strings.ContainsAny(text, "?#") && (text != "" || more)
	}
	for i := range len(text) { // a variable has a value: one byte at least
		if !isUnreserved(text[i]) && text[i] != '%' && text[i] != ',' {
			return false
		}
		if canBegin(rest, text[i+1:], more) {
			return true
		}
	}
	return more && text == ""
}

// checkPattern says what is wrong with a pattern that can't match what it seems to
// say, and what to write instead.
func checkPattern(k kind, pattern string) error {
	text, prefix := strings.CutSuffix(pattern, "*")
	if pattern == "" {
		return errors.New(`the pattern is empty; "*" matches all`)
	}
	if !utf8.ValidString(pattern) {
		return errors.New("the pattern is not valid UTF-8")
	}
	for i, c := range pattern {
		inside := c == ' ' && k != resource && i > 0 && i < len(text)-1
		if !inside && (unicode.IsSpace(c) || !unicode.IsPrint(c)) {
			remedy := "remove it"
			if k == resource {
				remedy = "remove it, or write %20 for a space in the name"
			}
			return fmt.Errorf("the pattern has the character %q at byte %d; %s", c, i, remedy)
		}
	}
	if i := strings.IndexAny(text, "*{}"); i >= 0 {
		return fmt.Errorf("the pattern has %q at byte %d; only the last character may be a star, which stands for any rest, slashes too: write %q for all that begin with it", text[i], i, text[:i]+"*")
	}
	if i := strings.IndexAny(text, "<>"); i >= 0 && k == resource {
		escape := strings.NewReplacer("<", "%3C", ">", "%3E").Replace(text[i : i+1])
		return fmt.Errorf("the pattern has %q at byte %d, which can't stand in a URI; write %q for all that begin with it, or %s for one of the name", text[i], i, text[:i]+"*", escape)
	}
	if k == resource && pattern != "*" {
		return checkURIPattern(text, prefix)
	}
	return nil
}

func checkURIPattern(text string, prefix bool) error {
	for i := range len(text) {
		if _, ok := escapedByte(text[i:]); text[i] == '%' && !ok {
			return fmt.Errorf("the pattern has a percent sign at byte %d that does not begin an escape; write %%25 for a percent sign in the name", i)
		}
	}
	u := splitURI(text)
	switch {
	case u.scheme == "" && (!prefix || !isScheme(text)):
		return errors.New("the pattern has no scheme; write the whole URI, such as note://team/*")
	case strings.ContainsAny(text, `\`):
		return errors.New("the pattern has a backslash; write / between the parts of a path")
	case strings.ContainsAny(u.path, "[]"):
		return errors.New("the pattern has a bracket, which is not part of a URI's path; write %5B or %5D for one of the name")
	}
	return nil
}
