//go:build unix

package interop_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// run runs a program of clients/ on the world, and returns the JSON object that it printed.
func (w *identityWorld) run(t *testing.T, folder, path string, args ...string) map[string]any {
	t.Helper()
	endpoint, header := w.ManagedIdentityEndpoint()
	environment := map[string]string{
		"CONFIG":              w.writeConfig(t),
		"NODE_EXTRA_CA_CERTS": w.config.CA,
		"REQUESTS_CA_BUNDLE":  w.config.CA,
		"SSL_CERT_FILE":       w.config.CA,
		"IDENTITY_ENDPOINT":   endpoint,
		"IDENTITY_HEADER":     header,
	}
	dir, err := filepath.Abs(filepath.Join("clients", folder))
	must(t, err)
	p := start(t, folder+" "+args[0], command(deadline(t, 2*time.Minute), dir, environment, path, args...))
	if code := p.wait(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	return decode(t, []byte(p.stdout.String()))
}

// node returns the path of Node and checks that the packages of clients/node are there.
func node(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("node")
	must(t, err)
	if _, err := os.Stat("clients/node/node_modules/@azure/msal-node"); err != nil {
		t.Fatalf("%v. Run: npm --prefix interop/clients/node ci", err)
	}
	return path
}

// python returns the path of the virtual environment's Python.
func python(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("clients/python/.venv/bin/python")
	must(t, err)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v. Run: python3 -m venv interop/clients/python/.venv && "+
			"interop/clients/python/.venv/bin/pip install --require-hashes -r interop/clients/python/requirements.txt", err)
	}
	return path
}

// What the libraries of both languages are shown to do. Claims challenges reach the caller too.
var (
	msalFlows = []string{
		"obo secret", "obo certificate", "obo assertion", "client secret", "client certificate", "client assertion",
		"code", "refresh", "device code", "challenge", "step up",
	}
	azureFlows = []string{
		"obo secret", "obo certificate", "obo assertion", "client secret", "client certificate", "client assertion",
		"code", "device code", "managed identity", "workload identity",
	}
)

func TestMicrosoftNode(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	got := w.run(t, "node", node(t), "microsoft.mjs")
	w.checkFlows(t, "MSAL Node", got, msalFlows...)
	w.checkFlows(t, "@azure/identity", got, azureFlows...)
}

func TestMicrosoftPython(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	got := w.run(t, "python", python(t), "microsoft.py")
	w.checkFlows(t, "MSAL Python", got, msalFlows...)
	w.checkFlows(t, "azure-identity", got, azureFlows...)
}

func TestGoOIDC(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	program := filepath.Join(t.TempDir(), "gooidc")
	build := exec.CommandContext(deadline(t, 3*time.Minute), "go", "build", "-o", program, "./clients/gooidc")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building clients/gooidc: %v\n%s", err, text)
	}
	got := w.run(t, "gooidc", program, "sign-in")
	claims, _ := got["claims"].(map[string]any)
	if claims["oid"] != w.alice.ObjectID || claims["iss"] != w.V2Issuer() {
		t.Errorf("ID token: %v", claims)
	}
	token, _ := got["go-oidc: code"].(string)
	w.checkToken(t, "go-oidc", token, expectation{w.web, "1", true, w.api.AppIDURI()})
}

func TestOpenIDClient(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	got := w.run(t, "node", node(t), "oidc.mjs")
	claims, _ := got["claims"].(map[string]any)
	if claims["oid"] != w.alice.ObjectID || claims["iss"] != w.V2Issuer() || claims["aud"] != w.web.ClientID {
		t.Errorf("ID token: %v", claims)
	}
	for _, name := range []string{"openid-client: code", "openid-client: again"} {
		token, _ := got[name].(string)
		w.checkToken(t, name, token, expectation{w.web, "1", true, w.api.AppIDURI()})
	}
}
