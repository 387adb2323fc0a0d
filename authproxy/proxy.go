package authproxy

import (
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clients"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/families"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/pages"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/authority"
	"github.com/mcpentra/mcp-entra-go/internal/clientcred"
	"github.com/mcpentra/mcp-entra-go/internal/entrawire"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// A Proxy is an authorization server for MCP clients in front of Entra. It is an http.Handler
// for the paths that [Proxy.Serves]. It is safe for concurrent use.
type Proxy struct {
	issuer             string // the same bytes wherever it appears
	base               *url.URL
	tenantID, clientID string // in lower case
	method             clientauth.Method
	opts               Options // with defaults
	seals              seals
	cookies            cookieNames
	clients            *clients.Directory
	pages              *pages.Renderer
	store              Store
	families           *families.Book
	log                *slog.Logger
	now                func() time.Time
	tell               proxyTelemetry

	// What connect sets.
	host   authority.Host
	wire   *entrawire.Client
	proofs *clientcred.Proofs

	// What finish sets.
	complete  bool
	attached  bool     // to a first server, whose name and log it has
	name      string   // of the MCP server
	resources []string // canonical
	verifier  *entraauth.Verifier
	scopes    *scopeSet
	routes    map[string]route
	metadata  []byte
}

// The endpoints, below the issuer.
const (
	pathAuthorize = "/authorize"
	pathConsent   = "/consent"
	pathCallback  = "/oauth/callback"
	pathToken     = "/token"
	pathRevoke    = "/revoke"
	pathRegister  = "/register"
)

// A route says what answers at a path.
type route struct {
	name    string // for telemetry
	methods []string
	// shared reports whether pages of every origin may send requests and read the answers (CORS).
	// The other routes are for people: their errors are pages.
	shared bool
	serve  http.HandlerFunc
}

// Issuer returns the issuer URL, as in metadata and responses.
func (p *Proxy) Issuer() string { return p.issuer }

// AuthorizationEndpoint returns the URL at which sign-ins start.
func (p *Proxy) AuthorizationEndpoint() string { return p.issuer + pathAuthorize }

// callbackURL returns the redirect URI of the proxy's app, where Entra sends browsers.
func (p *Proxy) callbackURL() string { return p.issuer + pathCallback }

// ClientID returns the client ID of the proxy's app at Entra, in lower case: the azp of each token.
func (p *Proxy) ClientID() string { return p.clientID }

// HasClient reports whether Options.Clients has a client with the ID.
func (p *Proxy) HasClient(id string) bool {
	return slices.ContainsFunc(p.opts.Clients, func(c Client) bool { return strings.EqualFold(c.ID, id) })
}

// sealName returns the name that binds sealed values to this issuer, tenant and app.
func (p *Proxy) sealName() string { return p.issuer + "\n" + p.tenantID + "\n" + p.clientID }
