package entraauth

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
)

// wellKnown is where protected resource metadata lives; the path of the resource
// follows it (RFC 9728 section 3.1).
const wellKnown = "/.well-known/oauth-protected-resource"

// ResourceMetadata tells clients where to sign in for an API: its protected resource
// metadata (RFC 9728). It is an http.Handler for one path of the API's own host. Make
// it with [Verifier.ResourceMetadata].
type ResourceMetadata struct {
	url, path string
	body      []byte
}

// ResourceMetadata returns the metadata of the API at resourceURL, the URL that clients
// are given, such as "https://api.example.com/orders". It is https, or http on a
// loopback host, and ends in no slash. The name is the API's, for people; an empty one
// is left out. The authorization servers are issuer URLs, exactly as the servers' own
// metadata has them; they default to [Verifier.AuthorizationServers].
//
//	metadata, err := verifier.ResourceMetadata("https://api.example.com/orders", "Orders")
//	if err != nil {
//		return err
//	}
//	mux.Handle(metadata.Path(), metadata)
//	check := &entraauth.BearerCheck{ResourceMetadata: metadata.URL()}
func (v *Verifier) ResourceMetadata(resourceURL, name string, authorizationServers ...string) (*ResourceMetadata, error) {
	u, err := parseResource(resourceURL)
	if err != nil {
		return nil, fmt.Errorf("entraauth: resource URL: %w", err)
	}
	if len(authorizationServers) == 0 {
		authorizationServers = v.AuthorizationServers()
	}
	body, err := json.Marshal(struct {
		Resource             string   `json:"resource"`
		AuthorizationServers []string `json:"authorization_servers"`
		Scopes               []string `json:"scopes_supported,omitempty"` // without offline_access: clients add it as they need
		Methods              []string `json:"bearer_methods_supported"`
		Name                 string   `json:"resource_name,omitempty"`
	}{resourceURL, authorizationServers, v.ScopesFor(resourceURL), []string{"header"}, name})
	if err != nil {
		return nil, fmt.Errorf("entraauth: %w", err)
	}
	p := wellKnown + u.Path
	return &ResourceMetadata{url: u.Scheme + "://" + u.Host + p, path: p, body: append(body, '\n')}, nil
}

// parseResource checks the URL of a resource. Clients compare it exactly, and its path
// becomes part of a pattern of [http.ServeMux].
func parseResource(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || !authority.IsSite(u) || u.User != nil || !strings.HasPrefix(s, u.Scheme+"://"): // a scheme in upper case
		return nil, fmt.Errorf("%q is not a URL such as https://api.example.com/orders", s)
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		return nil, fmt.Errorf("%q must be https; http is for loopback hosts", s)
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(s, "#"):
		return nil, fmt.Errorf("%q must have no query or fragment (RFC 9728 section 1.2)", s)
	case strings.HasSuffix(u.Path, "/"):
		return nil, fmt.Errorf("%q must have no trailing slash: clients compare it exactly", s)
	case strings.ContainsAny(u.Path, "{} ") || u.EscapedPath() != u.Path || u.Path != "" && path.Clean(u.Path) != u.Path:
		return nil, fmt.Errorf("the path %q must be clean, without spaces, braces and characters that need an escape", u.Path)
	}
	return u, nil
}

func isLoopback(host string) bool {
	return strings.EqualFold(host, "localhost") || net.ParseIP(host).IsLoopback()
}

// URL returns the address of the metadata, for [BearerCheck.ResourceMetadata]:
// "https://api.example.com/.well-known/oauth-protected-resource/orders".
func (m *ResourceMetadata) URL() string { return m.url }

// Path returns the path of [ResourceMetadata.URL], where the handler must be mounted:
// "/.well-known/oauth-protected-resource/orders".
func (m *ResourceMetadata) Path() string { return m.path }

// ServeHTTP answers GET and HEAD with the metadata, and preflights (OPTIONS). The
// metadata is public, so pages of every origin may read it.
func (m *ResourceMetadata) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const methods = "GET, HEAD, OPTIONS"
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		h.Set("Content-Type", "application/json")
		_, _ = w.Write(m.body) // an error means that the client is gone
	case http.MethodOptions:
		h.Set("Access-Control-Allow-Methods", methods)
		h.Set("Access-Control-Allow-Headers", "Authorization, *") // the star covers all others
		h.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
	default:
		h.Set("Allow", methods)
		http.Error(w, "Method not allowed", http.StatusMethodNotAllowed)
	}
}

// AuthorizationServers returns the URLs of the authorization servers whose tokens are
// accepted: https://login.microsoftonline.com/{tenant ID}/v2.0, the home tenant's first.
func (v *Verifier) AuthorizationServers() []string {
	var urls []string
	v.tenancy.each(func(s *keySource) { urls = append(urls, v.host.Tenant(s.tenantID)+"/v2.0") })
	return urls
}

// ScopesFor returns the narrowest scopes that a user under the verifier's policy and these
// needs, each in the form that a client requests from Entra:
// "https://api.example.com/orders/access_as_user" if resourceURL is one of the API's App
// ID URIs, whatever their order, and "api://{client ID}/access_as_user" otherwise. Clients
// of MCP send the resource's URL in the parameter resource, and Entra refuses it beside a
// scope with another prefix (AADSTS9010010).
//
// No scope is among them that another one implies ([Options].ImpliedScopes). From an
// AnyScope they have the narrowest, or the first of several, and none if the other scopes
// meet it. They are in the order of the policies, the verifier's first, and never depend on
// what a token has: scopes add up at the client.
func (v *Verifier) ScopesFor(resourceURL string, policies ...Policy) []string {
	needs := make([]scopeNeed, 1, 1+len(policies))
	needs[0] = scopeNeed{v.policy.Scopes, v.policy.AnyScope}
	for i := range policies {
		needs = append(needs, scopeNeed{policies[i].Scopes, policies[i].AnyScope})
	}
	prefix := v.api.scopePrefix(resourceURL)
	scopes := v.implied.narrowest(needs)
	for i, name := range scopes {
		scopes[i] = prefix + name
	}
	return scopes
}

// wantedScope is the scope that an error tells clients to request: the first that
// the policy wants, or all that an application was granted.
func (v *Verifier) wantedScope(resourceURL string) string {
	if scopes := v.ScopesFor(resourceURL); len(scopes) > 0 {
		return scopes[0]
	}
	return v.api.scopePrefix(resourceURL) + ".default"
}

// forResource returns the error with the scope as the resource's clients request it: the
// rules, which judge tokens, don't know the resource.
func (v *Verifier) forResource(e *Error, resourceURL string) *Error {
	here, elsewhere := v.wantedScope(resourceURL), v.wantedScope("")
	if here == elsewhere || !strings.Contains(e.Remedy, elsewhere) {
		return e
	}
	named := *e
	named.Remedy = strings.ReplaceAll(e.Remedy, elsewhere, here)
	return &named
}

// resourceOf returns the resource whose metadata is at the URL, or "" if the URL is not
// one of RFC 9728 section 3.1.
func resourceOf(metadataURL string) string {
	site, path, ok := strings.Cut(metadataURL, wellKnown)
	if !ok {
		return ""
	}
	return site + path
}

// authorizeURL is where a user signs in, for a claims challenge.
func (v *Verifier) authorizeURL() string {
	return v.host.Tenant(v.tenancy.listed[0]) + "/oauth2/v2.0/authorize"
}
