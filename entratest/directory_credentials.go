package entratest

import (
	"net/http"
	"slices"
	"strings"
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

// passwordLifetime is how long a secret is valid if the request does not say.
const passwordLifetime = 2 // years

// addPassword adds a secret, which only this answer has.
func (c *graphCall) addPassword() (graphResult, *graphFault) {
	app, f := c.ownApplication()
	if f == nil {
		f = c.require(mayAddProof, app)
	}
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
