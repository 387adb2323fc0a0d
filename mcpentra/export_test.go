package mcpentra

import (
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/mcpentra/mcp-entra-go/entraauth"
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
	admitted, wait := u.t.admit(id)
	if wait > 0 {
		return nil, wait
	}
	return func() { u.t.release(admitted) }, 0
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

// CanonicalURI is the one spelling of a URI.
var CanonicalURI = canonical

// Closes returns whether a WithResourcePolicy of that pattern holds for a URI.
func Closes(pattern string) func(uri string) bool {
	r := newRule(resource, pattern, entraauth.Policy{})
	return func(uri string) bool {
		all, complete := readings(uri)
		return !complete || r.matches(all...)
	}
}

// HideAndRestore is what the SDK reads of the body, and what the client is sent of
// what the SDK makes of it.
func HideAndRestore(body string, sdk func(hidden string) string) (hidden, restored string) {
	x := newIDs()
	hidden = string(x.hide([]byte(body)))
	return hidden, string(x.restore([]byte(sdk(hidden))))
}

// HideIDs returns a function that looks at the body once.
func HideIDs(body []byte) func() {
	x := newIDs()
	return func() { _ = x.hide(body) }
}

// Bounded is a logger as the server has it.
func Bounded(h slog.Handler) *slog.Logger { return slog.New(bounded{h}) }
