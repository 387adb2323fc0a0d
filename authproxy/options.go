package authproxy

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

// Options configures a [Proxy]. mcpentra.WithAuthProxy fills in Resources, Scopes, Verifier,
// Name, AuthorityHost and Logger where they are zero, and reports a value other than Name and
// Logger that differs from the server's. Without mcpentra, Resources, Scopes and Verifier are
// required.
type Options struct {
	// Resources are the URLs of the MCP servers behind the proxy, as users give them to their
	// clients. The resource parameter of a request (RFC 8707) must name one of them.
	Resources []string
	// Scopes are the scopes of the API in full form, such as
	// "api://{client ID}/access_as_user"; the first is the default. The consent page lists all of
	// them, whatever a client asks for: Entra puts each scope that was consented to into every
	// token of an app, and all clients of a proxy share one app.
	Scopes []string
	// Verifier verifies the tokens that Entra issues, before they are handed on.
	Verifier *entraauth.Verifier
	// Name is the name of the MCP server on the consent page. Defaults to the issuer's host.
	Name string
	// AuthorityHost is the sign-in host of the cloud, such as "https://login.microsoftonline.us".
	// Defaults to the verifier's.
	AuthorityHost string
	// HTTPClient sends requests to Entra only. It is copied; the copy follows no redirects and
	// keeps no cookies. Defaults to a client with http.DefaultTransport.
	HTTPClient *http.Client
	// TracerProvider gets a span for each request to Entra, below the span that the context of
	// the request to the proxy has, if any. Requests to Entra carry no trace context. Defaults to
	// none.
	TracerProvider trace.TracerProvider
	// MeterProvider gets requests by endpoint and outcome, refusals by reason, and the end of the
	// certificate that signs the app's assertions. It keeps the proxy in memory. Defaults to
	// none.
	MeterProvider metric.MeterProvider
	// Store remembers what must be single-use. Defaults to this process's memory, which is lost
	// on restart and not shared with other replicas.
	Store Store
	// Replicas says that the server probably has replicas; without a Store, the log then has a
	// warning.
	Replicas bool

	// Clients are the clients that the operator configures. Defaults to none.
	Clients []Client
	// NoRegistration turns off dynamic client registration (RFC 7591).
	NoRegistration bool
	// NoDocuments turns off client ID metadata documents.
	NoDocuments bool
	// OnlyRedirects restricts clients that register themselves or have a document to the redirects
	// in these lists. Defaults to no restriction.
	OnlyRedirects []Preset
	// Presets are the clients that the consent page shows without a warning. Defaults to [KnownClients].
	Presets []Preset
	// PrivateSchemes are the redirect URIs with a private scheme (RFC 8252, section 7.1) that
	// clients may register, each in full, such as [CursorRedirect]. Defaults to none.
	PrivateSchemes []string

	// Downstream are the scopes, in full form, of APIs that the server calls on behalf of its
	// users, such as "https://storage.azure.com/user_impersonation". Users consent to them when
	// they sign in if the proxy's app is the API's own app, or with CombinedConsent; otherwise an
	// administrator must consent at the URL in the log. Defaults to none.
	Downstream []string
	// CombinedConsent says that the API's registration lists this proxy's app in its
	// knownClientApplications, so that users consent to Downstream together with the API.
	CombinedConsent bool
	// RememberConsent is how long a browser remembers that its user approved a client: a minute
	// to 365 days. Approvals of clients on the user's own computer are never remembered. Defaults
	// to 30 days; a negative value means never.
	RememberConsent time.Duration

	// UnsafeDocumentClient fetches client ID metadata documents in place of this package's own
	// client, which connects only to public addresses. It is for servers behind an egress proxy,
	// which must then refuse addresses that are not public.
	UnsafeDocumentClient *http.Client
	// UnsafeLoopbackDocuments lets documents be fetched from this machine, for demonstrations.
	UnsafeLoopbackDocuments bool

	// Logger gets an ERROR for what only the operator can fix, a WARN for each refused request,
	// and an INFO for each sign-in. No code, token, state, hint or claim is logged. Defaults to
	// [slog.Default].
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
	// Secret is the client's secret, at least 32 random ASCII characters; "" for a public client.
	// The client may send it by client_secret_basic or client_secret_post.
	Secret string
	// NoRefresh turns off refresh tokens for the client.
	NoRefresh bool
}

// A Store remembers what must be single-use: redeemed codes, the line of each family of refresh
// tokens, revocations, and for two seconds the answers to refreshes. It must be safe for
// concurrent use, and shared by all replicas of a server. Names are hexadecimal hashes; values
// are sealed or say nothing about users. Package redisstore has a Store on Redis.
//
// While a Store fails, codes, refreshes and revocations are refused (503 temporarily_unavailable,
// Retry-After), so nothing is used twice. Each call has a deadline of one second.
type Store interface {
	// Get returns the value of the name, or nil if there is none.
	Get(ctx context.Context, name string) ([]byte, error)
	// Swap atomically sets the value of the name for ttl if its current value is old, where nil
	// stands for no value, and reports whether it did. A nil value deletes the name. Values are
	// never empty. A Store whose requests may arrive twice also reports true if the current value
	// is already the new one.
	Swap(ctx context.Context, name string, old, value []byte, ttl time.Duration) (bool, error)
}

// faults are the faults of a configuration, each with the name of its argument or field.
type faults []error

func (f *faults) add(field string, err error) {
	if err != nil {
		*f = append(*f, fmt.Errorf("%s: %w", field, err))
	}
}
