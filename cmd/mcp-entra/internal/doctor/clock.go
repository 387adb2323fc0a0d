package doctor

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/secret"
)

// Differences between the clocks.
const (
	clockFails = time.Minute // what the verifier tolerates
	clockWarns = 20 * time.Second
)

// offset is how far the local clock is ahead of the server's (negative: behind), as far as the
// Date of the answer shows. It allows for the time on the way and for Date's whole seconds.
func (p probe) offset() (time.Duration, bool) {
	date, err := http.ParseTime(p.header.Get("Date"))
	if err != nil || p.header.Get("Age") != "" { // an answer from a cache has an old date
		return 0, false
	}
	switch {
	case p.sent.After(date.Add(time.Second)):
		return p.sent.Sub(date.Add(time.Second)), true // at least
	case p.received.Before(date):
		return -date.Sub(p.received), true
	}
	return 0, true
}

// inWords rounds a difference to what matters.
func inWords(d time.Duration) string {
	if d > 48*time.Hour {
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	return (d + time.Second/2).Round(time.Second).String()
}

func abs(d time.Duration) time.Duration { return max(d, -d) }

const syncClock = "Synchronize the clock (chrony, systemd-timesyncd, the hypervisor's time service). The server tolerates a minute: " +
	"beyond it, valid tokens are refused as expired or not yet valid"

// dateIsOff reports whether the Date of Entra's answer shows that the local clock is wrong.
func (x *exam) dateIsOff() bool {
	off, known := x.entra.offset()
	return known && abs(off) > clockFails
}

func becauseOfClock() *Result { return &Result{Status: NotRun, Because: "clock", Note: "clock failed"} }

// tokenOffset is how far the local clock is ahead of the times in Entra's tokens: of the app's own,
// which was issued a moment ago, or of the user's, if that is from the future.
func (x *exam) tokenOffset() time.Duration {
	if x.proof != nil && x.proof.answer.accepted && !x.proof.answer.entraTime.IsZero() {
		a := x.proof.answer
		switch {
		case a.sent.After(a.entraTime.Add(2 * time.Second)):
			return a.sent.Sub(a.entraTime)
		case a.received.Before(a.entraTime.Add(-2 * time.Second)):
			return a.received.Sub(a.entraTime)
		}
	}
	var user struct {
		IssuedAt int64 `json:"iat"`
	}
	readClaims(secret.Reveal(x.options.UserToken), &user)
	return min(0, x.options.Now().Sub(time.Unix(user.IssuedAt, 0)))
}

// clock compares the local clock with Entra's.
func (x *exam) clock(context.Context) Result {
	if x.entra.header == nil {
		return *behind(x.blocked("dns"), x.result("tls"))
	}
	off, known := x.entra.offset()
	if tokens := x.tokenOffset(); abs(tokens) > max(clockFails, abs(off)) {
		off, known = tokens, true
	}
	if x.signedOutOfTime() {
		return failed(Finding{Problem: "this machine's clock differs from Entra's: what it signed a moment ago is not valid there", Expected: "a valid client assertion",
			Came: "AADSTS700024", Remedy: syncClock})
	}
	if !known {
		return notRun("the answer of %s has no Date of its own", x.host)
	}
	direction := "ahead of"
	if off < 0 {
		direction = "behind"
	}
	now := x.options.Now().UTC()
	f := Finding{
		Problem:  fmt.Sprintf("this machine's clock is %s %s Entra's", inWords(abs(off)), direction),
		Expected: now.Add(-off).Format(http.TimeFormat),
		Came:     now.Format(http.TimeFormat),
		Remedy:   syncClock,
	}
	switch {
	case abs(off) > clockFails:
		return failed(f)
	case abs(off) > clockWarns:
		return warning(f)
	}
	return ok("within %s of Entra's", max(time.Second, x.entra.received.Sub(x.entra.sent).Round(time.Second)+time.Second))
}

// behind is the result of a check whose predecessor did not get far enough.
func behind(r *Result, before Result) *Result {
	if r != nil {
		return r
	}
	return &Result{Status: NotRun, Because: before.ID, Note: before.ID + " failed"}
}
