package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/graph"
	"github.com/mcpentra/mcp-entra-go/internal/authority"
	"github.com/mcpentra/mcp-entra-go/internal/secret"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// Facts are what an operator has configured. An empty field is not configured, and the checks
// that need it don't run.
type Facts struct {
	// Faults are what is wrong with the configuration itself. The fields that they concern may
	// be empty.
	Faults []ConfigFault
	// Warnings are about the configuration, one sentence each.
	Warnings []string

	TenantID, ClientID string
	AuthorityHost      string // "" for the public cloud
	// ResourceURL is the server's URL as its clients use it, such as
	// https://mcp.example.com/mcp. LocalURL is the same on the machine where it runs.
	ResourceURL, LocalURL string
	AppIDURIs             []string // accepted and advertised by the server
	Scope                 string   // defaults to access_as_user
	AllowedOrigins        []string
	ConsentURL            string // where a consent ends
	// Issuer is the server's own authorization proxy, or "" if clients sign in to Entra themselves.
	// ProxyClientID is its app.
	Issuer, ProxyClientID string
	ProxyMethod           clientauth.Method // how that app proves itself, if not as the API's does

	OBO       bool
	Method    clientauth.Method // how the app proves itself; with OBO
	Resources []string          // that tokens are exchanged for

	Agents       []string // agent identities that the server acts as; with OBO
	JudgesAgents bool     // a policy mentions agents

	TokenFile  string // AZURE_FEDERATED_TOKEN_FILE, to say what is in it if it is refused
	IdentityID string // UMI_CLIENT_ID, for the same
	TrustFile  string // SSL_CERT_FILE, to say what is wrong with it

	StorageURL, Container string
}

// A ConfigFault is a fault of one variable or flag.
type ConfigFault struct {
	Where           string // the variable, and its line if it is in a file
	Problem, Remedy string
}

// Options are what the doctor may use. The zero value examines as this process would connect,
// without a user's token and without Microsoft Graph.
type Options struct {
	// Client sends all requests. If its transport is an *http.Transport, a copy of it is used
	// that judges certificates by Now. Defaults to net/http's rules: HTTPS_PROXY, SSL_CERT_FILE.
	Client *http.Client
	// Now is the clock that is examined. Defaults to time.Now.
	Now func() time.Time
	// Lookup resolves a host. Defaults to the system's resolver.
	Lookup func(ctx context.Context, host string) ([]string, error)
	// UserToken is an access token for the server, as a client would send it. It goes to the
	// server and to Entra only.
	UserToken secret.Text
	// Directory reads the app registration from Microsoft Graph. Defaults to none: nobody is
	// signed in.
	Directory Directory
	// Only names the checks to show. Defaults to all.
	Only []string
	// Clients names the known clients to judge. Defaults to all.
	Clients []string
}

// An exam is one run. Each check writes only fields of its own, which later checks read after it.
type exam struct {
	Facts
	options   Options
	host      authority.Host
	transport http.RoundTripper
	client    *http.Client // follows no redirects
	insecure  *http.Client // reads the Date of a server whose certificate is not valid now

	mu      sync.Mutex
	results map[string]Result
	running map[string]chan struct{}

	entra     probe              // of tls
	doc       openID             // of tenant
	keyURL    string             // of metadata-v2
	proof     *proofAnswer       // of identity
	proxyForm url.Values         // the proof of the proxy's own app; of auth-proxy
	app       *graph.Application // of registration
	principal *graph.ServicePrincipal
	uris      []string  // of app-id-uri; nil if unknown
	redirects []string  // of redirects
	published published // of challenge and resource-metadata
	exchanged exchanges
	listed    *storageAnswer // of data-role
}

func newExam(facts Facts, opts *Options) (*exam, error) {
	x := &exam{Facts: facts, results: map[string]Result{}, running: map[string]chan struct{}{}}
	if opts != nil {
		x.options = *opts
	}
	if x.options.Now == nil {
		x.options.Now = time.Now
	}
	if x.options.Lookup == nil {
		x.options.Lookup = net.DefaultResolver.LookupHost
	}
	if x.Scope == "" {
		x.Scope = "access_as_user"
	}
	var err error
	if x.host, err = authority.Parse(facts.AuthorityHost); err != nil {
		return nil, errors.New("the authority host: " + err.Error())
	}
	x.connect(x.options.Client)
	return x, nil
}

// connect makes the clients from the caller's.
func (x *exam) connect(base *http.Client) {
	if base == nil {
		base = &http.Client{}
	}
	x.transport = base.Transport
	if x.transport == nil {
		x.transport = http.DefaultTransport
	}
	lenient := x.transport
	if t, ok := x.transport.(*http.Transport); ok {
		own := withClock(t, x.options.Now)
		x.transport, lenient = own, anytime(own)
	}
	last := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	x.client = &http.Client{Transport: x.transport, CheckRedirect: last}
	x.insecure = &http.Client{Transport: lenient, CheckRedirect: last}
}

// withClock returns a copy of the transport that judges certificates by the clock.
func withClock(t *http.Transport, now func() time.Time) *http.Transport {
	own := t.Clone()
	if own.TLSClientConfig == nil {
		own.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	own.TLSClientConfig.Time = now
	own.ForceAttemptHTTP2 = true
	return own
}

// anytime returns a copy that accepts any certificate. It is for one request without secrets,
// whose answer is used for its Date alone.
func anytime(t *http.Transport) *http.Transport {
	own := t.Clone()
	own.TLSClientConfig.InsecureSkipVerify = true
	return own
}

func (x *exam) close() {
	x.client.CloseIdleConnections()
	x.insecure.CloseIdleConnections()
}

// lacks returns the result of a check that can't run without these variables, or nil. Names
// alternate with values.
func (x *exam) lacks(settings ...string) *Result {
	var missing []string
	for i := 0; i+1 < len(settings); i += 2 {
		if settings[i+1] != "" {
			continue
		}
		missing = append(missing, settings[i])
		if x.faulty(settings[i]) {
			return misconfigured()
		}
	}
	if len(missing) == 0 {
		return nil
	}
	r := notRun("not configured: %s", strings.Join(missing, ", "))
	return &r
}

func misconfigured() *Result {
	return &Result{Status: NotRun, Because: "config", Note: "config failed"}
}

// faulty reports whether a fault is about one of these variables, or about a line of a file, which
// may be theirs.
func (x *exam) faulty(names ...string) bool {
	return slices.ContainsFunc(x.Faults, func(f ConfigFault) bool {
		return strings.HasPrefix(f.Where, ".") || slices.ContainsFunc(names, f.about)
	})
}

// compares reports whether the fault is that a variable doesn't fit an id which another check has
// found to be wrong.
func (x *exam) compares(f ConfigFault) bool {
	follows := func(name string, ids ...string) bool {
		return !f.about(name) && strings.Contains(f.Problem, name) &&
			slices.ContainsFunc(ids, func(id string) bool { return x.result(id).Status == Failed })
	}
	return follows("TENANT_ID", "tenant") || follows("API_APP_ID", "registration", "app")
}

// config reports what is wrong with the configuration itself.
func (x *exam) config(context.Context) Result {
	var faults, hints []Finding
	for _, f := range x.Faults {
		if x.compares(f) {
			continue
		}
		faults = append(faults, Finding{Problem: f.Where + " " + f.Problem, Remedy: f.Remedy})
	}
	for _, w := range x.Warnings {
		hints = append(hints, Finding{Problem: w, Remedy: "Change the variable, or ignore this if it is meant"})
	}
	switch {
	case len(faults) > 0:
		return failed(append(faults, hints...)...)
	case len(hints) > 0:
		return warning(hints...)
	}
	return ok("tenant %s, application %s, server %s", x.TenantID, x.ClientID, x.ResourceURL)
}
