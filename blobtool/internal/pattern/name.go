package pattern

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/fault"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/work"
)

// A Name is a pattern for a blob's whole name. * and ? don't match a slash, ** does, and **/
// matches any number of folders, including none. [a-z] and [!a-z] match one character, {a,b}
// matches either, and \ quotes the next character.
type Name struct {
	expr *Text
	// Every matching name begins with Prefix.
	Prefix string
}

// Limits on patterns.
const (
	// maxPattern limits the length of patterns for names and text, in characters.
	maxPattern = 1024
	// maxForks limits the wildcards and alternatives of a name pattern. They determine the work
	// per character of a name.
	maxForks = 200
	// maxNameInstructions limits the compiled size of a name pattern. Literal text is cheap.
	maxNameInstructions = 4 * maxPattern
)

// ParseName compiles a pattern for names.
func ParseName(pattern string, ignoreCase bool) (*Name, error) {
	if !utf8.ValidString(pattern) || utf8.RuneCountInString(pattern) > maxPattern {
		return nil, fault.New(fault.ErrInvalidArgument, "name must be valid UTF-8 of at most %d characters", maxPattern)
	}
	p := patternParser{rest: pattern, begins: true}
	p.out.WriteString(`(?s`)
	if ignoreCase {
		p.out.WriteString(`i`)
	}
	p.out.WriteString(`)^(?:`)
	if wrong := p.parse(); wrong != "" {
		return nil, fault.New(fault.ErrInvalidArgument, "name %s %s; use a pattern such as **/*.csv or reports/2026-??/*.{txt,md}", fault.Quote(pattern), wrong)
	}
	p.out.WriteString(`)$`)
	expr, err := compile(p.out.String(), maxNameInstructions)
	if err == nil && expr.forks > maxForks {
		err = fmt.Errorf("it has %d wildcards and alternatives; use at most %d", expr.forks, maxForks)
	}
	if err != nil { // such as [z-a]
		return nil, fault.New(fault.ErrInvalidArgument, "invalid name pattern %s: %v", fault.Quote(pattern), err)
	}
	n := &Name{expr: expr}
	if !ignoreCase {
		n.Prefix = p.literal.String()
	}
	return n, nil
}

// Match reports whether the pattern matches the whole name.
func (n *Name) Match(w *work.Worker, name string) (bool, error) {
	if int64(len(name))*n.expr.size <= unstepped {
		return n.expr.MatchString(name), w.Step(n.expr.size * int64(len(name)+1))
	}
	found, err := n.expr.Find(w, []byte(name))
	return found != nil, err
}

// A patternParser converts a pattern to a regular expression.
type patternParser struct {
	rest    string
	out     strings.Builder
	begins  bool    // a segment begins here
	braces  []brace // that are open
	literal strings.Builder
	special bool // the literal prefix is complete
}

// A brace is an open { with its alternatives.
type brace struct {
	begins bool // a segment begins at each
	ends   bool // and after each that has ended
}

// parse returns what is wrong with the pattern, or "".
func (p *patternParser) parse() (wrong string) {
	for p.rest != "" && wrong == "" {
		switch p.rest[0] {
		case '*':
			p.star()
		case '?':
			p.put(`[^/]`, 1, false)
		case '[':
			wrong = p.class()
		case '{':
			p.braces = append(p.braces, brace{p.begins, true})
			p.put(`(?:`, 1, p.begins)
		case '}':
			wrong = p.closeBrace()
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
	if wrong == "" && len(p.braces) > 0 {
		wrong = "has a { without a }"
	}
	return wrong
}

// put writes the expression for n bytes of the pattern, after which a segment may begin.
func (p *patternParser) put(expr string, n int, begins bool) {
	p.out.WriteString(expr)
	p.rest = p.rest[n:]
	p.special, p.begins = true, begins
}

// char adds one literal character.
func (p *patternParser) char() {
	_, n := utf8.DecodeRuneInString(p.rest)
	if !p.special {
		p.literal.WriteString(p.rest[:n])
	}
	p.out.WriteString(regexp.QuoteMeta(p.rest[:n]))
	p.begins = p.rest[0] == '/'
	p.rest = p.rest[n:]
}

func (p *patternParser) star() {
	n := len(p.rest) - len(strings.TrimLeft(p.rest, "*"))
	switch {
	case n == 1:
		p.put(`[^/]*`, 1, false)
	case p.begins && strings.HasPrefix(p.rest[n:], "/"):
		p.put(`(?:.*/)?`, n+1, true)
	default:
		p.put(`.*`, n, false)
	}
}

func (p *patternParser) closeBrace() (wrong string) {
	if len(p.braces) == 0 {
		return "has a } without a {"
	}
	last := len(p.braces) - 1
	begins := p.begins && p.braces[last].ends
	p.braces = p.braces[:last]
	p.put(`)`, 1, begins)
	return ""
}

func (p *patternParser) comma() {
	if len(p.braces) == 0 {
		p.char()
		return
	}
	in := &p.braces[len(p.braces)-1]
	in.ends = in.ends && p.begins
	p.put(`|`, 1, in.begins)
}

// class writes a class [...] that never matches a slash.
func (p *patternParser) class() (wrong string) {
	body, rest, ok := strings.Cut(p.rest[1:], "]")
	body, negated := strings.CutPrefix(body, "!")
	if !ok || body == "" {
		return "has a [ without a ], or nothing between them"
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
		return "has a character class of slashes only, which matches nothing"
	}
	open := `[`
	if negated {
		open = `[^/`
	}
	p.put(open+expr.String()+`]`, len(p.rest)-len(rest), false)
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

// classChar escapes a character that could be special in a class.
func classChar(r rune) string {
	if r < utf8.RuneSelf && strings.ContainsRune(`\]^-[&~`, r) {
		return `\` + string(r)
	}
	return string(r)
}
