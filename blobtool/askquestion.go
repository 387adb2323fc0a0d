package blobtool

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/fault"
)

// What a [Question] is about.
const (
	ActionOverwrite   = "overwrite"
	ActionEdit        = "edit"
	ActionDelete      = "delete"
	ActionSetMetadata = "set_metadata"
	ActionSetTags     = "set_tags"
)

// A Question is what a call is about to destroy.
type Question struct {
	User      string // from the call's verified token
	Tool      string
	Action    string // one of the constants above, such as ActionDelete
	Container string
	Blob      string
	ETag      string // of what is destroyed, without quotes; the write happens to nothing else
	Text      string // the same in words, with what can be undone: at most 2,000 bytes of plain text

	// Agreed says that the client was asked, and answered that its user agrees. A client may
	// answer by itself. It is false if the client can't ask its user.
	Agreed bool

	source string // ETag of what replaces it, if that is a copy: a yes is good for this content
}

// hash identifies a question: what would be done, to what, in which state, in which words.
func (q *Question) hash() []byte {
	h := sha256.New()
	for _, part := range []string{q.Action, q.Container, q.Blob, q.ETag, q.Text, q.source} {
		_, _ = fmt.Fprintf(h, "%d:%s", len(part), part) // never fails
	}
	return h.Sum(nil)
}

// maxQuestion limits the text of a question, in bytes.
const maxQuestion = 2000

// plainText makes a text safe to show to a person: bounded, and without characters that hide or
// reorder others. The text may have content of blobs.
func plainText(s string) string {
	var b strings.Builder
	for _, r := range s {
		if b.Len() > maxQuestion-len("\n… (cut)")-4 {
			return b.String() + "\n… (cut)"
		}
		b.WriteRune(shown(r))
	}
	return b.String()
}

// shown returns a character as a person sees it.
func shown(r rune) rune {
	switch {
	case r == '\t':
		return ' '
	case r != '\n' && (!unicode.IsGraphic(r) || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)):
		return unicode.ReplacementChar
	}
	return r
}

const (
	// confirmInput is the key of the input request, and of the checkbox in its form.
	confirmInput = "confirm"
	// modern is the first protocol version in which a result asks for input, and in which a server
	// sends no requests.
	modern = "2026-07-28"
)

// canAsk reports whether the call's user can be asked: the client shows forms, and the protocol has
// a way to send one, which is a result from 2026-07-28 on, and a request within a session before.
func canAsk(req *mcp.CallToolRequest) bool {
	if req == nil || req.Session == nil || req.Params == nil {
		return false
	}
	c := req.ClientCapabilities()
	if c == nil || c.Elicitation == nil {
		return false
	}
	form := c.Elicitation.Form != nil || c.Elicitation.URL == nil // an empty capability is that of forms
	return form && (isModern(req.Session) || req.Session.ID() != "")
}

// isModern reports whether the request's protocol is 2026-07-28 or later.
func isModern(session *mcp.ServerSession) bool {
	p := session.InitializeParams()
	return session.ID() == "" && p != nil && p.ProtocolVersion >= modern
}

// form is the schema of the question: one checkbox.
var form = json.RawMessage(`{"type":"object","properties":{"confirm":{"type":"boolean","title":"Yes, do this","default":false}},"required":["confirm"]}`)

// elicitation returns the question as a form for the user. Its text cuts long names, whose ends may
// be all that tells one blob from another.
func (q *Question) elicitation() *mcp.ElicitParams {
	text := strings.TrimRight(q.Text, "\n")
	if whole := strconv.Quote(q.Blob); whole != quote(q.Blob) && !fault.HasSignature(q.Blob) {
		text += "\n\nThe whole name of the blob is " + strings.Map(shown, whole) + "."
	}
	return &mcp.ElicitParams{
		Mode: "form", RequestedSchema: form,
		Message: fmt.Sprintf("The tool %s asks for your confirmation.\n\n%s\n\nNothing is changed unless you tick the box and accept.", q.Tool, text),
	}
}

// said returns why a client's response is not a yes: anything but an accepted form with the box
// ticked.
func said(response any) error {
	r, _ := response.(*mcp.ElicitResult)
	if r == nil {
		return failuref(ErrNotConfirmed, "The client sent no answer from the user. Nothing was changed. Call again without requestState: the user is asked again.")
	}
	if yes, ok := r.Content[confirmInput].(bool); r.Action == "accept" && ok && yes {
		return nil
	}
	return failuref(ErrNotConfirmed, "The user was asked and did not agree. Nothing was changed. Do not try again unless the user asks for it.")
}
