package authproxy_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy"
)

// approve takes a new sign-in as far as Entra, and returns the state towards Entra.
func (b *browser) approve() string {
	b.t.Helper()
	u, err := url.Parse(b.decide(b.authorize(request("prompt=consent")), "approve").next())
	if err != nil {
		b.t.Fatal(err)
	}
	return u.Query().Get("state")
}

func TestCallback(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	const correlation = "12345678-1234-1234-1234-123456789ABC"
	text := func(code string) string {
		return "error_description=" + url.QueryEscape(code+": User alice@contoso.com did something. Trace ID: x Correlation ID: "+correlation+" Timestamp: 2026-11-29")
	}
	for _, row := range []struct {
		name, query string // STATE is the sign-in's
		want        string // of outcome; "" for a code
		description string
	}{
		{"a code", "code=code-of-entra&state=STATE&session_state=x", "", ""},
		{"no state", "code=code-of-entra", "400 page", ""},
		{"unknown state", "code=code-of-entra&state=AAAAAAAAAAAAAAAAAAAAAA", "400 page", ""},
		{"another form of state", "code=code-of-entra&state=x", "400 page", ""},
		{"state twice", "code=code-of-entra&state=STATE&state=STATE", "400 page", ""},
		{"code twice", "code=code-of-entra&code=code-of-entra&state=STATE", "400 page", ""},
		{"code and error", "code=code-of-entra&error=access_denied&state=STATE", "400 page", ""},
		{"nothing", "state=STATE", "400 page", ""},
		{"a code of 1,800 characters", "code=1." + strings.Repeat("AbC-", 449) + "xx&state=STATE", "", ""},
		{"a code too long", "code=" + strings.Repeat("c", 2000) + "&state=STATE", "server_error", "too long"},
		{"access_denied", "error=access_denied&state=STATE&" + text("AADSTS65004"), "access_denied", "AADSTS65004"},
		{"login_required", "error=login_required&state=STATE&" + text("AADSTS50058"), "login_required", "AADSTS50058"},
		{"interaction_required", "error=interaction_required&state=STATE&" + text("AADSTS50076"), "interaction_required", "AADSTS50076"},
		{"consent_required", "error=consent_required&state=STATE&" + text("AADSTS65001"), "consent_required", "AADSTS65001"},
		{"server_error", "error=server_error&state=STATE&" + text("AADSTS90033"), "server_error", "AADSTS90033"},
		{"temporarily_unavailable", "error=temporarily_unavailable&state=STATE&" + text("AADSTS90033"), "temporarily_unavailable", "AADSTS90033"},
		{"the operator's fault", "error=invalid_client&state=STATE&" + text("AADSTS650053"), "server_error", "AADSTS650053"},
		{"an unknown error", "error=%22%0d%0aoh&state=STATE&error_description=alice@contoso.com", "server_error", "without a code"},
	} {
		b := w.browser(w.alice)
		state := b.approve()
		address := w.proxy.Issuer() + "/oauth/callback?" + strings.ReplaceAll(row.query, "STATE", state)
		p := b.get(address)
		if got := w.outcome(p); got != row.want {
			t.Errorf("%s: %s, want %q", row.name, got, row.want)
			continue
		}
		if p.location == nil {
			if held, _, _ := b.held(); len(held) != 1 {
				t.Errorf("%s: the browser has %d transactions, want 1: nothing came of it", row.name, len(held))
			}
			continue
		}
		q := p.location.Query()
		if !strings.HasPrefix(p.location.String(), clientBack+"&") || q.Get("iss") != w.proxy.Issuer() || q.Get("state") != "st/at e" || q.Has("code") != (row.want == "") {
			t.Errorf("%s: redirects to %s, want the client with iss and state", row.name, p.location)
		}
		if d := q.Get("error_description"); !strings.Contains(d, row.description) || strings.Contains(d, "alice") ||
			strings.Contains(row.query, "Correlation") != strings.Contains(d, strings.ToLower(correlation)) {
			t.Errorf("%s: description is %q, want the code %q and the correlation ID alone", row.name, d, row.description)
		}
		if held, _, _ := b.held(); len(held) != 0 {
			t.Errorf("%s: the browser has %d transactions, want none", row.name, len(held))
		}
		if again := b.get(address); again.status != http.StatusBadRequest || again.location != nil {
			t.Errorf("%s, once more: status %d, want a page", row.name, again.status)
		}
	}
	if log := w.logs.String(); !strings.Contains(log, "app="+w.app.ClientID+" scope=") || !strings.Contains(log, "remedy=") {
		t.Error("the log does not say which app and scopes Entra refuses, and what to do")
	}
	for _, secret := range []string{"alice@contoso.com", "code-of-entra"} {
		if strings.Contains(strings.ReplaceAll(w.logs.String(), strings.ToLower(correlation), ""), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}

// A callback is for the browser that began the sign-in, and whose user approved the client.
func TestCallbackOfAnotherBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	state := w.browser(w.alice).approve()
	if p := w.browser(w.alice).get(w.proxy.Issuer() + "/oauth/callback?code=code-of-entra&state=" + state); p.status != http.StatusBadRequest || p.location != nil {
		t.Errorf("another browser: status %d, want a page", p.status)
	}

	b := w.browser(w.alice)
	b.authorize(request()) // not approved
	held, _, _ := b.held()
	_, id, _ := strings.Cut(held[0].Name, "signin-")
	if p := b.get(w.proxy.Issuer() + "/oauth/callback?code=code-of-entra&state=" + id[len("12345678-"):]); p.status != http.StatusBadRequest || p.location != nil {
		t.Errorf("without approval: status %d, want a page", p.status)
	}

	b = w.browser(w.alice)
	state = b.approve()
	w.clock.advance(10 * time.Minute)
	if p := b.get(w.proxy.Issuer() + "/oauth/callback?code=code-of-entra&state=" + state); p.status != http.StatusBadRequest || p.location != nil {
		t.Errorf("after 10 minutes: status %d, want a page", p.status)
	}
}

// Two sign-ins of one browser don't mix.
func TestTwoSignInsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: func(_ *world, o *authproxy.Options) {
		o.Clients = append(o.Clients, authproxy.Client{ID: "other", Redirects: []string{"https://other.example/callback"}})
	}})
	b := w.browser(w.alice)
	one := b.authorize(request("state=one"))
	two := b.authorize(request("client_id=other", "redirect_uri=https://other.example/callback", "state=two"))
	toTwo, toOne := b.decide(two, "approve").next(), b.decide(one, "approve").next()
	if got := b.signInAtEntra(toOne).location; got == nil || got.Host != "client.example" || got.Query().Get("state") != "one" {
		t.Errorf("the first ends at %v, want its client", got)
	}
	if got := b.signInAtEntra(toTwo).location; got == nil || got.Host != "other.example" || got.Query().Get("state") != "two" {
		t.Errorf("the second ends at %v, want its client", got)
	}
}

// Entra's own refusals reach the client.
func TestDeclinedAtEntra(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	b := w.browser(w.alice)
	b.entra.Decline = true
	to := b.signIn(request())
	if q := to.Query(); q.Get("error") != "access_denied" || !strings.Contains(q.Get("error_description"), "AADSTS65004") || q.Get("iss") != w.proxy.Issuer() {
		t.Errorf("the client gets %v, want access_denied with AADSTS65004", q)
	}
}
