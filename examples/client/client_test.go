package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(int) {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections() // what the client keeps to its end
	}))
}

// A fixture is a server with the identity tools and a greeting tool.
type fixture struct {
	tenant      *entratest.Tenant
	api, client *entratest.App
	alice       *entratest.User
	url         string
}

type greetInput struct {
	Name  string `json:"name" jsonschema:"whom to greet"`
	Times int    `json:"times,omitempty" jsonschema:"how often"`
}

func start(t *testing.T) *fixture {
	t.Helper()
	tenant := entratest.New(t, nil)
	f := &fixture{
		tenant: tenant, api: tenant.AddApp("API", "access_as_user"), client: tenant.AddClient("client"),
		alice: tenant.AddUser("alice@contoso.example", "Alice"),
	}
	verifier, err := entraauth.NewVerifier(tenant.ID(), f.api.ClientID, &entraauth.Options{
		HTTPClient: tenant.HTTPClient(), AuthorityHost: tenant.AuthorityHost(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = verifier.Close() })
	server := httptest.NewUnstartedServer(nil)
	f.url = "http://" + server.Listener.Addr().String() + "/mcp"
	s, err := mcpentra.NewServer(f.url, verifier, mcpentra.WithTools(mcpentra.IdentityTools(verifier)))
	if err != nil {
		t.Fatal(err)
	}
	mcp.AddTool(s.MCP(), &mcp.Tool{Name: "greet", Description: "Greets\nsomebody."},
		func(_ context.Context, _ *mcp.CallToolRequest, in greetInput) (*mcp.CallToolResult, any, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "Hello, " + in.Name}}}, nil, nil
		})
	server.Config.Handler = s
	server.Start()
	t.Cleanup(server.Close)
	return f
}

func (f *fixture) token(scopes ...string) string {
	return f.tenant.Token(f.alice, f.client, f.api, scopes...)
}

// client runs the program.
func client(t *testing.T, token, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	getenv := func(name string) string {
		if name == "MCP_TOKEN" {
			return token
		}
		return ""
	}
	code = run(t.Context(), args, getenv, strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

func TestListAndCall(t *testing.T) {
	t.Parallel()
	f := start(t)
	token := f.token()
	const listing = `get_user_info
    Returns the signed-in user's identity: all claims of the verified access token, and how the token fared under each verification rule.
greet
    Greets
    somebody.
    arguments: name, times (optional)
secure_ping
    Checks that the caller is authenticated. Needs no arguments.
`
	for name, args := range map[string][]string{"default": {f.url}, "-list": {"-list", f.url}} {
		if code, out, errs := client(t, token, "", args...); code != exitOK || out != listing {
			t.Errorf("%s: exit code %d\n%s%s", name, code, out, errs)
		}
	}
	code, out, errs := client(t, token, "", "-call", "secure_ping", f.url)
	var ping struct{ Message string }
	if err := json.Unmarshal([]byte(out), &ping); err != nil || code != exitOK || ping.Message != "Authenticated ping successful" {
		t.Errorf("exit code %d, %v\n%s%s", code, err, out, errs)
	}
	code, out, errs = client(t, token, "", "-call", "greet", "-args", `{"name": "ボブ"}`, f.url)
	if code != exitOK || out != "Hello, ボブ\n" {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}

func TestTokenSources(t *testing.T) {
	t.Parallel()
	f := start(t)
	token := f.token()
	tests := []struct {
		name, env, stdin string
		flags            []string
	}{
		{"environment", token, "", nil},
		{"flag", "wrong", "", []string{"-token", token}},
		{"standard input", "wrong", token + "\r\n", []string{"-token", "-"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if code, _, errs := client(t, tt.env, tt.stdin, append(tt.flags, f.url)...); code != exitOK {
				t.Errorf("exit code %d: %s", code, errs)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	f := start(t)
	noScope := f.tenant.Mint(f.api, 1, func(_, claims map[string]any) { claims["scp"] = "other" })
	closed := httptest.NewServer(nil)
	closed.Close()
	tests := []struct {
		name, token string
		args        []string
		want        []string
	}{
		{"no token", "", []string{f.url}, []string{"401 Unauthorized: No Bearer token found in Authorization header", "\nWWW-Authenticate: Bearer "}},
		{"bad token", "garbage", []string{f.url}, []string{"401 Unauthorized: Token is not a well-formed JWT", `error="invalid_token"`}},
		{"scope missing", noScope, []string{f.url}, []string{"403 Forbidden: Required scope is missing", `error="insufficient_scope"`}},
		{"unknown tool", f.token(), []string{"-call", "nope", f.url}, []string{`unknown tool "nope"`}},
		{"argument missing", f.token(), []string{"-call", "greet", f.url}, []string{"greet answered: ", "name"}},
		{"nobody there", f.token(), []string{closed.URL}, []string{"refused"}},
		{"another path", f.token(), []string{f.url + "/x"}, []string{"404 Not Found"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, out, errs := client(t, tt.token, "", tt.args...)
			if code != exitFailed || out != "" {
				t.Errorf("exit code %d, output %q", code, out)
			}
			for _, want := range tt.want {
				if !strings.Contains(errs, want) {
					t.Errorf("%q does not say %q", errs, want)
				}
			}
			if tt.token != "" && len(tt.token) > 20 && strings.Contains(errs, tt.token) {
				t.Errorf("the token is shown: %s", errs)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	const url = "http://localhost:8000/mcp"
	tests := []struct {
		name, token, stdin string
		args               []string
		want               string
	}{
		{"no URL", "", "", nil, "give one URL"},
		{"flags after the URL", "", "", []string{url, "-list"}, "after the flags"},
		{"no URL at all", "", "", []string{"localhost"}, "is not a URL"},
		{"http to elsewhere", "", "", []string{"http://mcp.example.com/mcp"}, "must begin with https://"},
		{"list and call", "", "", []string{"-list", "-call", "x", url}, "exclude each other"},
		{"arguments", "", "", []string{"-call", "x", "-args", "[1]", url}, "must be a JSON object"},
		{"null arguments", "", "", []string{"-call", "x", "-args", "null", url}, "must be a JSON object"},
		{"token with scheme", "Bearer abc", "", []string{url}, "without \"Bearer\""},
		{"endless standard input", "", strings.Repeat("x", maxToken+1), []string{"-token", "-", url}, "more than 65536 bytes"},
		{"unknown flag", "", "", []string{"-x", url}, "usage: client"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, _, errs := client(t, tt.token, tt.stdin, tt.args...)
			if code != exitUsage || !strings.Contains(errs, tt.want) {
				t.Errorf("exit code %d, %q does not say %q", code, errs, tt.want)
			}
		})
	}
	if code, _, _ := client(t, "", "", "-h"); code != exitOK {
		t.Errorf("-h: exit code %d", code)
	}
}

// TestRedirect checks that the token goes only to the intended host.
func TestRedirect(t *testing.T) {
	t.Parallel()
	stranger := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a stranger was sent %q", r.Header.Get("Authorization"))
	}))
	defer stranger.Close()
	trickster := httptest.NewServer(http.RedirectHandler(stranger.URL, http.StatusTemporaryRedirect))
	defer trickster.Close()
	if code, _, _ := client(t, "secret", "", trickster.URL); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
}
