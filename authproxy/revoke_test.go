package authproxy_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

func TestRevoke(t *testing.T) {
	t.Parallel()
	w := newReplicas(t)
	form := w.codeForm()
	got := w.good("code", w.post("/token", form, nil))
	token := got.get("refresh_token")
	other := w.replica(&authproxy.Options{
		Resources: w.opts.Resources, Scopes: w.opts.Scopes, Verifier: w.opts.Verifier, Logger: w.opts.Logger, Now: w.opts.Now,
		Clients: []authproxy.Client{w.opts.Clients[0], {ID: "other", Redirects: []string{clientBack}}},
	}, testKey)
	replicas := w.handler

	revoke := func(changes ...string) reply {
		return w.post("/revoke", changed(url.Values{"client_id": {clientID}, "token": {token}}, changes...), nil)
	}
	ok := func(what string, r reply) {
		t.Helper()
		if r.status != http.StatusOK || r.text != "" {
			t.Errorf("%s: %d %q, want 200 without a body", what, r.status, r.text)
		}
	}
	w.bad("no client", revoke("client_id="), 400, "invalid_request")
	w.bad("an unknown client", revoke("client_id=nobody"), 401, "invalid_client")
	w.bad("no token", revoke("token="), 400, "invalid_request")
	hints := url.Values{"client_id": {clientID}, "token": {token}, "token_type_hint": {"refresh_token", "access_token"}}
	w.bad("two hints", w.post("/revoke", hints, nil), 400, "invalid_request")
	w.bad("an access token", revoke("token="+got.get("access_token")), 400, "unsupported_token_type")
	w.handler = other
	w.bad("another client's", revoke("client_id=other"), 400, "invalid_grant")
	w.handler = w.replica(w.opts, []byte("another key, of at least 32 random bytes"))
	ok("a foreign key's", revoke())
	w.handler = replicas
	ok("unknown", revoke("token=abc"))
	ok("a code", revoke("token="+form.Get("code"), "token_type_hint=authorization_code"))

	next := w.good("nothing is revoked yet", w.refresh(token))
	ok("revoke", revoke("token_type_hint=access_token"))
	w.bad("its successor", w.refresh(next.get("refresh_token")), 400, "invalid_grant")
	w.bad("itself", w.refresh(token), 400, "invalid_grant")
	ok("again", revoke())
	w.clock.advance(91 * 24 * time.Hour)
	ok("expired", revoke())
	if n := w.tenant.Count(entratest.EndpointToken); n != 2 {
		t.Errorf("%d requests to Entra, want 2", n)
	}
}
