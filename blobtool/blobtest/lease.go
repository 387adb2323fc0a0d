package blobtest

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A lease prevents writes by those who don't know its ID. A nil lease is available.
type lease struct {
	id       string
	duration time.Duration // 0: infinite
	expires  time.Time     // zero: never
	ends     time.Time     // when it ends because it was broken; zero: it was not
}

// state returns the lease's state: available, leased, expired, breaking or broken.
func (l *lease) state(now time.Time) string {
	switch {
	case l == nil:
		return "available"
	case !l.ends.IsZero() && now.Before(l.ends):
		return "breaking"
	case !l.ends.IsZero():
		return "broken"
	case !l.expires.IsZero() && !now.Before(l.expires):
		return "expired"
	}
	return "leased"
}

// locked reports whether the lease prevents writes.
func (l *lease) locked(now time.Time) bool {
	state := l.state(now)
	return state == "leased" || state == "breaking"
}

// kind returns infinite or fixed, or "" unless the blob is leased.
func (l *lease) kind(now time.Time) string {
	switch {
	case l.state(now) != "leased":
		return ""
	case l.expires.IsZero():
		return "infinite"
	}
	return "fixed"
}

// held returns the ID that permits writes, or "".
func (l *lease) held(now time.Time) string {
	if !l.locked(now) {
		return ""
	}
	return l.id
}

// renew lets the duration begin anew.
func (l *lease) renew(now time.Time) {
	if l.expires = (time.Time{}); l.duration > 0 {
		l.expires = now.Add(l.duration)
	}
	l.ends = time.Time{}
}

// leaseIn returns another's lease in that state, whose ID nobody knows.
func leaseIn(state, kind string, now time.Time) *lease {
	l := &lease{id: newLeaseID()}
	if kind == "fixed" || state == "expired" {
		l.duration, l.expires = maxLease, now.Add(maxLease)
	}
	switch state {
	case "leased":
	case "expired":
		l.expires = now
	case "breaking":
		l.ends = now.Add(maxLease)
	case "broken":
		l.ends = now
	default:
		return nil
	}
	return l
}

var leaseID = regexp.MustCompile(`^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

func newLeaseID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	h := hex.EncodeToString(b[:])
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

// Limits on a lease.
const (
	minLease = 15 * time.Second
	maxLease = 60 * time.Second
)

// leaseMismatch returns what is wrong with the lease ID of a write, if anything. What Azure says
// to an ID for a lease that has expired is unknown; the facts have one code for every ID without a
// lease.
func (l *lease) mismatch(given string, now time.Time) *refusal {
	switch {
	case given == "" && l.locked(now):
		return &refusal{http.StatusPreconditionFailed, "LeaseIdMissing",
			"There is currently a lease on the blob and no lease ID was specified in the request."}
	case given == "":
		return nil
	case !l.locked(now):
		return leaseNotPresent
	case !strings.EqualFold(given, l.id):
		return leaseMismatch
	}
	return nil
}

var (
	leaseNotPresent = &refusal{http.StatusPreconditionFailed, "LeaseNotPresentWithBlobOperation", "There is currently no lease on the blob."}
	leaseMismatch   = &refusal{http.StatusPreconditionFailed, "LeaseIdMismatchWithBlobOperation",
		"The lease ID specified did not match the lease ID for the blob."}
)

// leaseConflict returns a refusal of Lease Blob.
func leaseConflict(code, message string) *refusal {
	return &refusal{http.StatusConflict, code, message}
}

// leaseBlob answers Lease Blob.
func (x *exchange) leaseBlob() {
	action := strings.ToLower(x.r.Header.Get("X-Ms-Lease-Action"))
	status := http.StatusOK
	switch action {
	case "acquire":
		status = http.StatusCreated
	case "break":
		status = http.StatusAccepted
	case "renew", "change", "release":
	default:
		x.invalidHeader("X-Ms-Lease-Action")
		return
	}
	duration, ok := x.leaseSeconds("X-Ms-Lease-Duration", minLease, maxLease)
	if _, given := x.r.Header["X-Ms-Lease-Duration"]; !ok || given != (action == "acquire") {
		x.invalidHeader("X-Ms-Lease-Duration")
		return
	}
	period, ok := x.leaseSeconds("X-Ms-Lease-Break-Period", 0, maxLease)
	if !ok || period < 0 {
		x.invalidHeader("X-Ms-Lease-Break-Period")
		return
	}
	id, proposed := x.r.Header.Get("X-Ms-Lease-Id"), x.r.Header.Get("X-Ms-Proposed-Lease-Id")
	switch {
	case proposed != "" && !leaseID.MatchString(proposed), action == "change" && proposed == "":
		x.invalidHeader("X-Ms-Proposed-Lease-Id")
		return
	case id == "" && action != "acquire" && action != "break":
		x.refuse(missingHeader("x-ms-lease-id"))
		return
	}
	x.change(status, func(t *target) *refusal {
		if r := x.findTarget(t); r != nil {
			return r
		}
		h := x.w.Header()
		var r *refusal
		switch action {
		case "acquire":
			r = t.acquire(proposed, duration)
		case "break":
			_, asked := x.r.Header["X-Ms-Lease-Break-Period"]
			var left time.Duration
			if left, r = t.breakLease(period, asked); r == nil {
				h.Set("x-ms-lease-time", strconv.Itoa(int(left.Round(time.Second)/time.Second)))
			}
		default:
			r = t.useLease(action, id, proposed)
		}
		if r == nil && t.h.lease != nil && action != "break" {
			h.Set("x-ms-lease-id", t.h.lease.id)
		}
		t.keepsLease = true
		x.stateOf(t.b)
		return r
	})
}

// leaseSeconds parses a header in seconds; -1, for no end, only where there is a minimum. It
// returns 0 for none and -1 for infinite.
func (x *exchange) leaseSeconds(name string, least, most time.Duration) (time.Duration, bool) {
	v := x.r.Header.Get(name)
	if v == "" {
		return 0, true
	}
	n, err := strconv.Atoi(v)
	if err == nil && n == -1 && least > 0 {
		return -1, true
	}
	d := time.Duration(n) * time.Second
	return d, err == nil && d >= least && d <= most
}

func (t *target) acquire(proposed string, duration time.Duration) *refusal {
	l := t.h.lease
	switch {
	case !l.locked(t.now):
	case !strings.EqualFold(proposed, l.id):
		return leaseConflict("LeaseAlreadyPresent", "There is already a lease present.")
	case l.state(t.now) == "breaking":
		return leaseConflict("LeaseIsBreakingAndCannotBeAcquired", "There is already a breaking lease, and it cannot be acquired until the lease is broken.")
	}
	if proposed == "" {
		proposed = newLeaseID()
	}
	t.h.lease = &lease{id: strings.ToLower(proposed), duration: max(duration, 0)}
	t.h.lease.renew(t.now)
	return nil
}

// useLease renews, changes or releases a lease.
func (t *target) useLease(action, id, proposed string) *refusal {
	l := t.h.lease
	state := l.state(t.now)
	switch {
	case l == nil && action == "change":
		return leaseConflict("LeaseNotPresentWithLeaseOperation", "There is currently no lease on the blob.")
	case l == nil, !strings.EqualFold(id, l.id) && (action != "change" || !strings.EqualFold(proposed, l.id)):
		return leaseConflict("LeaseIdMismatchWithLeaseOperation", "The lease ID specified did not match the lease ID for the blob.")
	case action == "release":
		t.h.lease = nil
	case action == "renew" && (state == "breaking" || state == "broken"):
		return leaseConflict("LeaseIsBrokenAndCannotBeRenewed", "The lease ID matched, but the lease has been broken explicitly and cannot be renewed.")
	case action == "renew":
		l.renew(t.now)
	case state == "breaking":
		return leaseConflict("LeaseIsBreakingAndCannotBeChanged", "The lease ID matched, but the lease is currently in breaking state and cannot be changed.")
	case state != "leased":
		return leaseConflict("LeaseNotPresentWithLeaseOperation", "There is currently no lease on the blob.")
	default:
		l.id = strings.ToLower(proposed)
	}
	return nil
}

// breakLease breaks a lease and returns how long it still holds.
func (t *target) breakLease(period time.Duration, asked bool) (time.Duration, *refusal) {
	l := t.h.lease
	switch l.state(t.now) {
	case "available":
		return 0, leaseConflict("LeaseNotPresentWithLeaseOperation", "There is currently no lease on the blob.")
	case "broken", "expired":
		l.ends = t.now
		return 0, nil
	case "breaking":
		if left := l.ends.Sub(t.now); !asked || left < period {
			return left, nil
		}
	case "leased":
		if l.expires.IsZero() {
			break
		}
		if left := l.expires.Sub(t.now); !asked || left < period {
			period = left
		}
	}
	l.ends = t.now.Add(period)
	return period, nil
}
