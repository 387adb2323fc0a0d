package mcpentra

import (
	"log/slog"
	"net/http"
	"net/netip"
	"time"
)

// MaxIdleUsers is the bound on users that are remembered.
const MaxIdleUsers = maxIdleUsers

// Users is the table of users, for tests of what it keeps.
type Users struct{ t *users }

func NewUsers(l Limits, now func() time.Time) Users {
	return Users{newUsers(l.withDefaults(), now, slog.New(slog.DiscardHandler))}
}

// Admit counts a request of the user and returns what ends it, or how long to wait.
func (u Users) Admit(id string) (release func(), wait time.Duration) {
	l, wait := u.t.admit(id)
	if wait > 0 {
		return nil, wait
	}
	return l.close, 0
}

func (u Users) Known() int { return len(u.t.known) }

// TraceID and Origin read what strangers send.
func TraceID(traceparent string) string { return traceID(traceparent) }

func Origin(networks []netip.Prefix, r *http.Request) (netip.Addr, string) {
	return proxies(networks).origin(r)
}

// Middleware that tests of what a context holds need.
var RequestID = requestID

// OpensState reports whether a text opens with the key.
func OpensState(key []byte, text string) bool {
	s, err := newSealer([][]byte{key})
	if err != nil {
		panic(err)
	}
	_, err = s.open(text)
	return err == nil
}
