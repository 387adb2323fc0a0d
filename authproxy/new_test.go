package authproxy_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

const (
	aTenant = "11111111-1111-1111-1111-111111111111"
	anApp   = "22222222-2222-2222-2222-222222222222"
)

func TestIssuer(t *testing.T) {
	t.Parallel()
	for issuer, fault := range map[string]string{
		"https://mcp.example.com":           "",
		"https://mcp.example.com:8443":      "",
		"https://mcp.example.com/sign/in":   "",
		"http://localhost:8080":             "",
		"http://127.0.0.1:8080/auth":        "",
		"http://[::1]:8080":                 "",
		"":                                  "must be https",
		"mcp.example.com":                   "must be https",
		"http://mcp.example.com":            "must be https",
		"http://127.0.0.2":                  "must be https",
		"http://localhost.example.com":      "must be https",
		"ftp://mcp.example.com":             "must be https",
		"https://mcp.example.com/":          "trailing slash",
		"https://mcp.example.com/a/":        "trailing slash",
		"https://mcp.example.com?x":         "query",
		"https://mcp.example.com?":          "query",
		"https://mcp.example.com#x":         "fragment",
		"https://mcp.example.com#":          "fragment",
		"https://user:pw@mcp.example.com":   "no user",
		"https://MCP.example.com":           `as "https://mcp.example.com"`,
		"https://mcp.example.com:443":       `as "https://mcp.example.com"`,
		"HTTPS://mcp.example.com":           `as "https://mcp.example.com"`,
		"https://mcp.example.com/a/../b":    "clean",
		"https://mcp.example.com//a":        "clean",
		"https://mcp.example.com/%61":       "clean",
		"https://mcp.example.com/a b":       "clean",
		"https://mcp.example.com/{x}":       "clean",
		"https://*.example.com":             "wildcards",
		"https://mcp.example.com:0":         "port",
		"https://mcp.example.com:":          "",
		"https://":                          "trailing slash",
		"https://mcp.example.com/caf\u00e9": "clean",
	} {
		p, err := authproxy.New(issuer, aTenant, anApp, clientauth.Secret("s"), [][]byte{testKey}, nil)
		if fault == "" && issuer != "https://mcp.example.com:" {
			if err != nil || p.Issuer() != issuer || p.AuthorizationEndpoint() != issuer+"/authorize" {
				t.Errorf("New(%q): %v, want it to be the issuer", issuer, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), "issuerURL") || !strings.Contains(err.Error(), fault) || strings.Contains(err.Error(), "pw") {
			t.Errorf("New(%q): %v, want a fault of issuerURL with %q", issuer, err, fault)
		}
	}
}

func TestFaultsAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := authproxy.New("http://mcp.example.com", "contoso", aTenant+"x", clientauth.Method{}, [][]byte{make([]byte, 32), []byte("short")}, &authproxy.Options{
		Resources: []string{resource, "mcp"}, Downstream: []string{"user_impersonation"}, AuthorityHost: "http://login",
		Clients:         []authproxy.Client{{ID: "x", Redirects: []string{"https://a.example/#f"}}},
		PrivateSchemes:  []string{"javascript:x"},
		Presets:         []authproxy.Preset{{}},
		CombinedConsent: true,
		RememberConsent: time.Second,
	})
	if err == nil {
		t.Fatal("New returns no error")
	}
	for _, want := range []string{
		"issuerURL: ", "tenantID: ", "clientID: ", "keys: key 0 is all zero", "key 1 has 5 bytes", "Options.Resources[1]: ", "Options.Downstream[0]: ",
		"Options.AuthorityHost: ", "Options.Clients", "Options.PrivateSchemes[0]: ", "Options.Presets[0]: ", "method: ", "Options.RememberConsent: ",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error is\n%v\nwant %q too", err, want)
		}
	}
	for name, make := range map[string]func() error{
		"method": func() error {
			_, err := authproxy.New("https://mcp.example.com", aTenant, anApp, clientauth.Method{}, [][]byte{testKey}, nil)
			return err
		},
		"keys: got 0 keys": func() error {
			_, err := authproxy.New("https://mcp.example.com", aTenant, anApp, clientauth.Secret("s"), nil, nil)
			return err
		},
		"is the tenant ID": func() error {
			_, err := authproxy.New("https://mcp.example.com", aTenant, strings.ToUpper(aTenant), clientauth.Secret("s"), [][]byte{testKey}, nil)
			return err
		},
		"CombinedConsent": func() error {
			_, err := authproxy.New("https://mcp.example.com", aTenant, anApp, clientauth.Secret("s"), [][]byte{testKey}, &authproxy.Options{CombinedConsent: true})
			return err
		},
	} {
		if err := make(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("the error is %v, want %q", err, name)
		}
	}
}

// newVerifier returns a verifier of the app in the tenant. It reaches no authority.
func newVerifier(t *testing.T, tenant, app string) *entraauth.Verifier {
	t.Helper()
	v, err := entraauth.NewVerifier(tenant, app, &entraauth.Options{
		AuthorityHost: "https://localhost:1", Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	return v
}

func TestAttach(t *testing.T) {
	t.Parallel()
	v, scope, more := newVerifier(t, aTenant, anApp), "api://"+anApp+"/access_as_user", "api://"+anApp+"/Files.Read"
	for _, row := range []struct {
		name  string
		opts  authproxy.Options
		fault string
	}{
		{"everything from the server", authproxy.Options{}, ""},
		{"the same", authproxy.Options{Resources: []string{resource + "/"}, Scopes: []string{scope, more}, Verifier: v, AuthorityHost: "https://localhost:1"}, ""},
		{"several servers", authproxy.Options{Resources: []string{"https://other.example.com/mcp", resource}}, ""},
		{"another server", authproxy.Options{Resources: []string{"https://other.example.com/mcp"}}, "Options.Resources"},
		{"another scope", authproxy.Options{Scopes: []string{more}}, "Options.Scopes"},
		{"the scopes in another order", authproxy.Options{Scopes: []string{more, scope}}, "same scope first"},
		{"another verifier", authproxy.Options{Verifier: newVerifier(t, aTenant, anApp)}, "Options.Verifier"},
		{"another cloud", authproxy.Options{AuthorityHost: "https://login.microsoftonline.us"}, "Options.AuthorityHost"},
	} {
		p, err := authproxy.New("https://mcp.example.com", aTenant, anApp, clientauth.Secret("s"), [][]byte{testKey}, &row.opts)
		if err != nil {
			t.Errorf("%s: New: %v", row.name, err)
			continue
		}
		err = p.Attach(resource, "My server", []string{scope, more}, v, slog.New(slog.DiscardHandler))
		if (err == nil) != (row.fault == "") || err != nil && !strings.Contains(err.Error(), row.fault) {
			t.Errorf("%s: Attach: %v, want a fault with %q", row.name, err, row.fault)
		}
		if err == nil && !p.Serves("/authorize") {
			t.Errorf("%s: /authorize is not served", row.name)
		}
		if err := p.Attach("https://third.example.com/mcp", "", []string{scope}, v, nil); err == nil || !strings.Contains(err.Error(), "Options.Resources") {
			t.Errorf("%s: Attach to another server: %v, want a fault of Options.Resources", row.name, err)
		}
	}
	p, err := authproxy.New("https://mcp.example.com", "33333333-3333-3333-3333-333333333333", anApp, clientauth.Secret("s"), [][]byte{testKey}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Attach(resource, "", []string{scope}, v, nil); err == nil || !strings.Contains(err.Error(), "tenantID") {
		t.Errorf("another tenant: %v, want a fault of tenantID", err)
	}
	if _, err := authproxy.New("https://mcp.example.com", aTenant, anApp, clientauth.Secret("s"), [][]byte{testKey}, &authproxy.Options{
		Resources: []string{resource}, Verifier: v, Scopes: []string{"access_as_user", scope, "api://" + anApp + "/.default", "https://graph.microsoft.com/User.Read"},
	}); err == nil || strings.Count(err.Error(), "Options.Scopes") != 1 || strings.Count(err.Error(), "is not a scope") != 3 {
		t.Errorf("scopes of other forms: %v, want three faults of Options.Scopes", err)
	}
}

// Whoever makes requests that Entra can't take is told at the start.
func TestScopesThatDoNotFit(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, aTenant, anApp)
	var scopes, downstream []string
	for i := range 50 {
		scopes = append(scopes, fmt.Sprintf("api://%s/Some.Permission.%d", anApp, i))
		downstream = append(downstream, fmt.Sprintf("https://storage.azure.com/user_impersonation_%d", i))
	}
	for _, row := range []struct {
		name               string
		scopes, downstream []string
		fault, warning     string
	}{
		{"ordinary", scopes[:3], downstream[:3], "", ""},
		{"none", nil, nil, "Options.Scopes", ""},
		{"many", scopes, nil, "", "ask for all scopes"},
		{"many downstream", scopes[:3], downstream, "Downstream", ""},
	} {
		var log bytes.Buffer
		p, err := authproxy.New("https://mcp.example.com", aTenant, anApp, clientauth.Secret("s"), [][]byte{testKey}, &authproxy.Options{Downstream: row.downstream})
		if err != nil {
			t.Fatal(err)
		}
		err = p.Attach(resource, "", row.scopes, v, slog.New(slog.NewTextHandler(&log, nil)))
		if (err == nil) != (row.fault == "") || err != nil && !strings.Contains(err.Error(), row.fault) {
			t.Errorf("%s: Attach: %v, want a fault with %q", row.name, err, row.fault)
		}
		if got := log.String(); !strings.Contains(got, row.warning) || (got == "") != (row.warning == "") {
			t.Errorf("%s: the log is %q, want %q", row.name, got, row.warning)
		}
	}
}

func TestIncomplete(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	p, err := authproxy.New("https://mcp.example.com", aTenant, anApp, clientauth.Secret("s"), [][]byte{testKey},
		&authproxy.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/authorize", nil))
	if w.Code != http.StatusInternalServerError || !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "Options.Verifier") {
		t.Errorf("status %d, log %q; want 500 and an ERROR that says what is missing", w.Code, log.String())
	}
}

func TestReplicasWithoutStore(t *testing.T) {
	t.Parallel()
	for _, replicas := range []bool{true, false} {
		w := newWorld(t, setup{options: func(_ *world, o *authproxy.Options) { o.Replicas = replicas }})
		if got := strings.Contains(w.logs.String(), "Options.Store"); got != replicas {
			t.Errorf("Replicas %t: the log warns of the missing Store: %t", replicas, got)
		}
	}
}

// What an old key sealed opens as long as the key is there.
func TestKeyRotation(t *testing.T) {
	t.Parallel()
	older, newer := bytes.Repeat([]byte("o"), 32), bytes.Repeat([]byte("n"), 100)
	for _, row := range []struct {
		name string
		keys [][]byte
		want int
	}{
		{"the new key first", [][]byte{newer, older}, http.StatusOK},
		{"without the old key", [][]byte{newer}, http.StatusForbidden},
	} {
		w := newWorld(t, setup{keys: [][]byte{older}})
		b := w.browser(w.alice)
		page := b.authorize(request())
		id := w.register(t, loopback)
		next, err := authproxy.New(w.proxy.Issuer(), w.tenant.ID(), w.app.ClientID, clientauth.Secret(w.secret), row.keys, w.opts)
		if err != nil {
			t.Fatal(err)
		}
		w.handler = next
		if p := b.decide(page, "approve"); p.status != row.want {
			t.Errorf("%s: the form answers %d, want %d", row.name, p.status, row.want)
		}
		got, want := w.outcome(b.authorize(request("client_id="+id, "redirect_uri="+loopback))), "consent"
		if row.want != http.StatusOK {
			want = "400 page"
		}
		if got != want {
			t.Errorf("%s: a client that registered before: %s, want %s", row.name, got, want)
		}
	}
}
