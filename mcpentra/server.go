package mcpentra

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/edge"
	"github.com/mcpentra/mcp-entra-go/internal/eventstore"
	"github.com/mcpentra/mcp-entra-go/internal/safelog"
	"github.com/mcpentra/mcp-entra-go/internal/toolset"
)

// Version is this module's version, by which a server introduces itself.
const Version = "0.1.0"

// sessionTimeout ends idle sessions.
const sessionTimeout = 30 * time.Minute

// A Server is an MCP server whose every call is made by a verified caller. It
// is an http.Handler that serves
//
//	{path of the resource URL}                                  MCP over streamable HTTP
//	/.well-known/oauth-protected-resource{path}, and without    RFC 9728 metadata
//	/consent/done                                               where a consent ends: "you can go back"
//	/health                                                     200 when it can serve, else 503
//	/ready                                                      the same, and 503 when it drains
//
// A gateway or http.StripPrefix may take path segments off the front of the
// resource URL's path, all of them too; the metadata stays where it is:
//
//	mux.Handle("/tools/", http.StripPrefix("/tools", srv)) // https://mcp.example.com/tools/mcp
//	mux.Handle("/.well-known/oauth-protected-resource/tools/mcp", srv)
//
// The endpoint and the metadata are served with and without a slash at the end;
// every other path is answered 404 with the right one.
type Server struct {
	mcp     *mcp.Server
	handler http.Handler
	limits  Limits
	drain   *edge.Drain

	verifier *entraauth.Verifier
	log      *requestLog
	refuser  *refuser
	users    *users
	access   *access
	policies *policyCheck
	consent  *consent
	lending  *lending

	sessions    *sessions
	streams     *streams
	events      *eventstore.Store // nil without sessions
	unsubscribe mcp.MethodHandler // of the SDK

	description []slog.Attr // of the line at its start
}

// NewServer assembles a server. resourceURL is the URL that clients are given,
// such as "https://mcp.example.com/mcp": https, or http on a loopback host; no
// trailing slash. All faults are reported at once.
func NewServer(resourceURL string, v *entraauth.Verifier, opts ...Option) (*Server, error) {
	c := config{implementation: &mcp.Implementation{Name: "mcp-entra-go", Version: Version}, access: access{brought: newBrought()}}
	var faults []error
	resource, err := parseResource(resourceURL)
	if err != nil {
		faults = append(faults, err)
	}
	if v == nil {
		faults = append(faults, errors.New("the verifier is nil: there is no server without one"))
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
	c.log = slog.New(safelog.NewHandler(c.log.Handler()))
	faults = append(faults, checkPairing(v, c.exchanger))
	server, err := newMCPServer(&c)
	faults = append(faults, err)
	registered := &catalog{}
	server.AddReceivingMiddleware(registered.resolve) // innermost: sees what is registered
	toolset.Attend(server, c.access.brought)
	err = attempt("WithTools", func() { faults = append(faults, c.assemble(server, registered)) })
	faults = append(faults, err)
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("mcpentra: %w", err)
	}
	s := newStages(v, resource, &c)
	s.mcp = server
	s.mcp.AddReceivingMiddleware(s.receive(c.sessions))
	s.mcp.AddSendingMiddleware(s.onItsStream, s.onlyToAdmitted)
	s.handler = s.routes(resource, &c)
	s.description = describe(resource, &c, s)
	return s, nil
}

// newStages returns a server with all that its stages need.
func newStages(v *entraauth.Verifier, resource *url.URL, c *config) *Server {
	s := &Server{verifier: v, limits: c.limits.withDefaults(), access: &c.access, drain: edge.NewDrain()}
	s.log = &requestLog{c.log, c.sessions}
	s.refuser = &refuser{s.log, v, metadataURL(resource)}
	s.users = newUsers(s.limits, time.Now, s.reject)
	s.sessions = newSessions(s.limits, s.reject, s.sessionEnded)
	s.streams = newStreams(v.Recheck)
	s.policies = &policyCheck{s.access, s.refuser, s.sessions, c.sealer.orRandom(), primingDelay}
	s.consent = &consent{sealer: c.sealer, exchanger: c.exchanger, log: c.log}
	s.lending = &lending{exchanger: c.exchanger, log: c.log}
	if c.sessions {
		s.events = eventstore.New(eventstore.Options{Begin: beginAnswer, Keep: s.keepsNews})
	}
	return s
}

func (s *Server) reject(w http.ResponseWriter, r *http.Request, why rejection, more ...slog.Attr) {
	s.refuser.reject(w, r, why, more...)
}

// newMCPServer makes the SDK's server from the options of all who have some. There
// is a server also if there is an error.
func newMCPServer(c *config) (server *mcp.Server, err error) {
	var o mcp.ServerOptions
	var faults []error
	for i, set := range c.tools {
		if conf, ok := set.(configurer); ok {
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
		cacheable.CacheScope = "private" // what one caller may see is not for the next
	}
	err = attempt("WithServerOptions", func() { server = mcp.NewServer(c.implementation, &o) })
	if err != nil {
		server = mcp.NewServer(c.implementation, nil) // to look for other faults
	}
	return server, errors.Join(append(faults, err)...)
}

// MCP returns the SDK's server, for mcp.AddTool and the like. Receiving
// middleware that is added to it runs before the server knows the caller, and
// its panics are its own.
func (s *Server) MCP() *mcp.Server { return s.mcp }

// ServeHTTP serves the paths that [Server] lists.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

func (s *Server) routes(resource *url.URL, c *config) http.Handler {
	options := &mcp.StreamableHTTPOptions{
		Stateless:                    !c.sessions,
		SessionTimeout:               sessionTimeout,
		MaxRequestBodyBytes:          s.limits.BodyBytes,
		PropagateRequestCancellation: true,
		DisableLocalhostProtection:   true, // the host check knows the public one
	}
	if c.sessions {
		options.EventStore = s.events
	}
	stream := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s.mcp }, options)
	endpoint := through(s.requestStages(), stream)
	check := newHostCheck(resource, c)
	checked := func(h http.Handler) http.Handler { return s.checkHost(check, h) }
	site := edge.NewPaths(checked(s.notFound(resource)))
	site.Page("/health", s.health) // probes come by IP address: outside the host check
	site.Page("/ready", s.ready)
	site.Page(consentPath, checked(http.HandlerFunc(s.consent.landing)).ServeHTTP)
	for _, path := range edge.Rests(resource.Path) {
		site.Handle(path, checked(endpoint))
	}
	metadata := checked(protectedResource(resource, s.verifier, c.implementation))
	site.Handle(wellKnown, metadata)
	site.Handle(wellKnown+resource.Path, metadata)
	return s.arrive(c.proxies, site)
}

// sessionEnded lets go what was kept for a session.
func (s *Server) sessionEnded(x *session) {
	s.consent.waiting.drop(x.user, x.server)
	for uri := range x.uris {
		s.endSubscription(x, uri)
	}
}

// notFound answers requests for a path where there is nothing, with the one to use.
func (s *Server) notFound(resource *url.URL) http.Handler {
	why := rejection{http.StatusNotFound, codeBadRequest, "path_not_found", "There is nothing at this path: this server's MCP endpoint is " + resource.String()}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.reject(w, r, why) })
}
