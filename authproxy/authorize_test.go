package authproxy_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/authproxy"
)

// outcome says what an answer is: "consent", "entra", "400 page", or the error that the client
// gets, such as "invalid_request".
func (w *world) outcome(p *page) string {
	switch {
	case p.location == nil && strings.Contains(p.body, `value="approve"`):
		return "consent"
	case p.location == nil:
		return fmt.Sprintf("%d page", p.status)
	case strings.HasPrefix(p.location.String(), w.tenant.AuthorityHost()+"/"):
		return "entra"
	}
	return p.location.Query().Get("error")
}

func TestAuthorizeRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	b := w.browser(w.alice)
	const longState = "state=" // 1 KiB follows
	short := strings.Repeat("s", 1024)
	for _, row := range []struct {
		name    string
		changes []string
		raw     string // added to the query
		want    string
	}{
		{"ordinary", nil, "", "consent"},
		{"unknown parameter, twice", nil, "&x=1&x=2", "consent"},
		{"empty parameters are omitted", nil, "&state=&scope=&client_id=&redirect_uri=", "consent"},

		{"no client_id", []string{"client_id="}, "", "400 page"},
		{"client_id twice", nil, "&client_id=" + clientID, "400 page"},
		{"redirect_uri twice", nil, "&redirect_uri=" + url.QueryEscape(clientBack), "400 page"},
		{"unknown client", []string{"client_id=nobody"}, "", "400 page"},
		{"foreign redirect_uri", []string{"redirect_uri=https://evil.example/"}, "", "400 page"},
		{"no redirect_uri of two", []string{"redirect_uri="}, "", "400 page"},
		{"loopback with a port", []string{"redirect_uri=http://127.0.0.1:4711/callback"}, "", "consent"},
		{"malformed query", nil, "&x=%zz", "400 page"},
		{"semicolon", nil, "&a;b", "400 page"},
		{"query of 16 KiB", nil, "&x=" + strings.Repeat("x", 16<<10), "400 page"},

		{"state of 1 KiB", []string{longState + short}, "", "consent"},
		{"state over 1 KiB", []string{longState + short + "s"}, "", "invalid_request"},
		{"state twice", nil, "&state=2", "invalid_request"},
		{"scope twice", nil, "&scope=a&scope=b", "invalid_request"},
		{"nonce twice", nil, "&nonce=a&nonce=b", "invalid_request"},
		{"no response_type", []string{"response_type="}, "", "invalid_request"},
		{"response_type token", []string{"response_type=token"}, "", "unsupported_response_type"},
		{"response_type code id_token", []string{"response_type=code id_token"}, "", "unsupported_response_type"},
		{"response_mode query", []string{"response_mode=query"}, "", "consent"},
		{"response_mode fragment", []string{"response_mode=fragment"}, "", "invalid_request"},
		{"response_mode form_post", []string{"response_mode=form_post"}, "", "invalid_request"},

		{"no PKCE", []string{"code_challenge=", "code_challenge_method="}, "", "invalid_request"},
		{"no challenge", []string{"code_challenge="}, "", "invalid_request"},
		{"no method", []string{"code_challenge_method="}, "", "invalid_request"},
		{"plain", []string{"code_challenge_method=plain"}, "", "invalid_request"},
		{"challenge too short", []string{"code_challenge=" + strings.Repeat("A", 42)}, "", "invalid_request"},
		{"challenge too long", []string{"code_challenge=" + strings.Repeat("A", 44)}, "", "invalid_request"},
		{"challenge with stray bits", []string{"code_challenge=" + strings.Repeat("B", 43)}, "", "invalid_request"},
		{"challenge with a line break", []string{"code_challenge=" + strings.Repeat("A", 43) + "\n"}, "", "invalid_request"},
		{"challenge of other letters", []string{"code_challenge=" + strings.Repeat("+", 43)}, "", "invalid_request"},

		{"our resource", []string{"resource=" + resource}, "", "consent"},
		{"resource with a slash", []string{"resource=" + resource + "/"}, "", "consent"},
		{"resource in capitals, with port", []string{"resource=HTTPS://MCP.Example.COM:443/mcp"}, "", "consent"},
		{"the same resource twice", []string{"resource=" + resource}, "&resource=" + url.QueryEscape(resource+"/"), "consent"},
		{"another resource", []string{"resource=https://evil.example/mcp"}, "", "invalid_target"},
		{"another path", []string{"resource=https://mcp.example.com/MCP"}, "", "invalid_target"},
		{"two slashes", []string{"resource=" + resource + "//"}, "", "invalid_target"},
		{"resource with a query", []string{"resource=" + resource + "?x"}, "", "invalid_target"},
		{"ours and another resource", []string{"resource=" + resource}, "&resource=https://evil.example", "invalid_target"},

		{"prompt login", []string{"prompt=login"}, "", "consent"},
		{"prompt none", []string{"prompt=none"}, "", "interaction_required"},
		{"prompt none and login", []string{"prompt=none login"}, "", "invalid_request"},
		{"unknown prompt", []string{"prompt=please"}, "", "invalid_request"},
		{"max_age", []string{"max_age=60"}, "", "consent"},
		{"max_age, no number", []string{"max_age=-1"}, "", "invalid_request"},
		{"claims", []string{`claims={"access_token":{"acrs":{"essential":true,"value":"c1"}}}`}, "", "consent"},
		{"claims, not UTF-8", []string{"claims={\"x\":\"\xff\"}"}, "", "invalid_request"},
		{"claims, no JSON", []string{"claims={"}, "", "invalid_request"},
		{"claims, an array", []string{"claims=[]"}, "", "invalid_request"},
		{"claims, null", []string{"claims=null"}, "", "invalid_request"},
		{"claims, access_token a text", []string{`claims={"access_token":"x"}`}, "", "invalid_request"},
		{"login_hint too long", []string{"login_hint=" + strings.Repeat("a", 1500)}, "", "invalid_request"},
		{"login_hint of 1,300", []string{"login_hint=" + strings.Repeat("a", 1300)}, "", "consent"},
	} {
		p := b.get(w.proxy.AuthorizationEndpoint() + "?" + request(row.changes...).Encode() + row.raw)
		got := w.outcome(p)
		if got != row.want {
			t.Errorf("%s: %s, want %s", row.name, got, row.want)
		}
		if p.location == nil {
			continue
		}
		q := p.location.Query()
		wantState := request(row.changes...).Get("state")
		if strings.HasPrefix(row.name, "state twice") {
			wantState = ""
		}
		if !strings.HasPrefix(p.location.String(), clientBack+"&") || q.Get("iss") != w.proxy.Issuer() || q.Get("state") != wantState || q.Has("code") {
			t.Errorf("%s: redirects to %s, want the client's redirect with iss and state", row.name, p.location)
		}
		if p.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: Cache-Control is %q, want no-store", row.name, p.header.Get("Cache-Control"))
		}
	}
	for _, secret := range []string{"st/at", "aaaa", "essential"} {
		if strings.Contains(w.logs.String(), secret) {
			t.Errorf("the log has %q: states, hints and claims must not be logged", secret)
		}
	}
}

// entraQuery approves the request in a new browser, and returns what Entra is asked for.
func (w *world) entraQuery(t *testing.T, q url.Values) url.Values {
	t.Helper()
	b := w.browser(w.alice)
	p := b.authorize(q)
	if w.outcome(p) != "consent" {
		t.Fatalf("%v: %s, want the consent page", q, w.outcome(p))
	}
	u, err := url.Parse(b.decide(p, "approve").next())
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

func TestScopesTowardsEntra(t *testing.T) {
	t.Parallel()
	usual := newWorld(t, setup{})
	self := newWorld(t, setup{self: true})
	storage := []string{"https://storage.azure.com/user_impersonation"}
	downstream := func(_ *world, o *authproxy.Options) { o.Downstream = storage }
	combined := func(_ *world, o *authproxy.Options) { o.Downstream, o.CombinedConsent = storage, true }
	noRefresh := func(_ *world, o *authproxy.Options) { o.Clients[0].NoRefresh = true }
	for _, row := range []struct {
		name  string
		world *world
		scope string
		want  string // API: the prefix of the API's scopes, ID: its application ID
	}{
		{"none", usual, "", "API/access_as_user offline_access"},
		{"bare", usual, "Files.Read", "API/Files.Read offline_access"},
		{"in full", usual, "API/Files.Read API/access_as_user", "API/Files.Read API/access_as_user offline_access"},
		{"by application ID", usual, "ID/Files.Read", "API/Files.Read offline_access"},
		{"twice", usual, "Files.Read API/Files.Read", "API/Files.Read offline_access"},
		{"OpenID's", usual, "openid profile email offline_access", "API/access_as_user offline_access"},
		{"foreign", usual, "https://graph.microsoft.com/User.Read User.Read Files.Read", "API/Files.Read offline_access"},
		{"foreign alone", usual, "https://graph.microsoft.com/Files.Read API/.default", "API/access_as_user offline_access"},
		{"in other case", usual, "files.read", "API/access_as_user offline_access"},
		{"the API's own app", self, "Files.Read", "ID/Files.Read offline_access"},
		{"no refresh tokens", newWorld(t, setup{options: noRefresh}), "", "API/access_as_user"},
		{"downstream, own app", newWorld(t, setup{self: true, options: downstream}), "", "ID/access_as_user https://storage.azure.com/user_impersonation offline_access"},
		{"downstream, another app", newWorld(t, setup{options: downstream}), "", "API/access_as_user offline_access"},
		{"downstream, combined", newWorld(t, setup{options: combined}), "Files.Read", "API/.default offline_access"},
	} {
		put := strings.NewReplacer("API", row.world.api.AppIDURI(), "ID", row.world.api.ClientID)
		got := row.world.entraQuery(t, request("scope="+put.Replace(row.scope))).Get("scope")
		if want := put.Replace(row.want); got != want {
			t.Errorf("%s: scope is %q, want %q", row.name, got, want)
		}
	}
}

func TestDownstreamNeedsAnAdministrator(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: func(_ *world, o *authproxy.Options) {
		o.Downstream = []string{"https://storage.azure.com/user_impersonation"}
	}})
	want := w.tenant.AuthorityHost() + "/" + w.tenant.ID() + "/v2.0/adminconsent?client_id=" + w.api.ClientID + "&scope=https%3A%2F%2Fstorage.azure.com%2Fuser_impersonation"
	if !strings.Contains(w.logs.String(), want) {
		t.Errorf("the log is\n%swant the URL %s", w.logs, want)
	}
}

func TestPassedOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	for _, row := range []struct {
		changes []string
		want    string // the parameters besides the usual ones, sorted
	}{
		{nil, ""},
		{[]string{"login_hint=alice@contoso.com", "domain_hint=contoso.com", "max_age=0"}, "domain_hint=contoso.com login_hint=alice@contoso.com max_age=0"},
		{[]string{"prompt=login"}, "prompt=login"},
		{[]string{"prompt=select_account"}, "prompt=select_account"},
		{[]string{"prompt=consent"}, ""},
		{[]string{"prompt=consent select_account"}, "prompt=select_account"},
		{[]string{"prompt=select_account login"}, "prompt=login"},
		{[]string{"nonce=n", "display=page", "ui_locales=ja", "id_token_hint=x", "resource=" + resource, "client_secret=x", "request_uri=x"}, ""},
		{[]string{"acr_values=c1"}, `claims={"access_token":{"acrs":{"essential":true,"value":"c1"}}}`},
		{[]string{"acr_values=urn:x c1 c25 c0 c100"}, `claims={"access_token":{"acrs":{"essential":true,"values":["c1","c25"]}}}`},
		{[]string{"acr_values=phr"}, ""},
		{[]string{`claims={"access_token":{"xms_cc":{"values":["cp1"]}}}`, "acr_values=c2"}, `claims={"access_token":{"acrs":{"essential":true,"value":"c2"},"xms_cc":{"values":["cp1"]}}}`},
		{[]string{"acr_values=c1 c1"}, `claims={"access_token":{"acrs":{"essential":true,"value":"c1"}}}`},
		{[]string{"acr_values=c1 c2 c3 c4 c5 c6"}, `claims={"access_token":{"acrs":{"essential":true,"values":["c1","c2","c3","c4","c5","c6"]}}}`},
		{[]string{`claims={"access_token":{"acrs":null}}`, "acr_values=c2"}, `claims={"access_token":{"acrs":{"essential":true,"value":"c2"}}}`},
		{[]string{`claims={"access_token":{"acrs":{"value":"c9"}}}`, "acr_values=c2"}, `claims={"access_token":{"acrs":{"value":"c9"}}}`},
		{[]string{`claims={"access_token":null,"id_token":{}}`, "acr_values=c2"}, `claims={"access_token":{"acrs":{"essential":true,"value":"c2"}},"id_token":{}}`},
	} {
		q := w.entraQuery(t, request(row.changes...))
		for _, usual := range []string{"client_id", "response_type", "response_mode", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method"} {
			q.Del(usual)
		}
		var got []string
		for name, values := range q {
			got = append(got, name+"="+values[0])
		}
		slices.Sort(got)
		if strings.Join(got, " ") != row.want {
			t.Errorf("%q: Entra gets %q, want %q", row.changes, got, row.want)
		}
	}
}

// The golden of what Entra is asked for.
func TestEntraURL(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{path: "/auth"})
	q := w.entraQuery(t, request("login_hint=alice@contoso.com"))
	for _, random := range []struct {
		name string
		size int
	}{{"state", 16}, {"code_challenge", 32}} {
		if b, err := base64.RawURLEncoding.DecodeString(q.Get(random.name)); err != nil || len(b) != random.size {
			t.Errorf("%s is %q, want %d bytes as base64url", random.name, q.Get(random.name), random.size)
		}
		q.Set(random.name, "random")
	}
	got, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer("CLIENT", w.app.ClientID, "API", w.api.AppIDURI(), "ISSUER", w.proxy.Issuer()).Replace(
		`{"client_id":["CLIENT"],"code_challenge":["random"],"code_challenge_method":["S256"],"login_hint":["alice@contoso.com"],` +
			`"redirect_uri":["ISSUER/oauth/callback"],"response_mode":["query"],"response_type":["code"],` +
			`"scope":["API/access_as_user offline_access"],"state":["random"]}`)
	if string(got) != want {
		t.Errorf("Entra is asked\n%s\nwant\n%s", got, want)
	}
}

// A client that nobody vouches for can't make the proxy redirect before a user approved it.
func TestErrorsBeforeConsent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: func(_ *world, o *authproxy.Options) {
		o.PrivateSchemes = []string{authproxy.CursorRedirect}
	}})
	const stranger, preset = "https://stranger.example/callback", "https://claude.ai/api/mcp/auth_callback"
	for _, row := range []struct {
		name, client, redirect string
		approved               bool
		want                   string
	}{
		{"configured", clientID, clientBack, false, "invalid_request"},
		{"registered itself", w.register(t, stranger), stranger, false, "400 page"},
		{"registered itself, approved", w.register(t, stranger), stranger, true, "invalid_request"},
		{"registered itself, loopback", w.register(t, loopback), loopback, false, "invalid_request"},
		{"registered itself, private scheme", w.register(t, authproxy.CursorRedirect), authproxy.CursorRedirect, false, "invalid_request"},
		{"preset", w.register(t, preset), preset, false, "invalid_request"},
	} {
		b := w.browser(w.alice)
		q := request("client_id="+row.client, "redirect_uri="+row.redirect)
		if row.approved {
			b.decide(b.authorize(q), "approve")
		}
		q.Set("code_challenge_method", "plain")
		p := b.authorize(q)
		if got := w.outcome(p); got != row.want {
			t.Errorf("%s: %s, want %s", row.name, got, row.want)
		}
		if row.want == "400 page" {
			link := strings.ReplaceAll(p.body, "&amp;", "&")
			for _, part := range []string{`href="` + row.redirect + "?error=invalid_request", "state=st%2Fat%20e", "iss=" + url.QueryEscape(w.proxy.Issuer())} {
				if !strings.Contains(link, part) {
					t.Errorf("%s: the page is\n%s\nwant a link with %s", row.name, p.body, part)
				}
			}
		}
		q = request("client_id="+row.client, "redirect_uri="+row.redirect, "prompt=none")
		want := "interaction_required"
		if row.approved {
			want = "entra"
		} else if row.want == "400 page" {
			want = row.want
		}
		if got := w.outcome(b.authorize(q)); got != want {
			t.Errorf("%s, prompt=none: %s, want %s", row.name, got, want)
		}
	}
}

// register registers a client with a redirect, and returns its ID.
func (w *world) register(t *testing.T, redirect string) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"client_name": "A client", "redirect_uris": []string{redirect}, "token_endpoint_auth_method": "none",
		"grant_types": []string{"authorization_code", "refresh_token"},
	})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := w.server.Client().Post(w.proxy.Issuer()+"/register", "application/json", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var registered struct {
		ClientID string `json:"client_id"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&registered); err != nil || answer.StatusCode != http.StatusCreated {
		t.Fatalf("registration answers %d, %v; want 201", answer.StatusCode, err)
	}
	return registered.ClientID
}
