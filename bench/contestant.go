package bench

import (
	"context"
	"errors"
	"strings"
)

// A Verify judges an access token and makes of it what a program needs to know
// of the caller: at least tenant, object ID, scopes, roles and groups, where the
// library gives access to claims at all.
type Verify func(ctx context.Context, token string) error

// A Contestant is one way of verifying tokens.
type Contestant struct {
	// Name heads its column.
	Name string
	// Modules are the paths of its modules, by which their versions are found. Empty for ours.
	Modules []string
	// Configured says how, in a sentence.
	Configured string
	// New returns a verifier for access tokens of the bed's API. What it keeps
	// running ends with ctx.
	New func(ctx context.Context, b *Bed) (Verify, error)
	// Variant is set for ways of which one is enough in the table of what is accepted.
	Variant bool
}

// Contestants returns all: ours first.
func Contestants() []Contestant {
	return []Contestant{
		ours(), oursUncached(), golangJWT(), golangJWTMap(), goOIDC(), auth0(), jwx(), hashicorpCap(), oauthMCPProxy(), oauthMCPProxyUncached(),
	}
}

// entraClaims are what a program needs to know of the caller.
type entraClaims struct {
	TenantID string   `json:"tid"`
	ObjectID string   `json:"oid"`
	Client   string   `json:"azp"`
	Scopes   string   `json:"scp"`
	Roles    []string `json:"roles"`
	Groups   []string `json:"groups"`
}

var errScope = errors.New("scope missing")

// requireScope is the check that goes into those libraries that call one of the
// program's own.
func (c *entraClaims) requireScope() error {
	for scope := range strings.FieldsSeq(c.Scopes) {
		if scope == Scope {
			return nil
		}
	}
	return errScope
}
