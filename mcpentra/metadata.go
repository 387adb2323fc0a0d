package mcpentra

import (
	"net/http"
	"net/url"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

// wellKnown is where RFC 9728 section 3 puts protected resource metadata; the
// resource's path follows it. Some clients look at the bare one only.
const wellKnown = "/.well-known/oauth-protected-resource"

// metadataURL returns the URL that challenges name.
func metadataURL(resource *url.URL) string {
	return resource.Scheme + "://" + resource.Host + wellKnown + resource.Path
}

// protectedResource serves the metadata: who signs callers in, and with which
// scopes. offline_access is not among them: it is the client's affair.
func protectedResource(resource *url.URL, v *entraauth.Verifier, i *mcp.Implementation) http.Handler {
	name := i.Title
	if name == "" {
		name = i.Name
	}
	serve := auth.ProtectedResourceMetadataHandler(&oauthex.ProtectedResourceMetadata{
		Resource:               resource.String(),
		AuthorizationServers:   v.AuthorizationServers(),
		ScopesSupported:        v.ScopesFor(entraauth.Policy{}),
		BearerMethodsSupported: []string{"header"},
		ResourceName:           name,
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead { // a GET whose body net/http leaves out
			r = r.WithContext(r.Context())
			r.Method = http.MethodGet
		}
		serve.ServeHTTP(w, r)
	})
}
