//go:build unix

package interop_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/oauth2"
)

// A proxyClient is a client of our own, for what no other does: with golang.org/x/oauth2 in front of
// the proxy.
type proxyClient struct {
	world  *proxyWorld
	config oauth2.Config
}

// client returns one that the proxy knows.
func (w *proxyWorld) client(id, secret string, style oauth2.AuthStyle, redirect string) *proxyClient {
	return &proxyClient{w, oauth2.Config{
		ClientID: id, ClientSecret: secret, RedirectURL: redirect,
		Endpoint: oauth2.Endpoint{AuthURL: w.issuer + "/authorize", TokenURL: w.issuer + "/token", AuthStyle: style},
	}}
}

// register returns one that registered itself, and then has the redirect and a method of its own.
func (w *proxyWorld) register(t *testing.T, name, method string, redirects ...string) *proxyClient {
	t.Helper()
	members := map[string]any{"client_name": name, "redirect_uris": redirects, "grant_types": []string{"authorization_code", "refresh_token"}}
	if method != "" {
		members["token_endpoint_auth_method"] = method
	}
	data, err := json.Marshal(members)
	must(t, err)
	status, _, body := w.send(t, w.issuer+"/register", "", data)
	var registered struct {
		ClientID     string `json:"client_id"`
		ClientSecret string `json:"client_secret"`
		Method       string `json:"token_endpoint_auth_method"`
	}
	if err := json.Unmarshal(body, &registered); err != nil || status != http.StatusCreated {
		t.Fatalf("/register: %d %s %v", status, body, err)
	}
	style := oauth2.AuthStyleInParams
	if registered.Method == "client_secret_basic" {
		style = oauth2.AuthStyleInHeader
	}
	return w.client(registered.ClientID, registered.ClientSecret, style, redirects[0])
}

// context has the HTTP client that the tenant's clients use: it trusts the CA.
func (c *proxyClient) context() context.Context {
	return context.WithValue(c.world.ctx, oauth2.HTTPClient, c.world.tenant.HTTPClient())
}

// A signIn is one that a client has begun, in a browser.
type proxySignIn struct {
	client          *proxyClient
	state, verifier string
	page            string
}

// begin begins a sign-in, with these parameters.
func (c *proxyClient) begin(parameters url.Values) *proxySignIn {
	s := &proxySignIn{client: c, state: oauth2.GenerateVerifier(), verifier: oauth2.GenerateVerifier()}
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(s.verifier), oauth2.SetAuthURLParam("resource", c.world.url)}
	for name := range parameters {
		options = append(options, oauth2.SetAuthURLParam(name, parameters.Get(name)))
	}
	s.page = c.config.AuthCodeURL(s.state, options...)
	return s
}

// finish redeems the code that the browser was sent back with.
func (s *proxySignIn) finish(t *testing.T, back *url.URL) *oauth2.Token {
	t.Helper()
	q := back.Query()
	if !strings.HasPrefix(back.String(), s.client.config.RedirectURL+"?") || q.Get("state") != s.state || q.Get("iss") != s.client.world.issuer {
		t.Fatalf("the browser was sent to %s", back)
	}
	token, err := s.client.config.Exchange(s.client.context(), q.Get("code"), oauth2.VerifierOption(s.verifier))
	must(t, err)
	return token
}

// signIn signs the user in.
func (c *proxyClient) signIn(t *testing.T, user *person) *oauth2.Token {
	t.Helper()
	s := c.begin(nil)
	back, err := user.until(c.world.issuer, c.world.tenant.AuthorityHost()).browse(c.world.ctx, s.page, nil)
	must(t, err)
	return s.finish(t, back)
}

func (c *proxyClient) refresh(t *testing.T, token *oauth2.Token) *oauth2.Token {
	t.Helper()
	refreshed, err := c.config.TokenSource(c.context(), &oauth2.Token{RefreshToken: token.RefreshToken}).Token()
	must(t, err)
	return refreshed
}

// send posts JSON, with a bearer token if there is one.
func (w *proxyWorld) send(t *testing.T, address, token string, data []byte) (status int, header http.Header, body []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(w.ctx, http.MethodPost, address, bytes.NewReader(data))
	must(t, err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := w.tenant.HTTPClient().Do(request)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err = io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, resp.Header, body
}

// call calls a tool, and returns the text of its result, and else the challenge.
func (w *proxyWorld) call(t *testing.T, tool string, token *oauth2.Token) (text, challenge string) {
	t.Helper()
	message, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": map[string]any{"name": tool, "arguments": map[string]any{}}})
	must(t, err)
	_, header, body := w.send(t, w.url, token.AccessToken, message)
	if _, data, ok := bytes.Cut(body, []byte("data: ")); ok {
		body = data
	}
	var answer struct {
		Result struct{ Content []struct{ Text string } }
	}
	_ = json.Unmarshal(body, &answer) // a refusal has no result
	if len(answer.Result.Content) == 0 {
		return "", header.Get("WWW-Authenticate")
	}
	return answer.Result.Content[0].Text, ""
}

// whoami returns the name of the user whom the server sees.
func (w *proxyWorld) whoami(t *testing.T, token *oauth2.Token) string {
	t.Helper()
	text, challenge := w.call(t, "get_user_info", token)
	if text == "" {
		t.Fatalf("get_user_info: no result, challenge %s", challenge)
	}
	var info struct {
		Claims struct{ UPN string } `json:"user_claims"`
	}
	must(t, json.Unmarshal([]byte(text), &info))
	return info.Claims.UPN
}
