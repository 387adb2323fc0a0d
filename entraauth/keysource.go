package entraauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/telemetry"
)

const (
	// refreshInterval is the age at which a key set is fetched again, ±10 %.
	refreshInterval = time.Hour
	// unknownInterval is the least time between two fetches for unknown kids, so that
	// invented ones cost Entra and us almost nothing.
	unknownInterval = time.Minute
	// maxKeyAge is how long the last good set stays in use during an outage.
	maxKeyAge = 24 * time.Hour
	// fetchTimeout bounds one fetch of metadata and keys.
	fetchTimeout = 10 * time.Second
	// firstBackoff and maxBackoff bound the pause after a failed fetch.
	firstBackoff = time.Second
	maxBackoff   = time.Minute
	// missingPause is the time between fetches for a tenant that does not exist.
	missingPause = 5 * time.Minute
)

// A keySource keeps the signing keys of one tenant.
//
// It has no ticker: a request for keys starts the fetch that is due by the clock, so
// an idle server sends nothing and tests need no sleep. A fetch runs on its own
// goroutine and context, one at a time for all callers; only callers that can't
// go on without it wait.
type keySource struct {
	directory
	now  func() time.Time
	log  *slog.Logger
	made time.Time
	tell *keyTelemetry

	unknownInterval time.Duration // between fetches for unknown kids

	set atomic.Pointer[keySet] // the last good set, nil at first

	mu          sync.Mutex
	flight      *fetching    // the running fetch, or nil
	failures    int          // of fetches in a row
	nextTry     time.Time    // no fetch before it, after failures
	missing     *tenantError // set while the authority says that there is no such tenant
	lastUnknown time.Time    // when an unknown kid last set off a fetch
	closed      bool
	stop        context.CancelFunc
	base        context.Context
}

// A keysError says that a tenant's keys are unavailable at the moment.
type keysError struct {
	tenant string        // its id and the authority
	after  time.Duration // until the next fetch may begin
	cause  error         // a *tenantError if there is no such tenant; may be nil
}

func (e *keysError) Error() string {
	return fmt.Sprintf("no usable signing keys of tenant %s", e.tenant)
}

func (e *keysError) Unwrap() error { return e.cause }

// unavailable returns the error of a caller that gets no keys.
func (s *keySource) unavailable(cause error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.missing != nil {
		cause = s.missing
	}
	return &keysError{tenant: s.tenantID + " at " + s.host.String(), after: s.nextTry.Sub(s.now()), cause: cause}
}

func newKeySource(d directory, unknownInterval time.Duration, now func() time.Time, log *slog.Logger, tell *keyTelemetry) *keySource {
	s := &keySource{directory: d, now: now, log: log, made: now(), tell: tell, unknownInterval: unknownInterval}
	s.base, s.stop = context.WithCancel(context.Background())
	return s
}

// close ends the running fetch, if any, and waits for it.
func (s *keySource) close() {
	s.mu.Lock()
	s.closed = true
	flight := s.flight
	s.mu.Unlock()
	s.stop()
	if flight != nil {
		<-flight.done
	}
}

// current returns a usable key set. It waits only if there is none; a set that
// is due for a refresh is returned while the next one is fetched in the background.
func (s *keySource) current(ctx context.Context) (*keySet, error) {
	now := s.now()
	if set := s.usable(now); set != nil {
		if !now.Before(set.refreshAt) {
			s.start(ctx, false)
		}
		return set, nil
	}
	if flight, mine := s.start(ctx, true); flight != nil {
		if err := s.wait(ctx, flight, mine); err != nil {
			return nil, s.unavailable(err)
		}
	}
	if set := s.usable(s.now()); set != nil {
		return set, nil
	}
	return nil, s.unavailable(nil)
}

// find returns the key kid and a key set that has it. For a kid that the set lacks it
// joins the running fetch, or starts one if the last for an unknown kid is long
// enough ago. The key is nil if Entra's newest set lacks it.
func (s *keySource) find(ctx context.Context, set *keySet, kid string) (*signingKey, *keySet, error) {
	if key := set.keys[kid]; key != nil {
		return key, set, nil
	}
	for range 2 { // the fetch that was joined may have begun before the key was published
		flight, mine := s.startUnknown(ctx)
		if flight != nil {
			if err := s.wait(ctx, flight, mine); err != nil {
				return nil, nil, s.unavailable(err)
			}
		}
		if set := s.usable(s.now()); set != nil { // checked even without a fetch: one may just have ended
			if key := set.keys[kid]; key != nil {
				return key, set, nil
			}
		}
		if flight == nil {
			break
		}
	}
	s.mu.Lock()
	failing := s.failures > 0
	s.mu.Unlock()
	if failing { // the kid may be a new one that we could not fetch
		return nil, nil, s.unavailable(nil)
	}
	return nil, set, nil
}

func (s *keySource) usable(now time.Time) *keySet {
	set := s.set.Load()
	if set == nil || now.Sub(set.fetchedAt) > maxKeyAge {
		return nil
	}
	return set
}

// start joins the running fetch or begins one (mine), and returns nil if none may begin yet
// after a failure. The fetch is for all callers, on its own context.
func (s *keySource) start(ctx context.Context, waits bool) (flight *fetching, mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.startLocked(ctx, waits)
}

// startUnknown is start for an unknown kid, whose caller waits. Joining a running fetch comes
// before asking the limiter: then a rotation under load costs one fetch.
func (s *keySource) startUnknown(ctx context.Context) (flight *fetching, mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flight != nil {
		return s.flight, false
	}
	now := s.now()
	if !s.lastUnknown.IsZero() && now.Sub(s.lastUnknown) < s.unknownInterval {
		return nil, false
	}
	flight, mine = s.startLocked(ctx, true)
	if flight != nil {
		s.lastUnknown = now
	}
	return flight, mine
}

func (s *keySource) startLocked(caller context.Context, waits bool) (flight *fetching, mine bool) {
	if s.flight != nil {
		return s.flight, false
	}
	if s.closed || s.now().Before(s.nextTry) {
		return nil, false
	}
	flight = &fetching{done: make(chan struct{})}
	s.flight = flight
	ctx, cause := s.tell.under(s.base, caller, waits) // before the caller goes on: its context may be reused
	go func() {
		defer close(flight.done)
		ctx, span := s.tell.fetch(ctx, cause)
		flight.SetSpan(span)
		set, err := s.fetch(ctx)
		s.tell.fetched(ctx, span, err)
		s.finish(set, err)
	}()
	return flight, true
}

// A fetching is a running fetch.
type fetching struct {
	done chan struct{} // closed when it ends
	telemetry.Work
}

// finish records how a fetch ended, before its waiters continue.
func (s *keySource) finish(set *keySet, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flight = nil
	if err == nil {
		s.failures, s.nextTry, s.missing = 0, time.Time{}, nil
		s.set.Store(set)
		s.log.Debug("signing keys fetched", "tenant", s.tenantID, "keys", len(set.keys))
		return
	}
	if s.closed {
		return
	}
	pause, known := maxBackoff, s.missing
	s.missing, _ = errors.AsType[*tenantError](err)
	switch {
	case s.missing != nil:
		pause = missingPause
	case s.failures < 6:
		pause = min(maxBackoff, firstBackoff<<s.failures)
	}
	s.failures++
	s.nextTry = s.now().Add(pause)
	s.lastUnknown = time.Time{} // the fetch found nothing out; the pause above is the limit
	s.logFailure(err, pause, known)
}

// logFailure tells the operator. It reports a tenant that does not exist once.
func (s *keySource) logFailure(err error, pause time.Duration, known *tenantError) {
	attrs := []any{"tenant", s.tenantID, "error", err, "retry_in", pause}
	old := s.set.Load()
	if old != nil {
		attrs = append(attrs, "age", s.now().Sub(old.fetchedAt).Round(time.Second), "usable_for", maxKeyAge)
	}
	switch {
	case s.missing != nil && known != nil && s.missing.code == known.code:
		s.log.Debug("the tenant still does not exist", attrs...)
	case s.missing != nil:
		s.log.Error("the tenant does not exist, so none of its tokens can be verified: correct the tenant ID, "+
			"or set AuthorityHost if the tenant is in another cloud", append(attrs, "reason", tenantNotFound, "authority", s.host.String())...)
	case old != nil:
		s.log.Warn("signing keys not refreshed; the last good set stays in use", attrs...)
	default:
		s.log.Error("signing keys can't be fetched; every request is answered 503 until they can: "+
			"check the network to the authority, the tenant ID and the TLS trust", attrs...)
	}
}

// fetch reads metadata and keys. If only the metadata fails, the last good one
// stays in use with the new keys.
func (s *keySource) fetch(ctx context.Context) (*keySet, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	old := s.set.Load()
	m, err := s.metadata(ctx)
	if err == nil && old != nil {
		err = m.keeps(old.metadata)
	}
	if err != nil {
		if old == nil {
			return nil, err
		}
		s.log.Warn("tenant metadata not refreshed", "tenant", s.tenantID, "error", err)
		m = old.metadata
	}
	data, err := s.get(ctx, m.keysURL)
	if err != nil {
		return nil, err
	}
	set, odd, err := parseKeys(data, m, old)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.keysURL, errors.Join(append(odd, err)...))
	}
	if len(odd) > 0 {
		s.log.Warn("some signing keys left out", "url", m.keysURL, "error", errors.Join(odd...))
	}
	set.fetchedAt = s.now()
	set.refreshAt = set.fetchedAt.Add(refreshInterval*9/10 + rand.N(refreshInterval/5)) //nolint:gosec // jitter, no secret
	return set, nil
}

// wait waits for a fetch to end, or for the caller to give up. A fetch that is not the caller's
// own gets a span for the wait.
func (s *keySource) wait(ctx context.Context, flight *fetching, mine bool) error {
	if !mine {
		began := time.Now()
		defer func() { s.tell.Waited(ctx, telemetry.SpanKeysWait, began, &flight.Work) }()
	}
	select {
	case <-flight.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A provenance is where the key of a verified token came from. The token is valid only
// as long as the key stays there.
type provenance struct {
	source *keySource
	keyID  string
	key    *signingKey
	watch  *agentWatch // of the verifier
}

// isIn reports whether the tenant's set still has the key that signed the token.
// A refresh that brings the same key again keeps its pointer.
func (p *provenance) isIn(set *keySet) bool { return p.key != nil && set.keys[p.keyID] == p.key }
