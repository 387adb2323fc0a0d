package authproxy_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/authproxy"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

const desktopApp = `{"client_name":"App","redirect_uris":["https://client.example/callback?app=1"],"token_endpoint_auth_method":"none"}`

// A registered is an answer of the registration endpoint.
type registered struct {
	Status      int    `json:"-"`
	ID          string `json:"client_id"`
	Secret      string `json:"client_secret"`
	Error       string `json:"error"`
	Description string `json:"error_description"`
	header      http.Header
}

func (w *world) send(path, mediaType, body string) (*http.Response, []byte) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.proxy.Issuer()+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", mediaType)
	r.Header.Set("Origin", "https://inspector.example")
	answer, err := w.server.Client().Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer, text
}

func (w *world) registerClient(metadata string) *registered {
	w.t.Helper()
	answer, text := w.send("/register", "application/json", metadata)
	a := &registered{Status: answer.StatusCode, header: answer.Header}
	if err := json.Unmarshal(text, a); err != nil {
		w.t.Fatalf("registration answers %d, %v: %s", answer.StatusCode, err, text)
	}
	return a
}

// Points 5, 7, 8, 11, 22: the endpoint.
func TestRegistration(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	for _, c := range []struct {
		what, mediaType, body string
		status                int
		code                  string
	}{
		{"a client", "application/json", desktopApp, http.StatusCreated, ""},
		{"with a charset", "Application/JSON; charset=utf-8", desktopApp, http.StatusCreated, ""},
		{"as large as may be", "application/json", desktopApp + strings.Repeat(" ", 16<<10-len(desktopApp)), http.StatusCreated, ""},
		{"too large", "application/json", desktopApp + strings.Repeat(" ", 16<<10-len(desktopApp)+1), http.StatusRequestEntityTooLarge, "invalid_client_metadata"},
		{"a form", "application/x-www-form-urlencoded", "redirect_uris=x", http.StatusBadRequest, "invalid_client_metadata"},
		{"plain text", "text/plain", desktopApp, http.StatusBadRequest, "invalid_client_metadata"},
		{"no media type", "", desktopApp, http.StatusBadRequest, "invalid_client_metadata"},
		{"no body", "application/json", "", http.StatusBadRequest, "invalid_client_metadata"},
		{"a bad redirect", "application/json", `{"redirect_uris":["http://client.example/"]}`, http.StatusBadRequest, "invalid_redirect_uri"},
		{"Cursor", "application/json", `{"redirect_uris":["` + authproxy.CursorRedirect + `"]}`, http.StatusBadRequest, "invalid_redirect_uri"},
	} {
		answer, text := w.send("/register", c.mediaType, c.body)
		var got registered
		if err := json.Unmarshal(text, &got); err != nil {
			t.Errorf("%s: %v in %s", c.what, err, text)
		}
		if answer.StatusCode != c.status || got.Error != c.code || (got.Description == "") != (c.code == "") || (got.ID == "") != (c.code != "") {
			t.Errorf("%s: registration answers %d, %s; want %d, %q", c.what, answer.StatusCode, text, c.status, c.code)
		}
		for name, want := range map[string]string{"Cache-Control": "no-store", "Content-Type": "application/json", "Access-Control-Allow-Origin": "*"} {
			if got := answer.Header.Get(name); got != want {
				t.Errorf("%s: %s = %q, want %q", c.what, name, got, want)
			}
		}
	}
	if got := w.browser(w.alice).do(http.MethodGet, w.proxy.Issuer()+"/register", nil); got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") == "" {
		t.Errorf("GET /register answers %d, Allow %q; want 405 with Allow", got.status, got.header.Get("Allow"))
	}
}

// Points 3, 11, 23: a registered client signs in, by its method and no other.
func TestRegisteredClientsSignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	for method, auth := range map[string]func(*registered, *http.Request, url.Values){
		"none":                func(a *registered, _ *http.Request, form url.Values) { form.Set("client_id", a.ID) },
		"client_secret_basic": func(a *registered, r *http.Request, _ url.Values) { r.SetBasicAuth(a.ID, a.Secret) },
		"client_secret_post": func(a *registered, _ *http.Request, form url.Values) {
			form.Set("client_id", a.ID)
			form.Set("client_secret", a.Secret)
		},
	} {
		client := w.registerClient(strings.Replace(desktopApp, `"none"`, `"`+method+`"`, 1))
		code := w.browser(w.alice).signIn(request("client_id=" + client.ID)).Query().Get("code")
		form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {clientBack}, "code_verifier": {verifier}}
		redeem := func(auth func(*registered, *http.Request, url.Values)) (int, string, http.Header) {
			values, header := url.Values{}, http.Header{}
			for name := range form {
				values.Set(name, form.Get(name))
			}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.proxy.Issuer()+"/token", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header = header
			auth(client, r, values)
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Body = io.NopCloser(strings.NewReader(values.Encode()))
			answer, err := w.server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = answer.Body.Close() }()
			var a tokenAnswer
			if err := json.NewDecoder(answer.Body).Decode(&a); err != nil {
				t.Fatal(err)
			}
			return answer.StatusCode, a.Error, answer.Header
		}
		// A wrong method and a wrong secret spend nothing.
		status, code, header := redeem(func(a *registered, r *http.Request, _ url.Values) { r.SetBasicAuth(a.ID, "wrong") })
		if status != http.StatusUnauthorized || code != "invalid_client" || !strings.HasPrefix(header.Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("%s: with a wrong secret by Basic /token answers %d %s, WWW-Authenticate %q; want 401 invalid_client, Basic", method, status, code, header.Get("WWW-Authenticate"))
		}
		status, code, header = redeem(func(a *registered, _ *http.Request, form url.Values) {
			form.Set("client_id", a.ID)
			form.Set("client_secret", "wrong")
		})
		if status != http.StatusUnauthorized || code != "invalid_client" || header.Get("WWW-Authenticate") != "" {
			t.Errorf("%s: with a wrong secret in the form /token answers %d %s, WWW-Authenticate %q; want 401 invalid_client without", method, status, code, header.Get("WWW-Authenticate"))
		}
		if status, code, _ = redeem(auth); status != http.StatusOK {
			t.Errorf("%s: /token answers %d %s, want 200", method, status, code)
		}
	}
}

// Point 3: a registration whose key is gone is a page at /authorize, and makes clients register
// again at /token.
func TestRegistrationWithoutItsKey(t *testing.T) {
	t.Parallel()
	old := newWorld(t, setup{keys: [][]byte{bytes.Repeat([]byte("o"), 32)}}).registerClient(desktopApp)
	w := newWorld(t, setup{})
	p := w.browser(w.alice).authorize(request("client_id=" + old.ID))
	if p.status != http.StatusBadRequest || p.location != nil || !strings.Contains(p.body, "register again") {
		t.Errorf("/authorize answers %d, Location %v; want a page that says to register again:\n%s", p.status, p.location, p.body)
	}
	answer, text := w.send("/token", "application/x-www-form-urlencoded", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}, "client_id": {old.ID}}.Encode())
	if answer.StatusCode != http.StatusUnauthorized || !strings.Contains(string(text), `"invalid_client"`) {
		t.Errorf("/token answers %d, %s; want 401 invalid_client", answer.StatusCode, text)
	}
}

// Points 19, 20, 22: what the operator decides about registrations.
func TestRegistrationOptions(t *testing.T) {
	t.Parallel()
	const any, listed = `{"redirect_uris":["https://client.example/cb"]}`, `{"redirect_uris":["https://studio.example/redirect/a"]}`
	private := `{"redirect_uris":["` + authproxy.CursorRedirect + `","http://localhost:8787/callback"]}`
	for _, c := range []struct {
		what    string
		options func(*world, *authproxy.Options)
		want    map[string]int
	}{
		{"the defaults", nil, map[string]int{any: 201, listed: 201, private: 400}},
		{"private schemes", func(_ *world, o *authproxy.Options) { o.PrivateSchemes = []string{authproxy.CursorRedirect} }, map[string]int{any: 201, private: 201}},
		{"a list", func(_ *world, o *authproxy.Options) {
			o.OnlyRedirects = []authproxy.Preset{{Redirects: []string{"https://studio.example/redirect/*"}}}
		}, map[string]int{any: 400, listed: 201, private: 400}},
		{"no registration", func(_ *world, o *authproxy.Options) { o.NoRegistration = true }, map[string]int{any: 404}},
	} {
		w := newWorld(t, setup{options: c.options})
		for metadata, want := range c.want {
			if answer, text := w.send("/register", "application/json", metadata); answer.StatusCode != want {
				t.Errorf("%s: registration of %s answers %d, %s; want %d", c.what, metadata, answer.StatusCode, text, want)
			}
		}
	}
}

// All faults of the clients' options are reported, each with its field.
func TestFaultsOfClients(t *testing.T) {
	t.Parallel()
	const guid = "11111111-2222-3333-4444-555555555555"
	_, err := authproxy.New("https://mcp.example.com", guid, "66666666-2222-3333-4444-555555555555", clientauth.Secret("x"), [][]byte{testKey}, &authproxy.Options{
		Clients: []authproxy.Client{
			{ID: "a", Redirects: []string{"https://a.example/cb"}, Secret: "too-short"},
			{ID: "a", Redirects: []string{"http://a.example/cb"}},
			{ID: "https://a.example/client.json", Redirects: []string{"https://a.example/cb"}},
		},
		PrivateSchemes: []string{authproxy.CursorRedirect, "javascript:alert(1)"},
		OnlyRedirects:  []authproxy.Preset{{Name: "A", Redirects: []string{"https://a.example/*/*"}}},
		Presets:        []authproxy.Preset{{Name: "A"}},
	})
	if err == nil {
		t.Fatal("New = nil, want faults")
	}
	for _, want := range []string{
		"Options.Clients: client 0: the Secret must have at least 32", "client 1: redirect 0: http is only", "client 1: another client has the same ID",
		"client 2: the ID is a URL", "Options.PrivateSchemes[1]: this scheme is never allowed", "Options.OnlyRedirects[0]: redirect 0: one *", "Options.Presets[0]: there are no Redirects",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("New = %v\nwant %q in it", err, want)
		}
	}
	if strings.Contains(err.Error(), "too-short") {
		t.Errorf("New = %v, which has a secret", err)
	}
}
