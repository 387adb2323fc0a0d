package blobtest

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// tokenVerifier decides whose request this is, as Azure Storage does.
type tokenVerifier struct {
	key      func(kid string) (*rsa.PublicKey, bool)
	issuer   string
	audience string // without trailing slash
	tenantID string
	parser   *jwt.Parser
}

func newTokenVerifier(o Options) *tokenVerifier {
	return &tokenVerifier{
		key:      o.Key,
		issuer:   o.Issuer,
		audience: strings.TrimSuffix(o.Audience, "/"),
		tenantID: o.TenantID,
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodRS256.Alg()}),
			jwt.WithExpirationRequired(),
			jwt.WithTimeFunc(o.Now),
		),
	}
}

// storageClaims are the claims of a token for Azure Storage that count.
type storageClaims struct {
	jwt.RegisteredClaims
	TenantID string `json:"tid"`
	ObjectID string `json:"oid"`
	Scope    string `json:"scp"`
}

// errNoToken means that the request is anonymous.
var errNoToken = errors.New("no bearer token")

// caller returns the object id of the caller. An error's text is what Azure
// puts into AuthenticationErrorDetail.
func (v *tokenVerifier) caller(r *http.Request) (string, error) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return "", errNoToken
	}
	var claims storageClaims
	_, err := v.parser.ParseWithClaims(token, &claims, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		key, ok := v.key(kid)
		if !ok {
			return nil, errors.New("unknown key")
		}
		return key, nil
	})
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return "", errors.New("Lifetime validation failed. The token is expired.") //nolint:revive,staticcheck // Azure's words
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return "", errors.New("Lifetime validation failed. The token is not yet valid.") //nolint:revive,staticcheck // Azure's words
	case err != nil:
		return "", errors.New("Signature validation failed. Signature verification failed.") //nolint:revive,staticcheck // Azure's words
	}
	return claims.ObjectID, v.check(&claims)
}

// check tests the claims of a token whose signature and lifetime are good.
func (v *tokenVerifier) check(c *storageClaims) error {
	forUs := slices.ContainsFunc(c.Audience, func(a string) bool { return strings.TrimSuffix(a, "/") == v.audience })
	switch {
	case c.Issuer != v.issuer:
		return errors.New("Issuer validation failed. Issuer did not match.") //nolint:revive,staticcheck // Azure's words
	case !forUs:
		return errors.New("Audience validation failed. Audience did not match.") //nolint:revive,staticcheck // Azure's words
	case v.tenantID != "" && c.TenantID != v.tenantID:
		return errors.New("Tenant validation failed. Tenant did not match.") //nolint:revive,staticcheck // Azure's words
	case c.ObjectID == "":
		return errors.New("the token names no object (oid)")
	case c.Scope != "" && !slices.Contains(strings.Fields(c.Scope), "user_impersonation"):
		return errors.New("the token lacks the scope user_impersonation")
	}
	return nil
}

// challenge is the value of WWW-Authenticate on a 401. Azure writes it without
// quotes.
func (v *tokenVerifier) challenge() string {
	tenant := v.tenantID
	if tenant == "" {
		tenant = "common"
	}
	return fmt.Sprintf("Bearer authorization_uri=https://login.microsoftonline.com/%s/oauth2/authorize resource_id=%s", tenant, v.audience)
}

// tenantOf returns the tenant in a v1 issuer, or nothing.
func tenantOf(issuer string) string {
	tenant, ok := strings.CutPrefix(issuer, "https://sts.windows.net/")
	if !ok {
		return ""
	}
	return strings.TrimSuffix(tenant, "/")
}
