package authproxy

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

// Options configures a [Proxy]. mcpentra.WithAuthProxy fills in Resources, Scopes, Verifier,
// Name, AuthorityHost and Logger where they are zero, and reports a value that differs from the
// server's. Without mcpentra, Resources, Scopes and Verifier are required.
type Options struct {
	// Resources are the URLs of the MCP servers behind the proxy, as their clients are given
	// them. A client's parameter resource (RFC 8707) must name one of them.
	Resources []string
	// Scopes are the scopes of the API in full form, such as
	// "api://{client ID}/access_as_user"; the first is the default. Users are asked for all of
	// them, whatever a client asks for: Entra puts each scope that was consented to into every
	// token of an app, and all clients of a proxy share one app.
	Scopes []string
	// Verifier verifies the tokens that Entra issues, before they are handed on.
	Verifier *entraauth.Verifier
	// Name is the MCP server's, for the consent page. Defaults to the issuer's host.
	Name string
	// AuthorityHost is the cloud, such as "https://login.microsoftonline.us". Defaults to the
	// verifier's.
	AuthorityHost string
	// HTTPClient sends requests to Entra alone. It is copied; the copy follows no redirects and
	// keeps no cookies. Defaults to a client with http.DefaultTransport.
	HTTPClient *http.Client
	// Store remembers what must be single-use. Defaults to this process's memory: a restart
	// forgets it, and other replicas don't know it.
	Store Store
	// Replicas says that the server probably has replicas, so that the lack of a Store is worth
	// a warning in the log.
	Replicas bool

	// Clients are known in advance.
	Clients []Client
	// NoRegistration turns off dynamic client registration (RFC 7591).
	NoRegistration bool
	// NoDocuments turns off client ID metadata documents.
	NoDocuments bool
	// OnlyRedirects restricts clients that register themselves or have a document to redirects
	// of these lists. Defaults to no restriction.
	OnlyRedirects []Preset
	// Presets are clients that are shown without a warning. Defaults to [KnownClients].
	Presets []Preset
	// PrivateSchemes are whole redirect URIs with schemes of their own that clients may
	// register, such as [CursorRedirect]. Defaults to none.
	PrivateSchemes []string

	// Downstream are scopes of APIs that the server calls for its users, such as
	// "https://storage.azure.com/user_impersonation". Users consent to them as they sign in if
	// the proxy's app is the API's own app, or with CombinedConsent; otherwise an administrator
	// must, at the URL that the log names. Defaults to none.
	Downstream []string
	// CombinedConsent says that the API's registration lists this proxy's app in its
	// knownClientApplications, so that users consent to Downstream together with the API.
	CombinedConsent bool
	// RememberConsent is for how long a browser remembers that its user approved a client.
	// Approvals of clients on the user's own computer are never remembered. Defaults to 30 days;
	// from a minute to 365 days; negative means never.
	RememberConsent time.Duration

	// UnsafeDocumentClient fetches client ID metadata documents instead of the guarded client of
	// this package, for servers behind an egress proxy. The egress proxy must then refuse
	// addresses that are not public.
	UnsafeDocumentClient *http.Client
	// UnsafeLoopbackDocuments lets documents be fetched from this machine, for demonstrations.
	UnsafeLoopbackDocuments bool

	// Logger gets an error for what only the operator can fix, a warning for each refused
	// request, and an informational record for each sign-in. No code, token, state, hint or
	// claim is logged. Defaults to [slog.Default].
	Logger *slog.Logger
	// Now is the clock. Defaults to [time.Now].
	Now func() time.Time
}

// Values of Options.RememberConsent.
const (
	defaultRememberConsent = 30 * 24 * time.Hour
	minRememberConsent     = time.Minute
	maxRememberConsent     = 365 * 24 * time.Hour
)
