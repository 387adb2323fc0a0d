// Package textedit replaces text in stored content and leaves every other byte as it is.
package textedit

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/content"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/fault"
)

// An Edit replaces each of Count places that have the text Old.
type Edit struct {
	Old, New string
	Count    int
	Most     int // bytes that the content may have afterwards
}

// A Result is edited content.
type Result struct {
	Content []byte
	Diff    string // what changed, of bounded size
}

// Apply edits stored content. It fails unless Old is there exactly Count times, and unless the
// content can be decoded and encoded again without a change of any byte. If all lines end with CR
// LF and Old has only LF, the edit is made with CR LF: clients often lose the CR.
func (e Edit) Apply(stored []byte, cs content.Charset) (Result, error) {
	mark, text, err := decode(stored, cs)
	if err != nil {
		return Result{}, err
	}
	e.matchLineEnds(text)
	at, err := e.find(text)
	if err != nil {
		return Result{}, err
	}
	if len(text)+len(at)*(len(e.New)-len(e.Old)) > 4*e.Most { // before it takes the memory
		return Result{}, tooLarge(e.Most)
	}
	edited := strings.ReplaceAll(text, e.Old, e.New)
	encoded, err := encode(edited, cs)
	if err != nil {
		return Result{}, err
	}
	if len(mark)+len(encoded) > e.Most {
		return Result{}, tooLarge(e.Most)
	}
	whole := append(mark, encoded...)
	if _, marked := content.Marked(whole); len(mark) == 0 && (marked || content.MarkedUTF32(whole)) {
		return Result{}, fault.New(fault.ErrInvalidArgument, "after the edit the blob would begin with a byte order mark, so readers would take it for text in another encoding; edit other text too")
	}
	return Result{Content: whole, Diff: e.diff(text, at)}, nil
}

func tooLarge(most int) error {
	return fault.New(fault.ErrTooLarge, "after the edit the blob would be larger than %d bytes, the most that this server writes in one call", most)
}

// decode splits content into its byte order mark and its text.
func decode(stored []byte, cs content.Charset) (mark []byte, text string, err error) {
	if content.MarkedUTF32(stored) {
		return nil, "", fault.New(fault.ErrUnsupported, "the blob is in UTF-32, which edits do not support")
	}
	if _, marked := content.Marked(stored); marked {
		n := 2
		if cs == content.UTF8 {
			n = 3
		}
		mark, stored = bytes.Clone(stored[:n]), stored[n:]
	}
	if cs == content.UTF8 {
		if !utf8.Valid(stored) {
			return nil, "", undecodable(cs)
		}
		return mark, string(stored), nil
	}
	decoded, err := cs.NewDecoder().Bytes(stored)
	if err != nil {
		return nil, "", undecodable(cs)
	}
	if again, err := cs.NewEncoder().Bytes(decoded); err != nil || !bytes.Equal(again, stored) {
		return nil, "", undecodable(cs)
	}
	return mark, string(decoded), nil
}

func undecodable(cs content.Charset) error {
	return fault.New(fault.ErrUnsupported, "the blob is not text in %s, or has bytes that an edit would change; if the text is in another encoding, call again with encoding", cs.Name)
}

// encode encodes text, and fails unless it decodes to the same text.
func encode(text string, cs content.Charset) ([]byte, error) {
	if cs == content.UTF8 {
		return []byte(text), nil
	}
	encoded, err := cs.NewEncoder().Bytes([]byte(text))
	if err == nil {
		var again []byte
		if again, err = cs.NewDecoder().Bytes(encoded); err == nil && string(again) == text {
			return encoded, nil
		}
	}
	return nil, fault.New(fault.ErrInvalidArgument, "new_text has characters that the blob's encoding, %s, does not have; use others", cs.Name)
}

// matchLineEnds gives Old and New the line ends of the text.
func (e *Edit) matchLineEnds(text string) {
	n := strings.Count(text, "\n")
	if n == 0 || strings.Count(text, "\r\n") != n || strings.Contains(e.Old+e.New, "\r") {
		return
	}
	e.Old, e.New = strings.ReplaceAll(e.Old, "\n", "\r\n"), strings.ReplaceAll(e.New, "\n", "\r\n")
}

// find returns where Old is.
func (e *Edit) find(text string) (at []int, err error) {
	switch {
	case e.Old == "":
		return nil, fault.New(fault.ErrInvalidArgument, "old_text is empty; give the text to replace, with enough around it to be unique")
	case e.Old == e.New:
		return nil, fault.New(fault.ErrInvalidArgument, "old_text and new_text are the same, so there is nothing to do")
	case !utf8.ValidString(e.Old + e.New):
		return nil, fault.New(fault.ErrInvalidArgument, "old_text or new_text is not valid UTF-8")
	}
	if n := strings.Count(text, e.Old); n != e.Count {
		if n == 0 {
			return nil, fault.New(fault.ErrInvalidArgument, "old_text is not in the blob; read the blob again and copy the text exactly, with its white space")
		}
		return nil, fault.New(fault.ErrInvalidArgument, "old_text is in the blob %d times, not %d; give more of the text around it, or count %d to replace all", n, e.Count, n)
	}
	for from := 0; len(at) < e.Count; {
		i := from + strings.Index(text[from:], e.Old)
		at, from = append(at, i), i+len(e.Old)
		if strings.Contains(text[i+1:min(i+2*len(e.Old)-1, len(text))], e.Old) {
			return nil, fault.New(fault.ErrInvalidArgument, "two places with old_text overlap, so it is not clear which to replace; give more of the text around it")
		}
	}
	return at, nil
}
