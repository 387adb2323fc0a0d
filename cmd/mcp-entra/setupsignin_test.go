package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// After apply, a client that is told nothing but its id signs a user in, who sees no consent page,
// and the API acts as the user, proven by its managed identity.
func TestSetupThenSignIn(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	alice := s.tenant.AddUser("alice@example.com", "Alice")
	s.must(exitOK, "apply", "-f", s.spec())
	api := s.app("files-mcp")["appId"].(string)
	for name, client := range map[string]struct{ id, redirect string }{
		"inspector": {s.app("files-mcp-public")["appId"].(string), "http://localhost:6274/oauth/callback"},
		"vscode":    {"aebc6443-996d-45c2-90f0-388ff96faa56", "https://vscode.dev/redirect"},
	} {
		token := s.signIn(alice, client.id, client.redirect)
		if token == "" {
			t.Errorf("%s can't sign in", name)
			continue
		}
		var claims struct {
			Audience string `json:"aud"`
			Version  string `json:"ver"`
			Scopes   string `json:"scp"`
			IDType   string `json:"idtyp"`
		}
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
		if err != nil || json.Unmarshal(payload, &claims) != nil {
			t.Fatal("the token can't be read")
		}
		if claims.Audience != api || claims.Version != "2.0" || claims.Scopes != "access_as_user" || claims.IDType != "user" {
			t.Errorf("%s: claims %+v; want the API's, version 2, access_as_user, idtyp user", name, claims)
		}
		for _, resource := range []string{"https://storage.azure.com/user_impersonation", "https://graph.microsoft.com/User.Read"} {
			answer := s.post(url.Values{
				"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "requested_token_use": {"on_behalf_of"}, "client_id": {api}, "assertion": {token}, "scope": {resource},
				"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {s.identityToken()},
			})
			if answer["access_token"] == nil {
				t.Errorf("%s: no token for %s on behalf of the user: %v", name, resource, answer["error_description"])
			}
		}
	}
}

// signIn signs a user in with a code, as an MCP client does, and returns the access token. The user
// declines every consent page.
func (s *stage) signIn(user *entratest.User, client, redirect string) string {
	s.Helper()
	const verifier, server = "verifier-verifier-verifier-verifier-verifier", "https://mcp.example.com/mcp"
	sum := sha256.Sum256([]byte(verifier))
	query := url.Values{
		"client_id": {client}, "response_type": {"code"}, "redirect_uri": {redirect}, "scope": {server + "/access_as_user offline_access"}, "resource": {server},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}, "state": {"state"},
	}
	browser := s.tenant.Browser(user)
	browser.Decline = true
	back, err := browser.Open(s.Context(), s.tenant.AuthorityHost()+"/"+s.tenant.ID()+"/oauth2/v2.0/authorize?"+query.Encode())
	if err != nil || back.Query().Get("code") == "" {
		s.Errorf("sign-in of %s ends at %v, %v; want a code", client, back, err)
		return ""
	}
	answer := s.post(url.Values{
		"grant_type": {"authorization_code"}, "client_id": {client}, "redirect_uri": {redirect}, "code": {back.Query().Get("code")}, "code_verifier": {verifier}, "resource": {server},
	})
	token, _ := answer["access_token"].(string)
	if token == "" {
		s.Errorf("no token for the code of %s: %v", client, answer)
	}
	return token
}

func (s *stage) post(form url.Values) map[string]any {
	s.Helper()
	resp, err := s.tenant.HTTPClient().PostForm(s.tenant.AuthorityHost()+"/"+s.tenant.ID()+"/oauth2/v2.0/token", form)
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	return s.decode(resp.Body)
}

func (s *stage) decode(body io.Reader) (answer map[string]any) {
	s.Helper()
	if err := json.NewDecoder(body).Decode(&answer); err != nil {
		s.Fatal(err)
	}
	return answer
}

// identityToken is what the managed identity's endpoint gives to code that runs in Azure.
func (s *stage) identityToken() string {
	s.Helper()
	endpoint, header := s.tenant.ManagedIdentityEndpoint()
	req, err := http.NewRequest(http.MethodGet, endpoint+"?api-version=2019-08-01&resource=api://AzureADTokenExchange&client_id="+s.identity.ClientID, nil)
	if err != nil {
		s.Fatal(err)
	}
	req.Header.Set("X-IDENTITY-HEADER", header)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	token, _ := s.decode(resp.Body)["access_token"].(string)
	return token
}
