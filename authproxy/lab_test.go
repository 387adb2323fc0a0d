package authproxy_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/authproxy"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

const (
	labIssuer   = "https://mcp.example.com"
	labRedirect = "https://client.example/callback"
	labVerifier = "a-verifier-of-at-least-forty-three-characters"
)

// A lab is a proxy without network: benchmarks and fuzz targets call its handler, and Entra
// answers each token request at once, with the same tokens. It keeps cookies as one browser does.
type lab struct {
	tb      testing.TB
	proxy   *authproxy.Proxy
	cookies map[string]string
}

// instantEntra is Entra's token endpoint for a lab, with tokens as long as Entra's.
type instantEntra struct{ answer []byte }

func (e instantEntra) RoundTrip(r *http.Request) (*http.Response, error) {
	_, _ = io.Copy(io.Discard, r.Body)
	_ = r.Body.Close()
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
		Body: io.NopCloser(bytes.NewReader(e.answer)), ContentLength: int64(len(e.answer)),
	}, nil
}

func newLab(tb testing.TB, o authproxy.Options) *lab {
	tb.Helper()
	return newLabBy(tb, o, clientauth.Secret("lab-secret-of-the-app"))
}

func newLabBy(tb testing.TB, o authproxy.Options, method clientauth.Method) *lab {
	tb.Helper()
	tenant := entratest.NewTenant(nil)
	tb.Cleanup(tenant.Close)
	tb.Cleanup(tenant.HTTPClient().CloseIdleConnections)
	api := tenant.AddApp("Notes", "access_as_user", "notes_write")
	silent := slog.New(slog.DiscardHandler)
	verifier, err := entraauth.NewVerifier(tenant.ID(), api.ClientID, &entraauth.Options{
		HTTPClient: tenant.HTTPClient(), AuthorityHost: tenant.AuthorityHost(), Logger: silent,
		TokenCache: -1, // each token is verified
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = verifier.Close() })
	proxyApp := tenant.AddApp("The proxy")
	answer, err := json.Marshal(map[string]any{
		"token_type": "Bearer", "expires_in": 3600, "ext_expires_in": 3600, "scope": "api://" + api.ClientID + "/access_as_user",
		"access_token": tenant.Token(tenant.AddUser("alice@contoso.example", "Alice"), proxyApp, api),
		// As long as Entra's.
		"refresh_token": "1.AXkA" + strings.Repeat("r", 1500), "id_token": strings.Repeat("i", 1000),
	})
	if err != nil {
		tb.Fatal(err)
	}
	o.Resources, o.Scopes = []string{labIssuer + "/mcp"}, []string{"api://" + api.ClientID + "/access_as_user", "api://" + api.ClientID + "/notes_write"}
	o.Verifier, o.AuthorityHost, o.HTTPClient = verifier, tenant.AuthorityHost(), &http.Client{Transport: instantEntra{answer}}
	if o.Logger == nil {
		o.Logger = silent
	}
	proxy, err := authproxy.New(labIssuer, tenant.ID(), proxyApp.ClientID, method, [][]byte{bytes.Repeat([]byte{7}, 32)}, &o)
	if err != nil {
		tb.Fatal(err)
	}
	return &lab{tb, proxy, map[string]string{}}
}

// serve sends the request with the browser's cookies, and keeps those of the answer.
func (l *lab) serve(r *http.Request) *httptest.ResponseRecorder {
	for name, value := range l.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	l.proxy.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		if c.MaxAge < 0 {
			delete(l.cookies, c.Name)
		} else {
			l.cookies[c.Name] = c.Value
		}
	}
	return w
}

func (l *lab) get(target string) *httptest.ResponseRecorder {
	return l.serve(httptest.NewRequest(http.MethodGet, target, nil))
}

func (l *lab) post(target, contentType, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Origin", labIssuer)
	return l.serve(r)
}

func (l *lab) form(path string, form url.Values) *httptest.ResponseRecorder {
	return l.post(labIssuer+path, "application/x-www-form-urlencoded", form.Encode())
}

const labRegistration = `{"client_name":"Some client","redirect_uris":["` + labRedirect + `"],"token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token"],"response_types":["code"],"client_uri":"https://client.example","scope":"openid"}`

func (l *lab) register() string {
	l.tb.Helper()
	w := l.post(labIssuer+"/register", "application/json", labRegistration)
	var client struct {
		ID string `json:"client_id"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &client); err != nil || w.Code != http.StatusCreated || client.ID == "" {
		l.tb.Fatalf("register: status %d, %v: %s; want 201 with a client_id", w.Code, err, w.Body)
	}
	return client.ID
}

func labRequest(clientID string) url.Values {
	sum := sha256.Sum256([]byte(labVerifier))
	return url.Values{
		"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {labRedirect}, "state": {"some-state-of-the-client"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
		"resource": {labIssuer + "/mcp"}, "scope": {"openid offline_access access_as_user"},
	}
}

func (l *lab) authorize(clientID string) *httptest.ResponseRecorder {
	return l.get(labIssuer + "/authorize?" + labRequest(clientID).Encode())
}

var (
	hiddenInput = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
	metaRefresh = regexp.MustCompile(`(?i)<meta http-equiv="refresh" content="0; ?url='?([^"]*?)'?">`)
)

// decision returns the consent page's form, filled in.
func (l *lab) decision(page *httptest.ResponseRecorder, decision string) url.Values {
	l.tb.Helper()
	form := url.Values{"decision": {decision}}
	for _, m := range hiddenInput.FindAllStringSubmatch(page.Body.String(), -1) {
		form.Set(m[1], html.UnescapeString(m[2]))
	}
	if page.Code != http.StatusOK || len(form) < 2 {
		l.tb.Fatalf("authorize: status %d: %s; want a consent page with hidden inputs", page.Code, page.Body)
	}
	return form
}

// toEntra returns where an answer leads the browser.
func (l *lab) toEntra(w *httptest.ResponseRecorder) *url.URL {
	l.tb.Helper()
	to := w.Header().Get("Location")
	if m := metaRefresh.FindStringSubmatch(w.Body.String()); to == "" && m != nil {
		to = html.UnescapeString(m[1])
	}
	u, err := url.Parse(to)
	if err != nil || to == "" || u.Query().Get("state") == "" {
		l.tb.Fatalf("status %d leads to %q, %v: %s; want Entra with a state", w.Code, to, err, w.Body)
	}
	return u
}

// back is Entra's answer, with a code as long as Entra's.
func (l *lab) back(entra *url.URL) *httptest.ResponseRecorder {
	q := url.Values{"code": {"1.AXkA" + strings.Repeat("c", 1200)}, "state": {entra.Query().Get("state")}, "session_state": {"8f9c0000-0000-0000-0000-000000000000"}}
	return l.get(labIssuer + "/oauth/callback?" + q.Encode())
}

// code signs in, and returns our code.
func (l *lab) code(clientID string) string {
	l.tb.Helper()
	page := l.authorize(clientID)
	entra := page
	if page.Code == http.StatusOK {
		entra = l.form("/consent", l.decision(page, "approve"))
	}
	w := l.back(l.toEntra(entra))
	u, err := url.Parse(w.Header().Get("Location"))
	if err != nil || !strings.HasPrefix(u.String(), labRedirect+"?") || u.Query().Get("code") == "" {
		l.tb.Fatalf("callback: status %d, Location %q: %s; want the client's redirect with a code", w.Code, u, w.Body)
	}
	return u.Query().Get("code")
}

func labCode(clientID, code string) url.Values {
	return url.Values{
		"grant_type": {"authorization_code"}, "client_id": {clientID}, "code": {code}, "redirect_uri": {labRedirect},
		"code_verifier": {labVerifier}, "resource": {labIssuer + "/mcp"},
	}
}

func labRefresh(clientID, token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "client_id": {clientID}, "refresh_token": {token}, "resource": {labIssuer + "/mcp"}}
}

// refreshToken returns that of a token response.
func (l *lab) refreshToken(w *httptest.ResponseRecorder) string {
	l.tb.Helper()
	var answer struct {
		Token string `json:"refresh_token"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK || answer.Token == "" {
		l.tb.Fatalf("token: status %d, %v: %s; want 200 with a refresh_token", w.Code, err, w.Body)
	}
	return answer.Token
}
