package entratest

import (
	"crypto/rsa"
	"crypto/sha1" // x5t is a SHA-1 thumbprint by definition (RFC 7515 section 4.1.7)
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// AddCertificate lets the app authenticate with assertions signed by the certificate's key
// (https://learn.microsoft.com/entra/identity-platform/certificate-credentials). They must use
// RS256 or PS256, have the thumbprint in the header as x5t#S256 or x5t, and have aud, iss, sub and
// exp. It panics if the key is not RSA. The tenant checks the certificate's validity period but
// not its chain.
func (a *App) AddCertificate(certificate *x509.Certificate) {
	if _, ok := certificate.PublicKey.(*rsa.PublicKey); !ok {
		panic(fmt.Sprintf("entratest: AddCertificate: the key of %s is %T, want *rsa.PublicKey", certificate.Subject, certificate.PublicKey))
	}
	a.mustHoldCredentials("AddCertificate")
	a.tenant.mu.Lock()
	defer a.tenant.mu.Unlock()
	name := certificate.Subject.String()
	a.certificates = append(a.certificates, newCertificate(certificate, keyCredential{KeyID: newGUID(), DisplayName: &name}))
}

// An appCertificate is a certificate of an app, and how the directory describes it.
type appCertificate struct {
	keyCredential
	certificate *x509.Certificate
	lags        lags
}

func newCertificate(certificate *x509.Certificate, described keyCredential) appCertificate {
	thumbprint := sha1.Sum(certificate.Raw)
	identifier, key := strings.ToUpper(hex.EncodeToString(thumbprint[:])), base64.StdEncoding.EncodeToString(certificate.Raw)
	described.CustomKeyIdentifier, described.Key = &identifier, &key
	described.Type, described.Usage = "AsymmetricX509Cert", "Verify"
	described.StartDateTime, described.EndDateTime = &certificate.NotBefore, &certificate.NotAfter
	return appCertificate{keyCredential: described, certificate: certificate}
}

var errNoCertificate = errors.New("no such certificate")

// checkCertificate checks an assertion that the app signed itself.
func (t *Tenant) checkCertificate(app *App, assertion string, claims jwt.MapClaims) *rejection {
	if subject, _ := claims["sub"].(string); !strings.EqualFold(subject, app.ClientID) {
		return reject(700021, fmt.Sprintf("Client assertion application identifier doesn't match 'client_id' parameter: its subject is '%s'.", clip(subject)))
	}
	if list, ok := claims["aud"].([]any); ok && len(list) > 1 {
		return reject(5002741, fmt.Sprintf("Number of audience values in the provided client credential exceed maximum allowed. %d audience values provided, maximum allowed is 1.", len(list)))
	}
	var expired bool
	var presented string
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256", "PS256"}), jwt.WithTimeFunc(t.now),
		jwt.WithLeeway(clockSkew), jwt.WithExpirationRequired())
	_, err := parser.Parse(assertion, func(token *jwt.Token) (any, error) {
		presented = presentedThumbprint(token.Header)
		certificate := app.certificateOf(token.Header)
		if certificate == nil {
			return nil, errNoCertificate
		}
		expired = t.now().After(certificate.NotAfter) || t.now().Before(certificate.NotBefore)
		return certificate.PublicKey, nil
	})
	switch {
	case errors.Is(err, errNoCertificate):
		return reject(700027, fmt.Sprintf("The certificate with identifier used to sign the client assertion is not registered on application. "+
			"[Reason - The key was not found., Thumbprint of key used by client: '%s']", clip(presented)))
	case errors.Is(err, jwt.ErrTokenInvalidClaims):
		return notInTime(t)
	case err != nil:
		return reject(700027, "Client assertion failed signature validation. [Reason - The signature is not that of the certificate, or its algorithm is neither RS256 nor PS256.]")
	case expired:
		return reject(700027, "Client assertion failed signature validation. [Reason - The certificate used is expired or not yet valid.]")
	case !t.isAudience(claims["aud"]):
		return reject(700023, fmt.Sprintf("Client assertion audience claim does not match Realm issuer: it is '%s'.", clip(fmt.Sprint(claims["aud"]))))
	}
	return nil
}

func notInTime(t *Tenant) *rejection {
	return reject(700024, fmt.Sprintf("Client assertion is not within its valid time range. Current time: %s.", stamp(t.now())))
}

// isAudience reports whether an assertion is for this tenant's token endpoint.
func (t *Tenant) isAudience(audience any) bool {
	if list, ok := audience.([]any); ok && len(list) == 1 {
		audience = list[0]
	}
	base := t.authorityHost + "/" + t.id
	text, _ := audience.(string)
	return slices.Contains([]string{base + "/oauth2/v2.0/token", base + "/oauth2/token", base + "/v2.0", base, base + "/"}, text)
}

// certificateOf returns the app's certificate that a header identifies. If several members
// identify one, they must agree.
func (a *App) certificateOf(header map[string]any) *x509.Certificate {
	a = a.registration()
	a.tenant.mu.Lock()
	defer a.tenant.mu.Unlock()
	for _, registered := range a.certificates {
		certificate := registered.certificate
		old := sha1.Sum(certificate.Raw)
		sum := sha256.Sum256(certificate.Raw)
		x5t, hasOld := header["x5t"].(string)
		s256, hasNew := header["x5t#S256"].(string)
		kid, hasKid := header["kid"].(string)
		switch {
		case hasNew && !isEncoded(s256, sum[:]), hasOld && !isEncoded(x5t, old[:]):
		case hasNew || hasOld, hasKid && strings.EqualFold(kid, hex.EncodeToString(old[:])):
			return certificate
		}
	}
	return nil
}

// isEncoded reports whether text is the thumbprint in any kind of base64. Libraries differ, and
// Entra accepts them all.
func isEncoded(text string, thumbprint []byte) bool {
	text = strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(text)
	return text == base64.RawURLEncoding.EncodeToString(thumbprint)
}

// presentedThumbprint returns the certificate thumbprint that the client sent.
func presentedThumbprint(header map[string]any) string {
	for _, name := range []string{"x5t#S256", "x5t", "kid"} {
		if text, ok := header[name].(string); ok {
			return text
		}
	}
	return ""
}
