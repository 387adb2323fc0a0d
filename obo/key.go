package obo

import (
	"crypto/sha256"
	"encoding/binary"
)

// cacheKey is the name of a token within one exchanger. For a usual request it is
// the assertion's hash and the request's number; for any other, a hash of both
// and the number 0. So a hit needs no hash but the assertion's.
type cacheKey struct {
	sum   [sha256.Size]byte
	usual uint32
}

// name is a token's name wherever tokens are kept: it covers authority, app, tenant,
// user's assertion and request.
func (a *app) name(s *subject, r request) [sha256.Size]byte {
	var b [2 * sha256.Size]byte
	copy(b[:], s.hash[:])
	hash := a.hashRequest(r)
	copy(b[sha256.Size:], hash[:])
	return sha256.Sum256(b[:])
}

func (a *app) key(s *subject, r request) cacheKey {
	if r.usual != 0 && r.claims == "" {
		if r.cae {
			return cacheKey{s.hash, r.usual + 1}
		}
		return cacheKey{s.hash, r.usual}
	}
	return cacheKey{sum: a.name(s, r)}
}

// usualRequests are those for <resource>/.default, which nearly all are, by their
// scope. Their numbers are odd: the next one has the CAE flag.
func usualRequests(resources []string) map[string]request {
	m := make(map[string]request, len(resources))
	for i, resource := range resources {
		r := request{resource: resource, scope: resource + "/" + defaultScope, usual: uint32(2*i + 1)}
		if _, ok := m[r.scope]; !ok {
			m[r.scope] = r
		}
	}
	return m
}

// hashRequest is the part of a token's name that isn't the user's.
func (a *app) hashRequest(r request) [sha256.Size]byte {
	var buf [512]byte // enough for most, on the stack
	b := buf[:0]
	// The length before each part keeps two requests from having one name. The
	// tenant is in the token endpoint's URL; which of several it is, in the
	// assertion.
	for _, s := range [...]string{a.home.tokenURL, a.clientID, r.scope, r.claims} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	if r.cae {
		b = append(b, 1)
	}
	return sha256.Sum256(b)
}
