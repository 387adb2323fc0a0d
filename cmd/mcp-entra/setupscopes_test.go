package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// furtherScopes asks for one scope that users may consent to, and one that they may not.
var furtherScopes = []string{"roles:\n", "scopes:\n  - Files.Read\n  - {name: Files.Delete, description: Delete your files, admin: true}\nroles:\n"}

// scopes returns the API's scopes as VALUE TYPE, and how many each pre-authorized client has.
func (s *stage) scopes() (all []string, preAuthorized []int) {
	s.Helper()
	api := s.app("files-mcp")["api"].(map[string]any)
	for _, scope := range list(api["oauth2PermissionScopes"]) {
		text := scope["value"].(string) + " " + scope["type"].(string)
		if scope["isEnabled"] != true {
			text += " disabled"
		}
		all = append(all, text)
	}
	for _, client := range list(api["preAuthorizedApplications"]) {
		preAuthorized = append(preAuthorized, len(texts(client["delegatedPermissionIds"])))
	}
	return all, preAuthorized
}

// checkScopes wants the tenant to be as the file says, with these scopes on the API, all of them for
// the pre-authorized clients.
func (s *stage) checkScopes(file string, want ...string) {
	s.Helper()
	s.must(exitOK, "check", "-f", file)
	got, clients := s.scopes()
	if slices.Sort(got); !slices.Equal(got, want) {
		s.Errorf("scopes: %q, want %q", got, want)
	}
	own := len(slices.DeleteFunc(slices.Clone(want), func(w string) bool { return strings.HasPrefix(w, "others ") }))
	if !slices.Equal(clients, []int{own, own}) {
		s.Errorf("the pre-authorized clients have %d scopes, want %d each", clients, own)
	}
}

// Scopes come, change and go with the file; others' stay and are named.
func TestSetupScopes(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	file := s.spec(furtherScopes...)
	if out := s.must(exitOK, "apply", "-f", file); !strings.Contains(out, "step-up: https://mcp.example.com/mcp/Files.Read https://mcp.example.com/mcp/Files.Delete\n") {
		t.Errorf("apply does not name the further scopes:\n%s", out)
	}
	all := []string{"Files.Delete Admin", "Files.Read User", "access_as_user User"}
	s.wire.written()
	s.must(exitOK, "apply", "-f", file)
	if writes := s.wire.written(); len(writes) > 0 {
		t.Errorf("the second apply writes %q, want none", writes)
	}
	s.checkScopes(file, all...)
	for _, grant := range list(s.graph("GET", "/oauth2PermissionGrants", nil)["value"]) {
		if strings.Contains(grant["scope"].(string), "Files.") {
			t.Errorf("it consents to %v, want that left to users and administrators", grant)
		}
	}

	// Somebody opens a scope to all users, takes one from the clients, and adds one.
	id := "/applications/" + s.app("files-mcp")["id"].(string)
	api := s.app("files-mcp")["api"].(map[string]any)
	change := func(value, member string, to any) {
		for _, scope := range list(api["oauth2PermissionScopes"]) {
			if scope["value"] == value {
				scope[member] = to
			}
		}
		s.graph("PATCH", id, map[string]any{"api": map[string]any{"oauth2PermissionScopes": api["oauth2PermissionScopes"]}})
	}
	change("Files.Delete", "isEnabled", false)
	change("Files.Delete", "type", "User")
	change("Files.Delete", "isEnabled", true)
	if out := s.must(exitDiffers, "check", "-f", file); !strings.Contains(out, "api/scopes-off") || !strings.Contains(out, "api/scopes ") {
		t.Errorf("check does not see the scope that is open to all:\n%s", out)
	}
	s.must(exitOK, "apply", "-f", file)
	s.checkScopes(file, all...)
	clients := list(s.app("files-mcp")["api"].(map[string]any)["preAuthorizedApplications"])
	clients[0]["delegatedPermissionIds"] = texts(clients[0]["delegatedPermissionIds"])[:1]
	s.graph("PATCH", id, map[string]any{"api": map[string]any{"preAuthorizedApplications": clients}})
	s.must(exitDiffers, "check", "-f", file)
	s.must(exitOK, "apply", "-f", file)
	s.checkScopes(file, all...)
	api = s.app("files-mcp")["api"].(map[string]any)
	api["oauth2PermissionScopes"] = append(list(api["oauth2PermissionScopes"]), map[string]any{"id": "99999999-2222-3333-4444-555555555555", "value": "others", "type": "User",
		"isEnabled": true, "adminConsentDisplayName": "x", "adminConsentDescription": "x"})
	change("", "", nil)

	// One leaves the file, though Graph is late to show it disabled, and one comes.
	file = s.spec("roles:\n", "scopes: [Files.Write, name: Files.Delete]\nroles:\n")
	s.tenant.Directory().Delay(2, entratest.LagDisabled)
	out := s.must(exitOK, "apply", "-f", file)
	s.tenant.Directory().Settle()
	if !strings.Contains(out, "scope others") {
		t.Errorf("apply does not name the scope of others:\n%s", out)
	}
	s.checkScopes(file, "Files.Delete User", "Files.Write User", "access_as_user User", "others User")

	// A value moves from the scopes to the roles, and back.
	file = s.spec("  - value: Files.Admin\n", "  - value: Files.Write\n")
	s.must(exitOK, "apply", "-f", file)
	s.checkScopes(file, "access_as_user User", "others User")
	file = s.spec("roles:\n", "scopes: [Files.Write]\nroles:\n")
	s.must(exitOK, "apply", "-f", file)
	s.checkScopes(file, "Files.Write User", "access_as_user User", "others User")

	if out := s.must(exitOK, "destroy", "-f", file); !strings.Contains(out, "scope others") {
		t.Errorf("destroy does not name the scope of others:\n%s", out)
	}
	if got, _ := s.scopes(); !slices.Equal(got, []string{"others User"}) {
		t.Errorf("destroy leaves the scopes %q, want those of others", got)
	}
}

// A scope that somebody made by hand keeps its id, and only gets stricter.
func TestSetupScopesByHand(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.must(exitOK, "apply", "-f", s.spec())
	api := s.app("files-mcp")
	scopes := list(api["api"].(map[string]any)["oauth2PermissionScopes"])
	for id, value := range map[string]string{"88888888-2222-3333-4444-555555555555": "Files.Read Admin", "99999999-2222-3333-4444-555555555555": "Files.Delete User"} {
		name, kind, _ := strings.Cut(value, " ")
		scopes = append(scopes, map[string]any{"id": id, "value": name, "type": kind, "isEnabled": true, "adminConsentDisplayName": "By hand", "adminConsentDescription": "x"})
	}
	s.graph("PATCH", "/applications/"+api["id"].(string), map[string]any{"api": map[string]any{"oauth2PermissionScopes": scopes}})
	file := s.spec(furtherScopes...)
	s.must(exitOK, "apply", "-f", file)
	s.checkScopes(file, "Files.Delete Admin", "Files.Read Admin", "access_as_user User")
	for _, scope := range list(s.app("files-mcp")["api"].(map[string]any)["oauth2PermissionScopes"])[1:] {
		if id := scope["id"].(string); scope["adminConsentDisplayName"] != "By hand" || id[:4] != "8888" && id[:4] != "9999" {
			t.Errorf("the scope is %v now, want the one made by hand", scope)
		}
	}
}

// A client of ours steps up to a further scope, to which its user consents; one that is pre-authorized
// has it without a consent page.
func TestSetupScopesStepUp(t *testing.T) {
	t.Parallel()
	const vscode = "aebc6443-996d-45c2-90f0-388ff96faa56"
	s := newStage(t)
	s.must(exitOK, "apply", "-f", s.spec(append(furtherScopes, "inspector]", "{name: tool, platform: public, redirects: ['http://localhost']}]")...))
	tool := s.app("files-mcp-public")["appId"].(string)
	server := s.server("Files.Read", "secure_ping")
	strict := s.server("Files.Delete", "secure_ping")
	alice, root := s.tenant.AddUser("alice@example.com", "Alice"), s.tenant.AddUser("root@example.com", "Root")
	root.Administrator = true
	call := func(server http.RoundTripper, client string, browser *entratest.Browser) (code int, stdout, stderr string) {
		return start(t, func(p *process) {
			p.lookup = variables("AZURE_AUTHORITY_HOST", s.tenant.AuthorityHost())
			p.client = &http.Client{Transport: server}
			p.openURL = new(world).open(t, browser)
		}, "call", "-browser", "-client", client, "https://mcp.example.com/mcp", "secure_ping")
	}
	for name, c := range map[string]struct {
		server  http.RoundTripper
		client  string
		user    *entratest.User
		decline bool
		want    int
		signIns int // 2 with a step-up; a pre-authorized client has all scopes from the start
	}{
		"ours":                                  {server, tool, alice, false, exitOK, 2},
		"ours, declined":                        {server, tool, s.tenant.AddUser("bob@example.com", "Bob"), true, exitFailed, 2},
		"pre-authorized":                        {server, vscode, alice, true, exitOK, 1},
		"ours, administrators' scope":           {strict, tool, alice, false, exitFailed, 2},
		"ours, an administrator":                {strict, tool, root, false, exitOK, 2},
		"pre-authorized, administrators' scope": {strict, vscode, alice, true, exitOK, 1},
	} {
		browser := s.tenant.Browser(c.user)
		browser.Decline = c.decline // the answer to a page, which a pre-authorized client must not show
		code, stdout, stderr := call(c.server, c.client, browser)
		if code != c.want || strings.Contains(stdout, "Authenticated ping successful") != (c.want == exitOK) || strings.Count(stderr, "Sign in with the browser") != c.signIns {
			t.Errorf("%s: call = %d, want %d after %d sign-ins\n%s%s", name, code, c.want, c.signIns, stdout, stderr)
		}
	}
	// As docs/setup.md says: an administrator consents for all.
	if _, err := s.tenant.Browser(root).Open(t.Context(), s.tenant.AuthorityHost()+"/"+s.tenant.ID()+"/v2.0/adminconsent?client_id="+tool+
		"&scope=https://mcp.example.com/mcp/Files.Delete&redirect_uri=http://localhost"); err != nil {
		t.Fatal(err)
	}
	if code, stdout, stderr := call(strict, tool, s.tenant.Browser(alice)); code != exitOK {
		t.Errorf("after an administrator's consent, call = %d\n%s%s", code, stdout, stderr)
	}
}

// server starts the API's server at https://mcp.example.com/mcp, whose tool needs the scope. It returns
// the way to it, and to the tenant.
func (s *stage) server(scope, tool string) http.RoundTripper {
	s.Helper()
	const url = "https://mcp.example.com/mcp"
	log := slog.New(slog.DiscardHandler)
	verifier, err := entraauth.NewVerifier(s.tenant.ID(), s.app("files-mcp")["appId"].(string), &entraauth.Options{
		HTTPClient: s.tenant.HTTPClient(), AuthorityHost: s.tenant.AuthorityHost(), AppIDURIs: []string{url}, Logger: log,
	})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = verifier.Close() })
	handler, err := mcpentra.NewServer(url, verifier, mcpentra.WithTools(mcpentra.IdentityTools(verifier)), mcpentra.WithLogger(log),
		mcpentra.WithToolPolicy(tool, entraauth.Policy{Scopes: []string{scope}}))
	if err != nil {
		s.Fatal(err)
	}
	listener := httptest.NewServer(handler)
	s.Cleanup(listener.Close)
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.URL.Host == "mcp.example.com" {
			r = r.Clone(r.Context())
			r.Host, r.URL.Scheme, r.URL.Host = r.URL.Host, "http", listener.Listener.Addr().String()
			return http.DefaultTransport.RoundTrip(r)
		}
		return s.tenant.HTTPClient().Transport.RoundTrip(r)
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
