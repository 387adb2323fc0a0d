// Package clientassertion verifies the assertions by which clients authenticate with a key of
// their own (private_key_jwt: RFC 7523, section 3; OpenID Connect Core, section 9).
package clientassertion

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clientdoc"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
)

// Type is the client_assertion_type of an assertion that is a JWT (RFC 7523, section 2.2).
const Type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

const (
	// maxAhead is how far ahead an assertion may expire: the MCP SDKs make theirs for as long.
	maxAhead = 5 * time.Minute
	// storeTimeout bounds a request to the store.
	storeTimeout = time.Second
	// skew is the tolerated difference between the client's clock and ours.
	skew = 10 * time.Second
)

// A Store remembers the assertions that were used. It is authproxy's Store.
type Store interface {
	Swap(ctx context.Context, name string, old, value []byte, ttl time.Duration) (bool, error)
}

// A Verifier verifies assertions. It is safe for concurrent use.
type Verifier struct {
	Issuer, TokenEndpoint string // of this server: either is the audience
	Keys                  *clientdoc.Fetcher
	Store                 Store
	Now                   func() time.Time
}

// Verify verifies an assertion of the client whose keys are at the URI, and uses it up. Its
// error is an [*oauth.Error]: 401 invalid_client, or 503 or 429 temporarily_unavailable if the
// keys can't be fetched now or the store can't be reached.
func (v *Verifier) Verify(ctx context.Context, assertion, clientID, jwksURI string) error {
	t, err := parse(assertion)
	if err != nil {
		return refuse("%v", err)
	}
	if err := v.checkClaims(t, clientID); err != nil {
		return err
	}
	// Fetching and verifying cost the most, so they come after the rest.
	public, err := v.Keys.Key(ctx, jwksURI, t.kid, t.method.Alg())
	if err != nil {
		return err
	}
	if t.method.Verify(t.signed, t.signature, public) != nil {
		return refuse("its signature is not by the key with its kid at the client's jwks_uri")
	}
	return v.use(ctx, t, clientID)
}

func (v *Verifier) checkClaims(t *token, clientID string) error {
	now := v.Now()
	begun := now // by the client's clock, if that is ahead
	if t.issuedAt.After(now) {
		begun = t.issuedAt
	}
	switch {
	case t.issuer != clientID || t.subject != clientID:
		return refuse("its iss and sub must both be the client_id")
	case t.audience != v.Issuer && t.audience != v.TokenEndpoint:
		return refuse("its aud must be one value, this server's issuer or its token endpoint, as in the metadata")
	case t.expires.IsZero():
		return refuse("it has no exp")
	case !now.Before(t.expires.Add(skew)):
		return refuse("it has expired; make one for each request, and check the clock")
	case t.notBefore.After(now.Add(skew)) || t.issuedAt.After(now.Add(skew)):
		return refuse("its nbf or iat is in the future; check the clock")
	case t.expires.After(begun.Add(maxAhead)):
		return refuse("its exp is more than %v ahead", maxAhead)
	case t.id == "":
		return refuse("it has no jti")
	}
	return nil
}

// use records that an assertion was used, until it has expired for every clock.
func (v *Verifier) use(ctx context.Context, t *token, clientID string) error {
	name := sha256.Sum256([]byte(strings.Join([]string{"client assertion", v.Issuer, clientID, t.id}, "\x00")))
	claim := make([]byte, 16) // not the same twice: a Store may report true if the value is there already
	_, _ = rand.Read(claim)   // never fails
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	first, err := v.Store.Swap(ctx, hex.EncodeToString(name[:]), nil, claim, t.expires.Add(skew).Sub(v.Now()))
	switch {
	case err != nil:
		return &oauth.Error{
			Code: oauth.TemporarilyUnavailable, Description: "this server can't tell now whether the client assertion was used before; try again",
			Status: http.StatusServiceUnavailable, RetryAfter: time.Second, Cause: fmt.Errorf("client assertion: %w", err),
		}
	case !first:
		return refuse("it was used before; make one with a new jti for each request")
	}
	return nil
}

// refuse says why an assertion is refused, with nothing of it.
func refuse(format string, args ...any) *oauth.Error {
	return &oauth.Error{
		Code: oauth.InvalidClient, Description: "the client assertion is refused: " + fmt.Sprintf(format, args...),
		Status: http.StatusUnauthorized,
	}
}
