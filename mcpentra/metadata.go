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
	return auth.ProtectedResourceMetadataHandler(&oauthex.ProtectedResourceMetadata{
		Resource:               resource.String(),
		AuthorizationServers:   v.AuthorizationServers(),
		ScopesSupported:        v.ScopesFor(entraauth.Policy{}),
		BearerMethodsSupported: []string{"header"},
		ResourceName:           name,
	})
}
