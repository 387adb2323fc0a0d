package main

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// A vault is as much of Key Vault as the demonstration needs: the challenge, and the list of
// secrets for those who have a role.
type vault struct {
	*httptest.Server
	tenant  *entratest.Tenant
	secrets map[string]time.Time // names, and when they expire; zero means never
	readers map[string]bool      // object IDs
}

// newVault starts a vault that trusts the tenant's tokens.
func newVault(tenant *entratest.Tenant, secrets map[string]time.Time) *vault {
	v := &vault{tenant: tenant, secrets: secrets, readers: map[string]bool{}}
	v.Server = httptest.NewTLSServer(http.HandlerFunc(v.serve))
	return v
}

// grant gives a user the role Key Vault Reader.
func (v *vault) grant(objectID string) { v.readers[objectID] = true }

func (v *vault) serve(w http.ResponseWriter, r *http.Request) {
	reader, err := v.caller(r.Header.Get("Authorization"))
	switch {
	case err != nil:
		w.Header().Set("WWW-Authenticate", `Bearer authorization="`+v.tenant.AuthorityHost()+"/"+v.tenant.ID()+`", resource="`+vaultResource+`"`)
		fail(w, http.StatusUnauthorized, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
	case !v.readers[reader]:
		fail(w, http.StatusForbidden, "Forbidden", "Caller is not authorized to perform action on resource.")
	case r.Method != http.MethodGet || r.URL.Path != "/secrets":
		fail(w, http.StatusNotFound, "NotFound", "There is nothing here.")
	default:
		answer(w, http.StatusOK, map[string]any{"value": v.list(), "nextLink": nil})
	}
}

func (v *vault) list() []any {
	items := []any{}
	for _, name := range slices.Sorted(maps.Keys(v.secrets)) {
		attributes := map[string]any{"enabled": true}
		if expires := v.secrets[name]; !expires.IsZero() {
			attributes["exp"] = expires.Unix()
		}
		items = append(items, map[string]any{"id": v.URL + "/secrets/" + name, "attributes": attributes})
	}
	return items
}

// caller verifies a token for Key Vault and returns the user's object ID.
func (v *vault) caller(authorization string) (string, error) {
	token, ok := strings.CutPrefix(authorization, "Bearer ")
	if !ok {
		return "", errors.New("no token")
	}
	claims := jwt.MapClaims{}
	_, err := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithAudience(vaultResource),
		jwt.WithIssuer(v.tenant.V1Issuer()), jwt.WithExpirationRequired()).
		ParseWithClaims(token, claims, func(t *jwt.Token) (any, error) {
			kid, _ := t.Header["kid"].(string)
			if key, ok := v.tenant.PublicKey(kid); ok {
				return key, nil
			}
			return nil, errors.New("unknown key")
		})
	objectID, _ := claims["oid"].(string)
	return objectID, err
}

func fail(w http.ResponseWriter, status int, code, message string) {
	answer(w, status, map[string]any{"error": map[string]any{"code": code, "message": message}})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
