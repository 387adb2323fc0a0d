package mcpentra_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// Whatever the body, in whatever era: a tool that the caller may not use does not
// run, and the answer is one of those that there are.
func FuzzBody(f *testing.F) {
	w := policyWorld(f)
	ran := false
	w.options = append(w.options, mcpentra.WithTools(secretly(&ran, entraauth.Policy{UserRoles: []string{"Nobody"}})),
		mcpentra.WithLimits(mcpentra.Limits{RequestsPerSecond: 1e9, Burst: 1 << 30}))
	w.rebuild(f)
	header := w.bearer(nil)
	for _, body := range []string{
		callBody("secret"), callBody("secure_ping"), `[` + callBody("secret") + `]`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"secret","NAME":"secure_ping"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"secure_ping","name":"secret"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools\/call","params":{"n\u0061me":"\u0073ecret"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"secret","requestState":"mcpentra1.AAAA","inputResponses":{"consent":{"action":"accept"}}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"draft"}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"secret","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`,
	} {
		for _, version := range []string{"", "2025-03-26", "2025-11-25", "2026-07-28"} {
			f.Add(body, version, "tools/call", "secure_ping")
		}
	}
	f.Fuzz(func(t *testing.T, body, version, method, name string) {
		r := httptest.NewRequest(http.MethodPost, "http://localhost/mcp", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
		for key, value := range map[string]string{"Mcp-Protocol-Version": version, "Mcp-Method": method, "Mcp-Name": name, "Authorization": header["Authorization"]} {
			if value != "" {
				r.Header.Set(key, value)
			}
		}
		rec := httptest.NewRecorder()
		w.server.ServeHTTP(rec, r)
		if ran {
			t.Fatalf("the tool ran: got %d %s, want a refusal", rec.Code, rec.Body)
		}
		switch rec.Code {
		case 200, 202, 400, 403, 404, 413:
		default:
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
		if strings.Contains(rec.Body.String(), "internal error") {
			t.Fatalf("got %s, want no panic", w.log)
		}
	})
}

// FuzzRequestState: what a client hands back opens only if it was sealed here.
func FuzzRequestState(f *testing.F) {
	// Sealed once: each process of the fuzzer would have another.
	const sealed = "mcpentra1.zx4-2Xr6SwWVoubxLiqRDQaLOyaHtWCyQFb-usCiMMBhJfX7eavMT9EKzOrmsknSJRYDUr5sMy2I7_Bc4aMjEw"
	if !mcpentra.OpensState(stateKey('a'), sealed) {
		f.Fatal("does not open")
	}
	f.Add("mcpentra1.AAAA")
	f.Add(sealed)
	f.Add(sealed + "=")
	f.Add(sealed + "\n")
	f.Add(strings.ToLower(sealed))
	f.Fuzz(func(t *testing.T, text string) {
		if mcpentra.OpensState(stateKey('a'), text) && text != sealed {
			t.Fatalf("opened %q, want only what was sealed", text)
		}
	})
}
