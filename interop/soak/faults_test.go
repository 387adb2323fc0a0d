//go:build unix

package soak_test

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

// A fault is something that goes wrong at Entra or storage for a while.
type fault struct {
	name string
	// kinds are the calls that may fail, and at least one of which must; none may if it is empty.
	kinds     []string
	onlyOne   bool          // only the victim's calls may fail
	aftermath time.Duration // how long they may fail after the fault
	says      []string      // one of them is in the answers of calls that it fails; none: any
	drive     string        // the kind of call that the victim makes meanwhile, with a token of its own
	begin     func(victim *user)
}

// circuitTime is how long exchanges may fail after an outage: until the circuit breaker of package obo
// has closed (5 s), and what a busy machine takes.
const circuitTime = 10 * time.Second

// unavailable is what tools say while Entra answers exchanges with 503, and until the circuit breaker
// has closed.
var unavailable = []string{"Entra ID is busy", "Entra ID has a problem", "Entra ID keeps failing"}

// faults are the faults, in the order in which they come round. Each begins when the one before is over. The
// keys are out of reach some time after a rotation and long before the next one: tokens of a new key
// would fail while the verifiers wait before they fetch again.
func (s *soak) faults() []fault {
	exchanges := func(f entratest.Fault) func(*user) {
		return func(*user) { f.ClientID = s.api.ClientID; s.tenant.Fail(entratest.EndpointToken, f) }
	}
	storage := func(f blobtest.Fault) func(*user) { return func(*user) { s.blobs.Fail(f) } }
	return []fault{
		{name: "the key is rotated", drive: "ping", begin: func(*user) { s.rotateKey() }},
		{name: "exchanges are slow", drive: "who", begin: exchanges(entratest.Fault{Delay: 300 * time.Millisecond})},
		{name: "storage is slow", drive: "read", begin: storage(blobtest.Fault{Delay: 200 * time.Millisecond})},
		{name: "two exchanges lose their connection", drive: "who", begin: exchanges(entratest.Fault{Drop: true, Times: 2})},
		{name: "keys are out of reach", drive: "ping", begin: func(*user) {
			s.tenant.Fail(entratest.EndpointDiscovery, entratest.Fault{Drop: true})
			s.tenant.Fail(entratest.EndpointKeys, entratest.Fault{Drop: true})
		}},
		{name: "two exchanges get 500", drive: "who", begin: exchanges(entratest.Fault{Status: http.StatusInternalServerError, Times: 2})},
		{name: "storage drops two connections", drive: "read", begin: storage(blobtest.Fault{Drop: true, Times: 2})},
		{name: "storage is busy twice", drive: "read", begin: storage(blobtest.Fault{Status: http.StatusServiceUnavailable, Code: "ServerBusy", Times: 2})},
		{name: "two blobs are cut off", drive: "read", begin: storage(blobtest.Fault{Operation: blobtest.OpGetBlob, CutAfter: 100, Times: 2})},
		{name: "Entra throttles a user", kinds: acting, onlyOne: true, aftermath: circuitTime, drive: "who", begin: func(victim *user) {
			s.tenant.Fail(entratest.EndpointToken, entratest.Fault{ClientID: s.api.ClientID, UserID: victim.ObjectID, RetryAfter: time.Second})
		}},
		{name: "storage throttles a user's blob", kinds: []string{"read", "save", "search"}, onlyOne: true, drive: "read", begin: func(victim *user) {
			s.blobs.Fail(blobtest.Fault{Blob: victim.note(), Status: http.StatusTooManyRequests, Code: "TooManyRequests"})
		}},
		{name: "listing fails", kinds: []string{"search"}, drive: "search", begin: storage(blobtest.Fault{Operation: blobtest.OpListBlobs, Status: http.StatusInternalServerError, Code: "InternalError"})},
		{name: "sign-ins get 503", kinds: signing, begin: func(*user) {
			s.tenant.Fail(entratest.EndpointToken, entratest.Fault{ClientID: s.signInApp.ClientID, Status: http.StatusServiceUnavailable})
		}},
		{name: "exchanges get 503", kinds: acting, aftermath: circuitTime, says: unavailable, drive: "who", begin: exchanges(entratest.Fault{Status: http.StatusServiceUnavailable})},
	}
}

// rotationTime is how long a token of the new key may be rejected: the verifiers' KeyRefetchInterval, if
// somebody's old token has just made them fetch the keys, and what a busy machine takes.
const rotationTime = 4 * time.Second

// rotateKey changes the tenant's key without announcing it, which Entra does only in an emergency.
func (s *soak) rotateKey() {
	const name = "the new key is not known yet"
	rejected := s.book.write(entry{fault: name, kinds: slices.Concat(acting, others), status: http.StatusUnauthorized})
	unsigned := s.book.write(entry{fault: name, kinds: signing})
	s.rotate()
	s.book.end(rejected, rotationTime)
	s.book.end(unsigned, rotationTime)
}

// faultTime is how long a fault lasts at least.
const faultTime = 1500 * time.Millisecond

// fail makes one fault after another until the context ends.
func (s *soak) fail(ctx context.Context) {
	faults := s.faults()
	for i := 0; wait(ctx, 200*time.Millisecond); i++ {
		s.suffer(ctx, faults[i%len(faults)], s.users[900+rand.IntN(100)])
	}
}

// suffer has the fault for a while.
func (s *soak) suffer(ctx context.Context, f fault, victim *user) {
	e := entry{fault: f.name, kinds: f.kinds, says: f.says}
	if f.onlyOne {
		e.user = victim
	}
	written := s.book.write(e)
	f.begin(victim)
	for begun := time.Now(); ctx.Err() == nil; {
		s.drive(ctx, f.drive, victim)
		bitten := len(f.kinds) == 0 || s.book.failed(written) > 0
		if bitten && time.Since(begun) >= faultTime {
			break
		}
		if time.Since(begun) > time.Minute {
			s.t.Errorf("%s: no call failed, want one at least", f.name)
			break
		}
	}
	for _, endpoint := range []entratest.Endpoint{entratest.EndpointToken, entratest.EndpointKeys, entratest.EndpointDiscovery} {
		s.tenant.Fail(endpoint)
	}
	s.blobs.Fail()
	s.book.end(written, f.aftermath)
	s.counted(f.name)
}

// drive makes a call as the victim with a new token, for which the server has nothing yet.
func (s *soak) drive(ctx context.Context, kind string, victim *user) {
	for _, k := range s.kinds() {
		if k.name == kind {
			s.bearer(victim, true)
			s.call(ctx, victim, k)
		}
	}
	_ = wait(context.WithoutCancel(ctx), 50*time.Millisecond)
}
