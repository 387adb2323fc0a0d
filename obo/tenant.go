package obo

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
	"github.com/mcpentra/mcp-entra-go/internal/secret"
)

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

// checkTenant refuses a token of another tenant than the assertion's, which a
// service's challenge can ask for (policy.TokenRequestOptions.TenantID).
func (c *Credential) checkTenant(id string) *Error {
	x := c.x
	if id == "" || len(x.others) == 0 && strings.EqualFold(id, x.home.id) {
		return nil
	}
	if len(x.others) > 0 {
		if who, err := x.inspect(secret.Reveal(c.token)); err == nil && strings.EqualFold(id, who.tenant.id) {
			return nil
		}
	}
	return refuse(ErrTenantNotAllowed, "a token of another tenant was asked for; this server acts only in the user's own, of "+x.tenantNames(), "")
}

func (a *app) tenantNames() string {
	if len(a.others) == 0 {
		return a.home.id
	}
	return fmt.Sprintf("%s and %d others", a.home.id, len(a.others))
}
