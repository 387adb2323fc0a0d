package obo

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/secret"
)

// tenant is an authority whose users' tokens are exchanged.
type tenant struct {
	id        string // in lower case
	base      string // of its URLs
	tokenURL  string
	discovery []byte // what MSAL gets for the discovery document
	circuit   *circuit
}

func (x *Exchanger) newTenant(id string) *tenant {
	t := &tenant{id: strings.ToLower(id)}
	t.base = x.host.Tenant(t.id)
	t.tokenURL = t.base + "/oauth2/v2.0/token"
	t.discovery = discoveryDocument(t.base, t.tokenURL)
	t.circuit = &circuit{now: x.now, logger: x.operator, tenant: t.id}
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
func (x *Exchanger) tenantOf(id string) *tenant {
	if strings.EqualFold(id, x.home.id) {
		return x.home
	}
	return x.others[strings.ToLower(id)]
}

// checkTenant refuses a token of another tenant than the assertion's, which a
// service's challenge can ask for (policy.TokenRequestOptions.TenantID).
func (c *Credential) checkTenant(id string) *Error {
	x := c.x
	if id == "" || len(x.others) == 0 && strings.EqualFold(id, x.home.id) {
		return nil
	}
	if len(x.others) > 0 {
		if who, err := x.inspect(secret.Reveal(c.assertion)); err == nil && strings.EqualFold(id, who.tenant.id) {
			return nil
		}
	}
	return refuse(ErrTenantNotAllowed, "a token of another tenant was asked for; this server acts only in the user's own, of "+x.tenantNames(), "")
}

func (x *Exchanger) tenantNames() string {
	if len(x.others) == 0 {
		return x.home.id
	}
	return fmt.Sprintf("%s and %d others", x.home.id, len(x.others))
}
