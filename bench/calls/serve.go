package calls

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	mark3labs "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
	"github.com/modelcontextprotocol/go-sdk/auth"

	"github.com/mcpentra/mcp-entra-go/bench"
	"github.com/mcpentra/mcp-entra-go/examples/server/heapfloor"
)

// settingsVariable is the environment variable with the settings of an entrant's
// process.
const settingsVariable = "BENCH_CALLS"

// A settings is what an entrant's process is told.
type settings struct {
	// These are for the Go entrants alone.
	Serves     string `json:"serves,omitempty"`
	Floor      bool   `json:"floor,omitempty"`
	TokenCache int    `json:"tokenCache,omitempty"`

	TenantID      string `json:"tenantID"`
	ClientID      string `json:"clientID"`
	AuthorityHost string `json:"authorityHost"`
	Issuer        string `json:"issuer"`
	KeysURL       string `json:"keysURL"`
	Scope         string `json:"scope"`
	Tools         []Tool `json:"tools"`
}

// ServeIfAsked makes this process one of the Go entrants, if it was started as
// one. Main functions call it first.
func ServeIfAsked() {
	text := os.Getenv(settingsVariable)
	if text == "" {
		return
	}
	err := serve(context.Background(), text)
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func serve(ctx context.Context, text string) error {
	var s settings
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	handlers := map[string]func(context.Context, *settings) (http.Handler, error){
		ourServer:  serveOurs,
		bareServer: func(context.Context, *settings) (http.Handler, error) { return bare(), nil },
		bareGrown:  func(context.Context, *settings) (http.Handler, error) { return bare(growStack), nil },
		sdkServer:  serveSDK,
		mcpGo:      serveMark3labs,
	}
	if handlers[s.Serves] == nil {
		return fmt.Errorf("no entrant %q", s.Serves)
	}
	if s.Floor {
		heapfloor.Keep(ctx, func(string) (string, bool) { return "", false }, slog.New(slog.DiscardHandler))
	}
	handler, err := handlers[s.Serves](ctx, &s)
	if err != nil {
		return err
	}
	var conf net.ListenConfig
	l, err := conf.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/mcp", handler)
	fmt.Println("http://" + l.Addr().String() + "/mcp")
	return (&http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}).Serve(l)
}

func serveOurs(ctx context.Context, s *settings) (http.Handler, error) {
	log, err := logFile(ctx)
	if err != nil {
		return nil, err
	}
	// The system's roots are the tenant's: SSL_CERT_FILE.
	e := Entra{s.TenantID, s.ClientID, s.AuthorityHost, http.DefaultClient}
	return ours("", "", s.TokenCache, func(context.Context) (slog.Handler, error) { return log, nil }, policies()).New(ctx, e)
}

func serveSDK(ctx context.Context, s *settings) (http.Handler, error) {
	check, err := newCheck(ctx, s)
	if err != nil {
		return nil, err
	}
	verify := func(_ context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
		c, err := check(token)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", auth.ErrInvalidToken, err)
		}
		return &auth.TokenInfo{UserID: c.TenantID + "/" + c.ObjectID, Scopes: strings.Fields(c.Scopes), Expiration: c.ExpiresAt.Time}, nil
	}
	return auth.RequireBearerToken(verify, &auth.RequireBearerTokenOptions{Scopes: []string{s.Scope}})(bare()), nil
}

type claimsKey struct{}

func serveMark3labs(ctx context.Context, s *settings) (http.Handler, error) {
	check, err := newCheck(ctx, s)
	if err != nil {
		return nil, err
	}
	srv := server.NewMCPServer("bench", "1.0", server.WithToolCapabilities(false))
	for _, t := range s.Tools {
		tool := mark3labs.NewTool(t.Name, mark3labs.WithTitleAnnotation(t.Title), mark3labs.WithDescription(t.Description),
			mark3labs.WithInputSchema[Query](), mark3labs.WithOutputSchema[Found]())
		srv.AddTool(tool, mark3labs.NewStructuredToolHandler(func(ctx context.Context, _ mark3labs.CallToolRequest, q Query) (Found, error) {
			_, found, err := search(ctx, nil, q)
			return found, err
		}))
	}
	next := server.NewStreamableHTTPServer(srv, server.WithStateLess(true))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		c, err := check(token)
		if err != nil {
			http.Error(w, "invalid token", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), claimsKey{}, c)))
	}), nil
}

// claims are what a program needs to know of the caller.
type claims struct {
	jwt.RegisteredClaims
	TenantID string   `json:"tid"`
	ObjectID string   `json:"oid"`
	Client   string   `json:"azp"`
	Scopes   string   `json:"scp"`
	Roles    []string `json:"roles"`
	Groups   []string `json:"groups"`
}

// Validate requires the scope; golang-jwt calls it after its own checks.
func (c *claims) Validate() error {
	for scope := range strings.FieldsSeq(c.Scopes) {
		if scope == bench.Scope {
			return nil
		}
	}
	return errors.New("scope missing")
}

// newCheck is what programs do that check tokens with golang-jwt and keyfunc.
func newCheck(ctx context.Context, s *settings) (func(token string) (*claims, error), error) {
	keys, err := keyfunc.NewDefaultCtx(ctx, []string{s.KeysURL})
	if err != nil {
		return nil, err
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithIssuer(s.Issuer),
		jwt.WithAudience(s.ClientID), jwt.WithExpirationRequired())
	return func(token string) (*claims, error) {
		var c claims
		_, err := parser.ParseWithClaims(token, &c, keys.Keyfunc)
		return &c, err
	}, nil
}
