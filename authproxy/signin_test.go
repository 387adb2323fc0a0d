package authproxy_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestSignIn(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]setup{
		"proxy app of its own": {},
		"the API's own app":    {self: true},
		"issuer with a path":   {path: "/auth"},
		"http on loopback":     {plain: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, s)
			b := w.browser(w.alice)
			back := b.signIn(request())
			q := back.Query()
			if got := back.Scheme + "://" + back.Host + back.Path; got != "https://client.example/callback" || q.Get("app") != "1" {
				t.Errorf("the client's redirect is %s, want %s", got, clientBack)
			}
			if q.Get("state") != "st/at e" || q.Get("iss") != w.proxy.Issuer() || q.Get("code") == "" || q.Has("error") {
				t.Errorf("the response is %v, want code, state and iss", q)
			}
			if !strings.HasPrefix(back.RawQuery, "app=1&") || strings.Contains(back.RawQuery, "+") {
				t.Errorf("the query is %s, want the client's own first, and no +", back.RawQuery)
			}
			if n := len(q.Get("code")); n > 2200 {
				t.Errorf("the code has %d characters, want at most 2200", n)
			}
			answer := w.post("/token", url.Values{
				"grant_type": {"authorization_code"}, "client_id": {clientID}, "code": {q.Get("code")},
				"redirect_uri": {clientBack}, "code_verifier": {verifier},
			}, nil)
			if id, err := w.verifier.Verify(t.Context(), answer.get("access_token")); err != nil || id.ObjectID() != w.alice.ObjectID {
				t.Errorf("the access token is not Alice's: %v", err)
			}
			for _, secret := range []string{q.Get("code"), answer.get("access_token"), answer.get("refresh_token"), "st/at", verifier, w.secret} {
				if strings.Contains(w.logs.String(), secret) {
					t.Errorf("the log has a credential or the state (%d characters)", len(secret))
				}
			}
			again := b.authorize(request())
			if again.status != http.StatusFound {
				t.Errorf("the second authorization answers %d, want a redirect to Entra: approval is remembered", again.status)
			}
		})
	}
}
