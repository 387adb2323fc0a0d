// Command gooidc signs Alice in with go-oidc, an OpenID Connect client that knows
// nothing of Entra, and prints what its verifier let through.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

type config struct {
	Authority   string `json:"authority"`
	Tenant      string `json:"tenant"`
	APIScope    string `json:"apiScope"`
	WebClientID string `json:"webClientId"`
	WebSecret   string `json:"webSecret"`
	WebRedirect string `json:"webRedirect"`
	Person      string `json:"person"`
}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	data, err := os.ReadFile(os.Getenv("CONFIG"))
	if err != nil {
		return err
	}
	var c config
	if err := json.Unmarshal(data, &c); err != nil {
		return err
	}
	provider, err := oidc.NewProvider(ctx, c.Authority+"/"+c.Tenant+"/v2.0")
	if err != nil {
		return err
	}
	client := oauth2.Config{
		ClientID: c.WebClientID, ClientSecret: c.WebSecret, RedirectURL: c.WebRedirect, Endpoint: provider.Endpoint(),
		Scopes: []string{oidc.ScopeOpenID, "profile", oidc.ScopeOfflineAccess, c.APIScope},
	}
	verifier := oauth2.GenerateVerifier()
	back, err := open(ctx, c, client.AuthCodeURL("a state", oidc.Nonce("a nonce"), oauth2.S256ChallengeOption(verifier)))
	if err != nil {
		return err
	}
	token, err := client.Exchange(ctx, back.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		return err
	}
	raw, _ := token.Extra("id_token").(string)
	// Entra's keys name no algorithm, so RS256 must be the verifier's own choice.
	id, err := provider.Verifier(&oidc.Config{ClientID: c.WebClientID}).Verify(ctx, raw)
	if err != nil {
		return err
	}
	var claims map[string]any
	if err := id.Claims(&claims); err != nil {
		return err
	}
	if id.Nonce != "a nonce" || back.Get("state") != "a state" {
		return fmt.Errorf("nonce %q, state %q", id.Nonce, back.Get("state"))
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"claims": claims, "go-oidc: code": token.AccessToken})
}

// open has Alice open an address, and returns the query of where she is sent back to.
func open(ctx context.Context, c config, address string) (url.Values, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Person+"?open="+url.QueryEscape(address), nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	back, err := url.Parse(string(body))
	if err != nil {
		return nil, err
	}
	return back.Query(), nil
}
