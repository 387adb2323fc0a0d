// Package documented is the documented MCP server: four tools behind Microsoft Entra ID, two of which
// act on behalf of the signed-in user, assembled from its configuration. The programs examples/server
// and examples/production run it; production leaves one tool out, which is a demonstration.
package documented

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/mcpentra/mcp-entra-go/authproxy"
	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/serverconfig"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
	"github.com/mcpentra/mcp-entra-go/obo"
)

// Surroundings are what the server uses apart from its configuration.
// The zero value logs nothing and uses the system's trusted certificates.
type Surroundings struct {
	Log       *slog.Logger
	Authority *http.Client // for requests to Entra
	Storage   *http.Client // for requests to Azure Storage

	Tokens    obo.TokenStore  // exchanged tokens that replicas share; nil for none
	StoreKeys [][]byte        // encrypt them
	SignIns   authproxy.Store // what sign-ins through the server must remember; nil for this process's memory

	Rates mcpentra.RateStore // users' rates that replicas share; nil for rates of each replica

	Tracers trace.TracerProvider // nil for no traces
	Meters  metric.MeterProvider // nil for no metrics

	TokenTool         bool // the tool that gives a user's token to the model, for demonstration
	LoopbackDocuments bool // clients on this machine may describe themselves
}

// NewServer returns the server, and its verifier, which the caller closes. resourceURL is
// the endpoint as clients know it.
func NewServer(c serverconfig.Config, resourceURL string, s Surroundings) (_ *mcpentra.Server, _ *entraauth.Verifier, err error) {
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	verifier, err := entraauth.NewVerifier(c.TenantID, c.APIAppID, &entraauth.Options{
		HTTPClient: s.Authority, Logger: s.Log, AuthorityHost: c.AuthorityHost, AppIDURIs: c.AppIDURIs, Policy: c.Policy(),
		TracerProvider: s.Tracers, MeterProvider: s.Meters,
	})
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			_ = verifier.Close()
		}
	}()
	blobs, err := blobTools(c, s)
	if err != nil {
		return nil, nil, err
	}
	options := []mcpentra.Option{
		mcpentra.WithLogger(s.Log),
		mcpentra.WithAllowedOrigins(c.AllowedOrigins...),
		mcpentra.WithAllowedHosts(c.AllowedHosts...),
		mcpentra.WithTrustedProxies(c.TrustedProxies...),
		mcpentra.WithTools(mcpentra.IdentityTools(verifier), blobs),
	}
	if s.TokenTool {
		options = append(options, mcpentra.WithTools(newTokenTool(c)))
	}
	if s.Tracers != nil {
		options = append(options, mcpentra.WithTracerProvider(s.Tracers))
	}
	if s.Meters != nil {
		options = append(options, mcpentra.WithMeterProvider(s.Meters))
	}
	if s.Rates != nil {
		options = append(options, mcpentra.WithSharedRates(s.Rates))
	}
	if c.OBO {
		acting, err := actingOptions(c, s)
		if err != nil {
			return nil, nil, err
		}
		options = append(options, acting...)
	}
	if c.AuthProxy != nil {
		proxy, err := newAuthProxy(c, strings.TrimSuffix(resourceURL, serverconfig.Path), s)
		if err != nil {
			return nil, nil, err
		}
		options = append(options, mcpentra.WithAuthProxy(proxy))
	}
	if len(c.StateKeys) > 0 {
		options = append(options, mcpentra.WithStateKeys(c.StateKeys...))
	}
	if c.Sessions {
		options = append(options, mcpentra.WithSessions())
	}
	for _, p := range c.ToolPolicies {
		options = append(options, mcpentra.WithToolPolicy(p.Pattern, p.Policy))
	}
	server, err := mcpentra.NewServer(resourceURL, verifier, options...)
	if err != nil {
		return nil, nil, err
	}
	return server, verifier, nil
}

// actingOptions let the server act on behalf of its callers: as itself, or as its agent.
func actingOptions(c serverconfig.Config, s Surroundings) ([]mcpentra.Option, error) {
	o := &obo.Options{
		HTTPClient: s.Authority, Logger: s.Log, AuthorityHost: c.AuthorityHost, Resources: c.Audiences,
		RedirectURL: c.ConsentURL, TracerProvider: s.Tracers, MeterProvider: s.Meters,
	}
	if s.Tokens != nil {
		o.Store, o.StoreKeys = s.Tokens, s.StoreKeys
	}
	var options []mcpentra.Option
	if c.AgentID != "" {
		o.Agents = []string{c.AgentID}
		options = append(options, mcpentra.WithAgent(func(*entraauth.Identity) string { return c.AgentID }))
	}
	exchanger, err := obo.NewExchanger(c.TenantID, c.APIAppID, c.Method, o)
	return append(options, mcpentra.WithExchanger(exchanger)), err
}

// newAuthProxy returns the proxy through which clients sign in.
func newAuthProxy(c serverconfig.Config, issuer string, s Surroundings) (*authproxy.Proxy, error) {
	p := c.AuthProxy
	return authproxy.New(issuer, c.TenantID, p.ClientID, p.Method, p.Keys, &authproxy.Options{
		HTTPClient: s.Authority, AuthorityHost: c.AuthorityHost, Replicas: p.Replicas,
		PrivateSchemes: p.PrivateSchemes, Downstream: p.Downstream, CombinedConsent: p.CombinedConsent,
		UnsafeLoopbackDocuments: s.LoopbackDocuments, Store: s.SignIns,
		TracerProvider: s.Tracers, MeterProvider: s.Meters,
	})
}

// blobTools returns the container's tools, or placeholders if it is not configured.
func blobTools(c serverconfig.Config, s Surroundings) (mcpentra.ToolSet, error) {
	if missing := c.MissingStorage(); len(missing) > 0 {
		return unconfiguredBlobs{why: storageMissing(missing, c.OBO)}, nil
	}
	credential := mcpentra.Credential
	if !c.OBO {
		credential = func(context.Context) (azcore.TokenCredential, error) { return nil, errOBOOff }
	}
	o := &blobtool.Options{
		HTTPClient: s.Storage, Logger: s.Log, DownloadDir: c.DownloadDir,
		TracerProvider: s.Tracers, MeterProvider: s.Meters,
		Tools: []string{"read_blob_with_token"}, // only this one: the documented server has four tools
	}
	if n := c.DownloadMax; n > 0 {
		o.MaxTotalBytes = n
		o.MaxUserBytes, o.MaxFileBytes = min(n, blobtool.DefaultMaxUserBytes), min(n, blobtool.DefaultMaxFileBytes)
	}
	return blobtool.New(c.StorageURL, c.Container, credential, o)
}
