package setup

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
	"github.com/mcpentra/mcp-entra-go/internal/knownclients"
)

// NewOutcome returns what the server and its clients are configured with, in a tenant whose ids are
// known. uris are the API's App ID URIs, as they are registered.
func NewOutcome(spec Spec, known map[string]string, uris []string, place authority.Cloud, host authority.Host) Outcome {
	o := Outcome{Tenant: known["tenant"], APIAppID: known["api.appId"], AppIDURIs: uris}
	o.Scope = "api://" + o.APIAppID + "/" + scopeName
	if len(spec.Servers) > 0 && slices.Contains(uris, spec.Servers[0]) {
		o.Scope = spec.Servers[0] + "/" + scopeName // clients send the server's URL as resource: the prefix must be the same
	}
	for _, scope := range spec.Scopes {
		o.FurtherScopes = append(o.FurtherScopes, strings.TrimSuffix(o.Scope, scopeName)+scope.Name)
	}
	apps := layout(spec.Clients)
	for _, c := range spec.Clients {
		out := ClientOutcome{Client: c, ClientID: c.AppID}
		for _, a := range apps {
			if slices.ContainsFunc(a.clients, func(other Client) bool { return other.ID == c.ID }) {
				out.ClientID, out.App, out.Secret = known[a.key+".appId"], spec.Name+"-"+a.key, a.platform == knownclients.Web
			}
		}
		o.Clients = append(o.Clients, out)
	}
	for i, name := range spec.Agents {
		if id := known[agentKey(i)+".id"]; id != "" {
			o.Agents = append(o.Agents, AgentOutcome{name, id})
		}
	}
	o.Variables = variables(spec, o, known[proxyKey+".appId"], place, host)
	return o
}

// variables are the example server's environment, without secrets.
func variables(spec Spec, o Outcome, proxyAppID string, place authority.Cloud, host authority.Host) map[string]string {
	v := map[string]string{"TENANT_ID": o.Tenant, "API_APP_ID": o.APIAppID, "APP_ID_URIS": strings.Join(o.AppIDURIs, ",")}
	if host.String() != authority.Public {
		v["AZURE_AUTHORITY_HOST"] = host.String()
	}
	if len(spec.Servers) > 0 {
		if u, err := url.Parse(spec.Servers[0]); err == nil && u.Path == "/mcp" { // the example server's endpoint
			v["PUBLIC_URL"] = u.Scheme + "://" + u.Host
		}
	}
	if pages := landings(spec); len(pages) > 0 {
		v["CONSENT_REDIRECT_URL"] = pages[0]
	}
	proxyVariables(v, spec, proxyAppID, place)
	if spec.Proof == (Proof{}) {
		return v
	}
	if len(spec.Resources) == 0 {
		v["USE_OBO_FLOW"] = "false" // or the server takes a secret without it for a mistake
	} else {
		v["USE_OBO_FLOW"] = "true"
		v["TARGET_AUDIENCES"] = strings.Join(each(spec.Resources, func(r Resource) string { return audienceOf(r.Name, place) }), ",")
	}
	if len(spec.Resources) == 0 && spec.AuthProxy == "" {
		return v
	}
	if spec.Proof.ManagedIdentity != "" {
		v["UMI_CLIENT_ID"] = spec.Proof.ManagedIdentity
	} else if spec.Proof.Workload != nil {
		v["AZURE_FEDERATED_TOKEN_FILE"] = "/var/run/secrets/azure/tokens/azure-identity-token" // as AKS sets it
	}
	if file := spec.Proof.Certificate; file != "" && hasPrivateKey(file) {
		v["AZURE_CLIENT_CERTIFICATE_PATH"] = file
	}
	return v
}

// audienceOf is the resource for which the server asks tokens.
func audienceOf(name string, place authority.Cloud) string {
	switch name {
	case "storage":
		return place.Storage
	case "keyvault":
		return place.KeyVault
	case "arm":
		return place.ARM
	case "graph":
		return place.Graph
	}
	return strings.TrimSuffix(name, "/")
}

// variableOrder is the order in which variables are written.
var variableOrder = []string{"TENANT_ID", "API_APP_ID", "APP_ID_URIS", "PUBLIC_URL", "AZURE_AUTHORITY_HOST",
	"USE_OBO_FLOW", "TARGET_AUDIENCES", "UMI_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_CLIENT_CERTIFICATE_PATH", "CONSENT_REDIRECT_URL",
	"AUTH_PROXY", "AUTH_PROXY_CLIENT_ID", "AUTH_PROXY_DOWNSTREAM", "AUTH_PROXY_COMBINED_CONSENT"}

// Dotenv returns the variables as a .env file.
func (o Outcome) Dotenv() string {
	var b strings.Builder
	for _, name := range variableOrder {
		if value, ok := o.Variables[name]; ok {
			if !needsNoQuotes.MatchString(value) { // for shells
				value = "'" + value + "'"
			}
			fmt.Fprintf(&b, "%s=%s\n", name, value)
		}
	}
	return b.String()
}

// needsNoQuotes are values, and words of a script, that a shell takes as they stand.
var needsNoQuotes = regexp.MustCompile(`^[A-Za-z0-9_./:,-]+$`)

// LockedOut says which clients can't sign in with these App ID URIs, though the spec names them.
func LockedOut(spec Spec, apiAppID string, uris []string, host authority.Host, tenant string) []knownclients.Verdict {
	if spec.AuthProxy != "" {
		return nil // all sign in through it
	}
	var out []knownclients.Verdict
	for _, server := range spec.Servers {
		if slices.Contains(uris, server) {
			continue
		}
		published := knownclients.Server{
			URL: server, Resource: server, Scopes: []string{"api://" + apiAppID + "/" + scopeName},
			AuthorizationServers: []string{host.Tenant(tenant) + "/v2.0"}, ClientID: apiAppID, AppIDURIs: uris, TokenVersion: tokenVersion,
		}
		for _, v := range knownclients.LockedOut(published) {
			if slices.ContainsFunc(spec.Clients, func(c Client) bool { return c.ID == v.Client.ID }) {
				out = append(out, v)
			}
		}
	}
	return out
}
