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
	ID          string `json:"client_id"`
	Secret      string `json:"client_secret"`
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// sendRegistration posts a body to the registration endpoint and returns the answer's status, header and body.
func (w *world) sendRegistration(mediaType, body string) (int, http.Header, []byte) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.proxy.Issuer()+"/register", strings.NewReader(body))
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
	return answer.StatusCode, answer.Header, text
}

func (w *world) registerClient(metadata string) *registered {
	w.t.Helper()
	status, _, text := w.sendRegistration("application/json", metadata)
	a := &registered{}
	if err := json.Unmarshal(text, a); err != nil || status != http.StatusCreated {
		w.t.Fatalf("registration answers %d, %v: %s", status, err, text)
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
		status, header, text := w.sendRegistration(c.mediaType, c.body)
		var got registered
		if err := json.Unmarshal(text, &got); err != nil {
			t.Errorf("%s: %v in %s", c.what, err, text)
		}
		if status != c.status || got.Error != c.code || (got.Description == "") != (c.code == "") || (got.ID == "") != (c.code != "") {
			t.Errorf("%s: registration answers %d, %s; want %d, %q", c.what, status, text, c.status, c.code)
		}
		for name, want := range map[string]string{"Cache-Control": "no-store", "Content-Type": "application/json", "Access-Control-Allow-Origin": "*"} {
			if got := header.Get(name); got != want {
				t.Errorf("%s: %s = %q, want %q", c.what, name, got, want)
			}
		}
	}
	if log := w.logs.String(); strings.Count(log, "path=/register error=invalid_") != 7 {
		t.Errorf("the log has not one line for each of the 7 refusals:\n%s", log)
	}
	if got := w.browser(w.alice).do(http.MethodGet, w.proxy.Issuer()+"/register", nil); got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") == "" {
		t.Errorf("GET /register answers %d, Allow %q; want 405 with Allow", got.status, got.header.Get("Allow"))
	}
}

// Points 3, 11, 23: a registered client signs in, by its method and no other.
func TestRegisteredClientsSignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	byBasic := func(id, secret string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(id, secret) }
	}
	for _, method := range []string{"none", "client_secret_basic", "client_secret_post"} {
		client := w.registerClient(strings.Replace(desktopApp, `"none"`, `"`+method+`"`, 1))
		code := w.browser(w.alice).signIn(request("client_id=" + client.ID)).Query().Get("code")
		form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {clientBack}, "code_verifier": {verifier}}
		inForm := changed(form, "client_id="+client.ID, "client_secret="+client.Secret)

		// A wrong secret spends nothing, nor does a method that was not registered.
		got := w.post("/token", form, byBasic(client.ID, "wrong"))
		if challenge := got.header.Get("WWW-Authenticate"); got.status != http.StatusUnauthorized || got.get("error") != "invalid_client" || !strings.HasPrefix(challenge, "Basic ") {
			t.Errorf("%s, a wrong secret by Basic: /token answers %d, WWW-Authenticate %q, %s; want 401 invalid_client, Basic", method, got.status, challenge, got.text)
		}
		got = w.post("/token", changed(inForm, "client_secret=wrong"), nil)
		if challenge := got.header.Get("WWW-Authenticate"); got.status != http.StatusUnauthorized || got.get("error") != "invalid_client" || challenge != "" {
			t.Errorf("%s, a wrong secret in the form: /token answers %d, WWW-Authenticate %q, %s; want 401 invalid_client", method, got.status, challenge, got.text)
		}
		switch method {
		case "client_secret_basic":
			if got = w.post("/token", inForm, nil); got.status != http.StatusUnauthorized {
				t.Errorf("%s, the secret in the form: /token answers %d, %s; want 401", method, got.status, got.text)
			}
			got = w.post("/token", form, byBasic(client.ID, client.Secret))
		case "client_secret_post":
			if got = w.post("/token", form, byBasic(client.ID, client.Secret)); got.status != http.StatusUnauthorized {
				t.Errorf("%s, the secret by Basic: /token answers %d, %s; want 401", method, got.status, got.text)
			}
			got = w.post("/token", inForm, nil)
		default:
			got = w.post("/token", inForm, nil)
		}
		if got.status != http.StatusOK || got.get("access_token") == "" {
			t.Errorf("%s: /token answers %d, %s; want 200", method, got.status, got.text)
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
	got := w.post("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}, "client_id": {old.ID}}, nil)
	if got.status != http.StatusUnauthorized || got.get("error") != "invalid_client" {
		t.Errorf("/token answers %d, %s; want 401 invalid_client", got.status, got.text)
	}
}

// Points 19, 20, 22: what the operator decides about registrations.
func TestRegistrationOptions(t *testing.T) {
	t.Parallel()
	const other, listed = `{"redirect_uris":["https://client.example/cb"]}`, `{"redirect_uris":["https://studio.example/redirect/a"]}`
	private := `{"redirect_uris":["` + authproxy.CursorRedirect + `","http://localhost:8787/callback"]}`
	for _, c := range []struct {
		what    string
		options func(*world, *authproxy.Options)
		want    map[string]int
	}{
		{"the defaults", nil, map[string]int{other: 201, listed: 201, private: 400}},
		{"private schemes", func(_ *world, o *authproxy.Options) { o.PrivateSchemes = []string{authproxy.CursorRedirect} }, map[string]int{other: 201, private: 201}},
		{"a list", func(_ *world, o *authproxy.Options) {
			o.OnlyRedirects = []authproxy.Preset{{Redirects: []string{"https://studio.example/redirect/*"}}}
		}, map[string]int{other: 400, listed: 201, private: 400}},
		{"no registration", func(_ *world, o *authproxy.Options) { o.NoRegistration = true }, map[string]int{other: 404}},
	} {
		w := newWorld(t, setup{options: c.options})
		for metadata, want := range c.want {
			if status, _, text := w.sendRegistration("application/json", metadata); status != want {
				t.Errorf("%s: registration of %s answers %d, %s; want %d", c.what, metadata, status, text, want)
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
		Presets:        []authproxy.Preset{{Name: "A"}, {Redirects: []string{"https://a.example/cb"}}},
	})
	if err == nil {
		t.Fatal("New = nil, want faults")
	}
	for _, want := range []string{
		"Options.Clients: client 0: the Secret must have at least 32", "client 1: redirect 0: http is only", "client 1: another client has the same ID",
		"client 2: the ID is the URL", "Options.PrivateSchemes[1]: this scheme is never allowed", "Options.OnlyRedirects[0]: redirect 0: one *", "Options.Presets[0]: there are no Redirects", "Options.Presets[1]: has no name",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("New = %v\nwant %q in it", err, want)
		}
	}
	if strings.Contains(err.Error(), "too-short") {
		t.Errorf("New = %v, which has a secret", err)
	}
	_, err = authproxy.New("https://mcp.example.com", guid, "66666666-2222-3333-4444-555555555555", clientauth.Secret("x"), [][]byte{testKey},
		&authproxy.Options{OnlyRedirects: []authproxy.Preset{}})
	if err == nil || !strings.Contains(err.Error(), "Options.OnlyRedirects: is empty") {
		t.Errorf("New with an empty OnlyRedirects = %v, want a fault: nothing allowed is not everything", err)
	}
}
