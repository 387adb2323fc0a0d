package blobtool

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// namePattern is a pattern for the whole name of a blob: * and ? stop at a slash, **
// does not, and **/ is any folders or none. [a-z] and [!a-z] stand for one
// character, {a,b} for either, and \ takes the meaning from what follows.
type namePattern struct {
	expr *expression
	// prefix begins all names that match.
	prefix string
}

// Bounds of patterns.
const (
	// maxPattern is the length of those for names and text, in characters.
	maxPattern = 1024
	// maxForks is how many wildcards and alternatives one for names may have: the work
	// for each character of a name.
	maxForks = 200
	// maxNameInstructions is the size of a compiled one: literal text is cheap.
	maxNameInstructions = 4 * maxPattern
)

// parseNamePattern compiles a pattern.
func parseNamePattern(pattern string, ignoreCase bool) (*namePattern, error) {
	if !utf8.ValidString(pattern) || utf8.RuneCountInString(pattern) > maxPattern {
		return nil, failuref(ErrInvalidArgument, "name is not valid UTF-8, or has more than %d characters", maxPattern)
	}
	p := patternParser{rest: pattern}
	p.out.WriteString(`(?s`)
	if ignoreCase {
		p.out.WriteString(`i`)
	}
	p.out.WriteString(`)^(?:`)
	if fault := p.parse(); fault != "" {
		return nil, failuref(ErrInvalidArgument, "name %s %s; a pattern is like **/*.csv or reports/2026-??/*.{txt,md}", quote(pattern), fault)
	}
	p.out.WriteString(`)$`)
	expr, err := compile(p.out.String(), maxNameInstructions)
	if err == nil && expr.forks > maxForks {
		err = fmt.Errorf("it has %d wildcards and alternatives, at most %d are allowed", expr.forks, maxForks)
	}
	if err != nil { // such as [z-a]
		return nil, failuref(ErrInvalidArgument, "name %s is no pattern: %v", quote(pattern), err)
	}
	n := &namePattern{expr: expr}
	if !ignoreCase {
		n.prefix = p.literal.String()
	}
	return n, nil
}

func (n *namePattern) match(w *worker, name string) (bool, error) { return n.expr.match(w, name) }

// patternParser turns a pattern into a regular expression.
type patternParser struct {
	rest    string
	out     strings.Builder
	depth   int // of braces
	literal strings.Builder
	special bool // literal is complete
}

// parse returns what is wrong with the pattern, or nothing.
func (p *patternParser) parse() (fault string) {
	for p.rest != "" && fault == "" {
		switch p.rest[0] {
		case '*':
			p.star()
		case '?':
			p.put(`[^/]`, 1)
		case '[':
			fault = p.class()
		case '{':
			p.put(`(?:`, 1)
			p.depth++
		case '}':
			fault = p.closeBrace()
		case ',':
			p.comma()
		case '\\':
			if p.rest = p.rest[1:]; p.rest == "" {
				return `ends with \`
			}
			p.char()
		default:
			p.char()
		}
	}
	if fault == "" && p.depth > 0 {
		fault = "has a { without }"
	}
	return fault
}

// put writes what n bytes of the pattern mean.
func (p *patternParser) put(expr string, n int) {
	p.out.WriteString(expr)
	p.rest = p.rest[n:]
	p.special = true
}

// char takes one character for itself.
func (p *patternParser) char() {
	_, n := utf8.DecodeRuneInString(p.rest)
	if !p.special {
		p.literal.WriteString(p.rest[:n])
	}
	p.out.WriteString(regexp.QuoteMeta(p.rest[:n]))
	p.rest = p.rest[n:]
}

func (p *patternParser) star() {
	n := len(p.rest) - len(strings.TrimLeft(p.rest, "*"))
	begin := strings.HasSuffix(p.out.String(), "/") || strings.HasSuffix(p.out.String(), "^(?:")
	switch {
	case n == 1:
		p.put(`[^/]*`, 1)
	case begin && strings.HasPrefix(p.rest[n:], "/"):
		p.put(`(?:.*/)?`, n+1)
	default:
		p.put(`.*`, n)
	}
}

func (p *patternParser) closeBrace() (fault string) {
	if p.depth == 0 {
		return "has a } without {"
	}
	p.depth--
	p.put(`)`, 1)
	return ""
}

func (p *patternParser) comma() {
	if p.depth == 0 {
		p.char()
		return
	}
	p.put(`|`, 1)
}

// class writes [...] without the slash, which no class matches.
func (p *patternParser) class() (fault string) {
	body, rest, ok := strings.Cut(p.rest[1:], "]")
	body, negated := strings.CutPrefix(body, "!")
	if !ok || body == "" {
		return "has a [ without ], or nothing between them"
	}
	var expr strings.Builder
	runes := []rune(body)
	for i := 0; i < len(runes); i++ {
		low := runes[i]
		high := low
		if i+2 < len(runes) && runes[i+1] == '-' {
			high = runes[i+2]
			i += 2
		}
		expr.WriteString(classRange(low, high, negated))
	}
	if expr.Len() == 0 {
		return "has a class of slashes alone, which match no character of a segment"
	}
	open := `[`
	if negated {
		open = `[^/`
	}
	p.put(open+expr.String()+`]`, len(p.rest)-len(rest))
	return ""
}

// classRange writes low-high.
func classRange(low, high rune, negated bool) string {
	switch {
	case negated || high < '/' || low > '/':
		return classChar(low) + `-` + classChar(high)
	case low == '/' && high == '/':
		return ""
	case low == '/':
		return classChar(low+1) + `-` + classChar(high)
	case high == '/':
		return classChar(low) + `-` + classChar(high-1)
	}
	return classChar(low) + `-` + classChar('/'-1) + classChar('/'+1) + `-` + classChar(high)
}

// classChar escapes all that may mean something in a class.
func classChar(r rune) string {
	if r < utf8.RuneSelf && strings.ContainsRune(`\]^-[&~`, r) {
		return `\` + string(r)
	}
	return string(r)
}
