package setup

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
	"github.com/mcpentra/mcp-entra-go/internal/knownclients"
)

// What Spec.AuthProxy may be: the application that the server's authorization proxy signs clients in
// with.
const (
	proxyIsAPI = "api" // the API's own
	proxyIsOwn = "own" // one for the proxy alone
)

// proxyKey is the key of the proxy's own application.
const proxyKey = "proxy"

func checkAuthProxy(s string) error {
	if s != proxyIsAPI && s != proxyIsOwn {
		return fmt.Errorf("is %s; use api (the proxy signs clients in with the API's application) or own (with one of its own)", shown(s))
	}
	return nil
}

// checkProxy returns what the rest of the spec lacks for the proxy.
func (s Spec) checkProxy() []error {
	if s.AuthProxy == "" {
		return nil
	}
	var faults []error
	if s.Proof == (Proof{}) {
		faults = append(faults, errors.New("auth-proxy needs proof: the proxy authenticates to Entra as the API does, such as with a managed-identity"))
	}
	for _, server := range s.Servers {
		if err := checkRedirect(callback(server), knownclients.Web); err != nil {
			faults = append(faults, fmt.Errorf("auth-proxy: the redirect URI of the server %s %w", shown(server), err))
		}
	}
	return faults
}

// callback is the redirect URI of a server's proxy, whose issuer is the server's origin.
func callback(server string) string {
	u, err := url.Parse(server)
	if err != nil {
		return "" // check has said so
	}
	return u.Scheme + "://" + u.Host + "/oauth/callback"
}

// callbacks are the redirect URIs of the proxy's application.
func callbacks(spec Spec) []string {
	var all []string
	for _, server := range spec.Servers {
		all = union(all, []string{callback(server)})
	}
	return all
}

// apps are the applications besides the API's: those of clients and, if it has one, the proxy's.
func apps(spec Spec) []clientApp {
	all := layout(spec.Clients)
	if spec.AuthProxy == proxyIsOwn {
		all = append(all, clientApp{key: proxyKey, platform: knownclients.Web, clients: []Client{{Platform: knownclients.Web, Redirects: callbacks(spec)}}})
	}
	return all
}

// serverURIs are the servers' URLs that must be App ID URIs. Behind the proxy none needs to be, since
// Entra gets no resource; those that are there stay.
func serverURIs(spec Spec, have App) []string {
	if spec.AuthProxy == "" {
		return spec.Servers
	}
	return slices.DeleteFunc(slices.Clone(spec.Servers), func(uri string) bool { return !slices.Contains(have.IdentifierURIs, uri) })
}

// proxyVariables adds the proxy's variables to the example server's. Its keys are secrets, so they are
// not among them.
func proxyVariables(v map[string]string, spec Spec, appID string, place authority.Cloud) {
	if spec.AuthProxy == "" {
		return
	}
	v["AUTH_PROXY"] = "true"
	var downstream []string
	for _, r := range spec.Resources {
		for _, scope := range r.Scopes {
			downstream = append(downstream, audienceOf(r.Name, place)+"/"+scope)
		}
	}
	if len(spec.Agents) > 0 {
		downstream = nil // no user can consent for an agent
	}
	if len(downstream) > 0 {
		v["AUTH_PROXY_DOWNSTREAM"] = strings.Join(downstream, ",")
	}
	if spec.AuthProxy != proxyIsOwn {
		return
	}
	v["AUTH_PROXY_CLIENT_ID"] = appID
	if len(downstream) > 0 {
		v["AUTH_PROXY_COMBINED_CONSENT"] = "true"
	}
}

// ProxyKeys is the variable of the keys that the proxy seals with.
const ProxyKeys = "AUTH_PROXY_KEYS"

// proxySteps are about the proxy's secrets, and the clients: all of them register themselves.
func proxySteps(spec Spec) []ManualStep {
	var steps []ManualStep
	if spec.AuthProxy == proxyIsOwn && spec.Proof.Secret {
		steps = append(steps, ManualStep{
			Title: "Give the server the secret of the proxy's application, from the file of secrets",
			Link:  "https://learn.microsoft.com/entra/identity-platform/how-to-add-credentials",
			Enter: []Entry{{SecretVariable(proxyKey), "in the file that -secret-file named"}},
		})
	}
	steps = append(steps, ManualStep{
		Title: "Give the server the key of its proxy, the same on all replicas, and keep it",
		Link:  docPages + "/authproxy.md#keys",
		Enter: []Entry{{ProxyKeys, "in the file that -env named; without it: openssl rand -base64 32"}},
	})
	users := ManualStep{Title: "Add the server to clients: they register themselves", Link: docPages + "/clients.md"}
	for _, server := range spec.Servers {
		users.Enter = append(users.Enter, Entry{"URL", server})
	}
	return append(steps, users)
}
