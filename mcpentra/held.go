package mcpentra

import (
	"fmt"
	"net/http"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/edge"
)

// The bounds on the bodies of requests under way, in bytes. A body costs about five
// times its size while it is served.
const (
	maxUserHeld = 32 << 20  // of a user, or twice Limits.BodyBytes
	maxAllHeld  = 256 << 20 // of all users, or eight times as much as of one
	// freeHeld is what a user may always hold: others' bodies never keep out small ones.
	freeHeld = 256 << 10
)

// heldBounds are the bounds for a user and for all.
func heldBounds(l Limits) (user, all int64) {
	user = max(maxUserHeld, 2*l.BodyBytes)
	return user, max(maxAllHeld, 8*user)
}

// Hold counts n more bytes of the request's body, until its calls are over. A user may
// hold as much as is then still free, so some is always left for others.
func (l *lease) Hold(n int64) *edge.Refusal {
	t, u := l.table, l.user
	t.mu.Lock()
	defer t.mu.Unlock()
	most, all := heldBounds(t.limits)
	switch has := u.held + n; {
	case has > most:
		return &edge.Refusal{Status: http.StatusTooManyRequests, Reason: "too_many_body_bytes",
			Message: fmt.Sprintf("Too many large requests at a time: the bodies of a user's requests under way may have %d bytes together. Wait until some of yours are answered, then try again", most)}
	case has > freeHeld && has > all-t.held-n:
		return &edge.Refusal{Status: http.StatusServiceUnavailable, Reason: "too_many_body_bytes_in_all",
			Message: "This server holds as many large requests as it can: try again later"}
	}
	l.held += n
	u.held += n
	t.held += n
	return nil
}

// letGo is called with the table's lock.
func (l *lease) letGo() {
	l.user.held -= l.held
	l.table.held -= l.held
	l.held = 0
}

// readBody reads the body of a POST before its next handler begins, and refuses those
// that are too large, too slow or broken off.
func (t *users) readBody(l Limits, next http.Handler) http.Handler {
	bounds := edge.BodyLimits{Bytes: l.BodyBytes, Timeout: l.BodyTimeout}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			next.ServeHTTP(w, r)
			return
		}
		c := callOf(r.Context())
		why := c.body.Receive(w, r, bounds, c.lease)
		switch {
		case why == nil:
			next.ServeHTTP(w, r)
			return
		case why.Status == http.StatusTooManyRequests || why.Status == http.StatusServiceUnavailable: // Hold's
			t.refuse(w, r, c.lease.user, time.Second, rejectionOf(why))
		default:
			t.reject(w, r, rejectionOf(why))
		}
		c.body.Abandon(w)
	})
}
