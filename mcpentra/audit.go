package mcpentra

import (
	"context"

	"github.com/mcpentra/mcp-entra-go/internal/actions"
)

// An ActionOutcome is how an action of a tool has ended.
type ActionOutcome string

// Outcomes of [Audit].
const (
	ActionDone    ActionOutcome = actions.Done    // it happened
	ActionRefused ActionOutcome = actions.Refused // nothing was changed
	ActionUnknown ActionOutcome = actions.Unknown // it may have happened, or may still
	ActionAsked   ActionOutcome = actions.Asked   // nothing was changed: the user is asked first
)

// Audit adds an action to the log line of the request whose context is given: what a tool is about
// to change, such as "delete", and where, such as the name of a container, a queue or a mailbox. Call
// it before the change, and call ended with the outcome. Until then the outcome is [ActionUnknown],
// which the line also has if the tool panics or never calls ended. Later calls of ended replace the
// outcome; after the line they do nothing.
//
// The field is actions, a list: the outcome, the action and the object, with spaces in between. An
// action is one word of a to z and underscores, at most 32; other characters become underscores. The
// object is one word, too: it is cut at 64 bytes, and its spaces become underscores. Pass no content,
// and nothing that the log must not have. A line has 16 actions; more_actions counts the rest.
// blobtool's tools do this themselves. Outside of a request of this server, Audit does nothing. See
// docs/audit.md.
func Audit(ctx context.Context, action, object string) (ended func(ActionOutcome)) {
	a := actions.Begin(ctx, action, object)
	return func(outcome ActionOutcome) { a.End(string(outcome)) }
}
