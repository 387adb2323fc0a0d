package mcpentra

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// The bounds on the bodies of requests under way, in bytes. A body costs about five
// times its size while it is served.
const (
	maxUserHeld = 32 << 20  // of a user, or twice Limits.BodyBytes
	maxAllHeld  = 256 << 20 // of all users, or eight times as much as of one
	// freeHeld is what a user may always hold: others' bodies never keep out small ones.
	freeHeld = 256 << 10
)

var (
	errUserHolds = errors.New("the user's bodies under way are too large together")
	errAllHold   = errors.New("all bodies under way are too large together")
)

// heldBounds are the bounds for a user and for all.
func heldBounds(l Limits) (user, all int64) {
	user = max(maxUserHeld, 2*l.BodyBytes)
	return user, max(maxAllHeld, 8*user)
}

// hold counts n more bytes of the request's body, until its calls are over. A user may
// hold as much as is then still free, so some is always left for others.
func (l *lease) hold(n int64) error {
	t, u := l.table, l.user
	t.mu.Lock()
	defer t.mu.Unlock()
	most, all := heldBounds(t.limits)
	switch has := u.held + n; {
	case has > most:
		return errUserHolds
	case has > freeHeld && has > all-t.held-n:
		return errAllHold
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

// fullness is the refusal that follows from an error of hold.
func (l *lease) fullness(err error) (why rejection, ok bool) {
	most, _ := heldBounds(l.table.limits)
	switch {
	case errors.Is(err, errUserHolds):
		return rejection{http.StatusTooManyRequests, codeBusy, "too_many_body_bytes",
			fmt.Sprintf("Too many large requests at a time: the bodies of a user's requests under way may have %d bytes together. Wait until some of yours are answered, then try again", most)}, true
	case errors.Is(err, errAllHold):
		return rejection{http.StatusServiceUnavailable, codeUnavailable, "too_many_body_bytes_in_all",
			"This server holds as many large requests as it can: try again later"}, true
	}
	return rejection{}, false
}

// readAll reads a body; each piece is counted before memory for it is reserved. A mere
// Content-Length is not trusted far.
func readAll(r io.Reader, contentLength int64, hold func(int64) error) ([]byte, error) {
	const maxTrusted = 64 << 10
	size := int64(512)
	if contentLength > 0 {
		size += min(contentLength, maxTrusted)
	}
	if err := hold(size); err != nil {
		return nil, err
	}
	b := make([]byte, 0, size)
	for {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return b, err
		}
		if len(b) == cap(b) {
			if err := hold(int64(cap(b))); err != nil {
				return b, err
			}
			b = append(make([]byte, 0, 2*cap(b)), b...)
		}
	}
}

// The bounds on what is read of a body that is refused, so that its client, which may
// read nothing before it has sent all, finds the answer and no broken connection.
const (
	maxLingerBytes = 16 << 20
	maxLingerTime  = 5 * time.Second
)

// linger sends the answer, and reads on for a while.
func linger(w http.ResponseWriter, body io.Reader) {
	c := http.NewResponseController(w)
	_ = c.Flush() // a test's recorder knows neither
	_ = c.SetReadDeadline(time.Now().Add(maxLingerTime))
	_, _ = io.CopyN(io.Discard, body, maxLingerBytes)
	_ = c.SetReadDeadline(time.Unix(1, 0)) // or net/http waits for the rest
}
