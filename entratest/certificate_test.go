package entratest_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // x5t is a SHA-1 thumbprint by definition (RFC 7515 section 4.1.7)
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"net/http"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// newCredential returns a certificate that is valid for 30 days, starting a day before now.
func newCredential(t testing.TB, now time.Time) (*x509.Certificate, *rsa.PrivateKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "app"},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(30 * 24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate, key
}

func TestCertificateAssertions(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	certificate, key := newCredential(t, c.clock.Now())
	other, otherKey := newCredential(t, c.clock.Now())
	c.api.AddCertificate(certificate)
	old, sum, otherSum := sha1.Sum(certificate.Raw), sha256.Sum256(certificate.Raw), sha256.Sum256(other.Raw)
	endpoint := c.AuthorityHost() + "/" + c.ID() + "/oauth2/v2.0/token"
	now := c.clock.Now().Unix()
	type change func(header map[string]any, claims jwt.MapClaims)
	sign := func(method jwt.SigningMethod, with any, edit change) string {
		token := jwt.NewWithClaims(method, jwt.MapClaims{
			"aud": endpoint, "iss": c.api.ClientID, "sub": c.api.ClientID, "jti": "1", "nbf": now, "exp": now + 600,
		})
		token.Header["x5t#S256"] = base64.RawURLEncoding.EncodeToString(sum[:])
		if edit != nil {
			claims, _ := token.Claims.(jwt.MapClaims)
			edit(token.Header, claims)
		}
		signed, err := token.SignedString(with)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	claim := func(name string, value any) change {
		return func(_ map[string]any, c jwt.MapClaims) { c[name] = value }
	}
	header := func(name, value string) change {
		return func(h map[string]any, _ jwt.MapClaims) {
			delete(h, "x5t#S256")
			h[name] = value
		}
	}
	for name, test := range map[string]struct {
		assertion string
		code      int
	}{
		"PS256":                    {sign(jwt.SigningMethodPS256, key, nil), 0},
		"RS256":                    {sign(jwt.SigningMethodRS256, key, nil), 0},
		"standard base64":          {sign(jwt.SigningMethodPS256, key, header("x5t#S256", base64.StdEncoding.EncodeToString(sum[:]))), 0},
		"x5t":                      {sign(jwt.SigningMethodRS256, key, header("x5t", base64.RawURLEncoding.EncodeToString(old[:]))), 0},
		"kid":                      {sign(jwt.SigningMethodRS256, key, header("kid", hex.EncodeToString(old[:]))), 0},
		"issuer as audience":       {sign(jwt.SigningMethodPS256, key, claim("aud", c.V2Issuer())), 0},
		"PS384":                    {sign(jwt.SigningMethodPS384, key, nil), 700027},
		"other key":                {sign(jwt.SigningMethodPS256, otherKey, nil), 700027},
		"other certificate":        {sign(jwt.SigningMethodPS256, otherKey, header("x5t#S256", base64.RawURLEncoding.EncodeToString(otherSum[:]))), 700027},
		"no thumbprint":            {sign(jwt.SigningMethodPS256, key, header("cty", "x")), 700027},
		"unsigned":                 {sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil), 700027},
		"other audience":           {sign(jwt.SigningMethodPS256, key, claim("aud", "https://login.microsoftonline.com/x/oauth2/v2.0/token")), 700023},
		"two audiences":            {sign(jwt.SigningMethodPS256, key, claim("aud", []string{endpoint, c.V2Issuer()})), 5002741},
		"other subject":            {sign(jwt.SigningMethodPS256, key, claim("sub", c.client.ClientID)), 700021},
		"other issuer":             {sign(jwt.SigningMethodPS256, key, claim("iss", c.client.ClientID)), 70025},
		"expired":                  {sign(jwt.SigningMethodPS256, key, claim("exp", now-600)), 700024},
		"no expiry":                {sign(jwt.SigningMethodPS256, key, claim("exp", nil)), 700024},
		"not yet valid":            {sign(jwt.SigningMethodPS256, key, claim("nbf", now+600)), 700024},
		"expired, within leeway":   {sign(jwt.SigningMethodPS256, key, claim("exp", now-60)), 0},
		"early, but within leeway": {sign(jwt.SigningMethodPS256, key, claim("nbf", now+60)), 0},
	} {
		a := c.token(t, c.obo("client_secret", "", "client_assertion_type", assertionType, "client_assertion", test.assertion))
		if a.code() != test.code || (a.status == http.StatusOK) != (test.code == 0) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	c.clock.Advance(31 * 24 * time.Hour)
	now = c.clock.Now().Unix()
	if a := c.token(t, c.obo("client_secret", "", "client_assertion_type", assertionType, "client_assertion", sign(jwt.SigningMethodPS256, key, nil))); a.code() != 700027 {
		t.Errorf("expired certificate: %s", a.body)
	}
}

func thumbprint(certificate *x509.Certificate) string {
	sum := sha256.Sum256(certificate.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
