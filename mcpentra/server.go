package mcpentra

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/edge"
	"github.com/mcpentra/mcp-entra-go/internal/rpcwire"
	"github.com/mcpentra/mcp-entra-go/internal/safelog"
	"github.com/mcpentra/mcp-entra-go/internal/seal"
	"github.com/mcpentra/mcp-entra-go/internal/toolset"
)

// A Server is an MCP server that serves only verified callers. It is an
// http.Handler that serves
//
//	{path of the resource URL}                                  MCP over streamable HTTP
//	/.well-known/oauth-protected-resource{path}, and without    RFC 9728 metadata
//	/consent/done                                               the page that ends a consent
//	/health                                                     200 when it can serve, else 503
//	/ready                                                      the same, and 503 when it drains
//
// A gateway or http.StripPrefix may remove leading segments of the resource URL's
// path, even all of them; the path of the metadata does not change:
//
//	mux.Handle("/tools/", http.StripPrefix("/tools", srv)) // https://mcp.example.com/tools/mcp
//	mux.Handle("/.well-known/oauth-protected-resource/tools/mcp", srv)
//
// The endpoint and the metadata are served with and without a trailing slash. Every
// other path gets a 404 that names the endpoint.
type Server struct {
	mcp         *mcp.Server
	handler     http.Handler
	stages      *stages
	description []slog.Attr // for the log line at the start
	unwatch     func()      // ends the metrics of what the server holds
}

// NewServer assembles a server. resourceURL is the URL that clients are given,
// such as "https://mcp.example.com/mcp": https, or http on a loopback host; no
// trailing slash. NewServer reports all faults at once.
func NewServer(resourceURL string, v *entraauth.Verifier, opts ...Option) (*Server, error) {
	var c config
	var faults []error
	resource, err := parseResource(resourceURL)
	if err != nil {
		faults = append(faults, err)
	}
	if v == nil {
		faults = append(faults, errors.New("the verifier is nil; pass one from entraauth.NewVerifier"))
	}
	for i, option := range opts {
		if option == nil {
			faults = append(faults, fmt.Errorf("option %d is nil; leave it out", i))
			continue
		}
		faults = append(faults, option(&c))
	}
	if c.log == nil {
		c.log = slog.Default()
	}
	given := c.log
	c.log = slog.New(safelog.NewHandler(given.Handler()))
	c.implementation = introduction(c.implementation, resource)
	faults = append(faults, checkPairing(v, c.exchanger), c.checkAgents(), c.pairServerCredential(v))
	server, err := newMCPServer(&c)
	faults = append(faults, err)
	registered := &catalog{}
	server.AddReceivingMiddleware(registered.resolve) // innermost: sees what is registered
	sets := newRegistry(&c.access, c.implementation)
	toolset.Attend(server, sets)
	err = attempt("WithTools", func() { faults = append(faults, c.assemble(v, server, sets, registered)) })
	faults = append(faults, err)
	faults = append(faults, c.attach(resource, v, given))
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("mcpentra: %w", err)
	}
	metadata, err := v.ResourceMetadata(resource.String(), c.title(), c.issuers()...)
	if err != nil {
		return nil, fmt.Errorf("mcpentra: %w", err)
	}
	stages := newStages(v, resource, metadata.URL(), &c)
	stages.log.observer.names.catalog = registered
	server.AddReceivingMiddleware(stages.receive)
	server.AddSendingMiddleware(stages.sessions.whileRunning, stages.subscriptions.onlyToAdmitted)
	return &Server{
		mcp: server, stages: stages, unwatch: stages.log.observer.watch(stages), description: describe(resource, v, &c),
		handler: routes(resource, stages, mcpEndpoint(server, stages), metadata, c.authProxy),
	}, nil
}

// newStages makes all stages, each after those that it uses.
func newStages(v *entraauth.Verifier, resource *url.URL, metadataURL string, c *config) *stages {
	limits := c.limits.withDefaults()
	log := &requestLog{c.log, c.sessions, newObserver(c)}
	refuser := &refuser{log: log, verifier: v, resource: resource.String(), metadataURL: metadataURL}
	if c.authProxy != nil {
		refuser.authorizeURL = c.authProxy.AuthorizationEndpoint()
	}
	consent := &consent{states: c.states, exchanger: c.exchanger, log: c.log}
	streams, users := newStreams(v.Recheck), newUsers(limits, time.Now)
	if c.rateStore != nil {
		users.rates.share(c.rateStore, resource.String(), c.log)
	}
	subscriptions := &subscriptionCheck{streams: streams, access: &c.access}
	subscriptions.sessions = newSessions(limits, func(x *session) {
		consent.waiting.drop(x.user, x.server)
		for uri := range x.uris {
			subscriptions.end(x, uri)
		}
	})
	s := &stages{
		proxies: c.proxies, limits: limits, log: log, refuser: refuser, hosts: newHostCheck(resource, c), verifier: v, drain: edge.NewDrainer(),
		admission: &admission{users, limits, refuser, c.sessions},
		sessions:  subscriptions.sessions, streams: streams, subscriptions: subscriptions,
		policies: &policyCheck{&c.access, refuser, subscriptions.sessions, cmp.Or(c.cursors, seal.Random(cursorPurpose)), primingDelay},
		speaker:  &speaker{log, refuser, rpcwire.NewIDs()},
		consent:  consent, failures: &failures{refuser, consent}, lending: newLending(c),
	}
	if c.sessions {
		s.events = newEvents(subscriptions)
	}
	return s
}

// mcpEndpoint is the SDK's handler behind the stages.
func mcpEndpoint(server *mcp.Server, s *stages) http.Handler {
	options := &mcp.StreamableHTTPOptions{
		Stateless:                    !s.log.sessions,
		SessionTimeout:               sessionTimeout,
		MaxRequestBodyBytes:          -1, // readBody has bounded it
		PropagateRequestCancellation: true,
		DisableLocalhostProtection:   true, // the host check knows the public name
	}
	if s.events != nil {
		options.EventStore = s.events
	}
	return through(s.ofEndpoint(), mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, options))
}

// newMCPServer makes the SDK's server with the options that tool sets and the program
// change. It returns a server even with an error.
func newMCPServer(c *config) (server *mcp.Server, err error) {
	var o mcp.ServerOptions
	var faults []error
	for i, set := range c.tools {
		if conf, ok := set.(Configurer); ok {
			faults = append(faults, attempt(fmt.Sprintf("WithTools: tool set %d (%T): Configure", i, set), func() { conf.Configure(&o) }))
		}
	}
	for _, change := range c.serverOptions {
		faults = append(faults, attempt("WithServerOptions", func() { change(&o) }))
	}
	if o.UnsubscribeHandler != nil {
		o.UnsubscribeHandler = endsAlways(o.UnsubscribeHandler, c.log)
	}
	next := o.SetCacheable
	o.SetCacheable = func(ctx context.Context, req mcp.Request, cacheable *mcp.Cacheable) {
		if next != nil {
			next(ctx, req, cacheable)
		}
		cacheable.CacheScope = "private" // one caller's view must not be cached for another
	}
	err = attempt("WithServerOptions", func() { server = mcp.NewServer(c.implementation, &o) })
	if err != nil {
		server = mcp.NewServer(c.implementation, nil) // to find the other faults too
	}
	return server, errors.Join(append(faults, err)...)
}

// MCP returns the SDK's server, for mcp.AddTool and the like. Receiving
// middleware added to it runs before the caller is known, and the server does not
// recover its panics.
func (s *Server) MCP() *mcp.Server { return s.mcp }

// ServeHTTP serves the paths that [Server] lists.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// describe returns what the log says about the server at its start.
func describe(resource *url.URL, v *entraauth.Verifier, c *config) []slog.Attr {
	app, limits := v.Registration(), c.limits.withDefaults()
	tenants := strings.Join(app.Tenants, " ")
	if app.AnyTenant {
		tenants += " and any organization"
	}
	networks := make([]string, len(c.proxies))
	for i, n := range c.proxies {
		networks[i] = n.String()
	}
	return append([]slog.Attr{
		slog.String("name", c.implementation.Name), slog.String("version", c.implementation.Version), slog.String("url", resource.String()),
		slog.String("tenant", tenants), slog.String("app", app.ClientID), slog.String("authority", app.AuthorityHost),
		slog.Bool("sessions", c.sessions), slog.Bool("on_behalf_of", c.exchanger != nil), slog.Bool("consent_state", c.states != nil),
		slog.Int("policies", len(c.access.tools)+len(c.access.resources)+len(c.access.prompts)+len(c.access.broughtNow().tools)),
		slog.Any("origins", c.origins), slog.Any("hosts", c.hosts), slog.Any("proxies", networks),
		slog.Float64("requests_per_second", limits.RequestsPerSecond), slog.Int("concurrent", limits.Concurrent), slog.Int64("body_bytes", limits.BodyBytes),
		slog.Bool("shared_rates", c.rateStore != nil),
	}, append(c.describeAgents(), c.describeProxy()...)...)
}

// introduction returns how the server introduces itself: as configured, with the
// resource's host and the main module's version as defaults. resource is nil if invalid.
func introduction(given *mcp.Implementation, resource *url.URL) *mcp.Implementation {
	i := &mcp.Implementation{}
	if given != nil {
		*i = *given
	}
	if i.Name == "" && resource != nil {
		i.Name = resource.Hostname()
	}
	if i.Version == "" {
		i.Version = "(devel)"
		if build, ok := debug.ReadBuildInfo(); ok && build.Main.Version != "" {
			i.Version = build.Main.Version
		}
	}
	return i
}

// ListenAndServe listens on the TCP address, such as ":8000", and calls
// [Server.Serve].
func (s *Server) ListenAndServe(ctx context.Context, addr string) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("mcpentra: %w", err)
	}
	return s.Serve(ctx, l)
}

// Serve answers requests on the listener until the context ends, such as that of
// signal.NotifyContext. Then it drains: /ready answers 503, calls under way
// have [Limits].DrainTimeout to finish, streams end after them, the remaining
// connections are closed, and sessions end. It returns nil after that, and an error if
// serving failed.
//
// It logs its address, tenant, app and configuration, and fetches the tenant's keys
// immediately, so that the log shows a problem with them before the first user arrives.
//
// It bounds connections as an http.Server in production should: 10 seconds for a header
// of at most 128 KiB, and 2 minutes between requests. TCP keep-alive, on by default in
// package net, closes connections to dead peers. For TLS, use [Server.ServeTLS].
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	return s.run(ctx, l, nil)
}

// ServeTLS is Serve over TLS 1.2 or newer, with HTTP/2. It calls getCertificate for
// each handshake, as [tls.Config] does, so a renewed certificate is used without losing
// a connection. [CertificateFiles] returns a getCertificate for files;
// golang.org/x/crypto/acme/autocert and SPIFFE libraries have their own.
func (s *Server) ServeTLS(ctx context.Context, l net.Listener, getCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) error {
	if getCertificate == nil {
		return errors.New("mcpentra: ServeTLS: getCertificate is nil; pass a function, such as CertificateFiles returns, or call Serve")
	}
	return s.run(ctx, l, getCertificate)
}

func (s *Server) run(ctx context.Context, l net.Listener, getCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) error {
	s.stages.log.LogAttrs(ctx, slog.LevelInfo, "serving", append([]slog.Attr{slog.String("address", l.Addr().String()), slog.Bool("tls", getCertificate != nil)}, s.description...)...)
	fetching, stopFetching := context.WithCancel(ctx)
	defer stopFetching()
	go func() { _ = s.stages.verifier.Ready(fetching) }() // the verifier logs what is wrong
	getCertificate, unwatch := s.stages.log.observer.certificate(getCertificate)
	defer unwatch()
	defer s.unwatch()
	defer s.stages.admission.users.rates.end()
	server := edge.Server{Handler: s, Log: s.stages.log.Logger, Drain: s.stages.drain, DrainTimeout: s.stages.limits.DrainTimeout, GetCertificate: getCertificate}
	if err := server.Serve(ctx, l); err != nil {
		return fmt.Errorf("mcpentra: %w", err)
	}
	s.endSessions()
	return nil
}

// CertificateFiles returns a getCertificate for [Server.ServeTLS]: the certificate in
// the PEM file certFile, optionally followed by intermediates, with the key in keyFile.
// The files must hold a matching pair at the start. Handshakes read them again, at most
// every 5 seconds, and use a new pair from then on; both Kubernetes secrets and files
// written one after the other work. While the files can't be read or don't match, the
// last good pair is served and an ERROR is logged. An expired certificate is logged as
// an ERROR too. A nil log means [slog.Default].
func CertificateFiles(certFile, keyFile string, log *slog.Logger) (func(*tls.ClientHelloInfo) (*tls.Certificate, error), error) {
	if log == nil {
		log = slog.Default()
	}
	c, err := edge.LoadCertificate(certFile, keyFile, log)
	if err != nil {
		return nil, fmt.Errorf("mcpentra: CertificateFiles: %w", err)
	}
	return c.Get, nil
}

// Drain prepares for shutdown: /ready answers 503 from now on, and streams end as
// soon as no call is under way. Calls are still answered. Drain does not wait.
// [Server.Serve] calls it; for an http.Server of your own, use
// RegisterOnShutdown(srv.Drain).
func (s *Server) Drain() { s.stages.drain.Begin() }

// endSessions ends the sessions that are left. The SDK waits for their calls, so
// endSessions stops waiting after a second.
func (s *Server) endSessions() {
	s.stages.sessions.cancelAll()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for session := range s.mcp.Sessions() {
			_ = session.Close()
		}
	}()
	select {
	case <-ended:
	case <-time.After(time.Second):
	}
}
