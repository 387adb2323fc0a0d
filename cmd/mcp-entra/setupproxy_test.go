package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/internal/serverconfig"
)

// proxyApps are the applications that a file with a proxy asks for.
var proxyApps = []string{"files-mcp", "files-mcp-public", "files-mcp-proxy"}

// withProxy asks for a proxy with this application, and for a secret besides the managed identity.
func (s *stage) withProxy(app string, changes ...string) (file string) {
	s.Helper()
	return s.spec(append(changes, "proof:\n", "auth-proxy: "+app+"\nproof:\n  secret: true\n")...)
}

// The proxy's redirect, its application and the server's variables: made once, checked, and taken
// back.
func TestSetupProxy(t *testing.T) {
	t.Parallel()
	const callback = "https://mcp.example.com/oauth/callback"
	for app, name := range map[string]string{"api": "files-mcp", "own": "files-mcp-proxy"} {
		t.Run(app, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.tenant.Directory().SetPolicy(entratest.AppPolicy{OnlyDefaultURIs: true}) // which setup therefore never asks for
			file, env := s.withProxy(app), filepath.Join(s.dir, ".env")
			apply := []string{"apply", "-f", file, "-env", env, "-secret-file", env}
			s.must(exitDiffers, "plan", "-f", file)
			out := s.must(exitOK, apply...)
			if strings.Contains(out, "locked out") || strings.Contains(out, "client ID aebc6443-996d-45c2-90f0-388ff96faa56 in ") || !strings.Contains(out, "they register themselves") {
				t.Errorf("apply prints what clients without the proxy need:\n%s", out)
			}
			first := readFile(t, env)
			s.checkProxyEnv(first, app)
			for _, secret := range regexp.MustCompile(`(?m)^\w+(?:KEYS|SECRET)='(.*)'$`).FindAllSubmatch(first, -1) {
				if strings.Contains(out, string(secret[1])) {
					t.Errorf("apply prints a key or a secret")
				}
			}
			s.wire.written()
			if again := s.must(exitOK, apply...); len(s.wire.written()) > 0 || !strings.Contains(again, "No change") {
				t.Errorf("the second apply changes something:\n%s", again)
			}
			if second := readFile(t, env); string(second) != string(first) {
				t.Errorf("the second apply wrote other variables, %d bytes, than the first, %d bytes", len(second), len(first))
			}
			s.must(exitOK, "check", "-f", file)
			if uris := texts(s.app("files-mcp")["identifierUris"]); len(uris) != 1 || !strings.HasPrefix(uris[0], "api://") {
				t.Errorf("App ID URIs are %q, want api://CLIENT_ID alone", uris)
			}
			id := "/applications/" + s.app(name)["id"].(string)
			redirects := texts(s.app(name)["web"].(map[string]any)["redirectUris"])
			if !slices.Contains(redirects, callback) {
				t.Errorf("redirects of %s are %q, want %s among them", name, redirects, callback)
			}
			s.graph("PATCH", id, map[string]any{"web": map[string]any{"redirectUris": []string{"https://other.example.com/cb"}}})
			if drift := s.must(exitDiffers, "check", "-f", file); !strings.Contains(drift, "/redirects-web") {
				t.Errorf("check does not name the lost redirect:\n%s", drift)
			}
			s.must(exitOK, apply...)
			s.graph("PATCH", id, map[string]any{"web": map[string]any{"redirectUris": redirects}})
			s.must(exitOK, "destroy", "-f", file, "-purge")
			for _, name := range proxyApps {
				if status, _ := s.try("GET", "/applications(uniqueName='"+name+"')", nil); status != 404 {
					t.Errorf("after destroy, %s: status %d, want 404", name, status)
				}
			}
		})
	}
}

// checkProxyEnv checks that the example server takes the variables, with the application that was
// asked for and a key.
func (s *stage) checkProxyEnv(data []byte, app string) {
	s.Helper()
	c, faults := serverconfig.Read(func(string) (string, bool) { return "", false }, data)
	for _, fault := range faults {
		s.Errorf("the example server refuses %v", fault)
	}
	if c.AuthProxy == nil {
		s.Fatal("the example server has no proxy")
	}
	own := app == "own"
	want := s.app(map[bool]string{true: "files-mcp-proxy", false: "files-mcp"}[own])["appId"]
	if p := c.AuthProxy; p.ClientID != want || len(p.Keys) != 1 || p.CombinedConsent != own ||
		strings.Join(p.Downstream, " ") != "https://storage.azure.com/user_impersonation https://graph.microsoft.com/User.Read" {
		s.Errorf("client ID %s, %d keys, combined consent %v, downstream %q; want %s, 1, %v, the file's", p.ClientID, len(p.Keys), p.CombinedConsent, p.Downstream, want, own)
	}
	if set := strings.Contains(string(data), "AUTH_PROXY_CLIENT_ID"); set != own {
		s.Errorf("AUTH_PROXY_CLIENT_ID is set: %v, want %v", set, own)
	}
}

// What the proxy's own application depends on is checked and made again, and doctor agrees.
func TestSetupProxyOfItsOwn(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.issuer("https://oidc.example.com/t/")
	file := s.withProxy("own", "  managed-identity", "  certificate: "+s.certificate("api")+
		"\n  workload-identity: {issuer: 'https://oidc.example.com/t/', namespace: mcp, service-account: files}\n  managed-identity",
		"roles:\n", "scopes: [Files.Read]\nroles:\n")
	secrets, env := filepath.Join(s.dir, "secrets"), filepath.Join(s.dir, ".env")
	apply := []string{"apply", "-f", file, "-secret-file", secrets, "-env", env}
	s.must(exitOK, apply...)
	proxy, api := s.app("files-mcp-proxy"), s.app("files-mcp")
	id, apiID := "/applications/"+proxy["id"].(string), "/applications/"+api["id"].(string)
	federated := list(s.graph("GET", id+"/federatedIdentityCredentials", nil)["value"])
	keys := list(s.graph("GET", id+"?$select=keyCredentials", nil)["keyCredentials"])
	if len(federated) != 2 || len(keys) != 1 || len(list(proxy["passwordCredentials"])) != 1 || !strings.Contains(string(readFile(t, secrets)), "AUTH_PROXY_CLIENT_SECRET='") {
		t.Errorf("%d federated credentials, %d certificates, %d secrets; want 2, 1, 1, and its text in the file", len(federated), len(keys), len(list(proxy["passwordCredentials"])))
	}
	for step, drift := range map[string]func(){
		"api/known-clients": func() {
			s.graph("PATCH", apiID, map[string]any{"api": map[string]any{"knownClientApplications": []string{}}})
		},
		"api/preauthorized": func() {
			s.graph("PATCH", apiID, map[string]any{"api": map[string]any{"preAuthorizedApplications": []string{}}})
		},
		"proxy/permissions": func() { s.graph("PATCH", id, map[string]any{"requiredResourceAccess": []string{}}) },
		"proxy/certificate": func() { s.graph("PATCH", id, map[string]any{"keyCredentials": []string{}}) },
		"proxy/federated/mcp-entra-workload": func() {
			s.graph("PATCH", id+"/federatedIdentityCredentials(name='mcp-entra-workload')", map[string]any{"subject": "another"})
		},
	} {
		drift()
		if out := s.must(exitDiffers, "check", "-f", file); !strings.Contains(out, "  "+step+" ") {
			t.Errorf("check does not name %s:\n%s", step, out)
		}
		s.must(exitOK, apply...)
		s.must(exitOK, "check", "-f", file)
	}
	// Another's known client stays, and is named.
	other := s.graph("POST", "/applications", map[string]any{"displayName": "Another client"})["appId"].(string)
	s.graph("PATCH", apiID, map[string]any{"api": map[string]any{"knownClientApplications": []string{other, proxy["appId"].(string)}}})
	if out := s.must(exitOK, "check", "-f", file); !strings.Contains(out, "known client "+other) {
		t.Errorf("check does not name the other's known client:\n%s", out)
	}
	s.must(exitOK, "destroy", "-f", file)
	if left := texts(s.app("files-mcp")["api"].(map[string]any)["knownClientApplications"]); !slices.Equal(left, []string{other}) {
		t.Errorf("after destroy, known clients are %q, want the other's", left)
	}
}

// doctor finds no fault with what setup has registered for a proxy, where the API has no App ID URI
// on the server's host.
func TestDoctorAfterSetupWithProxy(t *testing.T) {
	t.Parallel()
	for _, app := range []string{"api", "own"} {
		t.Run(app, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			env := filepath.Join(s.dir, ".env")
			s.must(exitOK, "apply", "-name", "files-mcp", "-server", "https://localhost:1/mcp", "-resource", "storage", "-secret", "-auth-proxy", app, "-secret-file", env, "-env", env)
			given := map[string]string{}
			for _, m := range regexp.MustCompile(`(?m)^([A-Z_]+)=(.*)$`).FindAllStringSubmatch(string(readFile(t, env)), -1) {
				given[m[1]] = strings.Trim(m[2], `'"`)
			}
			code, stdout, stderr := s.runDoctor(given, "-only", "config,registration,token-version,app-id-uri,scopes,service-principal,redirects,app,proof,downstream-grant")
			if code != exitOK || !strings.Contains(stdout, " 0 failed") {
				t.Errorf("doctor = %d, want %d and nothing failed\n%s%s", code, exitOK, stdout, stderr)
			}
		})
	}
}

// setup with a proxy, killed at any write and then run again, ends where it would have ended; a
// script that plan prints ends there, too.
func TestSetupProxyInterrupted(t *testing.T) {
	t.Parallel()
	whole := newStage(t)
	apply := func(s *stage) []string {
		return []string{"apply", "-f", s.withProxy("own"), "-secret-file", filepath.Join(s.dir, "secrets")}
	}
	whole.must(exitOK, apply(whole)...)
	writes, want := whole.wire.written(), whole.snapshot(proxyApps...)
	for i, write := range writes {
		if !*long && i%9 != 0 {
			continue
		}
		t.Run(fmt.Sprint(i+1), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.kill(i+1, i%2 == 0)
			args := apply(s)
			s.must(exitFailed, args...)
			s.wire.set(nil)
			s.wire.setBefore(nil)
			s.must(exitOK, args...)
			if got := s.snapshot(proxyApps...); got != want {
				t.Errorf("killed at %s, then run again, ends in another state:\n%s", write, difference(got, want))
			}
			s.must(exitOK, "check", "-f", args[2])
		})
	}
	t.Run("script", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		file := s.withProxy("own")
		text := s.must(exitOK, "plan", "-f", file, "-print", "az")
		for range 2 {
			if stdout, stderr, err := s.script(text); err != nil {
				t.Fatalf("the script failed: %v\n%s\n%s", err, stdout, stderr)
			}
		}
		if got := s.snapshot(proxyApps...); got != want {
			t.Errorf("the script ends in another state than apply:\n%s", difference(got, want))
		}
		s.must(exitOK, "check", "-f", file)
	})
}

// A proxy that changes its application changes the variables with it, and keeps its keys.
func TestSetupProxyChangesItsApplication(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	env := s.write(".env", "LOG_LEVEL=debug\nexport AUTH_PROXY_KEYS=\"\"\n")
	secrets := filepath.Join(s.dir, "secrets")
	apply := func(app string) string {
		t.Helper()
		s.must(exitOK, "apply", "-f", s.withProxy(app), "-secret-file", secrets, "-env", env)
		data := readFile(t, env)
		s.checkProxyEnv(slices.Concat(data, readFile(t, secrets)), app)
		if !strings.HasPrefix(string(data), "LOG_LEVEL=debug\n") || strings.Count(string(data), "AUTH_PROXY_KEYS") != 1 {
			t.Errorf("with the application %s, the file lost a line or has no one key", app)
		}
		return regexp.MustCompile(`(?m)^AUTH_PROXY_KEYS=.*`).FindString(string(data))
	}
	first, second := apply("own"), apply("api")
	if first != second {
		t.Error("the key is another one")
	}
	// A key that was moved to the secrets' file is the key.
	s.write(".env", "LOG_LEVEL=debug\n")
	s.write("secrets", string(readFile(t, secrets))+first+"\n")
	s.must(exitOK, "apply", "-f", s.withProxy("own"), "-secret-file", secrets, "-env", env)
	if strings.Contains(string(readFile(t, env)), "AUTH_PROXY_KEYS") {
		t.Error("it makes another key, though the secrets' file has one")
	}
	if info, err := os.Stat(env); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file with the key has the mode %v, %v; want 0600", info.Mode(), err)
	}
}
