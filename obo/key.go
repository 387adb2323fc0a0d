package obo

import (
	"crypto/sha256"
	"encoding/binary"
)

// cacheKey is the name of a token. An exchanger has one authority, app and
// tenant; they are part of the name all the same, so that it stays unique
// wherever tokens are kept.
type cacheKey struct {
	assertion [sha256.Size]byte
	request   [sha256.Size]byte
}

// digest is the key as one hash.
func digest(k cacheKey) [sha256.Size]byte {
	var b [2 * sha256.Size]byte
	copy(b[:], k.assertion[:])
	copy(b[sha256.Size:], k.request[:])
	return sha256.Sum256(b[:])
}

// usualRequest is a request for <resource>/.default without claims, which
// nearly all are, with its hashes: without and with the CAE flag.
type usualRequest struct {
	request
	hash [2][sha256.Size]byte
}

// usualRequests spares the common case the search and the hashing.
func (x *Exchanger) usualRequests() map[string]usualRequest {
	m := make(map[string]usualRequest, len(x.resources))
	for _, resource := range x.resources {
		r := request{resource: resource, scope: resource + "/" + defaultScope}
		cae := r
		cae.cae = true
		m[r.scope] = usualRequest{r, [2][sha256.Size]byte{x.hashRequest(r), x.hashRequest(cae)}}
	}
	return m
}

// requestHash is the part of a token's name that isn't the user's.
func (x *Exchanger) requestHash(r request) [sha256.Size]byte {
	if u, ok := x.usual[r.scope]; ok && r.claims == "" {
		if r.cae {
			return u.hash[1]
		}
		return u.hash[0]
	}
	return x.hashRequest(r)
}

func (x *Exchanger) hashRequest(r request) [sha256.Size]byte {
	var buf [512]byte // enough for most, on the stack
	b := buf[:0]
	// The length before each part keeps two requests from having one name. The
	// tenant is in the token endpoint's URL; which of several it is, in the
	// assertion.
	for _, s := range [...]string{x.home.tokenURL, x.clientID, r.scope, r.claims} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	if r.cae {
		b = append(b, 1)
	}
	return sha256.Sum256(b)
}
