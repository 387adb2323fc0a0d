package authproxy_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// evil is a redirect that a stranger registers.
const evil = "https://evil.example/callback"

// stranger registers a client, as anybody can, and returns its ID.
func (w *world) stranger(name string, redirects ...string) string {
	w.t.Helper()
	body, err := json.Marshal(map[string]any{
		"client_name": name, "redirect_uris": redirects, "token_endpoint_auth_method": "none", "grant_types": []string{"authorization_code", "refresh_token"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	answer, err := w.server.Client().Post(w.proxy.Issuer()+"/register", "application/json", strings.NewReader(string(body)))
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	var c struct {
		ID string `json:"client_id"`
	}
	if err != nil || json.Unmarshal(text, &c) != nil || answer.StatusCode != http.StatusCreated || c.ID == "" {
		w.t.Fatalf("POST /register: %d %s, %v; want 201 with a client_id", answer.StatusCode, text, err)
	}
	return c.ID
}

// asked fails unless the page asks the user, and leads nowhere by itself.
func (w *world) asked(what string, p *page, host string) {
	w.t.Helper()
	action, _ := p.form()
	if p.status != http.StatusOK || p.location != nil || p.next() != "" || action != w.proxy.Issuer()+"/consent" || !strings.Contains(p.body, host) {
		w.t.Errorf("%s: %d, Location %v: %s; want the consent page with %s", what, p.status, p.location, p.body, host)
	}
}

// refused fails unless the answer is a page that leads nowhere by itself.
func (w *world) refused(what string, p *page, status int) {
	w.t.Helper()
	if action, _ := p.form(); p.status != status || p.location != nil || p.next() != "" || action != "" || !strings.HasPrefix(p.header.Get("Content-Type"), "text/html") {
		w.t.Errorf("%s: %d, Location %v: %s; want a page, %d", what, p.status, p.location, p.body, status)
	}
}

// The confused deputy: Entra has signed the user in for the shared app and asks nothing, so that a
// link of a stranger would get a code without a word if the proxy did not ask.
func TestThreatConfusedDeputy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	victim := w.browser(w.alice)
	victim.signIn(request()) // Entra's session, and consent for the shared app
	link := request("client_id="+w.stranger("Desk", evil), "redirect_uri="+evil)
	page := victim.authorize(link)
	w.asked("a stranger's link", page, "evil.example")
	for _, scope := range w.opts.Scopes { // whatever was asked, this is what it would get
		if name := scope[strings.LastIndexByte(scope, '/')+1:]; !strings.Contains(page.body, name) {
			t.Errorf("the page does not list %s: %s", name, page.body)
		}
	}
	link.Set("prompt", "none")
	w.refused("a stranger's silent link", victim.authorize(link), http.StatusBadRequest)
}

// Consent is for one client, at one redirect.
func TestThreatConsentBypass(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	victim := w.browser(w.alice)
	const good = "https://good.example/callback"
	id := w.stranger("Good", good, good+"2")
	approved := request("client_id="+id, "redirect_uri="+good)
	victim.signIn(approved)
	if p := victim.authorize(approved); p.status != http.StatusFound {
		t.Fatalf("the approved client: %d, want 302 to Entra", p.status)
	}
	w.asked("another redirect of the same client", victim.authorize(request("client_id="+id, "redirect_uri="+good+"2")), "good.example")
	w.asked("another client with the same name and redirect", victim.authorize(request("client_id="+w.stranger("Good", good), "redirect_uri="+good)), "good.example")
	w.asked("the same client in another browser", w.browser(w.alice).authorize(approved), "good.example")
	approved.Set("prompt", "consent")
	w.asked("the same client, with prompt=consent", victim.authorize(approved), "good.example")
	approved.Del("prompt")
	fewer := *w.opts
	fewer.Scopes = fewer.Scopes[:1]
	w.handler = w.replica(&fewer, testKey)
	w.asked("the same client, with another list of scopes", victim.authorize(approved), "good.example")
	w.handler = w.proxy
	w.clock.advance(31 * 24 * time.Hour)
	w.asked("the same client after 31 days", victim.authorize(approved), "good.example")
}

// Any program on the computer can wait at a loopback redirect, so approval is for once.
func TestThreatLoopbackImpersonation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	for _, redirect := range []string{"http://127.0.0.1:8123/callback", "http://localhost:8123/callback", "http://[::1]:8123/callback"} {
		b := w.browser(w.alice)
		q := request("client_id="+w.stranger("Tool", redirect), "redirect_uri="+redirect)
		b.signIn(q)
		w.asked("the second time at "+redirect, b.authorize(q), "")
	}
	b := w.browser(w.alice)
	q := request("redirect_uri=http://127.0.0.1:1/callback") // a configured client, another port
	b.signIn(q)
	w.asked("a configured client at a loopback redirect", b.authorize(q), "")
}

// Consent is remembered by browser and not by user: the second user of a browser is not asked, but
// signs in by themselves.
func TestThreatConsentByBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	b := w.browser(w.alice)
	b.signIn(request())
	bob := w.tenant.AddUser("bob@contoso.com", "Bob")
	b.entra = w.tenant.Browser(bob)
	p := b.authorize(request())
	if p.status != http.StatusFound {
		t.Fatalf("the second user: %d, want 302 to Entra: docs/authproxy.md says that consent is by browser", p.status)
	}
	back := b.signInAtEntra(p.location.String())
	form := url.Values{"grant_type": {"authorization_code"}, "client_id": {clientID}, "code": {back.location.Query().Get("code")}, "code_verifier": {verifier}}
	got := w.good("code", w.post("/token", form, nil))
	caller, err := w.verifier.Verify(t.Context(), got.get("access_token"))
	if err != nil || caller.ObjectID() != bob.ObjectID {
		t.Errorf("Verify = %v, %v; want Bob's token", caller, err)
	}
}

// A state without approval opens nothing: the request's cookie is there before the user decides.
func TestThreatCallbackBeforeApproval(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	b := w.browser(w.alice)
	page := b.authorize(request())
	states := w.states(page)
	if len(states) != 1 {
		t.Fatalf("the consent page sets transactions %v, want one", states)
	}
	p := b.get(w.proxy.Issuer() + "/oauth/callback?code=stolen&state=" + states[0])
	w.refused("a callback before approval", p, http.StatusBadRequest)
	denied := b.decide(page, "deny")
	if to, err := url.Parse(denied.next()); err != nil || to.Query().Get("error") != "access_denied" || to.Query().Has("code") {
		t.Errorf("Deny leads to %q, %v; want the client with access_denied", denied.next(), err)
	}
	p = b.get(w.proxy.Issuer() + "/oauth/callback?code=stolen&state=" + states[0])
	w.refused("a callback after Deny", p, http.StatusBadRequest)
	w.refused("the form once more after Deny", b.decide(page, "approve"), http.StatusBadRequest)
}

// states returns the IDs of the transactions that the answer puts into cookies: their names end in
// them.
func (w *world) states(p *page) (states []string) {
	w.t.Helper()
	for _, c := range (&http.Response{Header: p.header}).Cookies() {
		if strings.Contains(c.Name, "signin-") && c.MaxAge > 0 {
			states = append(states, c.Name[max(0, len(c.Name)-22):]) // 128 bits as base64url
		}
	}
	return states
}

// Login CSRF: the victim's browser gets the attacker's answer of Entra, or a form that the
// attacker's browser got.
func TestThreatLoginCSRF(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	mallory := w.browser(w.tenant.AddUser("mallory@contoso.com", "Mallory"))
	toEntra := mallory.decide(mallory.authorize(request()), "approve").next()
	back, err := mallory.entra.Open(t.Context(), toEntra)
	if err != nil {
		t.Fatal(err)
	}
	victim := w.browser(w.alice)
	w.refused("the attacker's answer in a fresh browser", victim.get(back.String()), http.StatusBadRequest)
	victim.decide(victim.authorize(request()), "approve")
	w.refused("the attacker's answer in a browser that is signing in", victim.get(back.String()), http.StatusBadRequest)

	action, fields := mallory.authorize(request("client_id="+w.stranger("Evil", evil), "redirect_uri="+evil)).form()
	fields.Set("decision", "approve")
	w.refused("the attacker's form, sent by the victim's browser", victim.do(http.MethodPost, action, fields), http.StatusForbidden)
	for _, h := range []http.Header{
		{"Origin": {"https://evil.example"}}, {"Origin": {"null"}}, {"Origin": {w.proxy.Issuer(), "https://evil.example"}},
		{"Origin": {w.proxy.Issuer() + ".evil.example"}}, {"Sec-Fetch-Site": {"cross-site"}}, {"Sec-Fetch-Site": {"same-site"}}, {"Sec-Fetch-Site": {"none"}},
	} {
		page := victim.authorize(request("client_id="+w.stranger("Evil", evil), "redirect_uri="+evil))
		victim.header = h
		w.refused("the victim's own form, sent by a page elsewhere", victim.decide(page, "approve"), http.StatusForbidden)
		victim.header = http.Header{}
	}
}

// Replay: what was used once in a browser is good for nothing.
func TestThreatReplayInBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	b := w.browser(w.alice)
	page := b.authorize(request())
	first, second := b.decide(page, "approve").next(), b.decide(page, "approve").next()
	if first == "" || first != second {
		t.Errorf("two approvals lead to %q and %q, want one answer", first, second)
	}
	back, err := b.entra.Open(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	if p := b.get(back.String()); p.location == nil || p.location.Query().Get("code") == "" {
		t.Fatalf("the callback: %d, Location %v; want a code", p.status, p.location)
	}
	w.refused("the callback once more", b.get(back.String()), http.StatusBadRequest)
	w.refused("the form once more", b.decide(page, "approve"), http.StatusBadRequest)

	page = b.authorize(request("prompt=consent"))
	w.clock.advance(11 * time.Minute)
	w.refused("a form of 11 minutes ago", b.decide(page, "approve"), http.StatusBadRequest)
}
