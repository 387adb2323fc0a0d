package main

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/mcpentra/mcp-entra-go/authproxy"
	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/serverconfig"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
	"github.com/mcpentra/mcp-entra-go/obo"
)

// surroundings are what the server uses apart from its configuration. Tests and the demo set them.
// The zero value logs nothing and uses the system's trusted certificates.
type surroundings struct {
	log       *slog.Logger
	authority *http.Client // for requests to Entra
	storage   *http.Client // for requests to Azure Storage

	loopbackDocuments bool // clients on this machine may describe themselves
}

// assemble returns the documented server, and its verifier, which the caller closes. resourceURL is
// the endpoint as clients know it.
func assemble(c serverconfig.Config, resourceURL string, s surroundings) (_ *mcpentra.Server, _ *entraauth.Verifier, err error) {
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	verifier, err := entraauth.NewVerifier(c.TenantID, c.APIAppID, &entraauth.Options{
		HTTPClient: s.authority, Logger: s.log, AuthorityHost: c.AuthorityHost, AppIDURIs: c.AppIDURIs, Policy: c.Policy(),
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
		mcpentra.WithLogger(s.log),
		mcpentra.WithAllowedOrigins(c.AllowedOrigins...),
		mcpentra.WithAllowedHosts(c.AllowedHosts...),
		mcpentra.WithTrustedProxies(c.TrustedProxies...),
		mcpentra.WithTools(mcpentra.IdentityTools(verifier), newTokenTool(c), blobs),
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
func actingOptions(c serverconfig.Config, s surroundings) ([]mcpentra.Option, error) {
	o := &obo.Options{
		HTTPClient: s.authority, Logger: s.log, AuthorityHost: c.AuthorityHost, Resources: c.Audiences,
		RedirectURL: c.ConsentURL,
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
func newAuthProxy(c serverconfig.Config, issuer string, s surroundings) (*authproxy.Proxy, error) {
	p := c.AuthProxy
	return authproxy.New(issuer, c.TenantID, p.ClientID, p.Method, p.Keys, &authproxy.Options{
		HTTPClient: s.authority, AuthorityHost: c.AuthorityHost, Replicas: p.Replicas,
		PrivateSchemes: p.PrivateSchemes, Downstream: p.Downstream, CombinedConsent: p.CombinedConsent,
		UnsafeLoopbackDocuments: s.loopbackDocuments,
	})
}

// blobTools returns the container's tools, or placeholders if it is not configured.
func blobTools(c serverconfig.Config, s surroundings) (mcpentra.ToolSet, error) {
	if missing := c.MissingStorage(); len(missing) > 0 {
		return unconfiguredBlobs{why: storageMissing(missing, c.OBO)}, nil
	}
	credential := mcpentra.Credential
	if !c.OBO {
		credential = func(context.Context) (azcore.TokenCredential, error) { return nil, errOBOOff }
	}
	o := &blobtool.Options{
		HTTPClient: s.storage, Logger: s.log, DownloadDir: c.DownloadDir,
		Tools: []string{"read_blob_with_token"}, // only this one: the documented server has four tools
	}
	if n := c.DownloadMax; n > 0 {
		o.MaxTotalBytes = n
		o.MaxUserBytes, o.MaxFileBytes = min(n, blobtool.DefaultMaxUserBytes), min(n, blobtool.DefaultMaxFileBytes)
	}
	return blobtool.New(c.StorageURL, c.Container, credential, o)
}
