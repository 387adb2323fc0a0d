package doctor_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/doctor"
	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/graph"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/internal/secret"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	resourceURL = "https://mcp.example.com/mcp"
	container   = "documents"
	// The known clients that Microsoft registers.
	vsCode   = "aebc6443-996d-45c2-90f0-388ff96faa56"
	azureCLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
)

// A world is a set-up that works: tenant, registration, server, storage account and user. Tests
// break one thing.
type world struct {
	tenant    *entratest.Tenant
	blobs     *blobtest.Server
	api       *entratest.App
	client    *entratest.App
	alice     *entratest.User
	secret    string
	directory *directory
	facts     doctor.Facts
	options   doctor.Options
	token     string
	identity  string // client id of the managed identity, if there is one

	serverConfig func(*entraauth.Options) // of the running server
	serverURL    string                   // that the running server believes to have
	serverOpts   []mcpentra.Option
	proxy        func(http.Handler) http.Handler // in front of the server
	hosts        map[string]string               // host:port to the address it is at
	distrust     bool                            // of the proxy's CA
	proxyURL     *url.URL                        // HTTPS_PROXY
	transport    *http.Transport
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{tenant: entratest.New(t, nil), serverURL: resourceURL, hosts: map[string]string{}}
	w.blobs = blobtest.New(t, &blobtest.Options{Key: w.tenant.PublicKey, Issuer: w.tenant.V1Issuer()})
	w.api = w.tenant.AddApp("MCP-Server-API", "access_as_user")
	w.api.AccessTokenVersion, w.api.AppIDURIs = 2, []string{resourceURL, "api://" + w.api.ClientID}
	w.client = w.tenant.AddClient("MCP client")
	w.alice = w.tenant.AddUser("alice@contoso.example", "Alice")
	w.secret = w.api.AddSecret()
	w.tenant.Consent(w.client, w.api, "access_as_user")
	w.tenant.Consent(w.api, w.tenant.Storage(), "user_impersonation")
	w.blobs.AddContainer(container)
	w.blobs.Grant(w.alice.ObjectID, container, "")
	w.directory = newDirectory(w)
	w.facts = doctor.Facts{
		TenantID: w.tenant.ID(), ClientID: w.api.ClientID, AuthorityHost: w.tenant.AuthorityHost(),
		ResourceURL: resourceURL, AppIDURIs: []string{resourceURL, "api://" + w.api.ClientID},
		OBO: true, Method: clientauth.Secret(w.secret),
		Resources: []string{"https://storage.azure.com"}, StorageURL: w.blobs.URL(), Container: container,
	}
	w.token = w.tenant.Token(w.alice, w.client, w.api, "access_as_user")
	return w
}

// directory is the tenant's directory, as Microsoft Graph shows it.
type directory struct {
	app         graph.Application
	clients     []graph.Application
	principals  []graph.ServicePrincipal
	grants      []graph.PermissionGrant
	credentials []graph.FederatedCredential
	err         error
}

func newDirectory(w *world) *directory {
	on := true
	d := &directory{}
	d.app = graph.Application{
		ID: "a0000000-0000-4000-8000-00000000000a", AppID: w.api.ClientID, DisplayName: "MCP-Server-API", SignInAudience: "AzureADMyOrg",
		IdentifierURIs: []string{resourceURL, "api://" + w.api.ClientID},
		API: graph.API{
			RequestedAccessTokenVersion: 2,
			Scopes:                      []graph.PermissionScope{{ID: "s", Value: "access_as_user", Type: "User", IsEnabled: true}},
			PreAuthorized:               []graph.PreAuthorizedApp{{AppID: vsCode}, {AppID: azureCLI}, {AppID: w.client.ClientID}},
		},
	}
	d.clients = []graph.Application{{
		ID: "a0000000-0000-4000-8000-00000000000b", AppID: w.client.ClientID, DisplayName: "MCP clients",
		PublicClient: graph.Redirects{RedirectURIs: []string{"https://claude.ai/api/mcp/auth_callback", "http://localhost/callback"}},
	}}
	d.principals = []graph.ServicePrincipal{
		{ID: w.api.ObjectID, AppID: w.api.ClientID, AccountEnabled: &on},
		{ID: "sp-storage", AppID: w.tenant.Storage().ClientID, AccountEnabled: &on, ServicePrincipalNames: []string{"https://storage.azure.com"}},
	}
	d.grants = []graph.PermissionGrant{{ClientID: w.api.ObjectID, ResourceID: "sp-storage", ConsentType: "AllPrincipals", Scope: "user_impersonation"}}
	return d
}

func notFound() error { return &graph.Error{Status: http.StatusNotFound, Code: graph.CodeNotFound} }

func (d *directory) Application(_ context.Context, path string) (graph.Application, error) {
	for _, a := range append([]graph.Application{d.app}, d.clients...) {
		if path == graph.ApplicationByAppID(a.AppID) && d.err == nil {
			return a, nil
		}
	}
	if d.err != nil {
		return graph.Application{}, d.err
	}
	return graph.Application{}, notFound()
}

func (d *directory) ServicePrincipal(_ context.Context, appID string) (graph.ServicePrincipal, error) {
	for _, p := range d.principals {
		if p.AppID == appID {
			return p, nil
		}
	}
	return graph.ServicePrincipal{}, notFound()
}

func (d *directory) ServicePrincipalsNamed(_ context.Context, name string) (found []graph.ServicePrincipal, _ error) {
	for _, p := range d.principals {
		for _, n := range p.ServicePrincipalNames {
			if n == name {
				found = append(found, p)
			}
		}
	}
	return found, nil
}

func (d *directory) PermissionGrants(_ context.Context, field, id string) (found []graph.PermissionGrant, _ error) {
	for _, g := range d.grants {
		if field == "clientId" && g.ClientID == id || field == "resourceId" && g.ResourceID == id {
			found = append(found, g)
		}
	}
	return found, nil
}

func (d *directory) FederatedCredentials(context.Context, string) ([]graph.FederatedCredential, error) {
	return d.credentials, nil
}

func (d *directory) Get(context.Context, string, any) error { return notFound() }

// examine starts the server as the world has it, and examines it.
func (w *world) examine(t *testing.T) *doctor.Report {
	t.Helper()
	w.serve(t)
	options := w.options
	if options.Client == nil {
		options.Client = &http.Client{Transport: w.transport}
	}
	if options.Lookup == nil {
		options.Lookup = w.lookup
	}
	options.UserToken = secret.New(w.token)
	if w.directory != nil {
		options.Directory = w.directory
	}
	report, err := doctor.Run(t.Context(), w.facts, &options)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// serve starts the server, assembled as the example server is, behind TLS and the proxy.
func (w *world) serve(t *testing.T) {
	t.Helper()
	o := &entraauth.Options{
		HTTPClient: w.tenant.HTTPClient(), AuthorityHost: w.tenant.AuthorityHost(), Logger: slog.New(slog.DiscardHandler),
		AppIDURIs: []string{resourceURL, "api://" + w.api.ClientID},
	}
	if w.serverConfig != nil {
		w.serverConfig(o)
	}
	verifier, err := entraauth.NewVerifier(w.tenant.ID(), w.api.ClientID, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = verifier.Close() })
	exchanger, err := obo.NewExchanger(w.tenant.ID(), w.api.ClientID, clientauth.Secret(w.secret), &obo.Options{
		HTTPClient: w.tenant.HTTPClient(), AuthorityHost: w.tenant.AuthorityHost(), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := blobtool.New(w.blobs.URL(), container, mcpentra.Credential, &blobtool.Options{HTTPClient: w.blobs.HTTPClient()})
	if err != nil {
		t.Fatal(err)
	}
	server, err := mcpentra.NewServer(w.serverURL, verifier, append([]mcpentra.Option{
		mcpentra.WithExchanger(exchanger), mcpentra.WithTools(mcpentra.IdentityTools(verifier), blobs), mcpentra.WithLogger(slog.New(slog.DiscardHandler)),
	}, w.serverOpts...)...)
	if err != nil {
		t.Fatal(err)
	}
	var handler http.Handler = server
	if w.proxy != nil {
		handler = w.proxy(handler)
	}
	front := httptest.NewTLSServer(handler)
	t.Cleanup(front.Close)
	w.connect(t, front)
}

// connect makes a transport that finds the server by its public name, and trusts all three.
func (w *world) connect(t *testing.T, front *httptest.Server) {
	t.Helper()
	if _, set := w.hosts["mcp.example.com:443"]; !set {
		w.hosts["mcp.example.com:443"] = front.Listener.Addr().String()
	}
	pool := x509.NewCertPool()
	pool.AddCert(front.Certificate())
	pool.AppendCertsFromPEM(w.tenant.CertificatePEM())
	pool.AppendCertsFromPEM(w.blobs.CertificatePEM())
	if !w.distrust {
		pool.AddCert(proxyCA.Leaf)
	}
	w.transport = &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}}
	if w.proxyURL != nil {
		w.transport.Proxy = func(r *http.Request) (*url.URL, error) {
			if r.URL.Host == hostport(w.tenant.AuthorityHost()) {
				return w.proxyURL, nil
			}
			return nil, nil //nolint:nilnil // no proxy, as http.ProxyFromEnvironment says it
		}
	}
	w.transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if at, known := w.hosts[address]; known {
			address = at
		}
		if address == "timeout" {
			return nil, &net.OpError{Op: "dial", Err: context.DeadlineExceeded}
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
}

// lookup resolves the public name, and addresses of this machine.
func (w *world) lookup(_ context.Context, host string) ([]string, error) {
	if host == "localhost" || host == "127.0.0.1" || host == "mcp.example.com" {
		return []string{"127.0.0.1"}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// failures are the ids of the failed checks.
func failures(r *doctor.Report) (ids []string) {
	for _, c := range r.Checks {
		if c.Status == doctor.Failed {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

func text(t *testing.T, r *doctor.Report) string {
	t.Helper()
	var b strings.Builder
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func clockAt(d time.Duration) func() time.Time {
	return func() time.Time { return time.Now().Add(d) }
}
