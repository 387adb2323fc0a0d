//go:build unix

package interop_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/mcpentra/mcp-entra-go/authproxy"
)

// The conformance suite's part for authorization servers, both of its scenarios. It sends neither
// scope nor, unless told to, resource.
func TestProxyConformance(t *testing.T) {
	for name, flags := range map[string]func(w *proxyWorld) []string{
		"without resource": func(*proxyWorld) []string { return nil },
		"with resource":    func(w *proxyWorld) []string { return []string{"--resource", w.url} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port := freePort(t)
			w := newProxyWorld(t, authproxy.Options{Clients: []authproxy.Client{
				{ID: "conformance", Name: "Conformance", Redirects: []string{"http://127.0.0.1:" + port + "/callback"}},
			}})
			w.conform(t, append([]string{"--url", w.issuer, "--client-id", "conformance", "--port", port}, flags(w)...))
			w.checkLog(t)
		})
	}
}

var authorizeLine = regexp.MustCompile(`(?m)^(https://localhost:\d+/authorize\?\S+)$`)

// conform runs the suite with these flags and wants every check to pass.
func (w *proxyWorld) conform(t *testing.T, flags []string) {
	t.Helper()
	bin, err := filepath.Abs(filepath.Join("conformance", "node_modules", ".bin"))
	must(t, err)
	dir := t.TempDir()
	p := start(t, "conformance", command(w.ctx, dir, map[string]string{
		"NODE_EXTRA_CA_CERTS": w.trust, "PATH": bin + ":" + os.Getenv("PATH"), // its own Node first
	}, filepath.Join(bin, "conformance"), append([]string{"authorization", "--output-dir", filepath.Join(dir, "report")}, flags...)...))
	page := p.waitFor(t, p.stdout, authorizeLine)
	p.waitFor(t, p.stdout, regexp.MustCompile(`(Callback server started)`)) // may come after the page
	w.alice.open(w.ctx, t, page)
	if code := p.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	files, err := filepath.Glob(filepath.Join(dir, "report", "*", "checks.json"))
	must(t, err)
	got := map[string]string{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		must(t, err)
		var checks []struct{ ID, Status, ErrorMessage string }
		must(t, json.Unmarshal(data, &checks))
		for _, c := range checks {
			got[c.ID] = c.Status
			t.Logf("%s: %s %s", c.ID, c.Status, c.ErrorMessage)
		}
	}
	want := map[string]string{
		"authorization-server-metadata": "SUCCESS", "authorization-server-metadata-cimd": "SUCCESS", "authorization-code-grant": "SUCCESS",
	}
	if !maps.Equal(got, want) {
		t.Errorf("checks %v, want %v", got, want)
	}
}
