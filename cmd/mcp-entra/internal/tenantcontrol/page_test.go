package tenantcontrol_test

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// browser returns a client with cookies, as a person's browser.
func (f *fixture) browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Transport: f.server.Client().Transport, Jar: jar}
}

// A visit is what a browser has come to.
type visit struct {
	status  int
	address string
	header  http.Header
}

func open(ctx context.Context, t *testing.T, client *http.Client, method, address string, form url.Values) (visit, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return visit{response.StatusCode, response.Request.URL.String(), response.Header}, string(data)
}

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

func TestPage(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.token(t.Context(), t, "Qw8Q~a-wrong-secret")
	client := f.browser(t)
	page := f.server.URL + "/"

	if response, text := open(t.Context(), t, client, http.MethodGet, page, nil); response.status != http.StatusUnauthorized || strings.Contains(text, "contoso") {
		t.Errorf("without the key: %d", response.status)
	}
	if response, text := open(t.Context(), t, client, http.MethodPost, page+"session", url.Values{"key": {"wrong"}}); response.status != http.StatusUnauthorized || !strings.Contains(text, "This is not the control key.") {
		t.Errorf("with a wrong key: %d", response.status)
	}
	response, text := open(t.Context(), t, client, http.MethodGet, page+"?key="+f.key, nil)
	if response.status != http.StatusOK || response.address != page {
		t.Fatalf("with the key: %d at %s, want 200 at %s", response.status, response.address, page)
	}
	for _, want := range []string{"AADSTS7000215", "Check the secret", "error?code=7000215", "alice@contoso.example", "access_as_user", "(sent)"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not show %q", want)
		}
	}
	if strings.Contains(text, f.key) || strings.Contains(text, "Qw8Q") {
		t.Error("the page shows a secret")
	}
	policy := response.header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || strings.Contains(text, "<script") {
		t.Errorf("the page's policy is %q, want no scripts and nothing inline", policy)
	}
	if response, text := open(t.Context(), t, client, http.MethodGet, page+"?tenant=contoso&refused=true&reload=true", nil); response.status != http.StatusOK || !strings.Contains(text, `http-equiv="refresh"`) {
		t.Errorf("refused and reload: %d", response.status)
	}
}

// A secret in the place of an id is in no list, though Entra's error repeats it.
func TestMisplacedSecrets(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	secret := "Qw8Q~a-secret-in-the-wrong-place" + strings.Repeat("x", 300)
	for name, value := range map[string]string{"client_id": secret, secret: "x", "grant_type": "client_credentials"} {
		form := url.Values{name: {value}}
		if name == "grant_type" {
			form.Set("client_id", secret)
		}
		open(t.Context(), t, f.tenant.HTTPClient(), http.MethodPost, f.tenant.AuthorityHost()+"/"+f.tenant.ID()+"/oauth2/v2.0/token", form)
	}
	_, body := f.do(t.Context(), t, http.MethodGet, "/control/requests", "", nil)
	if strings.Contains(body, "Qw8Q") || strings.Count(body, `"endpoint":"Token"`) != 3 || !strings.Contains(body, "AADSTS700016") && !strings.Contains(body, "700016") {
		t.Errorf("the list is %s", body)
	}
}

func TestMintOnPage(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	client := f.browser(t)
	page := f.server.URL + "/"
	_, text := open(t.Context(), t, client, http.MethodPost, page+"session", url.Values{"key": {" " + f.key + "\n"}})
	field := csrfField.FindStringSubmatch(text)
	if field == nil {
		t.Fatalf("no form on the page: %s", text)
	}
	ask := url.Values{"tenant": {"contoso"}, "user": {"alice@contoso.example"}, "client": {"client"}, "api": {"api"}, "scopes": {"access_as_user"}}
	if response, text := open(t.Context(), t, client, http.MethodPost, page+"token", ask); response.status != http.StatusForbidden || strings.Contains(text, "eyJ") {
		t.Errorf("without the form's field: %d, want 403", response.status)
	}
	ask.Set("csrf", field[1])
	if response, text := open(t.Context(), t, f.browser(t), http.MethodPost, page+"token", ask); response.status != http.StatusForbidden || strings.Contains(text, "eyJ") {
		t.Errorf("without the session: %d, want 403", response.status)
	}
	if response, text := open(t.Context(), t, client, http.MethodPost, page+"token", ask); response.status != http.StatusOK || !strings.Contains(text, "eyJ") || !strings.Contains(text, "&#34;scp&#34;: &#34;access_as_user&#34;") {
		t.Errorf("with both: %d, want the token and its claims", response.status)
	}
	ask.Set("scopes", "read")
	if response, text := open(t.Context(), t, client, http.MethodPost, page+"token", ask); response.status != http.StatusBadRequest || !strings.Contains(text, "there is no such scope of api") {
		t.Errorf("with an unknown scope: %d, want what is wrong", response.status)
	}
}

// No answer is kept, framed, or read by another site.
func TestHeaders(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	response, _ := open(t.Context(), t, f.browser(t), http.MethodGet, f.server.URL+"/", nil)
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
		"Cross-Origin-Resource-Policy": "same-origin",
	} {
		if got := response.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}
