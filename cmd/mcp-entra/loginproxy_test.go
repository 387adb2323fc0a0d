package main

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/authproxy"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// newProxyWorld is a world whose server signs its clients in itself.
func newProxyWorld(t *testing.T) *world {
	t.Helper()
	tenant := entratest.New(t, nil)
	w := &world{tenant: tenant, api: tenant.AddApp("API", "access_as_user", "Ping.Read"), alice: tenant.AddUser("alice@contoso.example", "Alice")}
	log := slog.New(slog.DiscardHandler)
	verifier, err := entraauth.NewVerifier(tenant.ID(), w.api.ClientID, &entraauth.Options{
		HTTPClient: tenant.HTTPClient(), AuthorityHost: tenant.AuthorityHost(), Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = verifier.Close() })
	server := httptest.NewUnstartedServer(nil)
	origin := "http://" + server.Listener.Addr().String()
	w.url = origin + "/mcp"
	w.api.AddRedirectURI(entratest.PlatformWeb, origin+"/oauth/callback")
	proxy, err := authproxy.New(origin, tenant.ID(), w.api.ClientID, clientauth.Secret(w.api.AddSecret()), [][]byte{bytes.Repeat([]byte("k"), 32)},
		&authproxy.Options{HTTPClient: tenant.HTTPClient()})
	if err != nil {
		t.Fatal(err)
	}
	s, err := mcpentra.NewServer(w.url, verifier, mcpentra.WithAuthProxy(proxy), mcpentra.WithTools(mcpentra.IdentityTools(verifier)),
		mcpentra.WithToolPolicy("get_user_info", entraauth.Policy{Scopes: []string{"Ping.Read"}}), mcpentra.WithLogger(log))
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = s
	server.Start()
	t.Cleanup(server.Close)
	return w
}

var (
	hiddenField = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`)
	nextPage    = regexp.MustCompile(`http-equiv="refresh" content="0; ?url=([^"]*)"`)
)

// approve is a user at a browser who lets the program in, signs in at Entra, and is sent back to it.
func (w *world) approve(t *testing.T, decision string) func(string) error {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	open := func(method, address string, form url.Values) (string, string, error) {
		r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
		if err != nil {
			return "", "", err
		}
		if form != nil {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Origin", strings.TrimSuffix(w.url, "/mcp"))
		}
		response, err := browser.Do(r)
		if err != nil {
			return "", "", err
		}
		defer func() { _ = response.Body.Close() }()
		text, err := io.ReadAll(response.Body)
		return string(text), response.Header.Get("Location"), err
	}
	return func(address string) error {
		page, _, err := open(http.MethodGet, address, nil)
		if err != nil {
			return err
		}
		form := url.Values{"decision": {decision}}
		for _, found := range hiddenField.FindAllStringSubmatch(page, -1) {
			form.Set(found[1], html.UnescapeString(found[2]))
		}
		page, _, err = open(http.MethodPost, strings.TrimSuffix(w.url, "/mcp")+"/consent", form)
		if err != nil {
			return err
		}
		next := nextPage.FindStringSubmatch(page)
		if next == nil {
			return fmt.Errorf("the page leads nowhere: %s", page)
		}
		to := strings.Trim(html.UnescapeString(next[1]), "'")
		if strings.HasPrefix(to, w.tenant.AuthorityHost()) {
			back, err := w.tenant.Browser(w.alice).Open(t.Context(), to)
			if err != nil {
				return err
			}
			if _, to, err = open(http.MethodGet, back.String(), nil); err != nil {
				return err
			}
		}
		_, _, err = open(http.MethodGet, to, nil)
		return err
	}
}

// At a server that signs its users in itself, the program registers and signs in like any client.
func TestLoginThroughProxy(t *testing.T) {
	t.Parallel()
	w := newProxyWorld(t)
	at := func(decision string) func(*process) {
		return func(p *process) { w.at(t)(p); p.openURL = w.approve(t, decision) }
	}
	code, out, errs := start(t, at("approve"), "login", "-browser", w.url)
	if code != exitOK {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	for _, want := range []string{"user     " + w.alice.UserPrincipalName, "tenant   " + w.tenant.ID(), "scopes   api://" + w.api.ClientID + "/", "expires  20"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q does not say %q", out, want)
		}
	}
	if strings.Contains(out+errs, "eyJ") {
		t.Errorf("a token is shown: %s%s", out, errs)
	}
	// A tool that needs another scope is called after a second sign-in, if it comes to that.
	if code, out, errs := start(t, at("approve"), "call", "-browser", w.url, "get_user_info"); code != exitOK || !strings.Contains(out, w.alice.UserPrincipalName) {
		t.Errorf("call: exit code %d\n%s%s", code, out, errs)
	}
	if code, out, errs := start(t, at("deny"), "login", "-browser", w.url); code != exitFailed || !strings.Contains(errs, "access_denied") {
		t.Errorf("denied: exit code %d\n%s%s", code, out, errs)
	}
	if code, _, errs := start(t, at("approve"), "login", "-device", w.url); code != exitFailed || !strings.Contains(errs, "use -browser") {
		t.Errorf("a device code: exit code %d\n%s", code, errs)
	}
	// With -tenant the user signs in at Entra itself, with a client of the tenant.
	client := w.tenant.AddClient("client")
	client.AddRedirectURI(entratest.PlatformDesktop, "http://localhost")
	w.tenant.Consent(client, w.api)
	if code, out, errs := start(t, w.at(t), "login", "-browser", "-tenant", w.tenant.ID(), "-client", client.ClientID, w.url); code != exitOK || !strings.Contains(out, w.alice.UserPrincipalName) {
		t.Errorf("at Entra: exit code %d\n%s%s", code, out, errs)
	}
}
