package mcpentra

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entraauth/mcpauth"
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
type Server struct {
	mcp         *mcp.Server
	handler     http.Handler
	verifier    *entraauth.Verifier
	metadataURL string // of the protected resource, for challenges
	access      access
	sealer      sealer
	challenges  *challenges
	waiting     waiting
	limits      Limits
	drain       *drain
	log         *slog.Logger
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
	if c.log == nil {
		c.log = slog.Default()
	}
	s := &Server{
		verifier: v, log: c.log, mcp: server, metadataURL: metadataURL(resource), limits: c.limits.withDefaults(),
		access: c.access, sealer: c.sealer, challenges: newChallenges(), drain: newDrain(),
	}
	// Outside whatever middleware the sets have added: theirs knows the caller.
	bound := func(next mcp.MethodHandler) mcp.MethodHandler { return next }
	if c.sessions {
		bound = newSessions(s.limits).bound
	}
	s.mcp.AddReceivingMiddleware(mcpauth.Receive, arrived, s.observe, bound, s.authorize, s.resume, s.conclude, s.withCredential(c.exchanger), absentArguments)
	s.handler = s.routes(resource, &c)
	return s, nil
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
	var events mcp.EventStore
	if c.sessions {
		events = mcp.NewMemoryEventStore(nil) // of 10 MiB for all sessions, oldest lost first
	}
	stream := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s.mcp }, &mcp.StreamableHTTPOptions{
		EventStore:                   events,
		Stateless:                    !c.sessions,
		SessionTimeout:               sessionTimeout,
		MaxRequestBodyBytes:          s.limits.BodyBytes,
		PropagateRequestCancellation: true,
		DisableLocalhostProtection:   true, // gate checks Host, and knows the public one
	})
	outer := &entraauth.Guard{
		ResourceMetadata: s.metadataURL, WriteBody: mcpauth.WriteBody,
		OnRefusal: func(r *http.Request, status int, e *entraauth.Error) { s.auditRefusal(r, status, e, nil) },
	}
	protected := http.NewServeMux()
	protected.HandleFunc("GET "+consentPath, s.landing)
	endpoint := mcpauth.Bridge(carry(stream))
	endpoint = readBody(s.limits, s.drain.watch(s.guard(endpoint)))
	endpoint = s.verifier.Middleware(outer)(newUsers(s.limits, time.Now, s.log).limit(endpoint))
	for _, path := range remainders(resource.Path) {
		protected.Handle(exactly(path), endpoint)
	}
	metadata := protectedResource(resource, s.verifier, c.implementation)
	protected.Handle(wellKnown, metadata)
	if resource.Path != "" {
		protected.Handle(wellKnown+resource.Path, metadata)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", s.health) // probes come by IP address: outside the Host check
	mux.HandleFunc("GET /ready", s.ready)
	mux.Handle("/", newGate(resource, c).protect(protected))
	return s.receive(c.proxies, s.limits, mux)
}

// remainders returns what can be left of the path when segments are taken off
// its front, itself first.
func remainders(path string) []string {
	all := []string{path}
	for path != "" {
		_, rest, found := strings.Cut(path[1:], "/")
		path = ""
		if found {
			path = "/" + rest
		}
		all = append(all, path)
	}
	return all
}

// exactly is the pattern for the path alone.
func exactly(path string) string {
	if path == "" {
		return "/{$}"
	}
	return path
}

func parseResource(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.User != nil:
		return nil, fmt.Errorf("resource URL: %q is not a URL such as https://mcp.example.com/mcp", s)
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return nil, fmt.Errorf("resource URL: %q must be https; http is for loopback hosts", s)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, fmt.Errorf("resource URL: %q must have no query or fragment (RFC 9728 section 1.2)", s)
	case strings.HasSuffix(u.Path, "/"):
		return nil, fmt.Errorf("resource URL: %q must have no trailing slash: clients compare it exactly", s)
	case strings.ContainsAny(u.Path, "{} ") || (u.Path != "" && path.Clean(u.Path) != u.Path):
		return nil, fmt.Errorf("resource URL: the path %q must be a clean one, without spaces and braces", u.Path)
	case path.Base(u.Path) == "health" || path.Base(u.Path) == "ready" || strings.HasSuffix(u.Path, consentPath) || strings.Contains(u.Path, "/.well-known/"):
		return nil, fmt.Errorf("resource URL: the path %q is taken", u.Path)
	}
	return u, nil
}
