package authproxy_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy"
)

func TestConsentShowsAllScopes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	p := w.browser(w.alice).authorize(request("scope=Files.Read"))
	for _, want := range []string{"Desk", "client.example", "Contoso files", "access_as_user", "Files.Read"} {
		if !strings.Contains(p.body, want) {
			t.Errorf("the page lacks %q:\n%s", want, p.body)
		}
	}
}

func TestDeny(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	b := w.browser(w.alice)
	page := b.authorize(request())
	p := b.decide(page, "deny")
	u, err := url.Parse(p.next())
	if err != nil {
		t.Fatal(err)
	}
	if q := u.Query(); p.status != http.StatusOK || !strings.HasPrefix(p.next(), clientBack+"&") || q.Get("error") != "access_denied" ||
		q.Get("iss") != w.proxy.Issuer() || q.Get("state") != "st/at e" {
		t.Errorf("deny answers %d and leads to %q, want the client with access_denied, iss and state", p.status, p.next())
	}
	for _, decision := range []string{"approve", "deny"} {
		if again := b.decide(page, decision); again.status != http.StatusBadRequest || again.next() != "" {
			t.Errorf("%s after deny answers %d and leads to %q, want a page", decision, again.status, again.next())
		}
	}
	if got := w.outcome(b.authorize(request())); got != "consent" {
		t.Errorf("after deny: %s, want the consent page again", got)
	}
}

// Whoever denies a client that nobody vouches for is not sent to it: that could be its purpose.
func TestDenyStrangers(t *testing.T) {
	t.Parallel()
	const stranger, preset = "https://stranger.example/callback", "https://claude.ai/api/mcp/auth_callback"
	w := newWorld(t, setup{options: func(_ *world, o *authproxy.Options) {
		o.PrivateSchemes = []string{authproxy.CursorRedirect}
	}})
	for _, row := range []struct {
		name, redirect string
		approved, sent bool
	}{
		{"a stranger", stranger, false, false},
		{"a stranger, approved before", stranger, true, true},
		{"a preset", preset, false, true},
		{"loopback", loopback, false, true},
		{"private scheme", authproxy.CursorRedirect, false, true},
	} {
		b := w.browser(w.alice)
		q := request("client_id="+w.register(t, row.redirect), "redirect_uri="+row.redirect)
		if row.approved {
			b.decide(b.authorize(q), "approve")
			q.Set("prompt", "consent")
		}
		page := b.authorize(q)
		p := b.decide(page, "deny")
		if p.status != http.StatusOK || p.location != nil || (p.next() != "") != row.sent {
			t.Errorf("%s: Deny answers %d and leads to %q, want 200, and to the client by itself: %t", row.name, p.status, p.next(), row.sent)
		}
		link := strings.ReplaceAll(p.body, "&amp;", "&")
		for _, part := range []string{`href="` + row.redirect + "?error=access_denied", "state=st%2Fat%20e", "iss=" + url.QueryEscape(w.proxy.Issuer())} {
			if !strings.Contains(link, part) {
				t.Errorf("%s: the page lacks %s:\n%s", row.name, part, p.body)
			}
		}
		if again := b.decide(page, "approve"); again.status != http.StatusBadRequest {
			t.Errorf("%s: approving after Deny answers %d, want 400", row.name, again.status)
		}
	}
}

func TestApproveTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	b := w.browser(w.alice)
	page := b.authorize(request())
	first, second := b.decide(page, "approve"), b.decide(page, "approve")
	if first.status != http.StatusOK || first.next() == "" || first.next() != second.next() {
		t.Fatalf("approving twice leads to %q (%d) and %q (%d), want the same address", first.next(), first.status, second.next(), second.status)
	}
	if b.signInAtEntra(second.next()).location == nil {
		t.Error("the sign-in does not end at the client")
	}
	if third := b.decide(page, "approve"); third.status != http.StatusBadRequest || third.next() != "" {
		t.Errorf("approving after the sign-in's end answers %d and leads to %q, want a page", third.status, third.next())
	}
}

// A form that is not this browser's own, and recent, is refused by a page: never by a redirect.
func TestForeignForms(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	origin := w.server.URL
	for _, row := range []struct {
		name   string
		header http.Header
		change func(b *browser, fields url.Values)
		want   int
	}{
		{"own page", http.Header{"Origin": {origin}}, nil, 200},
		{"no Origin", nil, nil, 200},
		{"no Origin, same-origin", http.Header{"Sec-Fetch-Site": {"same-origin"}}, nil, 200},
		{"Origin null", http.Header{"Origin": {"null"}}, nil, 403},
		{"foreign Origin", http.Header{"Origin": {"https://evil.example"}}, nil, 403},
		{"another port", http.Header{"Origin": {origin + "0"}}, nil, 403},
		{"two Origins", http.Header{"Origin": {origin, origin}}, nil, 403},
		{"foreign Origin, same-origin", http.Header{"Origin": {"https://evil.example"}, "Sec-Fetch-Site": {"same-origin"}}, nil, 403},
		{"cross-site", http.Header{"Sec-Fetch-Site": {"cross-site"}}, nil, 403},
		{"same-site", http.Header{"Sec-Fetch-Site": {"same-site"}}, nil, 403},
		{"opened by the user", http.Header{"Sec-Fetch-Site": {"none"}}, nil, 403},
		{"no form", nil, func(_ *browser, f url.Values) { f.Del("form") }, 403},
		{"changed form", nil, func(_ *browser, f url.Values) { f.Set("form", f.Get("form")[:80]+"AAAA"+f.Get("form")[84:]) }, 403},
		{"form of another browser", nil, func(_ *browser, f url.Values) {
			_, fields := w.browser(w.alice).authorize(request()).form()
			f.Set("form", fields.Get("form"))
		}, 403},
		{"no decision", nil, func(_ *browser, f url.Values) { f.Del("decision") }, 400},
		{"other decision", nil, func(_ *browser, f url.Values) { f.Set("decision", "maybe") }, 400},
		{"two decisions", nil, func(_ *browser, f url.Values) { f.Add("decision", "deny") }, 400},
		{"too large", nil, func(_ *browser, f url.Values) { f.Set("x", strings.Repeat("x", 64<<10)) }, 413},
		{"another form's sign-in", nil, func(b *browser, f url.Values) { // the browser has both
			_, fields := b.authorize(request()).form()
			f.Set("form", fields.Get("form"))
		}, 200},
		{"cookies are off", nil, func(b *browser, _ url.Values) { b.client.Jar = nil }, 400},
	} {
		b := w.browser(w.alice)
		action, fields := b.authorize(request()).form()
		fields.Set("decision", "approve")
		b.header = row.header
		if row.change != nil {
			row.change(b, fields)
		}
		p := b.do(http.MethodPost, action, fields)
		if p.status != row.want || p.location != nil || (p.next() != "") != (row.want == 200) {
			t.Errorf("%s: status %d, leads to %q; want %d", row.name, p.status, p.next(), row.want)
		}
	}
	b := w.browser(w.alice)
	page := b.authorize(request())
	w.clock.advance(10 * time.Minute)
	if p := b.decide(page, "approve"); p.status != http.StatusBadRequest || p.next() != "" {
		t.Errorf("after 10 minutes: status %d, leads to %q; want a page", p.status, p.next())
	}
}

func TestRememberedConsent(t *testing.T) {
	t.Parallel()
	const stranger, other = "https://stranger.example/callback", "https://stranger.example/other"
	day := 24 * time.Hour
	for _, row := range []struct {
		name     string
		redirect string
		remember time.Duration
		scopes   []string // of the proxy, later
		after    time.Duration
		later    []string // changes of the later request
		want     string
	}{
		{name: "at once", want: "entra"},
		{name: "after 29 days", after: 29 * day, want: "entra"},
		{name: "after 30 days", after: 30 * day, want: "consent"},
		{name: "an hour", remember: time.Hour, after: time.Hour, want: "consent"},
		{name: "never", remember: -1, want: "consent"},
		{name: "prompt=none", later: []string{"prompt=none"}, want: "entra"},
		{name: "prompt=consent", later: []string{"prompt=consent"}, want: "consent"},
		{name: "another scope of ours", later: []string{"scope=Files.Read"}, want: "entra"},
		{name: "loopback", redirect: loopback, want: "consent"},
		{name: "loopback, https", redirect: "https://localhost/callback", want: "consent"},
		{name: "private scheme", redirect: authproxy.CursorRedirect, want: "consent"},
		{name: "a page that hands the answer on", redirect: "https://vscode.dev/redirect", want: "consent"},
		{name: "the same with a query", redirect: "https://vscode.dev/redirect?a=1", want: "consent"},
		{name: "the same in capitals", redirect: "https://VSCODE.dev/redirect", want: "consent"},
		{name: "another redirect", later: []string{"redirect_uri=" + other}, want: "consent"},
		{name: "another client", later: []string{"client_id=other"}, want: "consent"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if row.redirect == "" {
				row.redirect = stranger
			}
			w := newWorld(t, setup{options: func(_ *world, o *authproxy.Options) {
				o.RememberConsent, o.PrivateSchemes = row.remember, []string{authproxy.CursorRedirect}
				redirects := []string{stranger, other, loopback, "https://localhost/callback", authproxy.CursorRedirect, "https://vscode.dev/redirect", "https://vscode.dev/redirect?a=1", "https://VSCODE.dev/redirect"}
				o.Clients = []authproxy.Client{{ID: clientID, Redirects: redirects}, {ID: "other", Redirects: redirects}}
			}})
			b := w.browser(w.alice)
			page := b.authorize(request("redirect_uri=" + row.redirect))
			b.decide(page, "approve")
			w.clock.advance(row.after)
			if got := w.outcome(b.authorize(request(append([]string{"redirect_uri=" + row.redirect}, row.later...)...))); got != row.want {
				t.Errorf("%s, want %s", got, row.want)
			}
			if got := w.outcome(w.browser(w.alice).authorize(request("redirect_uri=" + row.redirect))); got != "consent" {
				t.Errorf("in another browser: %s, want consent", got)
			}
		})
	}
}

// Whoever changes their mind is asked again.
func TestDenyForgets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	b := w.browser(w.alice)
	b.decide(b.authorize(request()), "approve")
	b.decide(b.authorize(request("prompt=consent")), "deny")
	if got := w.outcome(b.authorize(request())); got != "consent" {
		t.Errorf("after deny: %s, want consent", got)
	}
}
