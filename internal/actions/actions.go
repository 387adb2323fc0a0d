// Package actions collects what the tool of a call changes, for the call's log line: the action, its
// object, and its outcome, never content.
//
// The server puts a [Log] into the context of the call, and the tool begins each [Action] before it
// changes anything. An action that has not ended when the line is written is logged as unknown.
package actions

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"unicode"

	"github.com/mcpentra/mcp-entra-go/internal/safelog"
)

// Outcomes of an action.
const (
	Done    = "done"    // it happened
	Refused = "refused" // nothing was changed
	Unknown = "unknown" // it may have happened, or may still
	Asked   = "asked"   // nothing was changed: the user is asked first
)

// Bounds of a line.
const (
	maxActions = 16 // of a call
	maxAction  = 32 // bytes of an action's name
	maxObject  = 64 // bytes of an object's name
)

// A Log is the actions of one call. The zero value is empty and ready to use. It is safe for
// concurrent use: a call's line may be written while its tool still acts.
type Log struct {
	mu   sync.Mutex
	all  []*Action
	more int // how many are left out
}

// Key is the context key of a *[Log], for custom context types.
type Key struct{}

// With returns a context with the log.
func With(ctx context.Context, l *Log) context.Context { return context.WithValue(ctx, Key{}, l) }

// An Action is one thing that a tool does. All methods of a nil *Action do nothing.
type Action struct {
	log          *Log
	name, object string
	outcome      string
}

// Begin adds an action to the log of the context: what is done, such as delete, and to what, such as
// a container. Without a log, or beyond its bounds, it returns nil.
func Begin(ctx context.Context, action, object string) *Action {
	l, _ := ctx.Value(Key{}).(*Log)
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.all) == maxActions {
		l.more++
		return nil
	}
	a := &Action{log: l, name: word(action), object: cut(object), outcome: Unknown}
	l.all = append(l.all, a)
	return a
}

// Rename changes the action's name, once it is known more exactly.
func (a *Action) Rename(action string) { a.set(func() { a.name = word(action) }) }

// On changes the action's object.
func (a *Action) On(object string) { a.set(func() { a.object = cut(object) }) }

// End sets the outcome; anything but Done, Refused and Asked is Unknown.
func (a *Action) End(outcome string) {
	a.set(func() {
		switch outcome {
		case Done, Refused, Asked:
			a.outcome = outcome
		default:
			a.outcome = Unknown
		}
	})
}

func (a *Action) set(change func()) {
	if a == nil {
		return
	}
	a.log.mu.Lock()
	defer a.log.mu.Unlock()
	change()
}

// AppendAttrs adds actions, each as its outcome, its name and its object, and more_actions, how many
// are left out, to a log line. An empty log adds nothing.
func (l *Log) AppendAttrs(attrs []slog.Attr) []slog.Attr {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.all) == 0 {
		return attrs
	}
	lines := make([]string, len(l.all))
	for i, a := range l.all {
		lines[i] = strings.TrimSuffix(a.outcome+" "+a.name+" "+a.object, " ")
	}
	attrs = append(attrs, slog.Any("actions", lines))
	if l.more > 0 {
		attrs = append(attrs, slog.Int("more_actions", l.more))
	}
	return attrs
}

// word makes a name of an action one word of a to z and underscores.
func word(s string) string {
	if s == "" {
		return "_"
	}
	return strings.Clone(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r
		}
		return '_'
	}, s[:min(len(s), maxAction)]))
}

// cut makes the name of an object one word of bounded length. Handlers may write the list of actions
// as one text, in which spaces would begin other words, and so forge other actions.
func cut(s string) string {
	return strings.Clone(strings.Map(func(r rune) rune { // s may be part of something large
		if unicode.IsSpace(r) || !unicode.IsGraphic(r) {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(safelog.Text(s, maxObject), "\uFFFD")))
}
