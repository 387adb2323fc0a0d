package obo

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/mcpentra/mcp-entra-go/internal/entrawire"
)

// request is what is requested for an assertion.
type request struct {
	resource string
	scope    string // one or more, separated by spaces
	usual    uint32 // its number if it is a usual request, else 0
	claims   string
	cae      bool   // the caller handles claims challenges (EnableCAE)
	cp1      bool   // the user's client does, too: declare it to Entra
	agent    *agent // whom the token names as the actor; nil for the app itself
}

func (r request) agentID() string {
	if r.agent == nil {
		return ""
	}
	return r.agent.id
}

// of returns e as the error of the request r. It is a copy: e may be remembered, or another exchange's
// too, so nothing of it changes.
func (e *Error) of(r request) *Error {
	own := *e
	own.Resource, own.agent = cmp.Or(e.Resource, r.resource), r.agentID()
	return &own
}

// usualRequests returns the requests for <resource>/.default, which nearly all are, by
// scope. Their numbers are odd; the next number stands for the same with the CAE flag.
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

// checkClaims rejects what is not a claims challenge (OpenID Connect Core, section
// 5.5), and challenges that set client capabilities (xms_cc): those are ours to declare.
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
		return refuse(ErrClaimsInvalid, "the claims challenge sets client capabilities (xms_cc), which only the client may do", "")
	}
	return nil
}

// cacheKey identifies a token within one exchanger. For a usual request it is the
// assertion's hash and the request's number, so that a cache hit needs no more hashing;
// for others it is a hash of assertion and request, and the number 0. The agent's number is in
// both.
type cacheKey struct {
	sum   [sha256.Size]byte
	usual uint32
	agent uint32
}

func (a *app) cacheKey(s *subject, r request) cacheKey {
	var agent uint32
	if r.agent != nil {
		agent = r.agent.number
	}
	if r.usual != 0 && r.claims == "" {
		if r.cae {
			return cacheKey{s.hash, r.usual + 1, agent}
		}
		return cacheKey{s.hash, r.usual, agent}
	}
	return cacheKey{sum: a.tokenName(s, r), agent: agent}
}

// tokenName identifies a token everywhere: it covers authority, app, tenant, assertion,
// request and agent.
func (a *app) tokenName(s *subject, r request) [sha256.Size]byte {
	var b [2 * sha256.Size]byte
	copy(b[:], s.hash[:])
	hash := a.hashRequest(r)
	copy(b[sha256.Size:], hash[:])
	return sha256.Sum256(b[:])
}

// hashRequest is the part of a token's name that doesn't depend on the user.
func (a *app) hashRequest(r request) [sha256.Size]byte {
	var buf [512]byte // enough for most, on the stack
	b := buf[:0]
	// Lengths keep the names of two requests apart. The token endpoint's URL stands
	// for the authority; the assertion says which of several tenants it is.
	for _, s := range [...]string{a.home.tokenURL, a.clientID, r.scope, r.claims} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	if r.cae {
		b = append(b, 1)
	}
	if id := r.agentID(); id != "" { // no name without an agent ends like this
		b = binary.AppendUvarint(b, uint64(len(id)))
		b = append(b, id...)
	}
	return sha256.Sum256(b)
}
