//go:build unix

package interop_test

import (
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"github.com/mcpentra/mcp-entra-go/authproxy"
)

const configuredSecret = "a secret of thirty-two characters, or more"

// Clients that the operator configures, as golang.org/x/oauth2 has them: with a secret in the header
// or in the form, found out by trying, or without one.
func TestProxyConfigured(t *testing.T) {
	const redirect = "https://client.example.com/callback"
	w := newProxyWorld(t, authproxy.Options{Clients: []authproxy.Client{
		{ID: "confidential", Name: "Agents", Redirects: []string{redirect}, Secret: configuredSecret},
		{ID: "public", Name: "Program", Redirects: []string{redirect}},
	}})
	for name, c := range map[string]struct {
		id, secret string
		style      oauth2.AuthStyle
	}{
		"basic":  {"confidential", configuredSecret, oauth2.AuthStyleInHeader},
		"post":   {"confidential", configuredSecret, oauth2.AuthStyleInParams},
		"either": {"confidential", configuredSecret, oauth2.AuthStyleAutoDetect},
		"public": {"public", "", oauth2.AuthStyleInParams},
	} {
		t.Run(name, func(t *testing.T) {
			client := w.client(c.id, c.secret, c.style, redirect)
			token := client.signIn(t, w.person(t, "alice"))
			if token.RefreshToken == "" {
				t.Fatal("no refresh token")
			}
			if got := w.whoami(t, token); got != "alice@contoso.example" {
				t.Errorf("the server's user is %q", got)
			}
			refreshed := client.refresh(t, token)
			if refreshed.AccessToken == token.AccessToken {
				t.Error("the refresh gave the same access token")
			}
			if got := w.whoami(t, refreshed); got != "alice@contoso.example" {
				t.Errorf("after the refresh, the server's user is %q", got)
			}
			if strings.Contains(token.RefreshToken+refreshed.RefreshToken, " ") || token.TokenType != "Bearer" {
				t.Errorf("the token's type is %q", token.TokenType)
			}
		})
	}
	w.entra(t)
	w.checkLog(t)
}

// TypeScript's and the Inspector's clients with an ID and a secret that somebody typed in.
func TestProxyConfiguredClients(t *testing.T) {
	w := newProxyWorld(t, authproxy.Options{Clients: []authproxy.Client{
		{ID: "typed-in", Name: "Typed in", Redirects: []string{"http://localhost:33418/callback", "http://127.0.0.1/oauth/callback"}, Secret: configuredSecret},
	}})
	for name, program := range map[string]string{"TypeScript SDK 1": "sdk.mjs", "TypeScript SDK 2": "client.mjs"} {
		t.Run(name, func(t *testing.T) {
			said := w.run(t, map[string]string{"CLIENT_ID": "typed-in", "CLIENT_SECRET": configuredSecret, "STEPS": "list call expiry"}, node(t), script(t, "node", program), "modern", "as-it-is")
			for _, step := range []string{"list", "call", "expiry"} {
				if said[step] != proxyWell[step] {
					t.Errorf("%s: %q, want %q", step, said[step], proxyWell[step])
				}
			}
		})
	}
	t.Run("Inspector", func(t *testing.T) {
		i := w.newInspector(t)
		flags := []string{"--client-id", "typed-in", "--client-secret", configuredSecret}
		i.call(t, "secure_ping", "Authenticated ping successful", true, flags...)
		w.later()
		i.call(t, "secure_ping", "Authenticated ping successful", false, flags...)
	})
	w.entra(t)
	w.checkLog(t)
}
