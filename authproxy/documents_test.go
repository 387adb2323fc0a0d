package authproxy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mcpentra/mcp-entra-go/authproxy"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clientassertion"
)

const documentID, keyedID = "https://app.example.com/client.json", "https://keyed.example.com/client.json"

// A site serves the documents of clients, and counts requests.
type site struct {
	*httptest.Server
	key     *ecdsa.PrivateKey
	fetches atomic.Int64
}

func newSite(t *testing.T) *site {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{key: key}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString
	keys := map[string]any{"keys": []any{map[string]string{"kty": "EC", "crv": "P-256", "kid": "1", "x": text(point[1:33]), "y": text(point[33:])}}}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fetches.Add(1)
		w.Header().Set("Content-Type", "application/json")
		answer := map[string]any{
			"client_id": "https://" + r.Host + r.URL.Path, "client_name": "An app", "redirect_uris": []string{clientBack, "javascript:alert(1)"},
			"grant_types": []string{"authorization_code", "refresh_token"},
		}
		switch r.Host + r.URL.Path {
		case "app.example.com/client.json":
		case "keyed.example.com/client.json":
			answer["token_endpoint_auth_method"], answer["jwks_uri"] = "private_key_jwt", "https://keyed.example.com/keys"
		case "both.example.com/client.json":
			answer["token_endpoint_auth_methods_supported"], answer["jwks_uri"] = []string{"none", "private_key_jwt"}, "https://keyed.example.com/keys"
		case "keyed.example.com/keys":
			answer = keys
		default:
			http.NotFound(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(s.Close)
	return s
}

// assertion returns an assertion of the client with keys.
func (s *site) assertion(t *testing.T, audience, id string, now time.Time) string {
	t.Helper()
	return s.assertionOf(t, keyedID, audience, id, now)
}

func (s *site) assertionOf(t *testing.T, client, audience, id string, now time.Time) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": client, "sub": client, "aud": audience, "jti": id, "exp": now.Add(time.Minute).Unix(),
	})
	token.Header["kid"] = "1"
	signed, err := token.SignedString(s.key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// Points 26 and 27: clients with a document sign in. For public ones, /token fetches nothing.
func TestDocumentClientsSignIn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := newWorld(t, setup{options: func(_ *world, o *authproxy.Options) { o.UnsafeDocumentClient = s.Client() }})
	redeem := func(id string) url.Values {
		code := w.browser(w.alice).signIn(request("client_id=" + id)).Query().Get("code")
		return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "code_verifier": {verifier}, "client_id": {id}}
	}
	keyed, public := redeem(keyedID), redeem(documentID)
	if got := s.fetches.Load(); got != 2 {
		t.Errorf("two sign-ins fetch %d documents, want 2", got)
	}
	s.fetches.Store(0)
	w.clock.advance(30 * time.Second)

	got := w.post("/token", public, nil)
	if got.status != http.StatusOK {
		t.Errorf("a public client: /token answers %d, %s; want 200", got.status, got.text)
	}
	got = w.post("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.get("refresh_token")}, "client_id": {documentID}}, nil)
	if got.status != http.StatusOK || s.fetches.Load() != 0 {
		t.Errorf("its refresh: /token answers %d after %d fetches, %s; want 200 after none", got.status, s.fetches.Load(), got.text)
	}

	proof := func(audience, id string) []string {
		return []string{"client_assertion=" + s.assertion(t, audience, id, w.clock.now()), "client_assertion_type=" + clientassertion.Type}
	}
	used := proof(w.proxy.Issuer(), "one")
	for _, c := range []struct {
		what   string
		form   url.Values
		status int
		code   string
	}{
		{"no assertion", keyed, http.StatusUnauthorized, "invalid_client"},
		{"another's code", changed(public, append(slices.Clone(used), "client_id="+keyedID)...), http.StatusBadRequest, "invalid_grant"},
		{"an assertion that was used", changed(keyed, used...), http.StatusUnauthorized, "invalid_client"},
	} {
		if got := w.post("/token", c.form, nil); got.status != c.status || got.get("error") != c.code {
			t.Errorf("%s: /token answers %d, %s; want %d %s", c.what, got.status, got.text, c.status, c.code)
		}
	}
	if got := w.post("/token", changed(keyed, append(proof(w.proxy.Issuer()+"/token", "two"), "client_id=")...), nil); got.status != http.StatusOK {
		t.Errorf("with its assertion, which names the client: /token answers %d, %s; want 200", got.status, got.text)
	}
}

// A document that can't be fetched is no news to the user; the operator learns why.
func TestDocumentFailureIsLogged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: func(_ *world, o *authproxy.Options) {
		o.UnsafeDocumentClient = &http.Client{Transport: brokenEgress{}}
	}})
	p := w.browser(w.alice).authorize(request("client_id=" + documentID + "?secret"))
	if p.status != http.StatusServiceUnavailable || p.header.Get("Retry-After") == "" || strings.Contains(p.body, "egress") {
		t.Errorf("status %d, Retry-After %q; want 503 with one, and no cause on the page:\n%s", p.status, p.header.Get("Retry-After"), p.body)
	}
	if log := w.logs.String(); !strings.Contains(log, "the egress is broken") || strings.Contains(log, "secret") {
		t.Errorf("the log is %s\nwant the cause, without the query", log)
	}
}

type brokenEgress struct{}

func (brokenEgress) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("the egress is broken")
}

// A client that may authenticate or not, and did for its code, must do so for its refresh token.
func TestDocumentClientKeepsItsProof(t *testing.T) {
	t.Parallel()
	const bothID = "https://both.example.com/client.json"
	s := newSite(t)
	w := newWorld(t, setup{options: func(_ *world, o *authproxy.Options) { o.UnsafeDocumentClient = s.Client() }})
	code := w.browser(w.alice).signIn(request("client_id=" + bothID)).Query().Get("code")
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "code_verifier": {verifier}, "client_id": {bothID}}
	proof := func(id string) []string {
		return []string{"client_assertion=" + s.assertionOf(t, bothID, w.proxy.Issuer(), id, w.clock.now()), "client_assertion_type=" + clientassertion.Type}
	}
	got := w.good("the code, with an assertion", w.post("/token", changed(form, proof("one")...), nil))
	again := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.get("refresh_token")}, "client_id": {bothID}}
	w.bad("the refresh token without one", w.post("/token", again, nil), 401, "invalid_client")
	w.good("with one", w.post("/token", changed(again, proof("two")...), nil))
}
