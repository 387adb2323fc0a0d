package obo

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
)

const (
	// storageResource is the resource of Azure Storage, the default.
	storageResource = "https://storage.azure.com"
	// defaultScope stands for all permissions that the app registration lists.
	defaultScope = ".default"
)

// Registration is what an [Exchanger] was made for. Package mcpentra compares it
// with that of an entraauth.Verifier, and a server can log it at its start.
type Registration struct {
	// ClientID is the application id of the app that exchanges, in lower case.
	ClientID string
	// AuthorityHost is the cloud, as a URL without trailing slash.
	AuthorityHost string
	// Tenants are the ids of the tenants whose users are acted for, the home tenant
	// first, in lower case.
	Tenants []string
	// Resources are the APIs at which users are acted for, as configured.
	Resources []string
}

// app is the app that exchanges, as it is registered and configured.
type app struct {
	clientID    string
	host        authority.Host
	home        *tenant
	others      map[string]*tenant // by id
	redirectURL string
	resources   []string
}

// tenant is an authority whose users' tokens are exchanged.
type tenant struct {
	id        string // in lower case
	base      string // of its URLs
	tokenURL  string
	discovery []byte // what MSAL gets for the discovery document
	circuit   *circuit
}

func newTenant(host authority.Host, id string, now func() time.Time, logger *slog.Logger) *tenant {
	t := &tenant{id: strings.ToLower(id)}
	t.base = host.Tenant(t.id)
	t.tokenURL = t.base + "/oauth2/v2.0/token"
	t.discovery = discoveryDocument(t.base, t.tokenURL)
	t.circuit = &circuit{now: now, logger: logger, tenant: t.id}
	return t
}

// discoveryDocument is what MSAL wants to know of the tenant before its first
// request. Entra's endpoints are where its documentation says; to ask for them
// would cost a request, and would let the answer say where secrets are sent.
func discoveryDocument(base, tokenURL string) []byte {
	b, _ := json.Marshal(map[string]string{ // strings only: no error possible
		"issuer":                 base + "/v2.0",
		"authorization_endpoint": base + "/oauth2/v2.0/authorize",
		"token_endpoint":         tokenURL,
	})
	return b
}

// tenantOf returns the tenant with the id that an assertion names, or nil if its
// tokens aren't exchanged here.
func (a *app) tenantOf(id string) *tenant {
	if strings.EqualFold(id, a.home.id) {
		return a.home
	}
	return a.others[strings.ToLower(id)]
}

func (a *app) tenantNames() string {
	if len(a.others) == 0 {
		return a.home.id
	}
	return fmt.Sprintf("%s and %d others", a.home.id, len(a.others))
}

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
