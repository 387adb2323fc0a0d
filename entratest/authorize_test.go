package entratest_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

const (
	callback = "https://app.example.com/callback"
	verifier = "a-verifier-of-forty-three-characters-or-more"
)

func s256(v string) string {
	sum := sha256.Sum256([]byte(v))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// newSignIns returns contoso with a web app that signs users in.
func newSignIns(t testing.TB) *contoso {
	t.Helper()
	c := newContoso(t)
	c.client = c.AddApp("Web app")
	c.client.AddRedirectURI(entratest.PlatformWeb, callback)
	c.secret = c.client.AddSecret()
	return c
}

// authorizeURL returns a valid authorization request, with changes.
func (c *contoso) authorizeURL(changes ...string) string {
	form := url.Values{
		"client_id":             {c.client.ClientID},
		"response_type":         {"code"},
		"redirect_uri":          {callback},
		"scope":                 {"openid profile offline_access " + c.api.Scope("access_as_user")},
		"state":                 {"a state"},
		"nonce":                 {"a nonce"},
		"code_challenge":        {s256(verifier)},
		"code_challenge_method": {"S256"},
	}
	for i := 0; i < len(changes); i += 2 {
		if form.Set(changes[i], changes[i+1]); changes[i+1] == "" {
			form.Del(changes[i])
		}
	}
	return c.AuthorityHost() + "/" + c.ID() + "/oauth2/v2.0/authorize?" + form.Encode()
}

// redeem returns the form for redeeming a code, with changes.
func (c *contoso) redeem(back *url.URL, changes ...string) url.Values {
	form := url.Values{
		"grant_type": {"authorization_code"}, "client_id": {c.client.ClientID}, "client_secret": {c.secret},
		"code": {back.Query().Get("code")}, "redirect_uri": {callback}, "code_verifier": {verifier},
	}
	for i := 0; i < len(changes); i += 2 {
		if form.Set(changes[i], changes[i+1]); changes[i+1] == "" {
			form.Del(changes[i])
		}
	}
	return form
}

func open(t testing.TB, b *entratest.Browser, address string) *url.URL {
	t.Helper()
	back, err := b.Open(context.Background(), address)
	if err != nil {
		t.Fatal(err)
	}
	return back
}

func TestAuthorizationCode(t *testing.T) {
	t.Parallel()
	c := newSignIns(t)
	back := open(t, c.Browser(c.alice), c.authorizeURL())
	if !strings.HasPrefix(back.String(), callback+"?") || back.Query().Get("state") != "a state" || len(back.Query().Get("code")) < 600 {
		t.Fatalf("sent back to %s", back)
	}
	a := c.token(t, c.redeem(back))
	_, id := decode(t, a.text("id_token"))
	_, access := decode(t, a.text("access_token"))
	if id["nonce"] != "a nonce" || id["aud"] != c.client.ClientID || id["oid"] != c.alice.ObjectID || id["iss"] != c.V2Issuer() {
		t.Errorf("ID token: %v", id)
	}
	if access["scp"] != "access_as_user" || access["appid"] != c.client.ClientID || access["appidacr"] != "1" || access["aud"] != c.api.AppIDURI() {
		t.Errorf("access token: %v", access)
	}
	if err := verify(c.Tenant, a.text("access_token")); err != nil {
		t.Error(err)
	}
	if len(a.text("refresh_token")) < 1000 {
		t.Errorf("a refresh token of %d characters", len(a.text("refresh_token")))
	}
	if a := c.token(t, c.redeem(back)); a.code() != 54005 {
		t.Errorf("redeemed twice: %s", a.body)
	}
}

func TestResponseModes(t *testing.T) {
	t.Parallel()
	c := newSignIns(t)
	b := c.Browser(c.alice)
	if back := open(t, b, c.authorizeURL("response_mode", "fragment")); !strings.Contains(back.Fragment, "code=") || back.RawQuery != "" {
		t.Errorf("fragment: %s", back)
	}
	if back := open(t, b, c.authorizeURL("response_mode", "form_post")); back.Query().Get("code") == "" || back.Host != "app.example.com" {
		t.Errorf("form_post: %s", back)
	}
	if _, err := b.Open(context.Background(), c.authorizeURL("response_mode", "morse")); err == nil || !strings.Contains(err.Error(), "AADSTS90023") {
		t.Errorf("another mode: %v", err)
	}
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	c := newSignIns(t)
	second := c.AddApp("Second API", "read")
	c.Consent(c.client, second)
	a := c.token(t, c.redeem(open(t, c.Browser(c.alice), c.authorizeURL())))
	refresh := func(changes ...string) answer {
		return c.token(t, c.redeem(&url.URL{}, append([]string{
			"grant_type", "refresh_token", "refresh_token", a.text("refresh_token"), "code", "", "redirect_uri", "", "code_verifier", "",
			"scope", c.api.AppIDURI() + "/access_as_user offline_access openid",
		}, changes...)...))
	}
	for range 2 { // it can be reused
		again := refresh()
		if again.status != http.StatusOK || again.text("refresh_token") == "" || again.text("id_token") == "" {
			t.Fatalf("%d %s", again.status, again.body)
		}
	}
	other := refresh("scope", second.Scope(".default"))
	if _, claims := decode(t, other.text("access_token")); claims["scp"] != "read" {
		t.Errorf("for another resource: %s", other.body)
	}
	for name, test := range map[string]struct {
		changes []string
		code    int
	}{
		"no scope":           {[]string{"scope", ""}, 90009},
		"no consent":         {[]string{"scope", "https://storage.azure.com/.default"}, 65001},
		"two resources":      {[]string{"scope", second.AppIDURI() + "/read " + c.api.Scope("access_as_user")}, 28000},
		"other resource":     {[]string{"resource", "https://mcp.example.com"}, 9010010},
		"resource alone":     {[]string{"resource", "https://mcp.example.com", "scope", "openid"}, 901002},
		"same resource":      {[]string{"resource", c.api.AppIDURI()}, 0},
		"garbage":            {[]string{"refresh_token", "garbage"}, 9002313},
		"no token":           {[]string{"refresh_token", ""}, 900144},
		"wrong secret":       {[]string{"client_secret", "x"}, 7000215},
		"no secret":          {[]string{"client_secret", ""}, 7000218},
		"another client":     {[]string{"client_id", c.api.ClientID, "client_secret", c.api.AddSecret()}, 70000},
		"a code":             {[]string{"refresh_token", open(t, c.Browser(c.alice), c.authorizeURL()).Query().Get("code")}, 9002313},
		"claims not JSON":    {[]string{"claims", "c1"}, 9002313},
		"claims that are me": {[]string{"claims", `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`}, 50076},
	} {
		if a := refresh(test.changes...); a.code() != test.code {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	c.alice.RevokeSessions()
	if a := refresh(); a.code() != 50173 || a.text("suberror") != "bad_token" {
		t.Errorf("revoked: %s", a.body)
	}
	a = c.token(t, c.redeem(open(t, c.Browser(c.alice), c.authorizeURL())))
	c.clock.Advance(91 * 24 * time.Hour)
	if a := refresh(); a.code() != 700082 {
		t.Errorf("old: %s", a.body)
	}
}

func TestCodeRefusals(t *testing.T) {
	t.Parallel()
	c := newSignIns(t)
	b := c.Browser(c.alice)
	for name, test := range map[string]struct {
		changes []string
		code    int
	}{
		"no code":        {[]string{"code", ""}, 900144},
		"garbage":        {[]string{"code", "1.Agarbage"}, 9002313},
		"no redirect":    {[]string{"redirect_uri", ""}, 900144},
		"other redirect": {[]string{"redirect_uri", callback + "/"}, 500112},
		"no verifier":    {[]string{"code_verifier", ""}, 501481},
		"other verifier": {[]string{"code_verifier", verifier + "x"}, 501481},
		"no secret":      {[]string{"client_secret", ""}, 7000218},
		"wrong secret":   {[]string{"client_secret", "x"}, 7000215},
		"no client":      {[]string{"client_id", ""}, 900144},
		"other client":   {[]string{"client_id", c.api.ClientID}, 70000},
		"bare scope":     {[]string{"scope", "mcp.read"}, 650053},
		"other resource": {[]string{"resource", "https://mcp.example.com/"}, 9010010},
	} {
		if a := c.token(t, c.redeem(open(t, b, c.authorizeURL()), test.changes...)); a.code() != test.code || a.status == http.StatusOK {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	back := open(t, b, c.authorizeURL("scope", c.api.AppIDURI()+"/access_as_user https://storage.azure.com/user_impersonation"))
	if a := c.token(t, c.redeem(back)); a.code() != 28003 || a.text("error") != "invalid_request" {
		t.Errorf("two resources, no scope: %s", a.body)
	}
	if a := c.token(t, c.redeem(back, "scope", c.api.AppIDURI()+"/access_as_user https://storage.azure.com/user_impersonation")); a.code() != 28000 {
		t.Errorf("two resources at once: %s", a.body)
	}
	if a := c.token(t, c.redeem(back, "scope", "https://storage.azure.com/user_impersonation")); a.status != http.StatusOK {
		t.Errorf("one of two resources: %s", a.body)
	}
	back = open(t, b, c.authorizeURL())
	c.clock.Advance(11 * time.Minute)
	if a := c.token(t, c.redeem(back)); a.code() != 70008 {
		t.Errorf("old: %s", a.body)
	}
}

// Errors that can't be sent to a client are shown on a page; the others go to the client.
func TestAuthorizeRefusals(t *testing.T) {
	t.Parallel()
	c := newSignIns(t)
	bare := c.AddApp("No redirect")
	for name, test := range map[string]struct {
		changes []string
		page    string
		kind    string
		code    string
	}{
		"no client":           {[]string{"client_id", ""}, "AADSTS900144", "", ""},
		"unknown client":      {[]string{"client_id", c.alice.ObjectID}, "AADSTS700016", "", ""},
		"unknown redirect":    {[]string{"redirect_uri", "https://evil.example.com/"}, "AADSTS50011", "", ""},
		"no redirect at all":  {[]string{"client_id", bare.ClientID}, "AADSTS500113", "", ""},
		"long state":          {[]string{"state", strings.Repeat("x", 1800)}, "AADSTS90015", "", ""},
		"no scope":            {[]string{"scope", ""}, "", "invalid_request", "AADSTS900144"},
		"no type":             {[]string{"response_type", ""}, "", "invalid_request", "AADSTS900144"},
		"token":               {[]string{"response_type", "token"}, "", "unsupported_response_type", "AADSTS700054"},
		"bare scope":          {[]string{"scope", "mcp.read openid"}, "", "invalid_client", "AADSTS650053"},
		"unknown resource":    {[]string{"scope", "https://mcp.example.com/mcp/read"}, "", "invalid_resource", "AADSTS500011"},
		"default and another": {[]string{"scope", c.api.AppIDURI() + "/.default " + c.api.Scope("access_as_user")}, "", "invalid_scope", "AADSTS70011"},
		"other resource":      {[]string{"resource", "https://mcp.example.com/mcp"}, "", "invalid_target", "AADSTS9010010"},
		"resource, no scope":  {[]string{"resource", "https://mcp.example.com/mcp", "scope", "openid"}, "", "invalid_request", "AADSTS901002"},
		"odd prompt":          {[]string{"prompt", "admin_consent"}, "", "invalid_request", "AADSTS90023"},
		"short challenge":     {[]string{"code_challenge", "x"}, "", "invalid_request", "AADSTS501491"},
		"odd method":          {[]string{"code_challenge_method", "S512"}, "", "invalid_request", "AADSTS9002313"},
		"silent":              {[]string{"prompt", "none"}, "", "login_required", "AADSTS50058"},
		"odd claims":          {[]string{"claims", "["}, "", "invalid_request", "AADSTS9002313"},
	} {
		back, err := c.Browser(c.alice).Open(context.Background(), c.authorizeURL(test.changes...))
		if test.page != "" {
			if err == nil || !strings.Contains(err.Error(), test.page) {
				t.Errorf("%s: %v %v", name, back, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		q := back.Query()
		if q.Get("error") != test.kind || !strings.HasPrefix(q.Get("error_description"), test.code+":") || q.Get("state") != "a state" || q.Has("code") {
			t.Errorf("%s: %s", name, back)
		}
	}
}

func TestRedirectURIs(t *testing.T) {
	t.Parallel()
	c := newSignIns(t)
	c.client.AddRedirectURI(entratest.PlatformDesktop, "http://localhost", "http://127.0.0.1:9/cb", "myapp://auth")
	for uri, right := range map[string]bool{
		"http://localhost":                      true,
		"http://localhost:3334/":                true,
		"http://127.0.0.1:9/cb":                 true,
		"myapp://auth":                          true,
		"http://127.0.0.1:9/other":              false,
		"http://127.0.0.1:10/cb":                false,
		"http://127.0.0.1/cb":                   false,
		"http://127.0.0.1:9":                    false,
		"https://localhost":                     false,
		"http://localhost.example.com":          false,
		"http://x@localhost/":                   false,
		callback + "?x=1":                       false,
		"https://APP.example.com/callback":      false,
		"http://localhost:3334/#fragment":       false,
		"https://app.example.com/call/../callb": false,
	} {
		back, err := c.Browser(c.alice).Open(context.Background(), c.authorizeURL("redirect_uri", uri))
		if right != (err == nil) || right && !strings.HasPrefix(back.String(), uri) {
			t.Errorf("%s: %v %v", uri, back, err)
		}
	}
}

// Public clients have no secret, and single-page applications send an Origin.
func TestPlatforms(t *testing.T) {
	t.Parallel()
	c := newSignIns(t)
	c.client = c.AddClient("Desktop")
	c.client.AddRedirectURI(entratest.PlatformDesktop, callback)
	if a := c.token(t, c.redeem(open(t, c.Browser(c.alice), c.authorizeURL()), "client_secret", "")); a.status != http.StatusOK {
		t.Errorf("public client: %s", a.body)
	}
	if a := c.token(t, c.redeem(open(t, c.Browser(c.alice), c.authorizeURL()))); a.code() != 700025 {
		t.Errorf("public client with a secret: %s", a.body)
	}
	if a := c.token(t, c.redeem(open(t, c.Browser(c.alice), c.authorizeURL()), "client_secret", ""), "Origin", "https://app.example.com"); a.code() != 9002326 {
		t.Errorf("public client with an origin: %s", a.body)
	}
	c.client = c.AddApp("SPA")
	c.client.AddRedirectURI(entratest.PlatformSPA, callback)
	b := c.Browser(c.alice)
	if a := c.token(t, c.redeem(open(t, b, c.authorizeURL()), "client_secret", "")); a.code() != 9002327 {
		t.Errorf("SPA without origin: %s", a.body)
	}
	a := c.token(t, c.redeem(open(t, b, c.authorizeURL()), "client_secret", ""), "Origin", "https://app.example.com")
	if a.status != http.StatusOK || a.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("SPA: %s", a.body)
	}
	c.clock.Advance(23 * time.Hour)
	again := c.token(t, c.redeem(&url.URL{}, "grant_type", "refresh_token", "refresh_token", a.text("refresh_token"), "client_secret", "",
		"scope", c.api.AppIDURI()+"/access_as_user offline_access"), "Origin", "https://app.example.com")
	c.clock.Advance(2 * time.Hour)
	if a := c.token(t, c.redeem(&url.URL{}, "grant_type", "refresh_token", "refresh_token", again.text("refresh_token"), "client_secret", "",
		"scope", c.api.Scope("access_as_user")), "Origin", "https://app.example.com"); again.status != http.StatusOK || a.code() != 700082 {
		t.Errorf("SPA after a day: %s %s", again.body, a.body)
	}
	if back := open(t, b, c.authorizeURL("code_challenge", "", "code_challenge_method", "")); !strings.Contains(back.Query().Get("error_description"), "AADSTS9002325") {
		t.Errorf("SPA without PKCE: %s", back)
	}
	preflight := do(t, c.HTTPClient(), http.MethodOptions, c.AuthorityHost()+"/"+c.ID()+"/oauth2/v2.0/token", nil, "Origin", "https://app.example.com")
	if preflight.status != http.StatusOK || preflight.header.Get("Access-Control-Allow-Headers") == "" {
		t.Errorf("preflight: %d %v", preflight.status, preflight.header)
	}
}
