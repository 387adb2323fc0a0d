package obo_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/obo"
)

const challenge = `{"access_token":{"nbf":{"essential":true,"value":"1764000000"}}}`

// capable is the token of a user whose client has the capabilities.
func (w *world) capable(u *entratest.User, capabilities any) obo.Assertion {
	return obo.NewAssertion(w.tenant.Mint(w.api, 1, func(_, claims map[string]any) {
		claims["oid"], claims["sub"] = u.ObjectID, u.ObjectID
		claims["xms_cc"] = capabilities
	}))
}

func TestCP1IsDeclaredForThoseWhoHaveIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const declaration = `{"access_token":{"xms_cc":{"values":["cp1"]}}}`
	cae := policy.TokenRequestOptions{Scopes: []string{storageScope}, EnableCAE: true}
	for _, test := range []struct {
		name         string
		capabilities any
		o            policy.TokenRequestOptions
		option       bool
		want         string
	}{
		{"client with cp1", []string{"cp1"}, cae, false, declaration},
		{"client that writes it CP1", []string{"x", "CP1"}, cae, false, declaration},
		{"client with it as text", "cp1", cae, false, declaration},
		{"client without", []string{"cp2"}, cae, false, ""},
		{"client that says nothing", nil, cae, false, ""},
		{"client with something else", 1, cae, false, ""},
		{"by option", nil, cae, true, declaration},
		{"caller without CAE", []string{"cp1"}, storageOptions, true, ""},
		{"challenged client without", nil, policy.TokenRequestOptions{Scopes: cae.Scopes, EnableCAE: true, Claims: challenge}, false, challenge},
		{"challenged", []string{"cp1"}, policy.TokenRequestOptions{Scopes: cae.Scopes, EnableCAE: true, Claims: challenge}, false,
			`{"access_token":{"nbf":{"essential":true,"value":"1764000000"},"xms_cc":{"values":["cp1"]}}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			x := w.exchanger(func(o *obo.Options) { o.DeclareCP1 = test.option })
			if _, err := w.getWith(t.Context(), x.Credential(w.capable(w.alice, test.capabilities)), test.o); err != nil {
				t.Fatal(err)
			}
			if got := lastTokenRequest(t, w).Form.Get("claims"); got != test.want {
				t.Errorf("claims on the wire: %s, want %s", got, test.want)
			}
		})
	}
}

// TestNewTokenAfterChallenge: the token that a challenge led to is the one that
// everybody gets from then on, for this user and this path.
func TestNewTokenAfterChallenge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := w.exchanger(nil)
	a := w.capable(w.alice, []string{"cp1"})
	get := func(cae bool, claims string) string {
		t.Helper()
		token, err := x.Credential(a).GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{storageScope}, EnableCAE: cae, Claims: claims})
		if err != nil {
			t.Fatal(err)
		}
		w.hide(token.Token)
		return token.Token
	}
	old, plain := get(true, ""), get(false, "")
	if old == plain || w.exchanges() != 2 {
		t.Fatalf("%d exchanges for the path with and without CAE, want 2 tokens", w.exchanges())
	}
	renewed := get(true, challenge)
	for range 3 {
		if got := get(true, ""); got == old || got != renewed {
			t.Fatal("the challenged token is handed out again, want a new one")
		}
	}
	if get(true, challenge) != renewed || w.exchanges() != 3 {
		t.Errorf("%d exchanges, want 3: all who are challenged alike get one new token", w.exchanges())
	}
	if get(false, "") != plain {
		t.Error("a challenge for the path with CAE changed the one without")
	}
	// Another challenge, and the same one when it is no longer the same event.
	later := get(true, strings.Replace(challenge, "1764000000", "1764000001", 1))
	w.clock.Advance(5 * time.Minute)
	if latest := get(true, challenge); latest == later || get(true, "") != latest || w.exchanges() != 5 {
		t.Errorf("%d exchanges, want 5", w.exchanges())
	}
}

// TestChallengeSupersedes: a plain exchange that began before the challenge must
// not bring the old token back.
func TestChallengeSupersedes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	entra, use := w.hold()
	c := w.exchanger(use).Credential(w.assertion(w.alice))
	var early string
	var wg sync.WaitGroup
	wg.Go(func() {
		token, err := c.GetToken(t.Context(), storageOptions)
		if err != nil {
			t.Errorf("GetToken = %v, want nil", err)
		}
		early = token.Token
	})
	<-entra.arrived
	o := storageOptions
	o.Claims = challenge
	renewed, err := c.GetToken(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	close(entra.release)
	time.Sleep(20 * time.Millisecond) //nolint:forbidigo // nothing tells when a superseded exchange has ended
	after, err := c.GetToken(t.Context(), storageOptions)
	if err != nil || after.Token != renewed.Token || early != renewed.Token || w.exchanges() != 2 {
		t.Errorf("the old token came back (%v), %d exchanges; want the new token after 2", err, w.exchanges())
	}
	w.hide(renewed.Token)
}

// TestChallengeThatNeedsTheUser: the claims that only the user can satisfy come
// out of the Azure SDK in our error, for the client.
func TestChallengeThatNeedsTheUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tenant.Fail(entratest.EndpointToken, entratest.Fault{AADSTS: 50076, Claims: challenge})
	_, err := w.getWith(t.Context(), w.exchanger(nil).Credential(w.capable(w.alice, []string{"cp1"})),
		policy.TokenRequestOptions{Scopes: []string{storageScope}, EnableCAE: true, Claims: challenge})
	if e := wantKind(t, err, obo.ErrInteractionRequired); e.Claims != challenge {
		t.Errorf("claims %q, want %q", e.Claims, challenge)
	}
}

func TestClaimsThatAreNoChallenge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.exchanger(nil).Credential(w.assertion(w.alice))
	for _, claims := range []string{
		`{"access_token":{"xms_cc":{"values":["cp1"]}}}`, `{"access_token":[]}`, `{"access_token":null}`, `{"access_token":"x"}`, `[]`, `{`,
	} {
		_, err := w.getWith(t.Context(), c, policy.TokenRequestOptions{Scopes: []string{storageScope}, Claims: claims})
		if !errors.Is(err, obo.ErrClaimsInvalid) {
			t.Errorf("%s: got %v, want ErrClaimsInvalid", claims, err)
		}
	}
	if w.exchanges() != 0 {
		t.Errorf("%d exchanges, want 0", w.exchanges())
	}
}

// TestGraphRevokesAToken: an azcore pipeline, a service in Graph's shape that
// challenges a revoked token, and no step of ours in between.
func TestGraphRevokesAToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	graph := w.tenant.AddApp("Graph", "User.Read")
	w.tenant.Consent(w.api, graph, "User.Read")
	var mu sync.Mutex
	revoked := map[string]bool{}
	calls, challenges := 0, 0
	server := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		calls++
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if calls == 2 { // an administrator ends Alice's session
			revoked[token] = true
		}
		if revoked[token] {
			challenges++
			rw.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="", authorization_uri="%s/common/oauth2/authorize", error="insufficient_claims", claims="%s"`,
				w.tenant.AuthorityHost(), base64.StdEncoding.EncodeToString([]byte(challenge))))
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = rw.Write([]byte(`{"displayName":"Alice"}`))
	}))
	defer server.Close()
	x := w.exchanger(func(o *obo.Options) { o.Resources = []string{graph.AppIDURI()} })
	a := w.capable(w.alice, []string{"cp1"})
	for range 4 { // a client for each request, as in a server
		pipeline := runtime.NewPipeline("test", "v1", runtime.PipelineOptions{PerRetry: []policy.Policy{
			runtime.NewBearerTokenPolicy(x.Credential(a), []string{graph.Scope(".default")}, nil)}},
			&policy.ClientOptions{Transport: server.Client()})
		req, err := runtime.NewRequest(t.Context(), http.MethodGet, server.URL+"/v1.0/me")
		if err != nil {
			t.Fatal(err)
		}
		resp, err := pipeline.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("got %s, want 200 OK", resp.Status)
		}
	}
	if challenges != 1 || w.exchanges() != 2 {
		t.Errorf("%d challenges and %d exchanges, want 1 and 2", challenges, w.exchanges())
	}
	if got := lastTokenRequest(t, w).Form.Get("claims"); !strings.Contains(got, "nbf") || !strings.Contains(got, "cp1") {
		t.Errorf("claims on the wire: %s, want nbf and cp1 in them", got)
	}
}
