package obo

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/mcpentra/mcp-entra-go/internal/requestline"
)

// maxFaults bounds how many causes are known to have been logged.
const maxFaults = 64

// faults are what only the operator can fix, and has been told in the log: each
// cause once, and again when it was good in between.
type faults struct {
	mu     sync.Mutex
	logged map[fault]string // the user whose request met it
}

// fault is the cause of many callers' failures. The app's proof is the same for all
// tenants, and the app for all resources.
type fault struct {
	code             int
	problem          string
	tenant, resource string
}

func faultOf(t *tenant, e *Error) fault {
	f := fault{code: e.AADSTS, problem: e.Problem}
	if t != nil && !e.proof {
		f.tenant = t.id
		if _, known := lookup(e.AADSTS); !known || blamesResource(e.AADSTS) {
			f.resource = e.Resource
		}
	}
	return f
}

// isNew reports whether the fault is to be logged.
func (s *faults) isNew(f fault, user string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.logged[f]; ok {
		return false
	}
	if s.logged == nil || len(s.logged) >= maxFaults {
		s.logged = map[fault]string{}
	}
	s.logged[f] = user
	return true
}

// fixed forgets the faults that a token for the resource disproves. A code that we
// don't know may be about one user: then another's token says nothing about it.
func (s *faults) fixed(t *tenant, resource, user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for f, of := range s.logged {
		if f.tenant != "" && f.tenant != t.id || f.resource != "" && f.resource != resource {
			continue
		}
		if _, known := lookup(f.code); known || f.code == 0 || of == user {
			delete(s.logged, f)
		}
	}
}

// log writes the line of a failure. What only the operator can fix is an error, once,
// and always reaches somebody; the rest is a warning, unless the request has a line
// of its own that will say it.
func (x *Exchanger) log(ctx context.Context, t *tenant, user string, e *Error) {
	logger, level := x.logger, slog.LevelWarn
	switch {
	case errors.Is(e, ErrMisconfigured) && x.faults.isNew(faultOf(t, e), user):
		level = slog.LevelError
		if logger == nil {
			logger = cmp.Or(requestline.Log(ctx), x.operator)
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
	logger.LogAttrs(ctx, level, "no token on behalf of the user", attrs...)
}
