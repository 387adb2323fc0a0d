package obo

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/cache"
	"github.com/mcpentra/mcp-entra-go/internal/requestline"
	"github.com/mcpentra/mcp-entra-go/internal/trail"
)

// maxFaults bounds how many logged faults are remembered.
const maxFaults = 64

// eventLog logs the outcomes of exchanges. What only the operator can fix is logged
// once, and again if it recurs after a success.
type eventLog struct {
	logger   *slog.Logger // for single requests; nil unless configured
	operator *slog.Logger // for what concerns all of them

	mu     sync.Mutex
	logged map[fault]string // the user whose request failed
}

// A fault makes many callers' exchanges fail. It has no tenant and no agent if the app's
// credential is to blame, and a resource only if the code is about the resource.
type fault struct {
	code             int
	problem          string
	tenant, resource string
	agent            string
	first            bool // in the first step of an agent's exchange
}

func faultOf(t *tenant, e *Error) fault {
	f := fault{code: e.AADSTS, problem: e.Problem, first: e.first}
	if t != nil && !e.proof {
		f.tenant, f.agent = t.id, e.agent
		if _, known := lookup(e.AADSTS); !e.first && (!known || blamesResource(e.AADSTS)) {
			f.resource = e.Resource
		}
	}
	return f
}

// isNew reports whether the fault must be logged.
func (l *eventLog) isNew(f fault, user string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.logged[f]; ok {
		return false
	}
	if l.logged == nil || len(l.logged) >= maxFaults {
		l.logged = map[fault]string{}
	}
	l.logged[f] = user
	return true
}

// fixed forgets the faults that can't exist any more after a success; good says what succeeded.
// An unknown code may concern a single user: another user's token proves nothing then.
func (l *eventLog) fixed(good fault, user string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for f, of := range l.logged {
		if f.first != good.first || f.tenant != "" && f.tenant != good.tenant ||
			f.resource != "" && f.resource != good.resource || f.agent != "" && f.agent != good.agent {
			continue
		}
		if _, known := lookup(f.code); known || f.code == 0 || of == user {
			delete(l.logged, f)
		}
	}
}

// exchanged logs a success.
func (l *eventLog) exchanged(ctx context.Context, user string, r request, expires time.Time) {
	if l.logger == nil {
		return
	}
	attrs := []slog.Attr{slog.String("user", user), slog.String("resource", r.resource), slog.Time("expires", expires)}
	if r.agent != nil {
		attrs = append(attrs, slog.String("agent", r.agent.id))
	}
	l.logger.LogAttrs(ctx, slog.LevelDebug, "exchanged a user's token", trail.Of(ctx).AppendAttrs(attrs)...)
}

// unexpected explains the error of a load that is not an [*Error]: its context's, or a panic,
// which it logs.
func (l *eventLog) unexpected(ctx context.Context, err error) *Error {
	e := explainTransport(err, "")
	if p, ok := errors.AsType[*cache.PanicError](err); ok {
		e.Problem = "the exchange failed inside the server"
		e.Remedy = askOperator + "find out why (" + serverLog + ")"
		l.operator.ErrorContext(ctx, "panic in an exchange", "reason", p.Error(), "stack", string(p.Stack))
	}
	return e
}

// failed logs a failure. What only the operator can fix is logged as an error, once,
// even without a logger; the rest is a warning, or a debug line if the server logs the
// request itself.
func (l *eventLog) failed(ctx context.Context, t *tenant, user string, e *Error) {
	logger, level := l.logger, slog.LevelWarn
	switch {
	case errors.Is(e, ErrMisconfigured) && l.isNew(faultOf(t, e), user):
		level = slog.LevelError
		if logger == nil {
			logger = cmp.Or(requestline.Log(ctx), l.operator)
		}
	case requestline.Follows(ctx):
		level = slog.LevelDebug
	}
	if logger == nil {
		return
	}
	attrs := e.attrs()
	if user != "" {
		attrs = append(attrs, slog.String("user", user))
	}
	logger.LogAttrs(ctx, level, "no token on behalf of the user", trail.Of(ctx).AppendAttrs(attrs)...)
}
