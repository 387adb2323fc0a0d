package authproxy_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/families"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// Code injection: a stolen code is worth nothing without the verifier, to another client, or at
// another redirect, and such tries take nothing from the victim.
func TestThreatCodeInjection(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	mallory := w.stranger("Evil", evil)
	form := w.codeForm()
	for _, try := range []struct {
		what, code string
		changes    []string
	}{
		{"without verifier", "invalid_request", []string{"code_verifier="}},
		{"another verifier", "invalid_grant", []string{"code_verifier=another-verifier-of-at-least-forty-three-chars"}},
		{"the challenge for the verifier", "invalid_grant", []string{"code_verifier=" + request().Get("code_challenge")}},
		{"another client", "invalid_grant", []string{"client_id=" + mallory}},
		{"another client at its redirect", "invalid_grant", []string{"client_id=" + mallory, "redirect_uri=" + evil}},
		{"another redirect", "invalid_grant", []string{"redirect_uri=" + loopback}},
		{"as a refresh token", "invalid_grant", []string{"grant_type=refresh_token", "refresh_token=" + form.Get("code")}},
	} {
		w.bad(try.what, w.post("/token", changed(form, try.changes...), nil), http.StatusBadRequest, try.code)
	}
	got := w.good("the victim", w.post("/token", form, nil))

	// The attacker's own code, in the victim's client: its verifier doesn't fit.
	injected := w.codeForm("code_challenge=" + strings.Repeat("A", 43))
	w.bad("an injected code", w.post("/token", injected, nil), http.StatusBadRequest, "invalid_grant")
	w.good("nothing was taken", w.refresh(got.get("refresh_token")))
}

// Stolen sealed values open only where they belong: each kind in the place of each other, and at
// another issuer, another tenant and another app with the same keys.
func TestThreatSealedValues(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	b := w.browser(w.alice)
	registered := w.stranger("App", "https://app.example/cb")
	page := b.authorize(request("client_id="+registered, "redirect_uri=https://app.example/cb"))
	_, fields := page.form()
	back := b.signIn(request("client_id="+registered, "redirect_uri=https://app.example/cb"))
	form := url.Values{"grant_type": {"authorization_code"}, "client_id": {registered}, "code": {back.Query().Get("code")}, "code_verifier": {verifier}}
	got := w.good("code", w.post("/token", form, nil))
	values := map[string]string{"registration": registered, "code": form.Get("code"), "refresh": got.get("refresh_token"), "access": got.get("access_token"), "form": fields.Get("form")}
	for _, c := range (&http.Response{Header: page.header}).Cookies() {
		values["cookie "+c.Name] = c.Value
	}
	if len(values) < 7 { // two cookies
		t.Fatalf("the values are %v, want two cookies among them", values)
	}
	for kind, value := range values {
		if kind != "registration" {
			w.refused(kind+" as client_id", b.authorize(request("client_id="+value, "redirect_uri=https://app.example/cb")), http.StatusBadRequest)
			r := w.post("/token", changed(refreshForm(got.get("refresh_token")), "client_id="+value), nil)
			w.bad(kind+" as client_id at /token", r, http.StatusUnauthorized, "invalid_client")
		}
		if kind != "code" {
			w.bad(kind+" as code", w.post("/token", changed(form, "code="+value), nil), http.StatusBadRequest, "invalid_grant")
		}
		if kind != "refresh" {
			w.bad(kind+" as refresh token", w.post("/token", changed(refreshForm(value), "client_id="+registered), nil), http.StatusBadRequest, "invalid_grant")
		}
		if kind != "form" {
			action, _ := page.form()
			w.refused(kind+" as form", b.do(http.MethodPost, action, url.Values{"form": {value}, "decision": {"approve"}}), http.StatusForbidden)
		}
	}
	r := w.good("the right place", w.post("/token", changed(refreshForm(got.get("refresh_token")), "client_id="+registered), nil))

	other := w.tenant.AddApp("Another app")
	for what, p := range map[string]*authproxy.Proxy{
		"another issuer": w.twin(w.proxy.Issuer()+"/other", w.tenant.ID(), w.app.ClientID), "another app": w.twin(w.proxy.Issuer(), w.tenant.ID(), other.ClientID),
	} {
		answer := httptest.NewRecorder()
		q := httptest.NewRequest(http.MethodPost, p.Issuer()+"/token", strings.NewReader(changed(refreshForm(r.get("refresh_token")), "client_id="+clientID).Encode()))
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		p.ServeHTTP(answer, q)
		if answer.Code != http.StatusBadRequest || !strings.Contains(answer.Body.String(), "invalid_grant") {
			t.Errorf("a refresh token at %s: %d %s, want invalid_grant", what, answer.Code, answer.Body)
		}
		answer = httptest.NewRecorder()
		p.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, p.AuthorizationEndpoint()+"?"+request("client_id="+registered, "redirect_uri=https://app.example/cb").Encode(), nil))
		if answer.Code != http.StatusBadRequest {
			t.Errorf("a registration at %s: %d, want 400", what, answer.Code)
		}
	}
}

// twin returns a proxy with the world's key and options.
func (w *world) twin(issuer, tenant, app string) *authproxy.Proxy {
	w.t.Helper()
	p, err := authproxy.New(issuer, tenant, app, clientauth.Secret(w.secret), [][]byte{testKey}, w.opts)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// Two replicas take turns at every request of whole flows: registration, metadata, authorize,
// consent, callback, code, refreshes, revocation. Both orders are walked.
func TestThreatAlternatingReplicas(t *testing.T) {
	t.Parallel()
	for first := range 2 {
		w := newReplicas(t)
		for range first {
			w.browser(w.alice).get(w.proxy.Issuer() + "/.well-known/oauth-authorization-server")
		}
		id := w.stranger("App", clientBack)
		b := w.browser(w.alice)
		for n := range 3 {
			back := b.signIn(request("client_id=" + id))
			form := url.Values{"grant_type": {"authorization_code"}, "client_id": {id}, "code": {back.Query().Get("code")}, "code_verifier": {verifier}}
			token := w.good("code", w.post("/token", form, nil)).get("refresh_token")
			for range 3 {
				w.clock.advance(15 * time.Second) // the code is good for a minute
				token = w.good("refresh", w.refresh(token, "client_id="+id)).get("refresh_token")
			}
			switch n {
			case 0:
				w.bad("the code once more, at the other", w.post("/token", form, nil), http.StatusBadRequest, "invalid_grant")
			case 1:
				if r := w.post("/revoke", url.Values{"client_id": {id}, "token": {token}}, nil); r.status != http.StatusOK {
					t.Errorf("revoke: %d %s, want 200", r.status, r.text)
				}
			default:
				continue
			}
			w.bad("a token of an ended family", w.refresh(token, "client_id="+id), http.StatusBadRequest, "invalid_grant")
		}
	}
}

// What memory forgets when another replica, or the same one after a restart, has seen nothing: the
// victim's newer token is never taken for reuse; a stolen older one works, which is the reason for
// a shared store.
func TestThreatForgetfulMemory(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	restart := func() { w.handler = w.replica(w.opts, testKey) }
	stolen := w.tokens().get("refresh_token")
	token := w.good("first", w.refresh(stolen)).get("refresh_token")
	token = w.good("second", w.refresh(token)).get("refresh_token")
	restart()
	w.clock.advance(time.Hour)
	token = w.good("a newer generation after a restart", w.refresh(token)).get("refresh_token")
	w.bad("an older one is known again", w.refresh(stolen), http.StatusBadRequest, "invalid_grant")
	w.bad("and ends the family", w.refresh(token), http.StatusBadRequest, "invalid_grant")
	restart()
	w.good("after another restart nobody knows that it ended: docs/authproxy.md says so", w.refresh(token))
}

// A lost key ends what it sealed, and says so: browsers see a page, programs 401 invalid_client, by
// which they register again.
func TestThreatLostKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	id := w.stranger("App", clientBack)
	token := w.good("code", w.post("/token", changed(w.codeForm("client_id="+id), "client_id="+id), nil)).get("refresh_token")
	second := bytes.Repeat([]byte{2}, 32)
	for what, keys := range map[string][][]byte{"second": {testKey, second}, "first": {second, testKey}} {
		w.handler = w.replica(w.opts, keys...)
		w.asked("the new key is the "+what, w.browser(w.alice).authorize(request("client_id="+id)), "client.example")
		token = w.good("the new key is the "+what, w.refresh(token, "client_id="+id)).get("refresh_token")
	}
	w.handler = w.replica(w.opts, bytes.Repeat([]byte{3}, 32))
	page := w.browser(w.alice).authorize(request("client_id=" + id))
	w.refused("a registration of a lost key", page, http.StatusBadRequest)
	w.bad("at /token", w.refresh(token, "client_id="+id), http.StatusUnauthorized, "invalid_client")
	w.bad("a configured client's refresh token", w.refresh(token), http.StatusBadRequest, "invalid_grant")
	if r := w.post("/revoke", url.Values{"client_id": {clientID}, "token": {token}}, nil); r.status != http.StatusOK {
		t.Errorf("revoking a token of a lost key: %d %s, want 200", r.status, r.text)
	}
}

// Scopes don't separate clients: a client that asks for one gets a token with all that the app has
// consent for, and the answer says which.
func TestThreatScopesDoNotSeparate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.tokens("scope=access_as_user Files.Read") // one client's consent at Entra
	id := w.stranger("Little", clientBack)
	form := changed(w.codeForm("client_id="+id, "scope=access_as_user"), "client_id="+id)
	got := w.good("code", w.post("/token", form, nil))
	caller, err := w.verifier.Verify(t.Context(), got.get("access_token"))
	if err != nil || !caller.HasScope("Files.Read") {
		t.Fatalf("Verify = %v, %v; want Files.Read too: Entra puts in what the app has consent for", caller, err)
	}
	if !strings.Contains(got.get("scope"), "Files.Read") {
		t.Errorf("scope is %q, want all that the token has", got.get("scope"))
	}
}

// countingStore counts what reaches a store.
type countingStore struct {
	authproxy.Store
	calls atomic.Int64
}

func (s *countingStore) Get(ctx context.Context, name string) ([]byte, error) {
	s.calls.Add(1)
	return s.Store.Get(ctx, name)
}

func (s *countingStore) Swap(ctx context.Context, name string, old, value []byte, ttl time.Duration) (bool, error) {
	s.calls.Add(1)
	return s.Store.Swap(ctx, name, old, value, ttl)
}

// Strangers reach neither the store nor Entra: only what this proxy has sealed does, with the right
// proof. So they can't push out what it remembers.
func TestThreatStrangersFillNothing(t *testing.T) {
	t.Parallel()
	store := &countingStore{}
	w := newWorld(t, setup{options: func(w *world, o *authproxy.Options) {
		store.Store = families.NewMemory(w.clock.now)
		o.Store = store
	}})
	form := w.codeForm() // has Alice's code, with proof
	id := w.stranger("Evil", evil)
	b := w.browser(w.alice)
	before, entra := store.calls.Load(), w.tenant.Count(entratest.EndpointToken)
	for n := range 50 {
		w.stranger(fmt.Sprint("client ", n), evil)
		b.authorize(request("client_id="+id, "redirect_uri="+evil))
		b.get(w.proxy.Issuer() + "/oauth/callback?code=x&state=" + strings.Repeat("A", 22))
		w.post("/token", changed(form, "code=x"), nil)
		w.post("/token", changed(form, "code_verifier="+strings.Repeat("x", 43)), nil)
		w.post("/token", changed(form, "client_id="+id), nil)
		w.post("/token", refreshForm("x"), nil)
		w.post("/token", changed(refreshForm(form.Get("code")), "client_id="+id), nil)
		w.post("/revoke", url.Values{"client_id": {id}, "token": {form.Get("code")}}, nil)
		w.post("/revoke", url.Values{"client_id": {id}, "token": {"x"}}, nil)
	}
	if n := store.calls.Load() - before; n != 0 {
		t.Errorf("%d calls of the store for strangers, want none", n)
	}
	if n := w.tenant.Count(entratest.EndpointToken) - entra; n != 0 { // the verifier may still fetch its keys
		t.Errorf("%d token requests to Entra for strangers, want none", n)
	}
	w.good("Alice", w.post("/token", form, nil))
}

// Logs: what a stranger writes stays within its line and is short, and nothing that opens doors is
// in them.
func TestThreatLogInjection(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	const forged = "level=ERROR msg=forged"
	names := []string{"x\n" + forged, "x\r\n" + forged, "x\u2028" + forged, "\u202egro.live", "\x1b[31mred", strings.Repeat("long", 500), `" ` + forged}
	b := w.browser(w.alice)
	for _, name := range names {
		id := w.stranger(name, evil)
		b.authorize(request("client_id="+id, "redirect_uri="+evil, "response_type=token", "state=secret-state-"+forged))
		b.decide(b.authorize(request("client_id="+id, "redirect_uri="+evil, "login_hint=secret-hint@contoso.com", "claims={\"userinfo\":{\"secret-claim\":null}}", "state=secret-state")), "deny")
		w.post("/token", url.Values{"grant_type": {name}, "client_id": {name}, "refresh_token": {"secret-token"}, "scope": {name}}, nil)
		w.post("/revoke", url.Values{"client_id": {"secret-id\n" + forged}, "token": {"secret-token"}}, nil)
	}
	b.get(w.proxy.Issuer() + "/oauth/callback?error=x%0a" + url.QueryEscape(forged) + "&error_description=secret-text%0a" + url.QueryEscape(forged) + "&state=x")
	for line := range strings.Lines(w.logs.String()) {
		if strings.HasPrefix(line, "level=") || !strings.HasPrefix(line, "time=") || len(line) > 1000 || strings.ContainsAny(line, "\x1b\u2028\u202e") {
			t.Errorf("the log has the line %q", line)
		}
		for _, secret := range []string{"secret-state", "secret-hint", "secret-claim", "secret-token", "secret-id", "secret-text"} {
			if strings.Contains(line, secret) {
				t.Errorf("the log has %s: %q", secret, line)
			}
		}
	}
}
