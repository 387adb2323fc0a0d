package authproxy_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy"
)

// held returns the browser's cookies for the proxy by the first part of their names, and their
// size in a request's header.
func (b *browser) held() (transactions, others []*http.Cookie, size int) {
	b.t.Helper()
	u, err := url.Parse(b.server.URL)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range b.client.Jar.Cookies(u) {
		size += len(c.Name) + len(c.Value) + len("=; ")
		if strings.Contains(c.Name, "signin-") {
			transactions = append(transactions, c)
		} else {
			others = append(others, c)
		}
	}
	return transactions, others, size
}

func TestCookieAttributes(t *testing.T) {
	t.Parallel()
	for _, plain := range []bool{false, true} {
		w := newWorld(t, setup{plain: plain})
		b := w.browser(w.alice)
		page := b.authorize(request())
		set := append(page.header.Values("Set-Cookie"), b.decide(page, "approve").header.Values("Set-Cookie")...)
		if len(set) != 4 {
			t.Errorf("the proxy sets %q, want 4 cookies", set)
		}
		for _, line := range set {
			c, err := http.ParseSetCookie(line)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(c.Name, "__Host-") == plain || c.Secure == plain || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge <= 0 {
				t.Errorf("http %t: Set-Cookie: %s; want __Host- and Secure (not on http), HttpOnly, SameSite=Lax, Path=/, Max-Age", plain, line)
			}
		}
	}
}

// All ports of a loopback host share cookies.
func TestLoopbackIssuersKeepApart(t *testing.T) {
	t.Parallel()
	one, two := newWorld(t, setup{plain: true}), newWorld(t, setup{plain: true})
	b := one.browser(one.alice)
	page := b.authorize(request())
	other := two.browser(two.alice)
	other.client.Jar = b.client.Jar
	other.authorize(request())
	if p := b.decide(page, "approve"); p.next() == "" {
		t.Errorf("status %d: the sign-in at another port ends this one", p.status)
	}
}

func TestTransactionCookies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	b := w.browser(w.alice)
	var pages []*page
	for range 6 {
		pages = append(pages, b.authorize(request()))
		w.clock.advance(time.Second)
	}
	if got, _, _ := b.held(); len(got) != 5 {
		t.Errorf("the browser has %d transactions, want 5", len(got))
	}
	for i, page := range pages {
		want := i > 0 // the oldest went
		if p := b.decide(page, "approve"); (p.next() != "") != want {
			t.Errorf("sign-in %d goes on: %t, want %t", i, p.next() != "", want)
		}
	}
}

func TestCookieSizes(t *testing.T) {
	t.Parallel()
	long := "https://client.example/" + strings.Repeat("p", 512-len("https://client.example/"))
	resourceURL := "https://mcp.example.com/" + strings.Repeat("r", 1400)
	w := newWorld(t, setup{options: func(_ *world, o *authproxy.Options) {
		for i := range 100 {
			redirect := fmt.Sprintf("https://client%d.example/", i)
			o.Clients = append(o.Clients, authproxy.Client{ID: fmt.Sprintf("client-%d", i), Redirects: []string{redirect, long}})
		}
		o.Resources = []string{resource, resourceURL}
	}})
	b := w.browser(w.alice)
	state := "state=" + strings.Repeat("ü", 512)
	for i := range 100 { // and none of them ends
		b.decide(b.authorize(request(fmt.Sprintf("client_id=client-%d", i), fmt.Sprintf("redirect_uri=https://client%d.example/", i), state)), "approve")
		_, others, size := b.held()
		if size > 6000 {
			t.Fatalf("after %d sign-ins the cookies have %d bytes, want at most 6000", i+1, size)
		}
		for _, c := range others {
			if n := len(c.Name) + 1 + len(c.Value); n > 2000 {
				t.Fatalf("the cookie %s has %d bytes, want at most 2000", c.Name, n)
			}
		}
	}
	if got := w.outcome(b.authorize(request("client_id=client-99", "redirect_uri=https://client99.example/"))); got != "entra" {
		t.Errorf("the newest approval: %s, want remembered", got)
	}
	if got := w.outcome(b.authorize(request("client_id=client-0", "redirect_uri=https://client0.example/"))); got != "consent" {
		t.Errorf("the oldest approval of 100: %s, want forgotten", got)
	}
	p := b.authorize(request("client_id=client-1", "redirect_uri="+long, state))
	if got := w.outcome(p); got != "consent" {
		t.Errorf("redirect and state of full length: %s, want consent", got)
	}
	for _, line := range p.header.Values("Set-Cookie") {
		if pair, _, _ := strings.Cut(line, ";"); len(pair) > 3800 {
			t.Errorf("a cookie has %d bytes, want at most 3800", len(pair))
		}
	}
	if got := w.outcome(b.authorize(request("client_id=client-1", "redirect_uri="+long, state, "resource="+resourceURL))); got != "invalid_request" {
		t.Errorf("a request that needs a cookie over 3800 bytes: %s, want invalid_request", got)
	}
}

// Cookies with our names that others have set, before ours and in any number, change nothing.
func TestForeignCookies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{plain: true}) // every port of the host can set them
	for name, toss := range map[string]func(signin, consent, form string) []string{
		"junk": func(signin, consent, form string) []string {
			return []string{form + "=junk", consent + "=junk", signin + "=junk", consent + "=" + strings.Repeat("A", 20_000)}
		},
		"many": func(signin, _, _ string) (all []string) {
			for i := range 150 {
				all = append(all, fmt.Sprintf("%s%022d=x", signin[:len(signin)-22], i))
			}
			return all
		},
	} {
		b := w.browser(w.alice)
		first := b.authorize(request("redirect_uri=" + clientBack))
		signIns, others, _ := b.held()
		form := others[0].Name
		b.header.Set("Cookie", strings.Join(toss(signIns[0].Name, strings.Replace(form, "form-", "consent-", 1), form), "; "))
		for i, page := range []*page{first, b.authorize(request())} {
			size := 0
			for _, line := range page.header.Values("Set-Cookie") {
				size += len("Set-Cookie: \r\n") + len(line)
			}
			if size > 6000 {
				t.Errorf("%s, page %d: the cookies of the answer have %d bytes, want at most 6000", name, i, size)
			}
			p := b.decide(page, "approve")
			if p.next() == "" || b.signInAtEntra(p.next()).location == nil {
				t.Errorf("%s, page %d: the sign-in does not end at the client: %d", name, i, p.status)
			}
		}
		if got := w.outcome(b.authorize(request())); got != "entra" {
			t.Errorf("%s: after an approval: %s, want entra", name, got)
		}
	}
}

// Cookies and forms end at the proxy that sealed them.
func TestSealedForAnotherProxy(t *testing.T) {
	t.Parallel()
	one, two := newWorld(t, setup{}), newWorld(t, setup{})
	b := one.browser(one.alice)
	_, fields := b.authorize(request()).form()
	fields.Set("decision", "approve")
	b.authorize(request())
	other := two.browser(two.alice)
	action, _ := other.authorize(request()).form()
	if p := other.do(http.MethodPost, action, fields); p.status != http.StatusForbidden {
		t.Errorf("another issuer's form with the same key: status %d, want 403", p.status)
	}
}
