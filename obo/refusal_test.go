package obo_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"

	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// TestAssertionsThatAreNotExchanged: each is refused before any request.
func TestAssertionsThatAreNotExchanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := w.exchanger(nil)
	mint := func(change func(claims map[string]any)) string {
		return w.tenant.Mint(w.api, 1, func(_, claims map[string]any) { change(claims) })
	}
	payload := func(s string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(s)) + ".c2ln"
	}
	for _, test := range []struct {
		name, token string
		want        error
	}{
		{"empty", "", obo.ErrNoAssertion},
		{"expired", mint(func(c map[string]any) { c["exp"] = w.clock.Now().Unix() }), obo.ErrAssertionExpired},
		{"expired long ago", mint(func(c map[string]any) { c["exp"] = 1 }), obo.ErrAssertionExpired},
		{"without exp", mint(func(c map[string]any) { delete(c, "exp") }), obo.ErrAssertionInvalid},
		{"exp as text", mint(func(c map[string]any) { c["exp"] = "9999999999" }), obo.ErrAssertionInvalid},
		{"exp beyond time", mint(func(c map[string]any) { c["exp"] = 1e300 }), obo.ErrAssertionInvalid},
		{"EXP", mint(func(c map[string]any) { c["EXP"] = c["exp"]; delete(c, "exp") }), obo.ErrAssertionInvalid},
		{"app-only by roles", mint(func(c map[string]any) { delete(c, "scp"); c["roles"] = []string{"Read.All"} }), obo.ErrAssertionInvalid},
		{"app-only by idtyp", mint(func(c map[string]any) { c["idtyp"] = "app" }), obo.ErrAssertionInvalid},
		{"an agent on its own", mint(func(c map[string]any) { c["scp"] = "/"; c["xms_par_app_azp"] = someGUID }), obo.ErrAssertionInvalid},
		{"a device", mint(func(c map[string]any) { c["idtyp"] = "device" }), obo.ErrAssertionInvalid},
		{"odd idtyp", mint(func(c map[string]any) { c["idtyp"] = []string{"user"} }), obo.ErrAssertionInvalid},
		{"ID token", w.tenant.IDToken(w.alice, w.api), obo.ErrAssertionInvalid},
		{"empty scp", mint(func(c map[string]any) { c["scp"] = " " }), obo.ErrAssertionInvalid},
		{"other tenant", mint(func(c map[string]any) { c["tid"] = someGUID }), obo.ErrAssertionInvalid},
		{"no tenant", mint(func(c map[string]any) { delete(c, "tid") }), obo.ErrAssertionInvalid},
		{"garbage", "garbage", obo.ErrAssertionInvalid},
		{"five parts", "a.b.c.d.e", obo.ErrAssertionInvalid},
		{"not base64", "e30.!!!!.c2ln", obo.ErrAssertionInvalid},
		{"array", payload(`[]`), obo.ErrAssertionInvalid},
		{"null", payload(`null`), obo.ErrAssertionInvalid},
		{"huge", payload(strings.Repeat(" ", 64<<10) + `{}`), obo.ErrAssertionInvalid},
		{"1 MiB", strings.Repeat("a", 1<<20), obo.ErrAssertionInvalid},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.token != "" {
				w.hide(test.token)
			}
			_, err := w.get(t.Context(), x.Credential(obo.NewAssertion(test.token)))
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if e := asError(t, err); e.Problem == "" || e.AADSTS != 0 {
				t.Errorf("problem %q, code %d: want a problem, and no code: it is not Entra's error", e.Problem, e.AADSTS)
			}
		})
	}
	if n := len(w.tenant.Requests()); n != 0 {
		t.Errorf("%d requests were sent, want none", n)
	}
}

func TestRequestsThatAreNotMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.exchanger(nil).Credential(w.assertion(w.alice))
	for _, test := range []struct {
		name string
		o    policy.TokenRequestOptions
		want error
	}{
		{"no scope", policy.TokenRequestOptions{}, obo.ErrScopeNotAllowed},
		{"empty scope", policy.TokenRequestOptions{Scopes: []string{""}}, obo.ErrScopeNotAllowed},
		{"Graph", policy.TokenRequestOptions{Scopes: []string{"https://graph.microsoft.com/.default"}}, obo.ErrScopeNotAllowed},
		{"bare scope, which is Graph's", policy.TokenRequestOptions{Scopes: []string{"User.Read"}}, obo.ErrScopeNotAllowed},
		{"the resource alone", policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com"}}, obo.ErrScopeNotAllowed},
		{"the resource with a slash", policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com/"}}, obo.ErrScopeNotAllowed},
		{"double slash", policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com//.default"}}, obo.ErrScopeNotAllowed},
		{"longer host", policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com.evil.example/.default"}}, obo.ErrScopeNotAllowed},
		{"path below", policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com/other/.default"}}, obo.ErrScopeNotAllowed},
		{"two in one", policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com/.default https://graph.microsoft.com/.default"}}, obo.ErrScopeNotAllowed},
		{"one of two", policy.TokenRequestOptions{Scopes: []string{storageScope, "https://graph.microsoft.com/.default"}}, obo.ErrScopeNotAllowed},
		{"line break", policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com/.default\n"}}, obo.ErrScopeNotAllowed},
		{"too many", policy.TokenRequestOptions{Scopes: make([]string, 1000)}, obo.ErrScopeNotAllowed},
		{"other tenant", policy.TokenRequestOptions{Scopes: []string{storageScope}, TenantID: someGUID}, obo.ErrTenantNotAllowed},
		{"common", policy.TokenRequestOptions{Scopes: []string{storageScope}, TenantID: "common"}, obo.ErrTenantNotAllowed},
		{"claims that are none", policy.TokenRequestOptions{Scopes: []string{storageScope}, Claims: "c1"}, obo.ErrClaimsInvalid},
		{"claims in an array", policy.TokenRequestOptions{Scopes: []string{storageScope}, Claims: "[]"}, obo.ErrClaimsInvalid},
		{"endless claims", policy.TokenRequestOptions{Scopes: []string{storageScope}, Claims: `{"a":"` + strings.Repeat("x", 1<<20) + `"}`}, obo.ErrClaimsInvalid},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := w.getWith(t.Context(), c, test.o); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			} else if strings.Contains(asError(t, err).UserText(), "evil") {
				t.Errorf("the text repeats what was asked for: %v", err)
			}
		})
	}
	if n := len(w.tenant.Requests()); n != 0 {
		t.Errorf("%d requests were sent, want none", n)
	}
}

func TestResources(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		scope     string
		resources []string
		want      string
	}{
		{"https://a.example/.default", []string{"https://b.example", "https://a.example"}, "https://a.example"},
		{"https://a.example/Files.Read", []string{"https://a.example"}, "https://a.example"},
		{"https://a.example//.default", []string{"https://a.example/"}, "https://a.example/"},
		{"https://a.example/.default", []string{"https://a.example/"}, "https://a.example/"},
		{"https://a.example//.default", []string{"https://a.example"}, ""},
		{"api://contoso/billing/.default", []string{"api://contoso/billing"}, "api://contoso/billing"},
		{"api://contoso/.default", []string{"api://contoso/billing"}, ""},
		{someGUID + "/.default", []string{someGUID}, someGUID},
		{someGUID + "x/.default", []string{someGUID}, ""},
		{"https://a.example/%2e%2e", []string{"https://a.example"}, ""},
		{"https://A.example/.default", []string{"https://a.example"}, "https://a.example"},
		{"api://contoso/billing/.default", []string{"API://Contoso/Billing"}, "API://Contoso/Billing"},
		{"HTTPS://A.EXAMPLE//.default", []string{"https://a.example/"}, "https://a.example/"},
		{"https://\u212a.example/.default", []string{"https://k.example"}, ""}, // the Kelvin sign, which folds to k
	} {
		got, err := obo.ResourceOf([]string{test.scope}, test.resources)
		if got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s of %v: got %q, %v; want %q", test.scope, test.resources, got, err, test.want)
		}
	}
}

// TestStorageChallenge is the attack on azblob: a hostile server, or one that
// took over a storage account's name, answers with a challenge for Microsoft
// Graph. The client asks its credential for that and would send the token there.
func TestStorageChallenge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var scopesSeen []any
	hostile := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if claims, err := decode(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")); err == nil {
			scopesSeen = append(scopesSeen, claims["aud"])
		}
		rw.Header().Set("WWW-Authenticate", "Bearer authorization_uri="+w.tenant.AuthorityHost()+"/"+w.tenant.ID()+
			"/oauth2/authorize resource_id=https://graph.microsoft.com")
		rw.WriteHeader(http.StatusUnauthorized)
	}))
	defer hostile.Close()
	client, err := azblob.NewClient(hostile.URL, w.exchanger(nil).Credential(w.assertion(w.alice)),
		&azblob.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: hostile.Client()}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err = client.DownloadStream(ctx, "docs", "hello.txt", nil)
	w.show(err)
	if !errors.Is(err, obo.ErrScopeNotAllowed) {
		t.Errorf("got %v, want ErrScopeNotAllowed through the Azure SDK", err)
	}
	var shown interface {
		error
		UserText() string
	}
	if !errors.As(err, &shown) || strings.Contains(shown.UserText(), "graph") {
		t.Errorf("the error has no text of its own, or repeats the server's words: %v", err)
	}
	if len(scopesSeen) != 1 || scopesSeen[0] != "https://storage.azure.com" {
		t.Errorf("the hostile server got tokens for %v, want only the one for storage", scopesSeen)
	}
	if w.exchanges() != 1 || !strings.HasPrefix(lastTokenRequest(t, w).Form.Get("scope"), storageScope) {
		t.Error("a token for another resource was asked for")
	}
}

// TestLastGate: whatever a library would send, only On-Behalf-Of leaves an exchanger.
// Package entrawire has the other ways to try.
func TestLastGate(t *testing.T) {
	t.Parallel()
	entra := &memoryEntra{}
	x, err := obo.NewExchanger(someGUID, someAppID, clientauth.Secret("s"), &obo.Options{HTTPClient: &http.Client{Transport: entra}})
	if err != nil {
		t.Fatal(err)
	}
	for body, want := range map[string]int64{
		"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&requested_token_use=on_behalf_of&assertion=a.b.c": 1,
		"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=a.b.c":                                  0,
		"grant_type=client_credentials&client_secret=s":                                                                     0,
		"grant_type=refresh_token&refresh_token=r":                                                                          0,
		"grant_type=authorization_code&code=c":                                                                              0,
	} {
		entra.requests.Store(0)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://login.example.com/token", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if err := obo.Send(x, req); entra.requests.Load() != want || want == 0 && err == nil {
			t.Errorf("%q: %d requests left, want %d (error %v)", body, entra.requests.Load(), want, err)
		}
	}
}
