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

// Registration describes the app registration that an [Exchanger] uses. Package mcpentra
// compares it with that of an entraauth.Verifier, and a server can log it at startup.
type Registration struct {
	// ClientID is the application ID, in lower case.
	ClientID string
	// AuthorityHost is the cloud, as a URL without a trailing slash.
	AuthorityHost string
	// Tenants are the ids of the tenants whose users' tokens are exchanged, in lower
	// case, the home tenant first.
	Tenants []string
	// Resources are the APIs that tokens are exchanged for, as configured.
	Resources []string
	// Agents are the application IDs of the agent identities that the exchanger acts as, in
	// lower case and sorted; empty if it acts as the app itself.
	Agents []string
}

// App returns the app, and the cloud it is in.
func (r Registration) App() (clientID, authorityHost string) { return r.ClientID, r.AuthorityHost }

// TenantIDs returns the tenants whose users' tokens are exchanged, the home tenant first.
func (r Registration) TenantIDs() []string { return r.Tenants }

// app is the app registration, as configured.
type app struct {
	clientID    string
	host        authority.Host
	home        *tenant
	others      map[string]*tenant // by id
	redirectURL string
	resources   []string
	agents      map[string]*agent // by id
}

// tenant is a tenant whose users' tokens are exchanged.
type tenant struct {
	id        string // in lower case
	base      string // of its URLs
	tokenURL  string
	discovery []byte // MSAL's discovery document
	circuit   *circuit
}

func newTenant(host authority.Host, id string, now func() time.Time, logger *slog.Logger) *tenant {
	t := &tenant{id: strings.ToLower(id)}
	t.base = host.Tenant(t.id)
	t.tokenURL = t.base + "/oauth2/v2.0/token"
	t.discovery = discoveryDocument(t.base, t.tokenURL)
	t.circuit = &circuit{now: now, logger: logger, tenantID: t.id, says: ofTenant}
	return t
}

// discoveryDocument is what MSAL reads before its first request. Entra documents where
// its endpoints are; fetching the document would cost a request, and would let the
// answer decide where secrets are sent.
func discoveryDocument(base, tokenURL string) []byte {
	b, _ := json.Marshal(map[string]string{ // strings can't fail
		"issuer":                 base + "/v2.0",
		"authorization_endpoint": base + "/oauth2/v2.0/authorize",
		"token_endpoint":         tokenURL,
	})
	return b
}

// tenantOf returns the tenant with an assertion's tenant ID, or nil if it is not allowed.
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
// (RFC 6749, section 4.1.1). It has no prompt=consent, which would ask again after an
// administrator has consented (AADSTS90095). The page at the redirect URI discards
// the code.
func (a *app) consentURL(t *tenant, scope string) string {
	q := url.Values{
		"client_id":     {a.clientID},
		"response_type": {"code"},
		"scope":         {scope},
	}
	return a.consentPage(t, "/oauth2/v2.0/authorize", q)
}

// adminConsentURL is where an administrator consents, for the whole tenant, to all
// permissions that the app registration lists for the resource.
func (a *app) adminConsentURL(t *tenant, resource string) string {
	q := url.Values{
		"client_id": {a.clientID},
		"scope":     {resource + "/" + defaultScope},
	}
	return a.consentPage(t, "/v2.0/adminconsent", q)
}

// consentRemedy tells the operator whose consent is missing, for the log. It says the URL in parts:
// logs cut queries off.
func (a *app) consentRemedy(t *tenant, resource string) string {
	return fmt.Sprintf("an administrator consents for the app %s to its permissions for %s: %s, or %s/v2.0/adminconsent with client_id=%[1]s and scope=%[2]s/%[5]s",
		a.clientID, resource, permissions, t.base, defaultScope)
}

func (a *app) consentPage(t *tenant, path string, q url.Values) string {
	if a.redirectURL != "" {
		q.Set("redirect_uri", a.redirectURL)
	}
	// %20 for spaces, because people copy the URL out of messages.
	return t.base + path + "?" + strings.ReplaceAll(q.Encode(), "+", "%20")
}
