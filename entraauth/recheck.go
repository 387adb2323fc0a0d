package entraauth

import "time"

// A provenance is what a verified token lives and dies with, besides its time.
type provenance struct {
	source *keySource
	keyID  string
	key    *signingKey
}

// isIn reports whether the tenant's set still has the key that signed the token.
// A refresh that brings the same key again keeps its pointer.
func (p *provenance) isIn(set *keySet) bool { return p.key != nil && set.keys[p.keyID] == p.key }

// Recheck returns nil as long as the token behind id, which [Verifier.Verify]
// accepted, is still good: it has not expired, and the key that signed it is still
// in the tenant's set. It is for what outlives its request, such as a stream. The
// error is an *[Error]: [ErrExpired], [ErrInvalidToken] for a key that is gone, or
// [ErrKeysUnavailable].
//
// It never waits. A key set that is due is fetched in the background, as for a
// request, so that a server that only streams learns of withdrawn keys too.
func (v *Verifier) Recheck(id *Identity) error {
	if id == nil || id.origin.source == nil {
		return invalid(keyNotFound, "an identity that Verify returned", "", "Send an access token")
	}
	now := v.now()
	if !now.Before(id.expires.Add(v.skew)) {
		return &Error{Kind: ErrExpired, Rule: "expiry", Reason: tokenExpired, Actual: id.expires.Format(time.RFC3339),
			Remedy: "Refresh the access token or sign in again", caller: id}
	}
	s := id.origin.source
	set := s.usable(now)
	if set == nil || !now.Before(set.refreshAt) {
		s.start()
	}
	switch {
	case set == nil:
		return s.unavailable(nil)
	case !id.origin.isIn(set):
		e := invalid(keyNotFound, "a token signed with a key that the tenant still has", "", "Get a new token and try again")
		e.Rule, e.caller = "signature", id
		return e
	}
	return nil
}
