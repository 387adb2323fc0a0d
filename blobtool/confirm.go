package blobtool

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
)

// mayDestroy returns why a call may not do what the question says. A tool asks right before the
// write, after all its checks, and returns the error as it is: it may be a question to the user,
// and then the tool runs again from its beginning with the answer.
func (s *Set) mayDestroy(ctx context.Context, req *mcp.CallToolRequest, at names.Location, q Question) error {
	q.User, q.Container, q.Blob, q.Text = userID(req), at.Container, at.Blob, plainText(q.Text)
	if req != nil && req.Params != nil {
		q.Tool = req.Params.Name
	}
	run := runOf(ctx)
	run.does(q.Action)
	switch {
	case run.isAnswered():
		if err := s.writing.asker.accept(run.answer, &q); err != nil {
			return err
		}
		q.Agreed = true
	case run != nil && canAsk(req):
		return &mustAskError{q}
	}
	return s.writing.decide(ctx, q)
}

// decide is the operator's decision, which is the last one.
func (w *writing) decide(ctx context.Context, q Question) error {
	if w.confirm == nil {
		if q.Agreed || quotes(q.Action) {
			return nil
		}
		return failuref(ErrNotConfirmed, "To %s a blob, this server needs the user's confirmation, and this client has no way to ask for it. Nothing was changed. %s",
			q.Action, instead(q.Action))
	}
	yes, err := w.ask(ctx, q)
	if err == nil && ctx.Err() != nil {
		err = &Error{Kind: ErrNotConfirmed, text: "The confirmation took longer than a call may take.", cause: ctx.Err()}
	}
	if err != nil {
		text, ok := userText(err)
		if !ok {
			text = "The confirmation failed."
		}
		return &Error{Kind: ErrNotConfirmed, text: text + " Nothing was changed.", cause: err}
	}
	if !yes {
		return failuref(ErrNotConfirmed, "This server did not confirm the call. Nothing was changed. Do not try again unless the user asks for it.")
	}
	return nil
}

// ask calls the operator's function. Its panic is no yes.
func (w *writing) ask(ctx context.Context, q Question) (yes bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return w.confirm(ctx, q)
}

// quotes reports whether calls for that action must quote what they replace.
func quotes(action string) bool {
	return action == ActionEdit || action == ActionSetMetadata || action == ActionSetTags
}

// instead says what else a model can do.
func instead(action string) string {
	if action == ActionDelete {
		return "Ask the user to delete it with another program."
	}
	return "Write to a new name, or change the text with edit_blob."
}
