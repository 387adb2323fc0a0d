package authproxy

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

// Options configures a [Proxy].
type Options struct {
	// Resources are the URLs of the MCP servers behind the proxy, as their clients are given
	// them. mcpentra.WithAuthProxy fills this in.
	Resources []string
	// Scopes are the scopes of the API in full form, such as
	// "api://{client ID}/access_as_user"; the first is the default. mcpentra.WithAuthProxy fills
	// this in.
	Scopes []string
	// Verifier verifies the tokens that Entra issues, before they are handed on.
	// mcpentra.WithAuthProxy fills this in.
	Verifier *entraauth.Verifier
	// Name is the MCP server's, for the consent page. Defaults to the issuer's host;
	// mcpentra.WithAuthProxy fills in the server's title.
	Name string
	// AuthorityHost is Entra's, such as "https://login.microsoftonline.com", the default.
	AuthorityHost string
	// HTTPClient is for requests to Entra alone. Its transport is used; it follows no redirects.
	HTTPClient *http.Client
	// Store remembers what must be single-use. Defaults to this process's memory: restarts
	// forget, and other replicas don't know.
	Store Store
	// Replicas says that the server probably has replicas, so that a Store in memory is worth a
	// warning.
	Replicas bool

	// Clients are known in advance.
	Clients []Client
	// NoRegistration turns off dynamic client registration (RFC 7591).
	NoRegistration bool
	// NoDocuments turns off client ID metadata documents.
	NoDocuments bool
	// OnlyRedirects restricts self-registered clients and documents to redirects that one of
	// these lists has.
	OnlyRedirects []Preset
	// Presets are clients that are shown without a warning. Defaults to [KnownClients].
	Presets []Preset
	// PrivateSchemes are whole redirect URIs with schemes of their own that clients may
	// register, such as [CursorRedirect].
	PrivateSchemes []string

	// Downstream are scopes of APIs that the server calls for its users, such as
	// "https://storage.azure.com/user_impersonation", to which users consent as they sign in.
	Downstream []string
	// CombinedConsent says that the API's registration lists this proxy's app in
	// knownClientApplications, so that users consent to Downstream together with the API.
	CombinedConsent bool
	// RememberConsent is for how long a browser remembers that its user approved a client.
	// Defaults to 30 days; negative means never.
	RememberConsent time.Duration

	// UnsafeDocumentClient fetches client ID metadata documents instead of the guarded client of
	// this package, for servers behind an egress proxy. The egress proxy must then refuse
	// addresses that are not public.
	UnsafeDocumentClient *http.Client

	Logger *slog.Logger
	Now    func() time.Time
}

// A Client is an MCP client that the operator configures.
type Client struct {
	ID        string
	Name      string
	Redirects []string
	// Secret is the client's; "" for a public client. At least 32 random characters.
	Secret string
	// NoRefresh says that the client gets no refresh tokens.
	NoRefresh bool
}

// A Preset is a dated list of the exact redirects of a known client. "*" stands for one
// path segment.
type Preset struct {
	Name, Date string
	Redirects  []string
}
