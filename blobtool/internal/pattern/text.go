// Package pattern implements the patterns of search_blobs: wildcards for names, and regular
// expressions for text. Both have limits on their compiled size, and matching checks the deadline.
package pattern

import (
	"errors"
	"io"
	"regexp"
	"regexp/syntax"
	"unicode/utf8"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/fault"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/work"
)

// A Text is a regular expression (RE2) for text.
type Text struct {
	*regexp.Regexp
	size  int64 // instructions; limits the work per byte
	forks int   // instructions that continue in two ways
}

// maxInstructions limits the size of a compiled expression, and so the time to compile it and to
// match each byte.
const maxInstructions = 1000

// errSize means that the compiled expression would exceed the limit.
var errSize = errors.New("the expression is too large")

// unstepped is how much work matching may do without checking the deadline.
const unstepped = 4 * work.Quantum

// ParseText compiles an expression for text.
func ParseText(expr string, ignoreCase bool) (*Text, error) {
	if !utf8.ValidString(expr) || utf8.RuneCountInString(expr) > maxPattern {
		return nil, fault.New(fault.ErrInvalidArgument, "text must be valid UTF-8 of at most %d characters", maxPattern)
	}
	if ignoreCase {
		expr = "(?i)" + expr
	}
	e, err := compile(expr, maxInstructions)
	switch {
	case errors.Is(err, errSize):
		return nil, fault.New(fault.ErrInvalidArgument, "text compiles to more than %d instructions; use smaller repetitions", maxInstructions)
	case err != nil:
		return nil, fault.New(fault.ErrInvalidArgument, "invalid regular expression in text (use RE2 syntax, which has no lookaround and no backreferences): %v", err)
	}
	return e, nil
}

// compile compiles an expression of at most most instructions.
func compile(expr string, most int) (*Text, error) {
	parsed, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, err
	}
	if leastSize(parsed) > most { // compiling it would take too long
		return nil, errSize
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, err
	}
	if len(program.Inst) > most {
		return nil, errSize
	}
	e := &Text{size: int64(len(program.Inst))}
	for _, inst := range program.Inst {
		if inst.Op == syntax.InstAlt || inst.Op == syntax.InstAltMatch {
			e.forks++
		}
	}
	e.Regexp, err = regexp.Compile(expr)
	return e, err
}

// leastSize returns the minimum number of instructions of a parsed expression. Repetitions
// multiply instructions by up to 1,000.
func leastSize(re *syntax.Regexp) int {
	n := 0
	for _, sub := range re.Sub {
		n += leastSize(sub)
	}
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune)
	case syntax.OpRepeat:
		return max(n, 1) * max(re.Min, re.Max, 1)
	case syntax.OpConcat, syntax.OpAlternate:
		return n
	default:
		return n + 1
	}
}

// Find returns the location of the first match in text, or nil.
func (e *Text) Find(w *work.Worker, text []byte) ([]int, error) {
	if int64(len(text))*e.size <= unstepped {
		found := e.FindIndex(text)
		return found, w.Step(e.size * int64(len(text)+1))
	}
	r := &steppedText{text: text, worker: w, size: e.size}
	found := e.FindReaderIndex(r)
	return found, r.err
}

// A steppedText is a text that ends at the deadline.
type steppedText struct {
	text   []byte
	worker *work.Worker
	size   int64 // work per byte
	read   int64 // bytes read since the last step
	err    error
}

// ReadRune implements [io.RuneReader].
func (t *steppedText) ReadRune() (r rune, size int, err error) {
	if t.read*t.size >= work.Quantum {
		t.err = t.worker.Step(t.read * t.size)
		t.read = 0
	}
	if t.err != nil || len(t.text) == 0 {
		return 0, 0, io.EOF
	}
	r, size = utf8.DecodeRune(t.text)
	t.text = t.text[size:]
	t.read += int64(size)
	return r, size, nil
}
