package blobtool

import (
	"context"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
)

// What a [Question] is about.
const (
	ActionOverwrite = "overwrite"
	ActionEdit      = "edit"
	ActionDelete    = "delete"
	// Metadata and tags, if that changes or removes what is there.
	ActionSetMetadata = "set_metadata"
	ActionSetTags     = "set_tags"
)

// A Question is what a call is about to destroy.
type Question struct {
	User      string // from the call's verified token
	Tool      string
	Action    string // one of the constants, such as ActionOverwrite
	Container string
	Blob      string
	ETag      string // of what is destroyed, without quotes; the write happens to nothing else
	Text      string // the same in words, with what can be undone
}

// mayDestroy returns why a call may not do what the question says. It must be asked right before
// the write.
func (s *Set) mayDestroy(ctx context.Context, req *mcp.CallToolRequest, at names.Location, q Question) error {
	q.User, q.Container, q.Blob = userID(req), at.Container, at.Blob
	if req != nil && req.Params != nil {
		q.Tool = req.Params.Name
	}
	ask := s.writing.confirm
	if ask == nil {
		switch q.Action {
		case ActionEdit, ActionSetMetadata, ActionSetTags: // they name what they replace
			return nil
		}
		return failuref(ErrNotConfirmed, "This server does not let a call %s a blob without someone's confirmation, and there is no way to ask for it here. Nothing was changed. %s",
			q.Action, instead(q.Action))
	}
	yes, err := ask(ctx, q)
	if err != nil {
		text, ok := userText(err)
		if !ok {
			text = "The confirmation failed."
		}
		return &Error{Kind: ErrNotConfirmed, text: text + " Nothing was changed.", cause: err}
	}
	if !yes {
		return failuref(ErrNotConfirmed, "The answer to this was no: %s Nothing was changed. Do not try again unless the user asks for it.", q.Text)
	}
	return nil
}

// instead says what else a model can do.
func instead(action string) string {
	if action == ActionDelete {
		return "Ask the user to delete it with another program."
	}
	return "Write to a new name, or change the text with edit_blob."
}
