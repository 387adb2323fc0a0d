package mcpentra_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// probe asks as a platform does: by address, with a Host that is not ours.
func probe(t testing.TB, url string) (int, string) {
	t.Helper()
	status, header, body := do(t, http.MethodGet, url, "", map[string]string{"Host": "10.0.0.7"})
	if header.Get("Cache-Control") != "no-store" || header.Get("X-Request-Id") == "" {
		t.Errorf("%s: header %v, want no-store, an X-Request-Id", url, header)
	}
	return status, decode(t, body)["status"].(string)
}

func TestNeverReadyBeforeKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	must(t, w.verifier.Ready(t.Context()))
	w.tenant.Fail(entratest.EndpointKeys, entratest.Fault{Drop: true})
	srv, err := mcpentra.NewServer(resourceURL, w.newVerifier(t), mcpentra.WithLogger(w.logger()))
	must(t, err)
	url := serve(t, srv)
	for _, path := range []string{"/health", "/ready"} {
		if status, text := probe(t, url+path); status != http.StatusServiceUnavailable || text != "unavailable" {
			t.Errorf("%s without keys: got %d %s, want 503, unavailable", path, status, text)
		}
	}
	for _, path := range []string{"/health", "/ready"} {
		if status, text := probe(t, strings.TrimSuffix(w.url, "/mcp")+path); status != http.StatusOK || text != "ok" {
			t.Errorf("%s with keys that can't be fetched again: got %d %s, want 200, ok", path, status, text)
		}
	}
	if status, _, _ := do(t, http.MethodPost, url+"/ready", "{}", nil); status != http.StatusNotFound {
		t.Errorf("POST: got %d, want 404", status)
	}
}

func TestDrainingIsHealthyAndNotReady(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	base := strings.TrimSuffix(w.url, "/mcp")
	must(t, w.verifier.Ready(t.Context())) // a probe does not wait for the keys for long
	w.server.Drain()
	if status, text := probe(t, base+"/ready"); status != http.StatusServiceUnavailable || text != "draining" {
		t.Errorf("ready: got %d %s, want 503, draining", status, text)
	}
	if status, text := probe(t, base+"/health"); status != http.StatusOK || text != "ok" {
		t.Errorf("health: got %d %s, want 200, ok", status, text)
	}
	if _, text := call(t, w.connect(t, w.token(w.alice), ""), "secure_ping", nil); !strings.Contains(text, "successful") {
		t.Errorf("a call: got %s, want successful", text)
	}
}

// On-Behalf-Of that fails, for one tool or all, is no reason to go elsewhere.
func TestOpenCircuitDoesNotUnready(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bubble) {
		addWhoami(b.world)
		transport := b.transport(t)
		fails := func(user *entratest.User) {
			t.Helper()
			if _, text := call(t, b.connectWith(t, withToken{b.token(user), transport}, ""), "whoami", nil); !strings.Contains(text, "try again in a moment") {
				t.Errorf("whoami = %q, want Entra's failure", text)
			}
		}
		for i := range 12 { // each user's exchange fails anew
			fails(b.tenant.AddUser(strings.Repeat("x", i+1)+"@contoso.example", "User"))
		}
		before := b.entra.asked.Load()
		fails(b.alice)
		if after := b.entra.asked.Load(); after != before {
			t.Errorf("%d requests after 12 failures, want none: the circuit is open", after-before)
		}
		if status, _, body := doOver(t, transport, http.MethodGet, "http://localhost/ready", "", nil); status != http.StatusOK {
			t.Errorf("ready: got %d %s, want 200", status, body)
		}
	})
}
