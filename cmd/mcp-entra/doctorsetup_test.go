package main

import (
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// What setup has registered passes doctor, with agents and without: neither finds fault with the other.
func TestDoctorAfterSetup(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		agents bool
		checks string // besides those that both have
		want   string
	}{
		"people": {false, "downstream-grant", "10 ok, 1 warnings, 0 failed, 0 not run"},
		"agents": {true, "agents", "10 ok, 1 warnings, 0 failed, 0 not run"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.tenant.Directory().SetPolicy(entratest.AppPolicy{LoopbackURIs: true})
			env, secret := filepath.Join(s.dir, "server.env"), filepath.Join(s.dir, "secret")
			args := []string{"apply", "-name", "files-mcp", "-server", "https://localhost:1/mcp", "-resource", "storage",
				"-client", "vscode", "-client", "azurecli", "-client", "inspector", "-client", "claude", "-secret", "-secret-file", secret, "-env", env}
			if c.agents {
				args = append(args, "-agent", "files-agent", "-sponsor", s.tenant.AddUser("sponsor@example.com", "Sponsor").ObjectID)
			}
			s.must(exitOK, args...)
			given := map[string]string{"PEOPLE_ONLY": "true"} // which needs the claims that identify agents
			for _, m := range regexp.MustCompile(`(?m)^([A-Z_]+)=(.*)$`).FindAllStringSubmatch(string(readFile(t, env))+"\n"+string(readFile(t, secret)), -1) {
				given[m[1]] = strings.Trim(m[2], `'"`)
			}
			code, stdout, stderr := s.runDoctor(given, "-only",
				"config,registration,token-version,app-id-uri,scopes,pre-authorized,service-principal,redirects,app,proof,"+c.checks)
			if code != exitOK || !strings.Contains(stdout, c.want) {
				t.Errorf("doctor after setup = %d, want %d and all ok but a warning that storage is not configured\n%s%s", code, exitOK, stdout, stderr)
			}
		})
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
