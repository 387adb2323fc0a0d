package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// pasted is what a client secret looks like.
const pasted = "Zk98Q~abcdefghijklmnopqrstuvwxyz0123456789"

// What stands in the way is named, with what to do, and nothing is changed before.
func TestSetupBadInput(t *testing.T) {
	t.Parallel()
	taken := func(s *stage) {
		s.graph("POST", "/applications", map[string]any{"displayName": "Other", "identifierUris": []string{"https://mcp.example.com/mcp"}, "api": map[string]any{"requestedAccessTokenVersion": 2}})
	}
	for name, c := range map[string]struct {
		before  func(s *stage)
		changes []string // of the file
		args    []string
		code    int
		want    string
	}{
		"display name exists": {
			before: func(s *stage) { s.graph("POST", "/applications", map[string]any{"displayName": "Files"}) },
			code:   exitFailed, want: `1 application(s) in this tenant are called "Files" already (client ID `,
		},
		"display name exists twice": {
			before: func(s *stage) {
				s.graph("POST", "/applications", map[string]any{"displayName": "Files"})
				s.graph("POST", "/applications", map[string]any{"displayName": "Files"})
			},
			code: exitFailed, want: `2 application(s) in this tenant are called "Files" already`,
		},
		"unique name is another's": {
			before: func(s *stage) {
				s.graph("POST", "/applications", map[string]any{"displayName": "By Bicep", "uniqueName": "files-mcp"})
			},
			code: exitFailed, want: `the application "By Bicep" (client ID `,
		},
		"App ID URI is another's":       {before: taken, code: exitFailed, want: `the App ID URI https://mcp.example.com/mcp belongs to the application "Other" (client ID `},
		"App ID URI is a deleted one's": {before: func(s *stage) { taken(s); s.remove("Other") }, code: exitFailed, want: `held by the deleted application "Other"`},
		"no such identity": {
			changes: []string{"managed-identity: ", "managed-identity: 77777777-2222-3333-4444-555555555555 #"},
			code:    exitFailed, want: "no managed identity with the client ID 77777777-2222-3333-4444-555555555555: copy the Client ID (not the Object ID)",
		},
		"the identity is an application": {
			before:  func(s *stage) { s.operator.ClientID = strings.ToLower(s.operator.ClientID) },
			changes: []string{"managed-identity: ", "managed-identity: 00000003-0000-0000-c000-000000000000 #"},
			code:    exitFailed, want: "is not a managed identity but of the type Application",
		},
		"no such permission":    {changes: []string{"User.Read", "User.Reed"}, code: exitFailed, want: "graph has no delegated permission User.Reed in this tenant; did you mean User.Read?"},
		"no such resource":      {changes: []string{"  - storage", "  - api://nobody"}, code: exitFailed, want: "0 service principals in this tenant have the App ID URI api://nobody"},
		"nothing to adopt":      {args: []string{"-adopt", "77777777-2222-3333-4444-555555555555"}, code: exitFailed, want: "no application with the client ID 77777777-2222-3333-4444-555555555555"},
		"a secret to adopt":     {args: []string{"-adopt", pasted}, code: exitFailed, want: "-adopt is not a GUID"},
		"a secret as tenant":    {args: []string{"-tenant", pasted}, code: exitFailed, want: "-tenant is neither a tenant's id nor one of its domains"},
		"a secret as cloud":     {args: []string{"-cloud", pasted}, code: exitFailed, want: "there is no such cloud"},
		"another tenant":        {args: []string{"-tenant", "77777777-2222-3333-4444-555555555555"}, code: exitFailed, want: "not the one that -tenant or the file names"},
		"another tenant's file": {changes: []string{"name: files-mcp\n", "name: files-mcp\ntenant: 77777777-2222-3333-4444-555555555555\n"}, code: exitFailed, want: "not the one that -tenant or the file names"},
		"secret without a file": {changes: []string{"proof:\n", "proof:\n  secret: true\n"}, code: exitFailed, want: "name the file for it with -secret-file"},
		"flags and file":        {args: []string{"-name", "x1"}, code: exitUsage, want: "leave out -name"},
		"flag of another verb":  {args: []string{"-purge"}, code: exitUsage, want: "-purge is for setup destroy"},
		"secret as a flag":      {args: []string{"-secret=" + pasted}, code: exitUsage, want: "-secret takes no value (what it has is not shown"},
		"unknown flag":          {args: []string{"-frob"}, code: exitUsage, want: "flag provided but not defined: -frob"},
		"nobody to ask":         {args: []string{"-auth", "device"}, code: exitUsage, want: "needs a terminal, and there is none"},
		"unknown sign-in":       {args: []string{"-auth", "magic"}, code: exitUsage, want: "-auth is one of cli, browser, device, env"},
		"wrong issuer": {
			before:  func(s *stage) { s.issuer("https://oidc.example.com/t/") },
			changes: []string{"proof:\n", "proof:\n  workload-identity: {issuer: 'https://oidc.example.com/t', namespace: mcp, service-account: files}\n"},
			code:    exitFailed, want: `proof.workload-identity.issuer is "https://oidc.example.com/t", and the cluster calls itself "https://oidc.example.com/t/"`,
		},
		"certificate not there": {changes: []string{"proof:\n", "proof:\n  certificate: nowhere.pem\n"}, code: exitFailed, want: "proof.certificate: open nowhere.pem"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			if c.before != nil {
				c.before(s)
			}
			s.wire.written()
			code, stdout, stderr := s.run(append([]string{"apply", "-f", s.spec(c.changes...)}, c.args...)...)
			if code != c.code || !strings.Contains(stderr, c.want) {
				t.Errorf("apply = %d, %s%s; want %d, %q", code, stdout, stderr, c.code, c.want)
			}
			if strings.Contains(stdout+stderr, pasted[:8]) {
				t.Errorf("apply shows the secret:\n%s%s", stdout, stderr)
			}
			if writes := s.wire.written(); len(writes) > 0 {
				t.Errorf("apply writes %q before it refuses", writes)
			}
		})
	}
}

// A secret in the place of a file or a verb is not repeated.
func TestSetupSecretAsArgument(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"setup", "plan", "-name", "x1", "-server", "https://a.example/mcp", "-secret", pasted}, {"setup", "plan", pasted}, {"setup", "plan", "-f", pasted}, {"setup", pasted}, {"setup", "plan", "-" + pasted}} {
		code, stdout, stderr := start(t, nil, args...)
		if code == exitOK || strings.Contains(stdout+stderr, pasted[:8]) {
			t.Errorf("mcp-entra %q = %d, and shows %s%s", args, code, stdout, stderr)
		}
	}
}

// remove deletes the application with a display name.
func (s *stage) remove(displayName string) {
	s.Helper()
	for _, app := range list(s.graph("GET", "/applications?$filter=displayName%20eq%20'"+displayName+"'", nil)["value"]) {
		s.graph("DELETE", "/applications/"+app["id"].(string), nil)
	}
}

// A tenant's policy, or a host that it doesn't take, costs the App ID URI alone.
func TestSetupURIRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		policy  entratest.AppPolicy
		changes []string
		want    string
	}{
		"policy on tenant identifiers": {policy: entratest.AppPolicy{UniqueTenantIdentifier: true}, want: "A policy of this tenant forbids it."},
		"policy on default forms":      {policy: entratest.AppPolicy{OnlyDefaultURIs: true}, want: "A policy of this tenant forbids it."},
		"several tenants":              {changes: []string{"name: files-mcp\n", "name: files-mcp\naudience: multiple\n"}, want: "An application for users of several tenants"},
		"http":                         {changes: []string{"https://mcp", "http://mcp"}, want: "Ways: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.tenant.Directory().SetPolicy(c.policy)
			file := s.spec(c.changes...)
			env := filepath.Join(s.dir, ".env")
			code, stdout, stderr := s.run("apply", "-f", file, "-env", env)
			if code != exitFailed || !strings.Contains(stdout, c.want) || !strings.Contains(stdout, "locked out: ") || !strings.Contains(stderr, "1 of ") {
				t.Errorf("apply = %d; want %d, %q and which clients are locked out\n%s%s", code, exitFailed, c.want, stdout, stderr)
			}
			if uris := texts(s.app("files-mcp")["identifierUris"]); len(uris) != 1 || !strings.HasPrefix(uris[0], "api://") {
				t.Errorf("App ID URIs are %q; want api://{appId} alone", uris)
			}
			for _, want := range []string{"Done    api/preauthorized", "Done    api/federated/mcp-entra-identity", "Done    grant/api/storage", "scope: api://"} {
				if !strings.Contains(stdout, want) {
					t.Errorf("apply prints no %q:\n%s", want, stdout)
				}
			}
			if n := strings.Count(stdout, "locked out: "); n != 1 || !strings.Contains(stdout, "VS Code (GitHub Copilot), MCP Inspector: ") || strings.Contains(stdout, "fix: ") {
				t.Errorf("apply names the clients that are locked out %d times, want once, without the fix that was refused:\n%s", n, stdout)
			}
			if text, err := os.ReadFile(env); err != nil || !strings.Contains(string(text), "APP_ID_URIS=api://"+s.app("files-mcp")["appId"].(string)+"\n") {
				t.Errorf("-env writes %q (%v), want the App ID URI that is there", text, err)
			}
			s.must(exitDiffers, "check", "-f", file)
			if c.policy != (entratest.AppPolicy{}) { // an exemption later
				s.tenant.Directory().SetPolicy(entratest.AppPolicy{})
				s.must(exitOK, "apply", "-f", file)
			}
		})
	}
}

func TestSetupSecretsForbidden(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.tenant.Directory().SetPolicy(entratest.AppPolicy{NoPasswords: true})
	code, stdout, _ := s.run(s.everything()...)
	if code != exitFailed || !strings.Contains(stdout, "A policy of this tenant restricts secrets.") || !strings.Contains(stdout, "Done    api/federated") {
		t.Errorf("apply = %d; want %d, the remedy, and the other steps done\n%s", code, exitFailed, stdout)
	}
}

// A plan foretells what the tenant's policy refuses, where the sign-in may read it.
func TestSetupForeseesPolicy(t *testing.T) {
	t.Parallel()
	s := newStage(t, append([]string{"Policy.Read.All"}, operatorRoles...)...)
	s.tenant.Directory().SetPolicy(entratest.AppPolicy{NoPasswords: true, UniqueTenantIdentifier: true})
	out := s.must(exitDiffers, "plan", "-f", s.everything()[2])
	if !strings.Contains(out, "Note: a policy of this tenant restricts App ID URIs") || !strings.Contains(out, "Note: a policy of this tenant forbids secrets") {
		t.Errorf("plan does not say what the policy refuses:\n%s", out)
	}
	s.tenant.Directory().SetPolicy(entratest.AppPolicy{UniqueTenantIdentifier: true, ExcludeV2: true})
	if out := s.must(exitDiffers, "plan", "-f", s.spec()); strings.Contains(out, "policy") {
		t.Errorf("plan warns of a policy that spares token version 2:\n%s", out)
	}
}

// A pre-authorized client that nobody knows costs that step alone.
func TestSetupUnknownClient(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	code, stdout, stderr := s.run("apply", "-f", s.spec("clients: [", "clients: [{name: partner, app-id: 77777777-2222-3333-4444-555555555555}, "))
	if code != exitFailed || !strings.Contains(stdout, "correct app-id in the file") || strings.Contains(stderr, "waiting") || !strings.Contains(stdout, "Done    api/federated") {
		t.Errorf("apply = %d; want %d at once, with what to do\n%s%s", code, exitFailed, stdout, stderr)
	}
}

// What this sign-in may not do is named with who can; the rest is done; somebody else goes on.
func TestSetupForbidden(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		roles []string
		want  []string
	}{
		"grants": {
			[]string{"Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All", "Directory.Read.All"},
			[]string{"Failed  grant/api/storage", "needs the Microsoft Graph permission DelegatedPermissionGrant.ReadWrite.All", "Cloud Application Administrator or Privileged Role Administrator", "Done    api/federated/mcp-entra-identity"},
		},
		"reading grants": {
			[]string{"Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All"},
			[]string{"Failed  grant/api/storage", "DelegatedPermissionGrant.ReadWrite.All", "Done    api/federated/mcp-entra-identity"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, c.roles...)
			file := s.spec()
			code, stdout, stderr := s.run("apply", "-f", file)
			if code != exitFailed {
				t.Errorf("apply = %d, want %d\n%s%s", code, exitFailed, stdout, stderr)
			}
			for _, want := range c.want {
				if !strings.Contains(stdout, want) {
					t.Errorf("apply prints no %q:\n%s%s", want, stdout, stderr)
				}
			}
			code, stdout, stderr = s.run("check", "-f", file) // a second look: the service principals are there now
			if code == exitOK || !strings.Contains(stdout+stderr, "DelegatedPermissionGrant.ReadWrite.All") {
				t.Errorf("check = %d; want that it can't know, or the drift\n%s%s", code, stdout, stderr)
			}
			s.tenant.GrantRoles(s.operator, s.tenant.Graph(), "DelegatedPermissionGrant.ReadWrite.All")
			s.must(exitOK, "apply", "-f", file)
		})
	}
	t.Run("reading applications", func(t *testing.T) {
		t.Parallel()
		s := newStage(t, "Directory.Read.All", "Policy.Read.All")
		code, stdout, stderr := s.run("apply", "-f", s.spec())
		if code != exitFailed || !strings.Contains(stdout, "Application.ReadWrite.All") || !strings.Contains(stdout, "(needs api/create)") {
			t.Errorf("apply = %d\n%s%s", code, stdout, stderr)
		}
	})
}

// A proxy that answers for Entra or Microsoft Graph, and a clock that is off, are named.
func TestSetupSomethingElseAnswers(t *testing.T) {
	t.Parallel()
	page := func(r *http.Request) (*http.Response, error) {
		return answer(r, http.StatusOK, "<html>Please log in to the guest network</html>", "Content-Type", "text/html"), nil
	}
	for name, c := range map[string]struct {
		before func(r *http.Request) (*http.Response, error)
		want   string
	}{
		"for Graph": {func(r *http.Request) (*http.Response, error) {
			if strings.HasPrefix(r.URL.Path, "/v1.0") {
				return page(r)
			}
			return nil, errPass
		}, `Microsoft Graph answered 200, but not in its format: a proxy or another server answers for it (content type "text/html"`},
		"for Graph, with a redirect": {func(r *http.Request) (*http.Response, error) {
			if strings.HasPrefix(r.URL.Path, "/v1.0") {
				return answer(r, http.StatusFound, "", "Location", "https://portal.example/login"), nil
			}
			return nil, errPass
		}, `redirect to "portal.example"`},
		"for Graph, with an error": {func(r *http.Request) (*http.Response, error) {
			if strings.HasPrefix(r.URL.Path, "/v1.0") {
				return answer(r, http.StatusForbidden, "blocked", "Content-Type", "text/html", "Server", "squid"), nil
			}
			return nil, errPass
		}, `a proxy or another server answers for it (content type "text/html", server "squid")`},
		"for Entra": {func(r *http.Request) (*http.Response, error) {
			if !strings.HasPrefix(r.URL.Path, "/v1.0") {
				return page(r)
			}
			return nil, errPass
		}, "the answer is not Entra's JSON: a proxy or another server answers for it"},
		"wrong secret": {func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/token") {
				return answer(r, http.StatusUnauthorized, `{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided. Trace ID: x\r\nTimestamp: y"}`), nil
			}
			return nil, errPass
		}, "Entra refused: AADSTS7000215: Invalid client secret provided. Trace ID: x"},
		"clock": {func(r *http.Request) (*http.Response, error) {
			if strings.HasPrefix(r.URL.Path, "/v1.0") {
				return answer(r, http.StatusUnauthorized, `{"error":{"code":"InvalidAuthenticationToken","message":"Lifetime validation failed, the token is expired."}}`,
					"Date", "Mon, 02 Jan 2006 15:04:05 GMT"), nil
			}
			return nil, errPass
		}, "This machine's clock is off by "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.wire.setBefore(c.before)
			code, stdout, stderr := s.run("check", "-f", s.spec())
			if code != exitFailed || !strings.Contains(stderr, c.want) {
				t.Errorf("check = %d, %s%s; want %d, %q", code, stdout, stderr, exitFailed, c.want)
			}
		})
	}
}

// Secrets and tokens are never printed.
func TestSetupPrintsNoSecrets(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	apply := s.everything()
	var out strings.Builder
	for _, args := range [][]string{{"plan", "-f", apply[2], "-json"}, append(apply, "-json"), append(apply, "-rotate"), {"check", "-f", apply[2]}, {"destroy", "-f", apply[2]}} {
		_, stdout, stderr := s.run(args...)
		out.WriteString(stdout + stderr)
	}
	data, err := os.ReadFile(filepath.Join(s.dir, "secrets.env"))
	if err != nil {
		t.Fatal(err)
	}
	secrets := 0
	for line := range strings.Lines(string(data)) {
		if _, value, ok := strings.Cut(strings.TrimSpace(line), "='"); ok {
			secrets++
			if strings.Contains(out.String(), strings.Trim(value, "'")) {
				t.Errorf("the secret of %s is printed", line[:12])
			}
		}
	}
	if secrets != 4 || strings.Contains(out.String(), "eyJ") || strings.Contains(out.String(), s.secret) {
		t.Errorf("%d secrets in the file, want 4; no token and not the operator's secret in the output:\n%s", secrets, out.String())
	}
	info, err := os.Stat(filepath.Join(s.dir, "secrets.env"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v, %v; want 0600", info.Mode(), err)
	}
}
