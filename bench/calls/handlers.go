package calls

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/mcpentra/mcp-entra-go/bench"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// AdminRole is the role that callers of the admin tools need where there are
// policies.
const AdminRole = "Notes.Admin"

// An Entra is the tenant as a server sees it.
type Entra struct {
	TenantID, ClientID, AuthorityHost string
	// Client trusts its certificate.
	Client *http.Client
}

// EntraOf is the bed's.
func EntraOf(b *bench.Bed) Entra {
	return Entra{b.Tenant.ID(), b.API.ClientID, b.Tenant.AuthorityHost(), b.Tenant.HTTPClient()}
}

func (e Entra) verifier(cache int) (*entraauth.Verifier, error) {
	return entraauth.NewVerifier(e.TenantID, e.ClientID, &entraauth.Options{
		HTTPClient: e.Client, AuthorityHost: e.AuthorityHost, Logger: slog.New(slog.DiscardHandler), TokenCache: cache,
	})
}

// A Handler is one way to serve the tools with the Go SDK, statelessly.
type Handler struct {
	Name, Configured string
	// Open is set if it asks for no token.
	Open bool
	// Filters is set if it shows callers only what they may use.
	Filters bool
	// New returns it. What it keeps open ends with ctx.
	New func(ctx context.Context, e Entra) (http.Handler, error)
}

// Handlers returns all. The first is what the others are measured against.
func Handlers() []Handler {
	return []Handler{
		{
			Name: "the SDK's handler alone", Open: true,
			Configured: "`mcp.NewStreamableHTTPHandler` with `Stateless: true`; no authentication",
			New:        func(context.Context, Entra) (http.Handler, error) { return bare(), nil },
		},
		{
			Name: "the SDK's handler alone, stack grown", Open: true,
			Configured: "the same with a middleware that grows the stack of each call once, as ours does",
			New:        func(context.Context, Entra) (http.Handler, error) { return bare(growStack), nil },
		},
		{
			Name: "the SDK's handler alone, stack grown, logging", Open: true,
			Configured: "the same with a middleware that has `slog.NewJSONHandler` write a line with the attributes of ours to a file",
			New:        bareLogging,
		},
		naive("naive adapter", "`auth.RequireBearerToken` around it; a `TokenVerifier` of 8 lines that calls our `Verify`, which has its cache", 0),
		naive("naive adapter, uncached", "the same with `TokenCache: -1`: each request is a full verification", -1),
		ours("mcpentra", "`NewServer`, limits per user raised, no policies for tools; its line for each request is made and thrown away", 0, dropped, nil),
		ours("mcpentra with policies", "the same with `WithToolPolicy` for `*`, `notes_*`, `admin_*` and the tool by name", 0, dropped, policies()),
		ours("the same, logging", "its lines are written to a file by `slog.NewJSONHandler`", 0, logFile, policies()),
		ours("the same, uncached", "with `TokenCache: -1`; its lines are thrown away", -1, dropped, policies()),
	}
}

// atInfo is a log that is on at the level of operation, and costs nothing itself.
type atInfo struct{}

func (atInfo) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }
func (atInfo) Handle(context.Context, slog.Record) error    { return nil }
func (h atInfo) WithAttrs([]slog.Attr) slog.Handler         { return h }
func (h atInfo) WithGroup(string) slog.Handler              { return h }

func dropped(context.Context) (slog.Handler, error) { return atInfo{}, nil }

// logFile is a log in a file that is gone with the process.
func logFile(ctx context.Context) (slog.Handler, error) {
	f, err := os.CreateTemp("", "bench-*.log")
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = f.Close() })
	return slog.NewJSONHandler(f, nil), os.Remove(f.Name())
}

func bare(middleware ...mcp.Middleware) http.Handler {
	s := mcp.NewServer(&mcp.Implementation{Name: "bench", Version: "1.0"}, nil)
	toolSet{}.Register(s)
	s.AddReceivingMiddleware(middleware...)
	return mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, &mcp.StreamableHTTPOptions{Stateless: true})
}

// bareLogging shows what a log costs without us: log/slog writes a line with the
// attributes of ours.
func bareLogging(ctx context.Context, _ Entra) (http.Handler, error) {
	h, err := logFile(ctx)
	if err != nil {
		return nil, err
	}
	log := slog.New(h)
	caller := slog.Group("caller", "user", "11111111-2222-3333-4444-555555555555.66666666-7777-8888-9999-000000000000",
		"client", "11111111-2222-3333-4444-555555555555", "uti", "AAAAAAAAAAAAAAAAAAAAAA")
	return bare(growStack, func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			start := time.Now()
			result, err := next(ctx, method, req)
			if call, ok := req.(*mcp.CallToolRequest); ok {
				log.LogAttrs(ctx, slog.LevelInfo, "mcp request", slog.String("request_id", "AAAAAAAAAAAAAAAAAAAAAAAAAA"), slog.String("client", "192.0.2.1"),
					slog.String("method", method), slog.String("tool", call.Params.Name), caller, slog.String("outcome", "ok"), slog.Duration("duration", time.Since(start)))
			}
			return result, err
		}
	}), nil
}

// growStack is a middleware that grows the stack of the goroutine on which the SDK
// runs a call, once and to the size that ours does. Without it, the SDK's own frames
// grow the stack, and copy it, as far as they need it.
func growStack(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		makeRoom(false)
		return next(ctx, method, req)
	}
}

// makeRoom has a large frame, which it does not use: that of mcpentra has this size.
//
//go:noinline
func makeRoom(use bool) byte {
	if use {
		var frame [15 << 10]byte
		return fill(&frame)
	}
	return 0
}

//go:noinline
func fill(frame *[15 << 10]byte) byte {
	clear(frame[:])
	return frame[17]
}

// naive is what a program has that puts our verifier into the SDK's middleware.
func naive(name, configured string, cache int) Handler {
	return Handler{Name: name, Configured: configured, New: func(ctx context.Context, e Entra) (http.Handler, error) {
		v, err := e.verifier(cache)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { _ = v.Close() })
		verify := func(ctx context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
			id, err := v.Verify(ctx, token)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", auth.ErrInvalidToken, err)
			}
			return &auth.TokenInfo{UserID: id.UserID(), Scopes: id.Scopes(), Expiration: id.ExpiresOn()}, nil
		}
		return auth.RequireBearerToken(verify, &auth.RequireBearerTokenOptions{Scopes: []string{bench.Scope}})(bare()), nil
	}}
}

// resourceURL is that of our server, whose Host check lets loopback names pass.
const resourceURL = "https://mcp.example.com/mcp"

func ours(name, configured string, cache int, log func(context.Context) (slog.Handler, error), policies []mcpentra.Option) Handler {
	return Handler{Name: name, Configured: configured, Filters: policies != nil, New: func(ctx context.Context, e Entra) (http.Handler, error) {
		v, err := e.verifier(cache)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { _ = v.Close() })
		h, err := log(ctx)
		if err != nil {
			return nil, err
		}
		opts := append([]mcpentra.Option{
			mcpentra.WithTools(toolSet{}), mcpentra.WithLogger(slog.New(h)),
			// One user makes all requests here, and more than the usual 100 a second.
			mcpentra.WithLimits(mcpentra.Limits{RequestsPerSecond: 1e6, Burst: 1e6}),
		}, policies...)
		return mcpentra.NewServer(resourceURL, v, opts...)
	}}
}

// Watched is ours with policies and a log in a file, all of which report to the providers, if
// there are any.
func Watched(name string, tracers trace.TracerProvider, meters metric.MeterProvider) Handler {
	return Handler{Name: name, Filters: true, New: func(ctx context.Context, e Entra) (http.Handler, error) {
		v, err := entraauth.NewVerifier(e.TenantID, e.ClientID, &entraauth.Options{
			HTTPClient: e.Client, AuthorityHost: e.AuthorityHost, Logger: slog.New(slog.DiscardHandler), TracerProvider: tracers, MeterProvider: meters,
		})
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { _ = v.Close() })
		h, err := logFile(ctx)
		if err != nil {
			return nil, err
		}
		opts := append(policies(), mcpentra.WithTools(toolSet{}), mcpentra.WithLogger(slog.New(h)),
			mcpentra.WithLimits(mcpentra.Limits{RequestsPerSecond: 1e6, Burst: 1e6}))
		if tracers != nil {
			opts = append(opts, mcpentra.WithTracerProvider(tracers))
		}
		if meters != nil {
			opts = append(opts, mcpentra.WithMeterProvider(meters))
		}
		return mcpentra.NewServer(resourceURL, v, opts...)
	}}
}

// policies are those of a server with some for its tools.
func policies() []mcpentra.Option {
	return []mcpentra.Option{
		mcpentra.WithToolPolicy("*", entraauth.Policy{Scopes: []string{bench.Scope}}),
		mcpentra.WithToolPolicy("notes_*", entraauth.Policy{AnyScope: []string{"Notes.ReadWrite", bench.Scope}}),
		mcpentra.WithToolPolicy("admin_*", entraauth.Policy{UserRoles: []string{AdminRole}}),
		mcpentra.WithToolPolicy(Called, entraauth.Policy{Scopes: []string{bench.Scope}}),
	}
}
