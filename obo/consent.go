package obo

import (
	"net/url"
	"strings"
)

// consentURL is where a user consents to the scope: an authorization request
// (RFC 6749, section 4.1.1) of our app. It has no prompt=consent, which would
// ask again where an administrator has consented (AADSTS90095). The code that
// it leads to is of no use to anybody; the page at the redirect URI discards it.
func (x *Exchanger) consentURL(t *tenant, scope string) string {
	q := url.Values{
		"client_id":     {x.clientID},
		"response_type": {"code"},
		"scope":         {scope},
	}
	return x.consentPage(t, "/oauth2/v2.0/authorize", q)
}

// adminConsentURL is where an administrator consents, for the whole tenant, to
// all permissions that the app registration lists for the resource.
func (x *Exchanger) adminConsentURL(t *tenant, resource string) string {
	q := url.Values{
		"client_id": {x.clientID},
		"scope":     {resource + "/" + defaultScope},
	}
	return x.consentPage(t, "/v2.0/adminconsent", q)
}

func (x *Exchanger) consentPage(t *tenant, path string, q url.Values) string {
	if x.redirectURL != "" {
		q.Set("redirect_uri", x.redirectURL)
	}
	// Spaces as %20: the URL is read by people and cut out of texts.
	return t.base + path + "?" + strings.ReplaceAll(q.Encode(), "+", "%20")
}
