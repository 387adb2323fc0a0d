package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// TestMain also runs other programs, by the name that this binary is started under.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "mcp-entra":
		main()
	case "az":
		os.Exit(az(os.Getenv(asAz), os.Args[1:]))
	case "sleep":
		os.Exit(0) // at once
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(int) {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections() // what the client keeps to its end
	}))
}

// A world is a tenant, and a server of its API with the identity tools and a greeting tool.
type world struct {
	tenant      *entratest.Tenant
	api, client *entratest.App
	alice       *entratest.User
	url         string
}

type greetInput struct {
	Name  string `json:"name" jsonschema:"whom to greet"`
	Times int    `json:"times,omitempty" jsonschema:"how often"`
}

func newWorld(t *testing.T, options ...mcpentra.Option) *world {
	t.Helper()
	tenant := entratest.New(t, nil)
	w := &world{
		tenant: tenant, api: tenant.AddApp("API", "access_as_user", "Ping.Read"), client: tenant.AddClient("client"),
		alice: tenant.AddUser("alice@contoso.example", "Alice"),
	}
	w.client.AddRedirectURI(entratest.PlatformDesktop, "http://localhost")
	tenant.Consent(w.client, w.api, "access_as_user", "Ping.Read")
	log := slog.New(slog.DiscardHandler)
	verifier, err := entraauth.NewVerifier(tenant.ID(), w.api.ClientID, &entraauth.Options{
		HTTPClient: tenant.HTTPClient(), AuthorityHost: tenant.AuthorityHost(), Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = verifier.Close() })
	server := httptest.NewUnstartedServer(nil)
	w.url = "http://" + server.Listener.Addr().String() + "/mcp"
	s, err := mcpentra.NewServer(w.url, verifier, append(options, mcpentra.WithTools(mcpentra.IdentityTools(verifier)), mcpentra.WithLogger(log))...)
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
	return w
}

func (w *world) token(scopes ...string) string {
	return w.tenant.Token(w.alice, w.client, w.api, scopes...)
}

// at gives the process what it needs to reach the world, and a user at a browser.
func (w *world) at(t *testing.T) func(*process) {
	return func(p *process) {
		p.lookup = variables("AZURE_AUTHORITY_HOST", w.tenant.AuthorityHost())
		p.client = w.tenant.HTTPClient()
		p.openURL = w.open(t, w.tenant.Browser(w.alice))
	}
}

// open is what a system does with a sign-in's URL: the user signs in, and the browser posts the
// result to the program.
func (w *world) open(t *testing.T, browser *entratest.Browser) func(string) error {
	return func(address string) error {
		back, err := browser.Open(t.Context(), address)
		if err != nil {
			return err
		}
		form := back.Query()
		back.RawQuery = ""
		response, err := http.PostForm(back.String(), form)
		if err != nil {
			return err
		}
		return response.Body.Close()
	}
}

// prompts is a user who waits for a device's code and enters it.
func (w *world) prompts(t *testing.T, also io.Writer) io.Writer {
	return promptReader(func(text string) {
		_, _ = io.WriteString(also, text)
		if m := regexp.MustCompile(`enter the code (\w+)`).FindStringSubmatch(text); m != nil {
			if err := w.tenant.Browser(w.alice).EnterDeviceCode(t.Context(), m[1]); err != nil {
				t.Errorf("the code %s: %v", m[1], err)
			}
		}
	})
}

type promptReader func(text string)

func (f promptReader) Write(p []byte) (int, error) {
	f(string(p))
	return len(p), nil
}

// variables returns an environment with only these.
func variables(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}
