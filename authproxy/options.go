package authproxy

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
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

func (o *Options) clone() Options {
	c := *o
	c.Resources, c.Scopes, c.Clients = slices.Clone(o.Resources), slices.Clone(o.Scopes), slices.Clone(o.Clients)
	c.OnlyRedirects, c.Presets = slices.Clone(o.OnlyRedirects), slices.Clone(o.Presets)
	c.PrivateSchemes, c.Downstream = slices.Clone(o.PrivateSchemes), slices.Clone(o.Downstream)
	return c
}

// A Client is an MCP client that the operator configures.
type Client struct {
	// ID is what the client sends as client_id: 1 to 1,024 printable ASCII characters, not a URL.
	ID string
	// Name is shown to users. Defaults to ID.
	Name string
	// Redirects are the client's redirect URIs: https, or http on localhost, 127.0.0.1 or [::1],
	// where the port of a request may differ. Those with other schemes must also be in
	// Options.PrivateSchemes.
	Redirects []string
	// Secret is the client's, at least 32 random ASCII characters; "" for a public client. The
	// client may send it by client_secret_basic or client_secret_post.
	Secret string
	// NoRefresh says that the client gets no refresh tokens.
	NoRefresh bool
}

// A Store remembers what must be single-use: redeemed codes, the line of each family of refresh
// tokens, revocations, and for two seconds the answers to refreshes. It must be safe for
// concurrent use, and shared by all replicas of a server. Names are hexadecimal hashes; values
// are sealed or say nothing about users. Package redisstore has one on Redis.
//
// If a Store fails, refreshes and revocations are refused until it works again
// (503 temporarily_unavailable); sign-ins go on. Each call is bounded to a second.
type Store interface {
	// Get returns the value of the name, or nil if there is none.
	Get(ctx context.Context, name string) ([]byte, error)
	// Swap atomically sets the value of the name for ttl if its present value is old, where nil
	// is no value, and reports whether it was. A nil value deletes the name. Values are never
	// empty. A Store whose requests may arrive twice also reports true if the present value is
	// already the new one.
	Swap(ctx context.Context, name string, old, value []byte, ttl time.Duration) (bool, error)
}

// faults collects the faults of a configuration.
type faults []error

func (f *faults) add(field string, err error) {
	if err != nil {
		*f = append(*f, fmt.Errorf("%s: %w", field, err))
	}
}
