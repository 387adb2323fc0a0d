package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/examples/internal/documented"
	"github.com/mcpentra/mcp-entra-go/internal/serverconfig"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// withProxy makes a server's clients sign in through it.
func withProxy(w *world, c *serverconfig.Config) {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	c.AuthProxy = &serverconfig.AuthProxy{ClientID: w.api.ClientID, Method: clientauth.Secret(w.secret), Keys: [][]byte{key}}
}

// getJSON gets a public document.
func getJSON(t *testing.T, url string) (document map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, &document); err != nil {
		t.Fatalf("%s: %s: %v", url, body, err)
	}
	return document
}

// What the server publishes names the proxy, and it warns of no client that Entra would refuse.
func TestServerWithAuthProxy(t *testing.T) {
	t.Parallel()
	f := start(t, withProxy)
	resource := getJSON(t, f.origin+"/.well-known/oauth-protected-resource/mcp")
	servers, _ := resource["authorization_servers"].([]any)
	if len(servers) != 1 || servers[0] != f.origin {
		t.Fatalf("authorization_servers: got %v, want %s", servers, f.origin)
	}
	metadata := getJSON(t, f.origin+"/.well-known/oauth-authorization-server")
	for name, want := range map[string]any{
		"issuer": f.origin, "authorization_endpoint": f.origin + "/authorize", "token_endpoint": f.origin + "/token", "registration_endpoint": f.origin + "/register",
	} {
		if metadata[name] != want {
			t.Errorf("%s: got %v, want %v", name, metadata[name], want)
		}
	}
	scopes, _ := json.Marshal(metadata["scopes_supported"])
	for _, scope := range resource["scopes_supported"].([]any) {
		if !bytes.Contains(scopes, []byte(scope.(string))) {
			t.Errorf("the resource advertises %s, and the proxy knows %s", scope, scopes)
		}
	}
	verdicts := newLines()
	c := f.config
	c.AppIDURIs = []string{"api://" + c.APIAppID} // Entra would refuse most clients for that
	log := serverconfig.Listen{}.Logger(verdicts, nil)
	documented.WarnOfClients(log, c, "https://mcp.example.com/mcp", f.verifier)
	if out := verdicts.String(); out != "" {
		t.Errorf("with a proxy: got %s, want no warning", out)
	}
	c.AuthProxy = nil
	documented.WarnOfClients(log, c, "https://mcp.example.com/mcp", f.verifier)
	wantText(t, verdicts.String(), "AADSTS9010010")
}

// Where the server probably has replicas, it warns that one does not know what another did.
func TestServerWithAuthProxyAndReplicas(t *testing.T) {
	t.Parallel()
	for _, replicas := range []bool{true, false} {
		f := start(t, func(w *world, c *serverconfig.Config) { withProxy(w, c); c.AuthProxy.Replicas = replicas })
		if warned := strings.Contains(f.log.String(), "seems to have replicas"); warned != replicas {
			t.Errorf("replicas %v: warned %v:\n%s", replicas, warned, f.log)
		}
	}
}

// Where users can't consent to what the server calls for them, the administrator's URL is in the log,
// complete.
func TestServerWithAuthProxyDownstream(t *testing.T) {
	t.Parallel()
	f := start(t, func(w *world, c *serverconfig.Config) {
		withProxy(w, c)
		app := w.tenant.AddApp("Sign-in")
		c.AuthProxy.ClientID, c.AuthProxy.Method = app.ClientID, clientauth.Secret(app.AddSecret())
		c.AuthProxy.Downstream = []string{serverconfig.StorageResource + "/user_impersonation"}
	})
	wantText(t, f.log.String(), "an administrator must consent once", "/v2.0/adminconsent?client_id="+f.api.ClientID)
}

// A policy about clients that come through the proxy ends the start, with the reason.
func TestServerWithAuthProxyAndPolicy(t *testing.T) {
	t.Parallel()
	w, err := newWorld()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	c := w.config(serverconfig.Listen{})
	withProxy(w, &c)
	c.ToolPolicies = []serverconfig.ToolPolicy{{Pattern: "*", Policy: entraauth.Policy{ClientAuth: entraauth.ClientAuthSecret}}}
	_, _, err = documented.NewServer(c, "http://localhost:8000/mcp", documented.Surroundings{Authority: w.tenant.HTTPClient()})
	if err == nil || !strings.Contains(err.Error(), `WithToolPolicy("*"): ClientAuth`) {
		t.Errorf("got %v, want a fault of the policy", err)
	}
}
