package entratest

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"time"
)

// The routes of an application's credentials.
var credentialRoutes = []graphRoute{
	{http.MethodPost, "applications/{}/addPassword", mayWriteApp, (*graphCall).addPassword},
	{http.MethodPost, "applications/{}/removePassword", mayWriteApp, (*graphCall).removePassword},
	{http.MethodGet, "applications/{}/federatedIdentityCredentials", mayReadApps, (*graphCall).listFederated},
	{http.MethodPost, "applications/{}/federatedIdentityCredentials", mayWriteApp, (*graphCall).createFederated},
	{http.MethodGet, "applications/{}/federatedIdentityCredentials/{}", mayReadApps, (*graphCall).getFederated},
	{http.MethodPatch, "applications/{}/federatedIdentityCredentials/{}", mayWriteApp, (*graphCall).updateFederated},
	{http.MethodDelete, "applications/{}/federatedIdentityCredentials/{}", mayWriteApp, (*graphCall).deleteFederated},
}

// ownApplication returns the application in the path, if the caller may change it.
func (c *graphCall) ownApplication() (*App, *graphFault) {
	app, f := c.application(c.keys[0])
	if f != nil {
		return nil, f
	}
	return app, c.require(mayWriteApp, app)
}

// passwordLifetime is how long a secret is valid if the request does not say.
const passwordLifetime = 2 // years

// addPassword adds a secret, which only this answer has.
func (c *graphCall) addPassword() (graphResult, *graphFault) {
	app, f := c.ownApplication()
	if f != nil {
		return graphResult{}, f
	}
	var wanted struct {
		PasswordCredential passwordCredential `json:"passwordCredential"`
	}
	if f := c.read(&wanted); f != nil {
		return graphResult{}, f
	}
	password := wanted.PasswordCredential
	if password.SecretText != nil || password.Hint != nil || password.KeyID != "" {
		return graphResult{}, badRequest("The secret, its hint and keyId are generated: they can't be set.")
	}
	if password.StartDateTime == nil {
		password.StartDateTime = c.t.stampNow()
	}
	if password.EndDateTime == nil {
		end := password.StartDateTime.AddDate(passwordLifetime, 0, 0)
		password.EndDateTime = &end
	}
	if !password.EndDateTime.After(*password.StartDateTime) {
		return graphResult{}, invalid("passwordCredential", "the endDateTime is not after the startDateTime")
	}
	if f := c.d.policy.passwordFault(password); f != nil {
		return graphResult{}, f
	}
	secret := newSecret(password)
	secret.lags = c.d.newLags()
	app.secrets = append(app.secrets, secret)
	answer := secret.passwordCredential
	answer.SecretText = &secret.value
	return c.entity(http.StatusOK, "microsoft.graph.passwordCredential", answer)
}

// passwordFault returns the fault of a secret that the policy forbids.
func (p AppPolicy) passwordFault(password passwordCredential) *graphFault {
	if p.NoPasswords {
		return refused("CredentialTypeNotAllowedAsPerAppPolicy", "Credential type not allowed as per assigned policy '%s'.", emptyGUID)
	}
	if lifetime := password.EndDateTime.Sub(*password.StartDateTime); p.PasswordLifetime > 0 && lifetime > p.PasswordLifetime {
		return refused("CredentialInvalidLifetimeAsPerAppPolicy", "Credential lifetime exceeds the max value allowed as per assigned policy '%s'.", emptyGUID).
			with("InvalidKeyEndDate", "EndDate")
	}
	return nil
}

func (c *graphCall) removePassword() (graphResult, *graphFault) {
	app, f := c.ownApplication()
	if f != nil {
		return graphResult{}, f
	}
	var wanted struct {
		KeyID string `json:"keyId"`
	}
	if f := c.read(&wanted); f != nil {
		return graphResult{}, f
	}
	has := func(s clientSecret) bool {
		return strings.EqualFold(s.KeyID, wanted.KeyID) && !s.lags.take(LagCredential)
	}
	if !slices.ContainsFunc(app.secrets, has) {
		return graphResult{}, badRequest("No password credential found with keyId.")
	}
	app.secrets = slices.DeleteFunc(slices.Clone(app.secrets), func(s clientSecret) bool { return strings.EqualFold(s.KeyID, wanted.KeyID) })
	return noContent, nil
}

// checkPasswords lets a PATCH remove secrets, not add any.
func checkPasswords(old application, doc *application) *graphFault {
	for _, password := range doc.PasswordCredentials {
		known := func(p passwordCredential) bool { return p.KeyID == password.KeyID }
		if password.SecretText != nil || !slices.ContainsFunc(old.PasswordCredentials, known) {
			return badRequest("New password credentials must be generated with service actions: use addPassword.").
				with("InvalidValue", "passwordCredentials")
		}
	}
	return nil
}

// checkKeys reads the certificates of a document. One without its key is lost, even if the
// application had it.
func (a *App) checkKeys(doc *application) ([]appCertificate, *graphFault) {
	var all []appCertificate
	for _, wanted := range doc.KeyCredentials {
		if wanted.Key == nil {
			continue
		}
		der, err := base64.StdEncoding.DecodeString(*wanted.Key)
		if err != nil {
			return nil, invalid("keyCredentials", "the key is not base64")
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, invalid("keyCredentials", "the key is not a certificate")
		}
		if _, ok := certificate.PublicKey.(*rsa.PublicKey); !ok || wanted.Type != "AsymmetricX509Cert" || wanted.Usage != "Verify" {
			return nil, invalid("keyCredentials", "want an RSA certificate of type AsymmetricX509Cert with usage Verify")
		}
		if outside(wanted.StartDateTime, certificate) || outside(wanted.EndDateTime, certificate) {
			return nil, refused("KeyCredentialsInvalidEndDate", "Key credential end date is invalid: it must be within the certificate's validity period.").
				with("KeyCredentialsInvalidEndDate", "keyCredentials")
		}
		if wanted.KeyID == "" {
			wanted.KeyID = newGUID()
		}
		added := newCertificate(certificate, wanted)
		known := slices.IndexFunc(a.certificates, func(c appCertificate) bool { return c.KeyID == wanted.KeyID })
		if known >= 0 {
			added.lags = a.certificates[known].lags
		} else {
			added.lags = a.tenant.directory.newLags()
		}
		all = append(all, added)
	}
	return all, nil
}

// outside reports whether a date is not in the certificate's validity period.
func outside(date *time.Time, certificate *x509.Certificate) bool {
	return date != nil && (date.Before(certificate.NotBefore) || date.After(certificate.NotAfter))
}
