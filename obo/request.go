package obo

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/mcpentra/mcp-entra-go/internal/entrawire"
)

// request is what tells one exchange of an assertion from another.
type request struct {
	resource string
	scope    string // one or more, separated by spaces
	usual    uint32 // its number, if it is a usual one
	claims   string
	cae      bool // the caller passes claims challenges on (EnableCAE)
	cp1      bool // and so does the user's client: declare it to Entra
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

// checkClaims refuses claims that are no challenge (OpenID Connect Core, section
// 5.5), and those that would declare capabilities (xms_cc) behind our back.
func checkClaims(s string) *Error {
	var all, ofAccessToken map[string]json.RawMessage
	if len(s) > entrawire.MaxClaims || json.Unmarshal([]byte(s), &all) != nil || all == nil {
		return refuse(ErrClaimsInvalid, fmt.Sprintf("the claims challenge is not a JSON object of at most %d bytes", entrawire.MaxClaims), "")
	}
	raw, ok := all["access_token"]
	if !ok {
		return nil
	}
	if json.Unmarshal(raw, &ofAccessToken) != nil || ofAccessToken == nil {
		return refuse(ErrClaimsInvalid, "access_token in the claims challenge is not a JSON object", "")
	}
	if _, ok := ofAccessToken["xms_cc"]; ok {
		return refuse(ErrClaimsInvalid, "the claims challenge asks for client capabilities (xms_cc), which are not the resource's to ask for", "")
	}
	return nil
}

// cacheKey is the name of a token within one exchanger. For a usual request it is
// the assertion's hash and the request's number; for any other, a hash of both
// and the number 0. So a hit needs no hash but the assertion's.
type cacheKey struct {
	sum   [sha256.Size]byte
	usual uint32
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

// name is a token's name wherever tokens are kept: it covers authority, app, tenant,
// user's assertion and request.
func (a *app) name(s *subject, r request) [sha256.Size]byte {
	var b [2 * sha256.Size]byte
	copy(b[:], s.hash[:])
	hash := a.hashRequest(r)
	copy(b[sha256.Size:], hash[:])
	return sha256.Sum256(b[:])
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
