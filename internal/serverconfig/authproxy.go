package serverconfig

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// An AuthProxy is the authorization proxy through which clients sign in (package authproxy).
type AuthProxy struct {
	ClientID        string            // its app at Entra; the API's by default
	Method          clientauth.Method // of that app
	OwnProof        bool              // app or Method is not the API's
	Keys            [][]byte          // seal codes, refresh tokens, registrations and cookies
	PrivateSchemes  []string          // whole redirect URIs
	Downstream      []string          // scopes, in full
	CombinedConsent bool
	Replicas        bool // the server probably has some
}

// CallbackURL returns the redirect URI that the proxy's app must have, of the platform Web.
func (c Config) CallbackURL(origin string) string { return c.Issuer(origin) + "/oauth/callback" }

// Issuer returns the proxy's issuer URL: the origin of ResourceURL.
func (c Config) Issuer(origin string) string { return cmp.Or(c.PublicURL, origin) }

// wantAuthProxy reads whether there is a proxy.
func (v *variables) wantAuthProxy(c *Config) {
	switch on, set := v.flag("AUTH_PROXY"); {
	case on:
		c.AuthProxy = &AuthProxy{}
	case !set && v.text("AUTH_PROXY_KEYS") != "":
		c.Warnings = append(c.Warnings, "AUTH_PROXY_KEYS is set and AUTH_PROXY is not, so clients sign in to Entra themselves: set AUTH_PROXY to true or false")
	}
}

// needsServerProof reports whether the proxy authenticates to Entra as the server does.
func (v *variables) needsServerProof(p *AuthProxy) bool {
	return p != nil && v.text("AUTH_PROXY_CLIENT_SECRET") == ""
}

// readAuthProxy reads the proxy's settings, after those of On-Behalf-Of and of the site. It ignores
// them if there is no proxy.
func (v *variables) readAuthProxy(c *Config) {
	p := c.AuthProxy
	if p == nil {
		return
	}
	if !v.faulty("PUBLIC_URL") {
		v.check("PUBLIC_URL", checkIssuer(c.Issuer("http://localhost")), "Set it to https://…, or to http://localhost:PORT on this machine, for AUTH_PROXY")
	}
	v.readProxyApp(c)
	if p.Keys = v.readKeys("AUTH_PROXY_KEYS"); v.text("AUTH_PROXY_KEYS") == "" {
		v.fault("AUTH_PROXY_KEYS", "is not set, and AUTH_PROXY is on", makeKey+"; keep it for as long as sign-ins shall last, the same on all replicas")
	}
	p.PrivateSchemes = readEach(v, "AUTH_PROXY_PRIVATE_SCHEMES", asItIs(checkPrivateScheme),
		"List whole redirect URIs, comma separated, such as cursor://anysphere.cursor-mcp/oauth/callback")
	p.Downstream = readEach(v, "AUTH_PROXY_DOWNSTREAM", asItIs(checkDownstream),
		"List scopes in full, comma separated, such as "+StorageResource+"/user_impersonation")
	if c.AgentID != "" && len(p.Downstream) > 0 {
		v.fault("AUTH_PROXY_DOWNSTREAM", "names scopes to which users consent, and AGENT_ID is set: only an administrator can consent for an agent",
			"Leave it and AUTH_PROXY_COMBINED_CONSENT out, and let an administrator grant the permissions to the agent's blueprint")
	}
	if p.CombinedConsent, _ = v.flag("AUTH_PROXY_COMBINED_CONSENT"); p.CombinedConsent && v.text("AUTH_PROXY_DOWNSTREAM") == "" {
		v.fault("AUTH_PROXY_COMBINED_CONSENT", "is on, and AUTH_PROXY_DOWNSTREAM names no scope", "List the scopes there, or leave it out")
	}
	for _, name := range replicaVariables {
		if value, _ := v.lookup(name); value != "" {
			p.Replicas = true
		}
	}
}

// readProxyApp reads which app the proxy is, and how it authenticates. A secret is of one app; a
// certificate or a managed identity can be registered with several.
func (v *variables) readProxyApp(c *Config) {
	const id, proof = "AUTH_PROXY_CLIENT_ID", "AUTH_PROXY_CLIENT_SECRET"
	p := c.AuthProxy
	p.ClientID, p.Method = v.textOr(id, c.APIAppID), c.Method
	if v.text(id) != "" {
		v.check(id, CheckClientID(p.ClientID), "Copy the Application (client) ID of the proxy's app registration, or leave it out to use the API's own")
		if strings.EqualFold(p.ClientID, c.TenantID) {
			v.fault(id, "is the value of TENANT_ID", "Copy the Application (client) ID, which is beside it in the app registration's overview")
		}
	}
	own := strings.EqualFold(p.ClientID, c.APIAppID)
	const remedy = "Set it to the ID of an app registration for the proxy alone, or leave AUTH_PROXY out"
	switch {
	case c.AgentID == "":
	case own:
		v.fault(id, "is not another app than API_APP_ID, and AGENT_ID is set: API_APP_ID is the agent's blueprint, with which nobody can sign in", remedy)
	case strings.EqualFold(p.ClientID, c.AgentID):
		v.fault(id, "is the value of AGENT_ID, an agent identity, with which nobody can sign in", remedy)
	}
	p.OwnProof = !own || v.text(proof) != ""
	switch {
	case v.text(proof) != "":
		p.Method = clientauth.Secret(v.raw(proof))
		v.check(proof, checkMethod(p.Method), "Copy the secret's value (not its ID) again, without anything else")
	case !own && v.text("ENTRA_APP_CLIENT_SECRET") != "":
		v.fault(proof, fmt.Sprintf("is not set, and ENTRA_APP_CLIENT_SECRET is of API_APP_ID, not of %s %s", id, Shorten(p.ClientID)),
			"Set it to a secret of that app, or leave "+id+" out")
	}
}

// replicaVariables are set by platforms that run several replicas of a server: Kubernetes, Azure
// Container Apps, Azure App Service.
var replicaVariables = []string{"KUBERNETES_SERVICE_HOST", "CONTAINER_APP_REPLICA_NAME", "WEBSITE_INSTANCE_ID"}

// asItIs returns a function that parses a value for which the check passes.
func asItIs(check func(string) error) func(string) (string, error) {
	return func(s string) (string, error) { return s, check(s) }
}
