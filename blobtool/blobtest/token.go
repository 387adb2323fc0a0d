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

// detailError is the AuthenticationErrorDetail of a refused token, as Azure words it.
type detailError string

func (e detailError) Error() string { return string(e) }

// errNoToken means that the request is anonymous.
var errNoToken = errors.New("no bearer token")

// caller returns the object id of the caller, or errNoToken or a detailError.
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
		return "", detailError("Lifetime validation failed. The token is expired.")
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return "", detailError("Lifetime validation failed. The token is not yet valid.")
	case err != nil:
		return "", detailError("Signature validation failed. Signature verification failed.")
	}
	return claims.ObjectID, v.check(&claims)
}

// check tests the claims of a token whose signature and lifetime are good.
func (v *tokenVerifier) check(c *storageClaims) error {
	forUs := slices.ContainsFunc(c.Audience, func(a string) bool { return strings.TrimSuffix(a, "/") == v.audience })
	switch {
	case c.Issuer != v.issuer:
		return detailError("Issuer validation failed. Issuer did not match.")
	case !forUs:
		return detailError("Audience validation failed. Audience did not match.")
	case v.tenantID != "" && c.TenantID != v.tenantID:
		return detailError("Tenant validation failed. Tenant did not match.")
	case c.ObjectID == "":
		return detailError("The token names no object (oid).")
	case c.Scope != "" && !slices.Contains(strings.Fields(c.Scope), "user_impersonation"):
		return detailError("The token lacks the scope user_impersonation.")
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
