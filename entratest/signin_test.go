package entratest_test

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

func TestPrompts(t *testing.T) {
	t.Parallel()
	c := newSignIns(t)
	bob := c.AddUser("bob@contoso.com", "Bob")
	pages := func(b *entratest.Browser, address string) int { // not counting the request itself
		before := c.Count(entratest.EndpointAuthorize)
		if back := open(t, b, address); back.Query().Get("code") == "" {
			t.Errorf("no code: %s", back)
		}
		return c.Count(entratest.EndpointAuthorize) - before - 1
	}
	b := c.Browser(c.alice)
	for _, step := range []struct {
		changes []string
		pages   int
		why     string
	}{
		{nil, 2, "account and consent"},
		{nil, 0, "single sign-on"},
		{[]string{"prompt", "none"}, 0, "silent"},
		{[]string{"prompt", "select_account"}, 1, "the picker"},
		{[]string{"prompt", "login"}, 1, "sign in again"},
		{[]string{"prompt", "consent"}, 1, "consent again"},
		{[]string{"login_hint", "ALICE@contoso.com", "prompt", "none"}, 0, "the hint fits"},
		{[]string{"scope", c.api.Scope(".default")}, 0, "everything that was consented to"},
		{[]string{"scope", "openid"}, 0, "nothing more"},
	} {
		if n := pages(b, c.authorizeURL(step.changes...)); n != step.pages {
			t.Errorf("%v: %d pages, want %d: %s", step.changes, n, step.pages, step.why)
		}
	}
	if back := open(t, b, c.authorizeURL("login_hint", "bob@contoso.com", "prompt", "none")); back.Query().Get("error") != "login_required" {
		t.Errorf("hint of another: %s", back)
	}
	if back := open(t, b, c.authorizeURL("prompt", "none", "scope", "https://storage.azure.com/user_impersonation")); back.Query().Get("error") != "consent_required" {
		t.Errorf("silent, no consent: %s", back)
	}
	if n := pages(c.Browser(bob), c.authorizeURL()); n != 2 {
		t.Errorf("Alice's consent is not Bob's: %d pages", n)
	}
	out := get(t, c.HTTPClient(), c.AuthorityHost()+"/"+c.ID()+"/oauth2/v2.0/logout")
	if !strings.Contains(out.header.Get("Set-Cookie"), "Max-Age=0") || !strings.Contains(out.body, "signed out") {
		t.Errorf("logout: %v", out.header)
	}
}

func TestLogoutReturnsToRegisteredAddressesOnly(t *testing.T) {
	t.Parallel()
	c := newSignIns(t)
	client := c.HTTPClient()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	logout := c.AuthorityHost() + "/" + c.ID() + "/oauth2/v2.0/logout?state=s&post_logout_redirect_uri="
	if a := get(t, client, logout+url.QueryEscape(callback)); a.header.Get("Location") != callback+"?state=s" {
		t.Errorf("%d %v", a.status, a.header)
	}
	if a := get(t, client, logout+url.QueryEscape("https://evil.example.com")); a.status != http.StatusOK || a.header.Get("Location") != "" {
		t.Errorf("%d %v", a.status, a.header)
	}
}

func TestDecline(t *testing.T) {
	t.Parallel()
	c := newSignIns(t)
	b := c.Browser(c.alice)
	b.Decline = true
	q := open(t, b, c.authorizeURL()).Query()
	if q.Get("error") != "access_denied" || q.Get("error_subcode") != "cancel" || !strings.HasPrefix(q.Get("error_description"), "AADSTS65004") {
		t.Errorf("%v", q)
	}
}

func TestConsentPolicies(t *testing.T) {
	t.Parallel()
	c := newSignIns(t)
	c.SetConsentPolicy(entratest.ConsentPolicyAdmins)
	if _, err := c.Browser(c.alice).Open(context.Background(), c.authorizeURL()); err == nil {
		t.Error("Alice consented, against the policy")
	}
	c.Consent(c.client, c.api)
	if back := open(t, c.Browser(c.alice), c.authorizeURL()); back.Query().Get("code") == "" {
		t.Errorf("after the administrator's consent: %s", back)
	}
	// prompt=consent asks again, even after admin consent.
	c.SetConsentPolicy(entratest.ConsentPolicyAdminsOnRequest)
	text := c.pageAfterPicker(t, c.authorizeURL("prompt", "consent"))
	if !strings.Contains(text, "AADSTS90095") || !strings.Contains(text, "Request approval") {
		t.Errorf("%s", text)
	}
	c.SetConsentPolicy(entratest.ConsentPolicyUsers)
	text = c.pageAfterPicker(t, c.authorizeURL("scope", "https://graph.microsoft.com/User.Read.All"))
	if !strings.Contains(text, "AADSTS90094") {
		t.Errorf("a scope for administrators: %s", text)
	}
	c.alice.Administrator = true
	text = c.pageAfterPicker(t, c.authorizeURL("scope", "https://graph.microsoft.com/User.Read.All"))
	if !strings.Contains(text, "on behalf of your organization") {
		t.Errorf("an administrator: %s", text)
	}
}

var flowField = regexp.MustCompile(`name="flow" value="([^"]+)"`)

// pageAfterPicker returns the page that Alice sees after choosing her account.
func (c *contoso) pageAfterPicker(t *testing.T, address string) string {
	t.Helper()
	first := get(t, c.HTTPClient(), address)
	cookie, _, _ := strings.Cut(first.header.Get("Set-Cookie"), ";")
	found := flowField.FindStringSubmatch(first.body)
	if found == nil {
		t.Fatalf("no form: %s", first.body)
	}
	form := url.Values{"flow": {found[1]}, "action": {"account"}, "user": {c.alice.ObjectID}}
	return do(t, c.HTTPClient(), http.MethodPost, c.AuthorityHost()+"/"+c.ID()+"/login", form, "Cookie", cookie).body
}

// A form from another browser, or without a page, has no effect.
func TestFormsAreTiedToTheBrowser(t *testing.T) {
	t.Parallel()
	c := newSignIns(t)
	first := get(t, c.HTTPClient(), c.authorizeURL())
	flow := flowField.FindStringSubmatch(first.body)[1]
	login := c.AuthorityHost() + "/" + c.ID() + "/login"
	for name, test := range map[string]struct {
		flow, cookie, code string
	}{
		"no cookie":      {flow, "", "AADSTS50089"},
		"another cookie": {flow, "entratest-browser=AAAAAAAAAAAAAAAAAAAAAA", "AADSTS50089"},
		"no flow":        {"", "entratest-browser=AAAAAAAAAAAAAAAAAAAAAA", "AADSTS9002313"},
		"forged flow":    {flow[:len(flow)-3] + "AAA", "entratest-browser=AAAAAAAAAAAAAAAAAAAAAA", "AADSTS9002313"},
	} {
		form := url.Values{"flow": {test.flow}, "action": {"account"}, "user": {c.alice.ObjectID}}
		a := do(t, c.HTTPClient(), http.MethodPost, login, form, "Cookie", test.cookie)
		if a.status != http.StatusBadRequest || !strings.Contains(a.body, test.code) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

func TestPagesAreHarmless(t *testing.T) {
	t.Parallel()
	c := newSignIns(t)
	c.AddUser("<script>alert(1)</script>@contoso.com", "<b>Mallory</b>")
	a := get(t, c.HTTPClient(), c.authorizeURL("login_hint", `"><script>`))
	b := get(t, c.HTTPClient(), c.authorizeURL())
	for _, page := range []answer{a, b} {
		if strings.Contains(page.body, "<script") || strings.Contains(page.body, "<b>Mallory") || !strings.Contains(page.body, "not Microsoft Entra ID") {
			t.Errorf("%s", page.body)
		}
		if policy := page.header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "script") {
			t.Errorf("policy %s", policy)
		}
	}
}

// With .default, a known client gets consent for itself and for the permissions that the API
// needs.
func TestKnownClients(t *testing.T) {
	t.Parallel()
	c := newSignIns(t)
	c.RevokeConsent(c.api, c.Storage())
	c.api.RequirePermissions(c.Storage(), "user_impersonation")
	c.api.KnownClients = []*entratest.App{c.client}
	c.secret = c.client.AddSecret()
	a := c.token(t, c.redeem(open(t, c.Browser(c.alice), c.authorizeURL("scope", c.api.Scope(".default")))))
	if a.status != http.StatusOK {
		t.Fatal(a.body)
	}
	exchanged := c.token(t, c.obo("assertion", a.text("access_token"), "client_secret", c.api.AddSecret()))
	if exchanged.status != http.StatusOK {
		t.Errorf("%s", exchanged.body)
	}
	bob := c.AddUser("bob@contoso.com", "Bob")
	if a := c.token(t, c.obo("assertion", c.Token(bob, c.client, c.api), "client_secret", c.api.AddSecret())); a.code() != 65001 {
		t.Errorf("Alice's consent is not Bob's: %s", a.body)
	}
}

func TestAdminConsent(t *testing.T) {
	t.Parallel()
	c := newSignIns(t)
	c.client.RequirePermissions(c.api, "access_as_user")
	address := c.AuthorityHost() + "/" + c.ID() + "/v2.0/adminconsent?state=s&client_id=" + c.client.ClientID + "&redirect_uri=" + url.QueryEscape(callback)
	if _, err := c.Browser(c.alice).Open(context.Background(), address); err == nil || !strings.Contains(err.Error(), "AADSTS90094") {
		t.Errorf("not by a user: %v", err)
	}
	admin := c.AddUser("admin@contoso.com", "Admin")
	admin.Administrator = true
	q := open(t, c.Browser(admin), address).Query()
	if q.Get("admin_consent") != "True" || q.Get("tenant") != c.ID() || q.Get("state") != "s" {
		t.Errorf("%v", q)
	}
	c.SetConsentPolicy(entratest.ConsentPolicyAdmins)
	if back := open(t, c.Browser(c.alice), c.authorizeURL()); back.Query().Get("code") == "" {
		t.Errorf("nobody else is asked: %s", back)
	}
	q = open(t, c.Browser(admin), address+"&scope="+url.QueryEscape("https://storage.azure.com/user_impersonation")).Query()
	if q.Get("scope") != "https://storage.azure.com/user_impersonation" {
		t.Errorf("%v", q)
	}
	b := c.Browser(admin)
	b.Decline = true
	if q := open(t, b, address).Query(); q.Get("error") != "access_denied" {
		t.Errorf("%v", q)
	}
}
