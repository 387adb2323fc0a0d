package main

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// What setup has registered passes doctor: neither finds fault with the other.
func TestDoctorAfterSetup(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.tenant.Directory().SetPolicy(entratest.AppPolicy{LoopbackURIs: true})
	env, secret := filepath.Join(s.dir, "server.env"), filepath.Join(s.dir, "secret")
	s.must(exitOK, "apply", "-name", "files-mcp", "-server", "https://localhost:1/mcp", "-resource", "storage",
		"-client", "vscode", "-client", "azurecli", "-client", "inspector", "-client", "claude", "-secret", "-secret-file", secret, "-env", env)
	content, err := os.ReadFile(env)
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := os.ReadFile(secret)
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^([A-Z_]+)=(.*)$`).FindAllStringSubmatch(string(content)+"\n"+string(secrets), -1) {
		given[m[1]] = strings.Trim(m[2], `'"`)
	}
	code, stdout, stderr := s.runDoctor(given, "-only",
		"config,registration,token-version,app-id-uri,scopes,pre-authorized,service-principal,redirects,app,proof,downstream-grant")
	if code != exitOK || !strings.Contains(stdout, "10 ok, 1 warnings, 0 failed, 0 not run") {
		t.Errorf("doctor after setup = %d, want %d and all ok but a warning that storage is not configured\n%s%s", code, exitOK, stdout, stderr)
	}
}

// runDoctor runs doctor as the operator, with the server's variables.
func (s *stage) runDoctor(given map[string]string, args ...string) (code int, stdout, stderr string) {
	s.Helper()
	return start(s.T, func(p *process) {
		s.process(p)
		operators := p.lookup
		p.lookup = func(name string) (string, bool) {
			if value, ok := given[name]; ok {
				return value, true
			}
			return operators(name)
		}
		p.client = &http.Client{Transport: s.tenant.HTTPClient().Transport}
	}, append([]string{"doctor", "-auth", "env", "-graph-host", s.tenant.AuthorityHost()}, args...)...)
}
