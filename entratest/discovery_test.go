package entratest_test

import (
	"crypto/rsa"
	"crypto/sha1" // x5t is a SHA-1 thumbprint by definition (RFC 7517 section 4.8)
	"crypto/x509"
	"encoding/base64"
	"maps"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

func TestMetadata(t *testing.T) {
	t.Parallel()
	tenant := entratest.New(t, nil)
	base := tenant.AuthorityHost() + "/" + tenant.ID()
	for path, want := range map[string]map[string]string{
		"/v2.0/.well-known/openid-configuration": {
			"issuer":                 base + "/v2.0",
			"token_endpoint":         base + "/oauth2/v2.0/token",
			"authorization_endpoint": base + "/oauth2/v2.0/authorize",
			"jwks_uri":               base + "/discovery/v2.0/keys",
			"cloud_instance_name":    "microsoftonline.com",
			"tenant_region_scope":    "WW",
		},
		"/.well-known/openid-configuration": {
			"issuer":                 "https://sts.windows.net/" + tenant.ID() + "/",
			"token_endpoint":         base + "/oauth2/token",
			"authorization_endpoint": base + "/oauth2/authorize",
			"jwks_uri":               base + "/discovery/keys",
			"cloud_instance_name":    "microsoftonline.com",
			"tenant_region_scope":    "WW",
		},
	} {
		for _, tid := range []string{tenant.ID(), strings.ToUpper(tenant.ID())} {
			a := get(t, tenant.HTTPClient(), tenant.AuthorityHost()+"/"+tid+path)
			if a.status != http.StatusOK || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
				t.Fatalf("%s: %d %s", path, a.status, a.header.Get("Content-Type"))
			}
			for name, value := range want {
				if a.json[name] != value {
					t.Errorf("%s: %s = %v, want %s", path, name, a.json[name], value)
				}
			}
			for _, absent := range []string{"code_challenge_methods_supported", "registration_endpoint"} {
				if _, ok := a.json[absent]; ok {
					t.Errorf("%s has %s, which Entra's has not", path, absent)
				}
			}
		}
	}
}

func TestKeySet(t *testing.T) {
	t.Parallel()
	tenant := entratest.New(t, nil)
	for path, issuer := range map[string]string{
		"/discovery/v2.0/keys": tenant.V2Issuer(),
		"/discovery/keys":      tenant.V1Issuer(),
	} {
		a := get(t, tenant.HTTPClient(), tenant.AuthorityHost()+"/"+tenant.ID()+path)
		keys, _ := a.json["keys"].([]any)
		if len(keys) != 1 {
			t.Fatalf("%s: %d %s", path, a.status, a.body)
		}
		key, _ := keys[0].(map[string]any)
		want := []string{"cloud_instance_name", "e", "issuer", "kid", "kty", "n", "use", "x5c", "x5t"}
		if members := slices.Sorted(maps.Keys(key)); !slices.Equal(members, want) {
			t.Errorf("%s: members are %v, want %v", path, members, want)
		}
		if key["issuer"] != issuer || key["kid"] != tenant.KeyID() || key["use"] != "sig" || key["kty"] != "RSA" || key["e"] != "AQAB" {
			t.Errorf("%s: %v", path, key)
		}
		public, ok := tenant.PublicKey(tenant.KeyID())
		if n := base64.RawURLEncoding.EncodeToString(public.N.Bytes()); !ok || key["n"] != n {
			t.Errorf("%s: n is not PublicKey's", path)
		}
		checkChain(t, key, public.N)
	}
}

// checkChain checks that x5c is a certificate of the key, and x5t its thumbprint.
func checkChain(t *testing.T, key map[string]any, modulus *big.Int) {
	t.Helper()
	chain, _ := key["x5c"].([]any)
	encoded, _ := chain[0].(string)
	der, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha1.Sum(der)
	thumbprint := base64.RawURLEncoding.EncodeToString(sum[:])
	public, _ := certificate.PublicKey.(*rsa.PublicKey)
	if key["x5t"] != thumbprint || key["kid"] != "entratest-"+thumbprint || public.N.Cmp(modulus) != 0 {
		t.Errorf("x5t %v and kid %v do not belong to the certificate", key["x5t"], key["kid"])
	}
	if !strings.Contains(certificate.Subject.CommonName, "not Microsoft Entra ID") {
		t.Errorf("the certificate is named %q", certificate.Subject.CommonName)
	}
}

func TestUnknownTenant(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	for _, tid := range []string{"consumers", "11111111-2222-3333-4444-555555555555", strings.Repeat("x", 5000)} {
		for _, path := range []string{"/v2.0/.well-known/openid-configuration", "/discovery/v2.0/keys"} {
			a := get(t, c.HTTPClient(), c.AuthorityHost()+"/"+tid+path)
			if a.status != http.StatusBadRequest || a.text("error") != "invalid_tenant" || a.code() != 90002 {
				t.Errorf("%.20s%s: %d %s", tid, path, a.status, a.body)
			}
			if len(a.body) > 2000 {
				t.Errorf("%.20s%s: the answer has %d bytes", tid, path, len(a.body))
			}
		}
		a := do(t, c.HTTPClient(), http.MethodPost, c.AuthorityHost()+"/"+tid+"/oauth2/v2.0/token", c.obo())
		if a.status != http.StatusBadRequest || a.code() != 90002 || a.text("error") != "invalid_request" {
			t.Errorf("%.20s: token endpoint: %d %s", tid, a.status, a.body)
		}
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	tenant := entratest.New(t, nil)
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"/":                                   {http.StatusOK, "metadata"},
		"/error?code=65001":                   {http.StatusOK, "AADSTS65001"},
		"/error?code=%3Cscript%3E":            {http.StatusOK, "AADSTS&lt;script&gt;"},
		"/" + tenant.ID() + "/oauth2/token":   {http.StatusNotFound, "no page"},
		"/.well-known/openid-configuration":   {http.StatusNotFound, "no page"},
		"/" + tenant.ID() + "/v2.0/adminish/": {http.StatusNotFound, "no page"},
	} {
		a := get(t, tenant.HTTPClient(), tenant.AuthorityHost()+path)
		if a.status != want.status || !strings.Contains(a.body, want.text) {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
		if !strings.Contains(a.body, "not Microsoft Entra ID") || !strings.Contains(a.header.Get("X-Entratest"), "not Microsoft Entra ID") {
			t.Errorf("%s does not say what it is", path)
		}
	}
}
