package doctor_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
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

// A world is a setup that works: tenant, registration, server, storage account and user. Tests
// break one thing.
type world struct {
	tenant       *entratest.Tenant
	blobs        *blobtest.Server
	api          *entratest.App
	client       *entratest.App
	alice        *entratest.User
	secret       string
	graph        *graph.Client // to the tenant's directory
	signedIn     bool
	tenantOffset atomic.Int64 // of the tenant's clock, in nanoseconds
	facts        doctor.Facts
	options      doctor.Options
	token        string
	identity     string // client ID of the managed identity, if there is one

	serverConfig func(*entraauth.Options) // of the running server
	serverURL    string                   // that the running server believes to have
	serverOpts   []mcpentra.Option
	proxy        func(http.Handler) http.Handler // in front of the server
	hosts        map[string]string               // host:port to the address it is at
	trusted      [][]byte                        // more certificates, as PEM
	distrust     bool                            // of the proxy's CA
	proxyURL     *url.URL                        // HTTPS_PROXY
	proxyAll     bool                            // for all hosts; else NO_PROXY has all but Entra's
	transport    *http.Transport
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{serverURL: resourceURL, hosts: map[string]string{}, signedIn: true}
	w.tenant = entratest.New(t, &entratest.Options{Now: func() time.Time { return time.Now().Add(time.Duration(w.tenantOffset.Load())) }})
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
	w.client.AddRedirectURI(entratest.PlatformDesktop, "https://claude.ai/api/mcp/auth_callback", "http://localhost/callback")
	w.signIn(t)
	w.preAuthorize(t, vsCode, azureCLI, w.client.ClientID)
	w.facts = doctor.Facts{
		TenantID: w.tenant.ID(), ClientID: w.api.ClientID, AuthorityHost: w.tenant.AuthorityHost(),
		ResourceURL: resourceURL, AppIDURIs: []string{resourceURL, "api://" + w.api.ClientID},
		OBO: true, Method: clientauth.Secret(w.secret),
		Resources: []string{"https://storage.azure.com"}, StorageURL: w.blobs.URL(), Container: container,
	}
	w.token = w.tenant.Token(w.alice, w.client, w.api, "access_as_user")
	return w
}

// operator signs in to Microsoft Graph as an application of the tenant.
type operator struct{ token string }

func (o operator) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: o.token, ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// signIn signs an operator in who may change the registrations.
func (w *world) signIn(t *testing.T) {
	t.Helper()
	tools := w.tenant.AddApp("operator")
	w.tenant.GrantRoles(tools, w.tenant.Graph(), "Application.ReadWrite.All", "Directory.Read.All", "AgentIdentityBlueprint.ReadWrite.All")
	var err error
	w.graph, err = graph.New(w.tenant.AuthorityHost(), "https://graph.microsoft.com", operator{w.tenant.AppToken(tools, w.tenant.Graph())},
		&graph.Options{HTTP: w.tenant.HTTPClient()})
	if err != nil {
		t.Fatal(err)
	}
}

// send changes something over Microsoft Graph.
func (w *world) send(t *testing.T, method, path, body string) {
	t.Helper()
	r := graph.Request{Method: method, Path: path}
	if body != "" {
		r.Body = []byte(body)
	}
	if _, _, err := w.graph.Do(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

// patch changes an application's registration.
func (w *world) patch(t *testing.T, app *entratest.App, body string) {
	t.Helper()
	w.send(t, http.MethodPatch, graph.ApplicationByAppID(app.ClientID), body)
}

// preAuthorize lets these clients use the API without consent.
func (w *world) preAuthorize(t *testing.T, clients ...string) {
	t.Helper()
	app, err := w.graph.Application(t.Context(), graph.ApplicationByAppID(w.api.ClientID))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, id := range clients {
		all = append(all, fmt.Sprintf(`{"appId":%q,"delegatedPermissionIds":[%q]}`, id, app.API.Scopes[0].ID))
	}
	w.patch(t, w.api, `{"api":{"preAuthorizedApplications":[`+strings.Join(all, ",")+`]}}`)
}

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
	if w.signedIn {
		options.Directory = w.graph
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
	for _, pem := range w.trusted {
		pool.AppendCertsFromPEM(pem)
	}
	if !w.distrust {
		pool.AddCert(proxyCA.Leaf)
	}
	w.transport = &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}}
	if w.proxyURL != nil {
		w.transport.Proxy = func(r *http.Request) (*url.URL, error) {
			if w.proxyAll || r.URL.Host == hostport(w.tenant.AuthorityHost()) {
				return w.proxyURL, nil
			}
			return nil, nil //nolint:nilnil // no proxy, as http.ProxyFromEnvironment says it
		}
	}
	w.transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		for at, known := w.hosts[address]; known; at, known = w.hosts[address] {
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
