//go:build unix

package interop_test

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"testing"

	"github.com/mcpentra/mcp-entra-go/authproxy"
)

// Two clients and two users in one browser, at the same time: each client is consented to, each
// sign-in ends with its own user at its own client, and an approval is remembered for its client
// alone.
func TestProxyTwoInOneBrowser(t *testing.T) {
	w := newProxyWorld(t, authproxy.Options{})
	first := w.register(t, "First", "none", "https://first.example.com/callback")
	second := w.register(t, "Second", "none", "https://second.example.com/callback")
	alice, bob := w.alice, &person{"bob@contoso.example", w.alice.client} // at one browser
	choose := url.Values{"prompt": {"select_account"}}

	// Both are at Entra's pages before either has come back.
	atProxy := func(user *person, s *proxySignIn) string {
		t.Helper()
		page, err := user.until(w.issuer).browse(w.ctx, s.page, nil)
		must(t, err)
		return page.String()
	}
	atEntra := func(user *person, page string) *url.URL {
		t.Helper()
		back, err := user.until(w.issuer, w.tenant.AuthorityHost()).browse(w.ctx, page, nil)
		must(t, err)
		return back
	}
	of, by := first.begin(choose), second.begin(choose)
	ofPage, byPage := atProxy(alice, of), atProxy(bob, by)
	if asked := w.asked.Load(); asked != 2 {
		t.Errorf("%d consents, want 2: one for each client", asked)
	}
	byToken := by.finish(t, atEntra(bob, byPage))
	ofToken := of.finish(t, atEntra(alice, ofPage))
	if a, b := w.whoami(t, ofToken), w.whoami(t, byToken); a != alice.name || b != bob.name {
		t.Errorf("the users are %q and %q, want %q and %q", a, b, alice.name, bob.name)
	}
	if a, b := w.whoami(t, first.refresh(t, ofToken)), w.whoami(t, second.refresh(t, byToken)); a != alice.name || b != bob.name {
		t.Errorf("after refreshes the users are %q and %q, want %q and %q", a, b, alice.name, bob.name)
	}

	// By browser and not by user: Bob is not asked about the client that Alice approved.
	again := first.begin(choose)
	if got := w.whoami(t, again.finish(t, atEntra(bob, atProxy(bob, again)))); got != bob.name {
		t.Errorf("the user is %q, want %q", got, bob.name)
	}
	third := w.register(t, "First", "none", "https://third.example.com/callback") // the name is not what counts
	third.signIn(t, alice)
	if asked := w.asked.Load(); asked != 3 {
		t.Errorf("%d consents, want 3: the first client is known, the third is not", asked)
	}
	w.entra(t)
	w.checkLog(t)
}

var challengedClaims = regexp.MustCompile(`claims="([^"]*)", error="insufficient_claims"`)

// A step-up by insufficient_claims: the client signs in again with the challenge, beside its own cp1,
// and the user satisfies the authentication context at Entra.
func TestProxyClaimsChallenge(t *testing.T) {
	w := newProxyWorld(t, authproxy.Options{})
	client := w.register(t, "Claims", "none", "https://claims.example.com/callback")
	signIn := func(claims string) *proxySignIn { return client.begin(url.Values{"claims": {claims}}) }
	finish := func(s *proxySignIn) (back *url.URL) {
		t.Helper()
		back, err := w.alice.until(w.issuer, w.tenant.AuthorityHost()).browse(w.ctx, s.page, nil)
		must(t, err)
		return back
	}
	s := signIn(`{"access_token":{"xms_cc":{"values":["cp1"]}}}`)
	token := s.finish(t, finish(s))
	_, header := w.call(t, "sign_note", token)
	challenge := challengedClaims.FindStringSubmatch(header)
	if challenge == nil {
		t.Fatalf("sign_note: the challenge is %s", header)
	}
	data, err := base64.StdEncoding.DecodeString(challenge[1])
	must(t, err)
	var claims struct {
		AccessToken map[string]any `json:"access_token"`
	}
	must(t, json.Unmarshal(data, &claims))
	claims.AccessToken["xms_cc"] = map[string]any{"values": []string{"cp1"}}
	data, err = json.Marshal(claims)
	must(t, err)
	s = signIn(string(data))
	token = s.finish(t, finish(s))
	if text, header := w.call(t, "sign_note", token); text != "signed" {
		t.Errorf("sign_note = %q %s", text, header)
	}
	if text, header := w.call(t, "sign_note", client.refresh(t, token)); text != "signed" {
		t.Errorf("after a refresh, sign_note = %q %s", text, header)
	}
	w.entra(t)
	w.checkLog(t)
}
