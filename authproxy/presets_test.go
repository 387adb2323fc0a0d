package authproxy_test

import (
	"fmt"
	"log"
	"regexp"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/authproxy"
	"github.com/mcpentra/mcp-entra-go/internal/knownclients"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

func ExampleKnownClients() {
	for _, preset := range authproxy.KnownClients() {
		if preset.Name == "Claude" {
			fmt.Println(preset.Redirects)
		}
	}
	// Output: [https://claude.ai/api/mcp/auth_callback https://claude.com/api/mcp/auth_callback]
}

func ExamplePreset() {
	// Clients may register themselves if they are our own tool, or Claude.
	opts := &authproxy.Options{OnlyRedirects: []authproxy.Preset{{
		Name: "Contoso's tool", Date: "2026-11-29",
		Redirects: []string{"https://tool.contoso.com/environments/*/callback", "http://localhost/callback"},
	}}}
	for _, preset := range authproxy.KnownClients() {
		if preset.Name == "Claude" {
			opts.OnlyRedirects = append(opts.OnlyRedirects, preset)
		}
	}
	key := []byte("0123456789abcdef0123456789abcdef") // openssl rand -base64 32
	proxy, err := authproxy.New("https://mcp.contoso.com", "11111111-2222-3333-4444-555555555555", "66666666-2222-3333-4444-555555555555",
		clientauth.Secret("the secret of the app"), [][]byte{key}, opts)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(proxy.Issuer())
	// Output: https://mcp.contoso.com
}

// The presets are dated, valid, disjoint, and have each redirect on the web that
// internal/knownclients has for the client.
func TestKnownClients(t *testing.T) {
	t.Parallel()
	owner := map[string]string{}
	for _, preset := range authproxy.KnownClients() {
		if !regexp.MustCompile(`^20\d\d-\d\d-\d\d$`).MatchString(preset.Date) {
			t.Errorf("%s: the date is %q", preset.Name, preset.Date)
		}
		for _, redirect := range preset.Redirects {
			if other := owner[redirect]; other != "" {
				t.Errorf("%s is in the presets of %s and of %s", redirect, other, preset.Name)
			}
			owner[redirect] = preset.Name
		}
	}
	for _, id := range []string{"claude", "chatgpt", "cursor", "copilotstudio"} {
		client, ok := knownclients.ByID(id)
		if !ok {
			t.Fatalf("internal/knownclients has no %s", id)
		}
		for _, redirect := range client.Redirects {
			if name := owner[redirect]; !strings.HasPrefix(redirect, "http://") && (name == "" || !strings.HasPrefix(client.Name, name)) {
				t.Errorf("%s is in the preset %q, want that of %s", redirect, name, client.Name)
			}
		}
		if shown := regexp.MustCompile(`https://\S+…`).FindString(client.RedirectShown); shown != "" && owner[strings.TrimSuffix(shown, "…")+"*"] == "" {
			t.Errorf("no preset has %s", shown)
		}
	}
}

// Point 20: a client whose every redirect is in a preset is shown under its name, whatever it
// calls itself; one that has another redirect too is not.
func TestPresetNamesClients(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	const claude = "https://claude.ai/api/mcp/auth_callback"
	for _, c := range []struct {
		what, redirects string
		known           bool
	}{
		{"all in one", `["` + claude + `","https://claude.com/api/mcp/auth_callback"]`, true},
		{"one elsewhere", `["` + claude + `","https://evil.example/cb"]`, false},
		{"two presets", `["` + claude + `","https://vscode.dev/redirect"]`, false},
	} {
		client := w.registerClient(`{"client_name":"Contoso Payroll","token_endpoint_auth_method":"none","redirect_uris":` + c.redirects + `}`)
		p := w.browser(w.alice).authorize(request("client_id="+client.ID, "redirect_uri="+claude))
		if p.status != 200 {
			t.Fatalf("%s: /authorize answers %d, want the consent page:\n%s", c.what, p.status, p.body)
		}
		// A preset gets its errors at its redirect before consent; others get a page.
		p = w.browser(w.alice).authorize(request("client_id="+client.ID, "redirect_uri="+claude, "response_type=token"))
		if got := p.location != nil; got != c.known {
			t.Errorf("%s: an error is answered with %d, Location %v; want a redirect: %v", c.what, p.status, p.location, c.known)
		}
		if p.location != nil && (p.location.Host != "claude.ai" || p.location.Query().Get("error") == "") {
			t.Errorf("%s: the error goes to %v", c.what, p.location)
		}
	}
}
