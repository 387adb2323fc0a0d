package authproxy_test

import (
	"crypto/sha256"
	"encoding/base64"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// Redirect tricks: none of these is the registered redirect, though some program may take one for
// it. They are percent-encoded as a whole in the request, as a client would.
func TestThreatRedirectTricks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	const good = "https://app.example/oauth/callback"
	id := w.stranger("App", good, "http://127.0.0.1:8080/cb", "http://localhost/cb")
	b := w.browser(w.alice)
	w.asked("the registered redirect", b.authorize(request("client_id="+id, "redirect_uri="+good)), "app.example")
	w.asked("another port on loopback", b.authorize(request("client_id="+id, "redirect_uri=http://127.0.0.1:9/cb")), "")
	for _, trick := range []string{
		// Where it ends.
		good + "/", good + "?", good + "?x=1", good + "#", good + "#x", good + "%23", good + "%00", good + " ", good + "\t", good + "%0d%0aLocation:%20https://evil.example",
		// Spellings.
		"HTTPS://app.example/oauth/callback", "https://APP.example/oauth/callback", "https://app.example:443/oauth/callback", "https://app.example./oauth/callback",
		"https://app.example/oauth/%63allback", "https://app.example/oauth%2Fcallback", "https://app.example/oauth%5Ccallback", "https://app.example//oauth/callback",
		"https://app.example/./oauth/callback", "https://app.example/x/../oauth/callback", "https://app.example/%2e%2e/oauth/callback", "https://app.example/oauth/callback/..",
		`https://app.example\oauth\callback`, "https:/app.example/oauth/callback", "https:app.example/oauth/callback", "//app.example/oauth/callback", "/oauth/callback",
		// Hosts.
		"https://evil.example/oauth/callback", "https://app.example.evil.example/oauth/callback", "https://app.example@evil.example/oauth/callback",
		"https://evil.example@app.example/oauth/callback", `https://evil.example\@app.example/oauth/callback`, "https://app.example:pw@app.example/oauth/callback",
		"https://evil.example#@app.example/oauth/callback", "https://evil.example/?https://app.example/oauth/callback", "https://app.example%2eevil.example/oauth/callback",
		"https://app。example/oauth/callback", "https://аpp.example/oauth/callback", "https://app.example／oauth/callback", "https://app.exam\u200bple/oauth/callback", "https://app.exampⅼe/oauth/callback",
		// Ports and schemes.
		"https://app.example:8443/oauth/callback", "https://app.example:/oauth/callback", "https://app.example:0/oauth/callback", "http://app.example/oauth/callback",
		"javascript:alert(1)//https://app.example/oauth/callback", "data:text/html,x", "cursor://anysphere.cursor-mcp/oauth/callback",
		// Loopback: the port floats, and nothing else.
		"http://127.0.0.1:0/cb", "http://127.0.0.1:08080/cb", "http://127.0.0.1:65536/cb", "http://127.0.0.1:8080:9/cb", "http://127.0.0.1:/cb", "http://127.0.0.1:8080@evil.example/cb",
		"http://127.0.0.1.evil.example/cb", "http://127.0.0.1:8080.evil.example/cb", "http://127.1/cb", "http://2130706433/cb", "http://0x7f.0.0.1/cb", "http://127.0.0.2:8080/cb", "http://[::1]:8080/cb",
		"http://[::ffff:127.0.0.1]/cb", "http://0.0.0.0:8080/cb", "https://127.0.0.1:8080/cb", "http://127.0.0.1:8080/cb/", "http://127.0.0.1:8080/cb?x", "http://127.0.0.1:8080//cb",
		"http://localhost.:8080/cb", "http://LOCALHOST:8080/cb", "http://localhost.evil.example/cb", "http://localhost:8080/CB", "http://localhost:8080/cb#",
		"http://127.0.0.1:" + strings.Repeat("8", 600) + "/cb", "",
	} {
		q := request("client_id=" + id)
		q.Set("redirect_uri", trick)
		w.refused(trick, b.authorize(q), http.StatusBadRequest)
	}
	twice := request("client_id="+id, "redirect_uri="+good)
	twice.Add("redirect_uri", evil)
	w.refused("two redirects", b.authorize(twice), http.StatusBadRequest)
}

// Open redirector: whoever registers a redirect can't make this server send people there, by errors,
// by silence, or by a request that nobody approved (RFC 9700, section 4.11.2).
func TestThreatOpenRedirector(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	id := w.stranger("Evil", evil)
	b := w.browser(w.alice)
	for _, change := range []string{
		"response_type=token", "response_type=", "code_challenge=", "code_challenge_method=plain", "scope=\"", "resource=https://evil.example/", "prompt=none", "prompt=none login",
		"state=" + strings.Repeat("s", 1025), "claims=x", "login_hint=" + strings.Repeat("h", 1500), "response_mode=fragment", "max_age=x",
	} {
		p := b.authorize(request("client_id="+id, "redirect_uri="+evil, change))
		if change == `scope="` { // foreign scopes are dropped
			w.asked(change, p, "evil.example")
			continue
		}
		w.refused(change, p, http.StatusBadRequest)
	}
	// Once the user has approved the client, it hears of errors.
	b.signIn(request("client_id="+id, "redirect_uri="+evil))
	p := b.authorize(request("client_id="+id, "redirect_uri="+evil, "response_type=token"))
	if p.status != http.StatusFound || p.location.Host != "evil.example" || p.location.Query().Get("error") != "unsupported_response_type" {
		t.Errorf("an error after approval: %d, Location %v; want 302 with unsupported_response_type", p.status, p.location)
	}
}

// Mix-up: each answer says who gives it, errors too, and the links of pages.
func TestThreatMixUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{path: "/auth"})
	b := w.browser(w.alice)
	id := w.stranger("Evil", evil)
	link := regexp.MustCompile(`href="(https://evil\.example/callback[^"]*)"`).FindStringSubmatch(b.authorize(request("client_id="+id, "redirect_uri="+evil, "code_challenge=")).body)
	if link == nil {
		t.Fatal("the page of an error has no link to the client")
	}
	errorPage, err := url.Parse(html.UnescapeString(link[1]))
	if err != nil {
		t.Fatal(err)
	}
	denied, err := url.Parse(b.decide(b.authorize(request()), "deny").next())
	if err != nil {
		t.Fatal(err)
	}
	for what, to := range map[string]*url.URL{
		"success": b.signIn(request()), "an error": b.authorize(request("response_type=token")).location,
		"silence": w.browser(w.alice).authorize(request("prompt=none")).location, "Deny": denied, "the link of a page": errorPage,
	} {
		if q := to.Query(); len(q["iss"]) != 1 || q.Get("iss") != w.proxy.Issuer() || q.Get("state") != "st/at e" || q.Has("code") == q.Has("error") {
			t.Errorf("%s: %s; want iss %s once, the state, and a code or an error", what, to, w.proxy.Issuer())
		}
	}
}

// PKCE downgrade: no client does without, and none gets by with a weaker method.
func TestThreatPKCEDowngrade(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	b := w.browser(w.alice)
	for _, changes := range [][]string{
		{"code_challenge="}, {"code_challenge_method="}, {"code_challenge=", "code_challenge_method="}, {"code_challenge_method=plain"}, {"code_challenge_method=s256"}, {"code_challenge_method=S512"},
		{"code_challenge=" + verifier}, {"code_challenge=x"}, {"code_challenge=" + strings.Repeat("A", 44)}, {"code_challenge=" + strings.Repeat("A", 42) + "="}, {"code_challenge=" + strings.Repeat("A", 42) + "B"},
		{"code_challenge=" + strings.Repeat("+", 43)},
	} {
		p := b.authorize(request(changes...))
		if p.status != http.StatusFound || p.location.Query().Get("error") != "invalid_request" || p.location.Query().Has("code") {
			t.Errorf("%v: %d, Location %v; want invalid_request", changes, p.status, p.location)
		}
	}
	// A verifier that could be guessed is refused, though it fits (RFC 7636, section 4.1).
	for _, weak := range []string{"x", strings.Repeat("a", 42), strings.Repeat("a", 129), strings.Repeat("a", 42) + "+", strings.Repeat("a", 42) + " "} {
		sum := sha256.Sum256([]byte(weak))
		form := w.codeForm("code_challenge=" + base64.RawURLEncoding.EncodeToString(sum[:]))
		form.Set("code_verifier", weak)
		w.bad("verifier "+weak, w.post("/token", form, nil), http.StatusBadRequest, "invalid_grant")
	}
	// The proxy's own exchange with Entra has a verifier that is not the client's.
	to, err := url.Parse(b.decide(b.authorize(request()), "approve").next())
	if err != nil || to.Query().Get("code_challenge_method") != "S256" || to.Query().Get("code_challenge") == request().Get("code_challenge") || to.Query().Get("code_challenge") == "" {
		t.Errorf("Entra gets %v, %v; want a challenge of our own", to, err)
	}
}

// Clickjacking, tossed cookies and what else browsers keep: headers of all that people see.
func TestThreatPagesAndCookies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	b := w.browser(w.alice)
	consent := b.authorize(request())
	for what, p := range map[string]*page{
		"consent": consent, "approved": b.decide(consent, "approve"), "error": b.authorize(request("client_id=nobody")), "callback": b.get(w.proxy.Issuer() + "/oauth/callback?code=x&state=y"),
		"method": b.do(http.MethodPost, w.proxy.AuthorizationEndpoint(), url.Values{}), "foreign": b.do(http.MethodPost, w.proxy.Issuer()+"/consent", url.Values{}),
	} {
		csp := p.header.Get("Content-Security-Policy")
		for _, directive := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
			if !strings.Contains(csp, directive) {
				t.Errorf("%s: Content-Security-Policy %q, want %s", what, csp, directive)
			}
		}
		for name, want := range map[string]string{"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-store"} {
			if got := p.header.Get(name); got != want {
				t.Errorf("%s: %s %q, want %q", what, name, got, want)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(strings.ToLower(p.body), "<script") || p.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: a script, an unsafe policy or CORS: %v\n%s", what, p.header, p.body)
		}
		for _, c := range (&http.Response{Header: p.header}).Cookies() {
			if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || len(c.Name)+len(c.Value) > 3800 {
				t.Errorf("%s: cookie %s, want __Host-, Secure, HttpOnly, SameSite=Lax, at most 3,800 bytes", what, c)
			}
		}
	}
}
