package blobtool

import (
	"errors"
	"io"
	"regexp"
	"regexp/syntax"
	"unicode/utf8"
)

// expression is a regular expression (RE2) whose matching can be interrupted.
type expression struct {
	*regexp.Regexp
	size  int64 // of the program, which bounds the work for each byte
	forks int   // of the program: places where it goes on in two ways
}

// maxInstructions bounds the size of a compiled expression, and with it the time for
// compiling it and for each byte that it is matched with.
const maxInstructions = 1000

// errExpressionSize: the compiled expression would pass the bound.
var errExpressionSize = errors.New("the expression is too large")

// compile compiles an expression of up to that many instructions.
func compile(expr string, most int) (*expression, error) {
	parsed, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, err
	}
	if leastSize(parsed) > most { // compiling it would take long
		return nil, errExpressionSize
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, err
	}
	if len(program.Inst) > most {
		return nil, errExpressionSize
	}
	e := &expression{size: int64(len(program.Inst))}
	for _, inst := range program.Inst {
		if inst.Op == syntax.InstAlt || inst.Op == syntax.InstAltMatch {
			e.forks++
		}
	}
	e.Regexp, err = regexp.Compile(expr)
	return e, err
}

// leastSize returns how many instructions a parsed expression compiles to at least.
// Repetitions multiply them, by up to 1,000.
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
	}
	return n + 1
}

// match reports whether the expression matches anywhere in text.
func (e *expression) match(w *worker, text string) (bool, error) {
	if int64(len(text))*e.size <= 4*quantum {
		return e.MatchString(text), w.step(e.size * int64(len(text)+1))
	}
	found, err := e.find(w, []byte(text))
	return found != nil, err
}

// find returns where the expression first matches in text, nil if nowhere.
func (e *expression) find(w *worker, text []byte) ([]int, error) {
	if int64(len(text))*e.size <= 4*quantum {
		found := e.FindIndex(text)
		return found, w.step(e.size * int64(len(text)+1))
	}
	r := &steppedText{text: text, worker: w, size: e.size}
	found := e.FindReaderIndex(r)
	return found, r.err
}

// steppedText is a text that ends when the time is up.
type steppedText struct {
	text   []byte
	worker *worker
	size   int64 // work for each byte
	read   int64 // since the last step
	err    error
}

// ReadRune implements [io.RuneReader].
func (t *steppedText) ReadRune() (r rune, size int, err error) {
	if t.read*t.size >= quantum {
		t.err = t.worker.step(t.read * t.size)
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
