package authproxy_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/families"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// newReplicas is a world of two proxies that share a store and take turns at every request.
func newReplicas(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, setup{options: func(w *world, o *authproxy.Options) { o.Store = families.NewMemory(w.clock.now) }})
	other := w.replica(w.opts, testKey)
	var turn atomic.Int64
	w.handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if turn.Add(1)%2 == 0 {
			other.ServeHTTP(rw, r)
			return
		}
		w.proxy.ServeHTTP(rw, r)
	})
	return w
}

// replica returns another proxy with the same issuer.
func (w *world) replica(opts *authproxy.Options, keys ...[]byte) *authproxy.Proxy {
	w.t.Helper()
	p, err := authproxy.New(w.proxy.Issuer(), w.tenant.ID(), w.app.ClientID, clientauth.Secret(w.secret), keys, opts)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func TestRotation(t *testing.T) {
	t.Parallel()
	w := newReplicas(t)
	token := w.tokens().get("refresh_token")
	seen := map[string]bool{token: true}
	for range 6 {
		w.clock.advance(time.Hour)
		token = w.good("refresh", w.refresh(token)).get("refresh_token")
		if seen[token] {
			t.Error("a refresh token came twice, want a new one each time")
		}
		seen[token] = true
	}
}

// TestRefreshGrace: lost answers and races cost nothing.
func TestRefreshGrace(t *testing.T) {
	t.Parallel()
	w := newReplicas(t)
	r0 := w.tokens().get("refresh_token")
	first := w.good("first", w.refresh(r0))
	if again := w.good("within 2 s", w.refresh(r0)); again.text != first.text {
		t.Error("within 2 s the answer differs, want the same")
	}
	w.clock.advance(2 * time.Second)
	sibling := w.good("after 2 s", w.refresh(r0))
	if sibling.get("refresh_token") == first.get("refresh_token") {
		t.Error("after 2 s the answer is the same, want a sibling")
	}
	line := w.good("the sibling", w.refresh(sibling.get("refresh_token")))
	w.clock.advance(2 * time.Second)
	w.bad("the first successor", w.refresh(first.get("refresh_token")), 400, "invalid_grant")
	w.bad("the line", w.refresh(line.get("refresh_token")), 400, "invalid_grant")
}

// TestRefreshEdges: 2 s and 60 s are counted from the stored answer, to the nanosecond.
func TestRefreshEdges(t *testing.T) {
	t.Parallel()
	w := newReplicas(t)
	r0 := w.tokens().get("refresh_token")
	first := w.good("first", w.refresh(r0))
	w.clock.advance(2*time.Second - 1)
	if r := w.good("before 2 s", w.refresh(r0)); r.text != first.text {
		t.Error("before 2 s: another answer, want the first")
	}
	w.clock.advance(1)
	if r := w.good("at 2 s", w.refresh(r0)); r.text == first.text {
		t.Error("at 2 s: the first answer, want another one")
	}
	w.clock.advance(58*time.Second - 1)
	w.good("before 60 s", w.refresh(r0))
	w.clock.advance(2 * time.Second)
	w.bad("after 60 s", w.refresh(r0), 400, "invalid_grant")
	w.bad("its family", w.refresh(first.get("refresh_token")), 400, "invalid_grant")
}

// TestRefreshTheft: whoever comes second ends the family, thief or victim.
func TestRefreshTheft(t *testing.T) {
	t.Parallel()
	w := newReplicas(t)
	for name, wait := range map[string]time.Duration{"at once": 3 * time.Second, "after an hour": time.Hour} {
		stolen := w.tokens().get("refresh_token")
		one := w.good("one of them, "+name, w.refresh(stolen))
		one = w.good("again", w.refresh(one.get("refresh_token")))
		w.clock.advance(wait)
		w.bad("the other, "+name, w.refresh(stolen), 400, "invalid_grant")
		w.bad("the first", w.refresh(one.get("refresh_token")), 400, "invalid_grant")
	}
	if log := w.logs.String(); strings.Count(log, "a refresh token was used again") != 2 {
		t.Error("the log lacks the two reuses")
	}
}

// TestRefreshRace: 50 at once ask Entra once, and none is lost.
func TestRefreshRace(t *testing.T) {
	t.Parallel()
	w := newReplicas(t)
	token := w.tokens().get("refresh_token")
	before := w.tenant.Count(entratest.EndpointToken)
	var got [50]reply
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() { got[i] = w.good("at once", w.refresh(token)) })
	}
	wg.Wait()
	if n := w.tenant.Count(entratest.EndpointToken) - before; n != 1 {
		t.Errorf("%d requests to Entra, want 1", n)
	}
	for _, r := range got {
		if r.text != got[0].text {
			t.Error("the answers differ, want one")
		}
	}
	w.good("the line goes on", w.refresh(got[0].get("refresh_token")))
}

func TestRefreshScope(t *testing.T) {
	t.Parallel()
	w := newReplicas(t)
	token := w.tokens("scope=access_as_user").get("refresh_token")
	w.bad("a scope of ours that was not granted", w.refresh(token, "scope=Files.Read"), 400, "invalid_scope")
	full := w.api.Scope("access_as_user")
	first := w.good("the scope in full", w.refresh(token, "scope="+full))
	for _, scope := range []string{"", "access_as_user", w.api.ClientID + "/access_as_user", "openid offline_access", "https://graph.microsoft.com/User.Read"} {
		if got := w.good("scope "+scope, w.refresh(token, "scope="+scope)); got.text != first.text || got.get("scope") != full {
			t.Errorf("scope %q: another answer, want the same: it means the same", scope)
		}
	}
	w.bad("another resource meanwhile", w.refresh(token, "resource="+resource), 400, "invalid_request")
	w.good("that did no harm", w.refresh(first.get("refresh_token")))
}

// TestRefreshNeverWidens: Entra puts in all scopes that the app has consent for, and says so; the
// client may repeat them, but Entra is asked for what it was asked for at first.
func TestRefreshNeverWidens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.tenant.Consent(w.app, w.api, "access_as_user", "Files.Read")
	got := w.tokens("scope=access_as_user")
	for _, scope := range []string{"", got.get("scope"), "access_as_user", "Files.Read", "openid"} {
		got = w.good("scope "+scope, w.refresh(got.get("refresh_token"), "scope="+scope))
		if !strings.Contains(got.get("scope"), "Files.Read") {
			t.Errorf("scope %q: the response has %q, want what the token has", scope, got.get("scope"))
		}
		var asked string
		for _, r := range w.tenant.Requests() {
			if r.Endpoint == entratest.EndpointToken {
				asked = r.Form.Get("scope")
			}
		}
		if want := w.api.Scope("access_as_user") + " offline_access"; asked != want {
			t.Errorf("scope %q: Entra was asked for %q, want %q", scope, asked, want)
		}
	}
	w.tenant.RevokeConsent(w.app, w.api)
	w.tenant.Consent(w.app, w.api, "access_as_user")
	got = w.good("after Files.Read was taken away", w.refresh(got.get("refresh_token")))
	w.bad("that one now", w.refresh(got.get("refresh_token"), "scope=Files.Read"), 400, "invalid_scope")
}

func TestRefreshResource(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: func(_ *world, o *authproxy.Options) {
		o.Resources = append(o.Resources, "https://other.example.com/mcp")
	}})
	token := w.tokens("resource=" + resource).get("refresh_token")
	w.bad("another resource of ours", w.refresh(token, "resource=https://other.example.com/mcp"), 400, "invalid_target")
	w.bad("a foreign resource", w.refresh(token, "resource=https://evil.example/mcp"), 400, "invalid_target")
	w.good("the resource", w.refresh(token, "resource="+resource+"/"))
}

func TestRefreshChecks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: func(_ *world, o *authproxy.Options) {
		o.Clients = append(o.Clients, authproxy.Client{ID: "other", Redirects: []string{clientBack}})
	}})
	form := w.codeForm()
	token := w.good("code", w.post("/token", form, nil)).get("refresh_token")
	w.bad("another client", w.refresh(token, "client_id=other"), 400, "invalid_grant")
	w.bad("no token", w.refresh(""), 400, "invalid_request")
	w.bad("a code", w.refresh(form.Get("code")), 400, "invalid_grant")
	w.bad("changed", w.refresh(token[:len(token)-2]+"AA"), 400, "invalid_grant")
	w.good("the right one", w.refresh(token))
	w.clock.advance(90 * 24 * time.Hour)
	w.bad("after 90 days", w.refresh(token), 400, "invalid_grant")
	if n := w.tenant.Count(entratest.EndpointToken); n != 2 {
		t.Errorf("%d requests to Entra, want 2", n)
	}
}

const shared = "a-secret-of-at-least-thirty-two-characters"

// TestConfidentialRefresh: clients with a credential keep their tokens (OAuth 2.1, section 4.3.1).
func TestConfidentialRefresh(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: func(_ *world, o *authproxy.Options) {
		o.Clients = append(o.Clients, authproxy.Client{ID: "web", Redirects: []string{clientBack}, Secret: shared})
	}})
	basic := func(r *http.Request) { r.SetBasicAuth("web", shared) }
	form := changed(w.codeForm("client_id=web"), "client_id=")
	w.bad("without secret", w.post("/token", changed(form, "client_id=web"), nil), 401, "invalid_client")
	refused := w.post("/token", form, func(r *http.Request) { r.SetBasicAuth("web", "wrong") })
	w.bad("a wrong secret", refused, 401, "invalid_client")
	if c := refused.header.Get("WWW-Authenticate"); !strings.HasPrefix(c, "Basic ") {
		t.Errorf("WWW-Authenticate %q, want Basic", c)
	}
	r0 := w.good("code", w.post("/token", form, basic)).get("refresh_token")
	refresh := func(token string) reply {
		return w.post("/token", changed(refreshForm(token), "client_id="), basic)
	}
	r1 := w.good("first", refresh(r0)).get("refresh_token")
	w.clock.advance(time.Hour)
	r2 := w.good("successor", refresh(r1)).get("refresh_token")
	w.good("the former one", refresh(r0))
	if r0 == r1 || r1 == r2 {
		t.Error("the refresh token is the same, want a new one each time")
	}
	if got := w.post("/revoke", url.Values{"token": {r1}}, basic); got.status != http.StatusOK {
		t.Errorf("revoke = %d %s, want 200", got.status, got.text)
	}
	w.bad("revoked", refresh(r2), 400, "invalid_grant")
}

// TestNoRefreshToken: a client whose grants lack refresh_token gets none, and none is asked for.
func TestNoRefreshToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: func(_ *world, o *authproxy.Options) { o.Clients[0].NoRefresh = true }})
	got := w.post("/token", w.codeForm(), nil)
	if got.status != http.StatusOK || got.get("access_token") == "" || len(got.members) != 4 {
		t.Errorf("%d %v, want a response without refresh_token", got.status, got.members)
	}

	w = newWorld(t, setup{})
	token := w.tokens().get("refresh_token")
	w.opts.Clients[0].NoRefresh = true
	w.handler = w.replica(w.opts, testKey)
	w.bad("since the operator has changed that", w.refresh(token), 400, "invalid_grant")
}

// TestCapabilities: cp1 is declared at Entra if the client declared it, also by a refresh.
func TestCapabilities(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{api: func(a *entratest.App) { a.OptionalClaims = []string{"xms_cc"} }})
	for declared, want := range map[string]bool{"claims=": false, `claims={"access_token":{"xms_cc":{"values":["cp1"]}}}`: true} {
		got := w.tokens(declared)
		for what, r := range map[string]reply{"code": got, "refresh": w.refresh(got.get("refresh_token"))} {
			caller, err := w.verifier.Verify(t.Context(), r.get("access_token"))
			if err != nil || caller.HandlesClaims() != want {
				t.Errorf("%s, %s: %v; want a token with cp1: %v", declared, what, err, want)
			}
		}
	}
}

// failing is a store that can be down.
type failing struct {
	authproxy.Store
	down, readOnly atomic.Bool
}

func (f *failing) Get(ctx context.Context, name string) ([]byte, error) {
	if f.down.Load() {
		return nil, errors.New("connection refused")
	}
	return f.Store.Get(ctx, name)
}

func (f *failing) Swap(ctx context.Context, name string, old, value []byte, ttl time.Duration) (bool, error) {
	if f.down.Load() || f.readOnly.Load() {
		return false, errors.New("connection refused")
	}
	return f.Store.Swap(ctx, name, old, value, ttl)
}

// TestStoreDown: the token endpoint and revocations are refused for a while. A code that was refused
// is good afterwards, and one that was used before is not.
func TestStoreDown(t *testing.T) {
	t.Parallel()
	store := &failing{}
	w := newWorld(t, setup{options: func(w *world, o *authproxy.Options) {
		store.Store = families.NewMemory(w.clock.now)
		o.Store = store
	}})
	used := w.codeForm()
	token := w.good("sign-in", w.post("/token", used, nil)).get("refresh_token")
	store.down.Store(true)
	w.bad("refresh", w.refresh(token), 503, "temporarily_unavailable")
	w.bad("revoke", w.post("/revoke", url.Values{"client_id": {clientID}, "token": {token}}, nil), 503, "temporarily_unavailable")
	form := w.codeForm()
	w.bad("code", w.post("/token", form, nil), 503, "temporarily_unavailable")
	w.bad("used code", w.post("/token", used, nil), 503, "temporarily_unavailable")
	store.down.Store(false)
	w.good("the code, afterwards", w.post("/token", form, nil))
	w.bad("the code, again", w.post("/token", form, nil), 400, "invalid_grant")
	successor := w.good("afterwards", w.refresh(token)).get("refresh_token")
	w.good("the successor", w.refresh(successor))
	w.clock.advance(3 * time.Second)
	store.readOnly.Store(true) // the family can't be ended now, so the client must try again
	w.bad("reuse", w.refresh(token), 503, "temporarily_unavailable")
	store.readOnly.Store(false)
	w.bad("reuse, again", w.refresh(token), 400, "invalid_grant")
	w.bad("the family has ended", w.refresh(successor), 400, "invalid_grant")
}
