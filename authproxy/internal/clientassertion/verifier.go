// Package clientassertion verifies the assertions by which clients authenticate with a key of
// their own (private_key_jwt: RFC 7523, section 3; OpenID Connect Core, section 9).
package clientassertion

import (
	"context"
	"crypto"
	"errors"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
)

// Type is the client_assertion_type of an assertion that is a JWT (RFC 7523, section 2.2).
const Type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// Keys finds clients' keys; clientdoc's Fetcher does. Errors are for the client.
type Keys interface {
	Key(ctx context.Context, jwksURI, kid, alg string) (crypto.PublicKey, error)
}

// A Store remembers the assertions that were used. It is authproxy's Store.
type Store interface {
	Swap(ctx context.Context, name string, old, value []byte, ttl time.Duration) (bool, error)
}

// A Verifier verifies assertions. It is safe for concurrent use.
type Verifier struct {
	Issuer, TokenEndpoint string // of this server: the audiences
	Keys                  Keys
	Store                 Store
	Now                   func() time.Time
}

// Verify verifies an assertion of the client whose keys are at the URI, and uses it up. Its
// error is an [*oauth.Error]: 401 invalid_client, or 503 temporarily_unavailable if the keys
// or the store can't be reached.
func (v *Verifier) Verify(ctx context.Context, assertion, clientID, jwksURI string) error {
	return &oauth.Error{Code: oauth.InvalidClient, Description: "not yet", Status: 401, Cause: errors.New("not yet")}
}
