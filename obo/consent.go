package obo

import (
	"net/url"
	"strings"
)

// consentURL is where a user consents to the scope: an authorization request
// (RFC 6749, section 4.1.1) of our app. It has no prompt=consent, which would
// ask again where an administrator has consented (AADSTS90095). The code that
// it leads to is of no use to anybody; the page at the redirect URI discards it.
func (a *app) consentURL(t *tenant, scope string) string {
	q := url.Values{
		"client_id":     {a.clientID},
		"response_type": {"code"},
		"scope":         {scope},
	}
	return a.consentPage(t, "/oauth2/v2.0/authorize", q)
}

// adminConsentURL is where an administrator consents, for the whole tenant, to
// all permissions that the app registration lists for the resource.
func (a *app) adminConsentURL(t *tenant, resource string) string {
	q := url.Values{
		"client_id": {a.clientID},
		"scope":     {resource + "/" + defaultScope},
	}
	return a.consentPage(t, "/v2.0/adminconsent", q)
}

func (a *app) consentPage(t *tenant, path string, q url.Values) string {
	if a.redirectURL != "" {
		q.Set("redirect_uri", a.redirectURL)
	}
	// Spaces as %20: the URL is read by people and cut out of texts.
	return t.base + path + "?" + strings.ReplaceAll(q.Encode(), "+", "%20")
}
