package authproxy_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/authproxy"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// fuzzIssuer is the issuer of fuzzed proxies, and fuzzEntra their authority.
const fuzzIssuer, fuzzEntra = "https://mcp.example.com", "https://localhost:1"

// newOfflineProxy returns a proxy that reaches no authority, with one client.
func newOfflineProxy(tb testing.TB) *authproxy.Proxy {
	tb.Helper()
	log := slog.New(slog.DiscardHandler)
	v, err := entraauth.NewVerifier(aTenant, anApp, &entraauth.Options{AuthorityHost: fuzzEntra, Logger: log})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = v.Close() })
	p, err := authproxy.New(fuzzIssuer, aTenant, anApp, clientauth.Secret("s"), [][]byte{testKey}, &authproxy.Options{
		Resources: []string{resource}, Scopes: []string{"api://" + anApp + "/access_as_user"}, Verifier: v, Logger: log, NoDocuments: true,
		Clients: []authproxy.Client{{ID: clientID, Redirects: []string{clientBack, loopback}}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// checkAnswer checks what holds for every answer in a browser: it is a page or a redirect to the
// client's own redirect URIs, with the issuer once.
func checkAnswer(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	to := w.Header().Get("Location")
	switch {
	case w.Code == http.StatusFound && strings.HasPrefix(to, fuzzEntra+"/"+aTenant+"/oauth2/v2.0/authorize?"):
	case w.Code == http.StatusFound:
		u, err := url.Parse(to)
		if err != nil {
			t.Fatalf("Location %q: %v", to, err)
		}
		isLoopback := u.Scheme == "http" && u.Hostname() == "127.0.0.1" && u.Path == "/callback"
		if !strings.HasPrefix(to, clientBack+"&") && !isLoopback || u.User != nil || strings.ContainsAny(to, "\r\n #") {
			t.Fatalf("Location %q, want one of the client's redirects", to)
		}
		if q := u.Query(); len(q["iss"]) != 1 || q.Get("iss") != fuzzIssuer || len(q["state"]) > 1 {
			t.Fatalf("Location %q, want iss once and state at most once", to)
		}
	case to != "":
		t.Fatalf("status %d with Location %q", w.Code, to)
	case w.Code >= 500:
		t.Fatalf("status %d", w.Code)
	case w.Header().Get("Content-Security-Policy") == "" || w.Header().Get("Cache-Control") != "no-store":
		t.Fatalf("status %d without the headers of a page", w.Code)
	}
	for _, line := range w.Header().Values("Set-Cookie") {
		if pair, _, _ := strings.Cut(line, ";"); !strings.HasPrefix(pair, "__Host-") || len(pair) > 3800 {
			t.Fatalf("Set-Cookie: %s", line)
		}
	}
}

func FuzzAuthorize(f *testing.F) {
	p := newOfflineProxy(f)
	f.Add(request().Encode())
	f.Add(request("redirect_uri=http://127.0.0.1:4711/callback", "scope=openid x", "resource="+resource, "prompt=none").Encode())
	f.Add(request(`claims={"access_token":{"xms_cc":{"values":["cp1"]}}}`, "acr_values=c1 c2", "max_age=1").Encode() + "&state=2&client_id=")
	f.Add("client_id=" + clientID + "&redirect_uri=http://127.0.0.1:1@evil.example/callback")
	f.Fuzz(func(t *testing.T, query string) {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, newQuery("/authorize", query))
		checkAnswer(t, w)
	})
}

func FuzzConsent(f *testing.F) {
	p := newOfflineProxy(f)
	shown := httptest.NewRecorder()
	p.ServeHTTP(shown, newQuery("/authorize", request().Encode()))
	_, fields := (&page{body: shown.Body.String()}).form()
	fields.Set("decision", "approve")
	f.Add(fields.Encode(), cookiesOf(shown), "https://mcp.example.com")
	f.Add("form=x&decision=deny", "__Host-form-x=y", "null")
	f.Fuzz(func(t *testing.T, body, cookie, origin string) {
		r := httptest.NewRequest(http.MethodPost, "/consent", strings.NewReader(body))
		r.Header.Set("Content-Type", formType)
		r.Header["Cookie"], r.Header["Origin"] = []string{cookie}, []string{origin}
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		checkAnswer(t, w)
		if own := origin == fuzzIssuer && strings.Contains(body, "form="); w.Code == http.StatusOK && !own {
			t.Fatalf("origin %q is taken", origin)
		}
	})
}

func FuzzCallback(f *testing.F) {
	p := newOfflineProxy(f)
	f.Add("code=c&state=AAAAAAAAAAAAAAAAAAAAAA", "__Host-signin-AAAAAAAA-AAAAAAAAAAAAAAAAAAAAAA=x")
	f.Add("error=access_denied&state=x&error_description=AADSTS65004:%20x", "")
	f.Fuzz(func(t *testing.T, query, cookie string) {
		r := newQuery("/oauth/callback", query)
		r.Header["Cookie"] = []string{cookie}
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		checkAnswer(t, w)
		if w.Code != http.StatusBadRequest {
			t.Fatalf("status %d for a callback without a sign-in, want 400", w.Code)
		}
	})
}
