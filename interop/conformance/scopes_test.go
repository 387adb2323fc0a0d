//go:build unix

package conformance_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// prefix is that of the scopes in the suite's proposed scenario on scope challenges
// (modelcontextprotocol/conformance, issue 480 and pull request 481, both open at
// 0.2.0-alpha.12). This is a script of our own for its fixture contract.
const prefix = "mcp:conformance:"

// A scopeRow is one operation of the contract and the scopes that one challenge must name.
type scopeRow struct {
	name, method, params string
	target               string // as the header Mcp-Name has it
	scopes               []string
	result               string // a part of the answer
}

var scopeRows = []scopeRow{
	{"tool", "tools/call", `"name":"test_simple_text","arguments":{}`, "test_simple_text", []string{"tools:call", "tools:test_simple_text"}, "simple text response"},
	{"static resource", "resources/read", `"uri":"test://static-text"`, "test://static-text", []string{"resources:read", "resources:static"}, "stays as it is"},
	{"template resource", "resources/read", `"uri":"test://template/123/data"`, "test://template/123/data", []string{"resources:read", "resources:template:123"}, "123"},
	{"prompt", "prompts/get", `"name":"test_simple_prompt"`, "test_simple_prompt", []string{"prompts:get", "prompts:test_simple_prompt"}, "simple prompt for testing"},
}

// A scopeServer is this module's server under the policies of the contract.
type scopeServer struct {
	url    string
	tenant *entratest.Tenant
	api    *entratest.App
	client *entratest.App
	alice  *entratest.User
}

func startScopeServer(t *testing.T) *scopeServer {
	t.Helper()
	s := &scopeServer{tenant: entratest.NewTenant(nil)}
	t.Cleanup(s.tenant.Close)
	implied := map[string][]string{prefix + "admin": {prefix + "resources:all"}}
	names := []string{prefix + "baseline", prefix + "admin", prefix + "resources:all"}
	policy := func(scope string) entraauth.Policy { return entraauth.Policy{Scopes: []string{prefix + scope}} }
	for _, row := range scopeRows {
		for _, scope := range row.scopes {
			scope = prefix + scope
			broader := prefix + "admin"
			if strings.HasPrefix(scope, prefix+"resources:") {
				broader = prefix + "resources:all"
			}
			if !slices.Contains(implied[broader], scope) {
				implied[broader], names = append(implied[broader], scope), append(names, scope)
			}
		}
	}
	s.api = s.tenant.AddApp("Conformance", names...)
	s.client = s.tenant.AddClient("Suite")
	s.alice = s.tenant.AddUser("alice@contoso.example", "Alice")
	logger := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	verifier, err := entraauth.NewVerifier(s.tenant.ID(), s.api.ClientID, &entraauth.Options{
		HTTPClient: s.tenant.HTTPClient(), AuthorityHost: s.tenant.AuthorityHost(), Logger: logger, ImpliedScopes: implied,
		// A token of the contract has the baseline, or what operations need.
		Policy: entraauth.Policy{AnyScope: []string{prefix + "baseline", prefix + "tools:call", prefix + "resources:read", prefix + "prompts:get"}},
	})
	must(t, err)
	t.Cleanup(func() { _ = verifier.Close() })

	front := httptest.NewUnstartedServer(nil) // has its address already
	s.url = "http://" + front.Listener.Addr().String() + "/mcp"
	front.Config.Handler, err = mcpentra.NewServer(s.url, verifier, mcpentra.WithTools(fixtures{}), mcpentra.WithLogger(logger),
		mcpentra.WithToolPolicy("*", policy("tools:call")), mcpentra.WithToolPolicy("test_simple_text", policy("tools:test_simple_text")),
		mcpentra.WithResourcePolicy("test://*", policy("resources:read")), mcpentra.WithResourcePolicy("test://static-text", policy("resources:static")),
		mcpentra.WithResourcePolicy("test://template/123/data", policy("resources:template:123")),
		mcpentra.WithPromptPolicy("*", policy("prompts:get")), mcpentra.WithPromptPolicy("test_simple_prompt", policy("prompts:test_simple_prompt")))
	must(t, err)
	front.Start()
	t.Cleanup(front.Close)
	return s
}

// A scopeAnswer is what came of a request; of a challenge, its parameters and its scopes as
// short names.
type scopeAnswer struct {
	status    int
	scheme    string
	challenge map[string]string
	scopes    []string
	body      string
}

var parameter = regexp.MustCompile(`(\w+)="([^"]*)"`)

// request sends the operation with a token for these scopes, as a client of that protocol does.
func (s *scopeServer) request(t *testing.T, row scopeRow, protocol string, scopes []string) scopeAnswer {
	t.Helper()
	meta := ""
	if protocol == "2026-07-28" {
		meta = `,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"script","version":"1"}}`
	}
	body := `{"jsonrpc":"2.0","id":1,"method":"` + row.method + `","params":{` + row.params + meta + `}}`
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url, strings.NewReader(body))
	must(t, err)
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Mcp-Protocol-Version": protocol, "Mcp-Method": row.method, "Mcp-Name": row.target,
		"Authorization": "Bearer " + s.tenant.Token(s.alice, s.client, s.api, scopes...),
	} {
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	must(t, err)
	defer http.DefaultClient.CloseIdleConnections()
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	must(t, err)
	a := scopeAnswer{status: resp.StatusCode, challenge: map[string]string{}, body: string(data)}
	var list string
	a.scheme, list, _ = strings.Cut(resp.Header.Get("WWW-Authenticate"), " ")
	for _, p := range parameter.FindAllStringSubmatch(list, -1) {
		a.challenge[p[1]] = p[2]
	}
	for scope := range strings.FieldsSeq(a.challenge["scope"]) {
		a.scopes = append(a.scopes, strings.TrimPrefix(scope, "api://"+s.api.ClientID+"/"))
	}
	return a
}

func prefixed(names ...string) (scopes []string) {
	for _, name := range names {
		scopes = append(scopes, prefix+name)
	}
	return scopes
}

// TestScopeChallenges plays the scenario: with too little, one challenge that names all
// scopes of the operation; with those, and with one that implies them, the answer. The
// challenge is the same whatever part of them the token has.
func TestScopeChallenges(t *testing.T) {
	t.Parallel()
	s := startScopeServer(t)
	for _, protocol := range []string{"2026-07-28", "2025-11-25"} {
		for _, row := range scopeRows {
			t.Run(protocol+" "+row.name, func(t *testing.T) {
				want := slices.Sorted(slices.Values(prefixed(row.scopes...)))
				for name, token := range map[string][]string{
					"low token": prefixed("baseline"), "one of two": prefixed(row.scopes[0]), "the other, and the low one": prefixed("baseline", row.scopes[1]),
				} {
					s.checkChallenge(t, name, s.request(t, row, protocol, token), want)
				}
				challenge := s.request(t, row, protocol, prefixed("baseline"))
				full := prefixed("baseline")
				for _, other := range scopeRows {
					full = append(full, prefixed(other.scopes...)...)
				}
				for name, token := range map[string][]string{
					"full token": full, "full token without the low scope": full[1:], "exactly the challenge": challenge.scopes, "the broadest scope": prefixed("admin"),
				} {
					if a := s.request(t, row, protocol, token); a.status != http.StatusOK || !strings.Contains(a.body, row.result) {
						t.Errorf("%s: %d %s, want 200 and %q", name, a.status, a.body, row.result)
					}
				}
				a := s.request(t, row, protocol, prefixed("baseline", "resources:all"))
				if implied := row.method == "resources/read"; (a.status == http.StatusOK) != implied {
					t.Errorf("a scope that implies those of resources: %d, want 200: %v", a.status, implied)
				}
			})
		}
	}
}

func (s *scopeServer) checkChallenge(t *testing.T, name string, a scopeAnswer, want []string) {
	t.Helper()
	if a.status != http.StatusForbidden || a.scheme != "Bearer" || a.challenge["error"] != "insufficient_scope" {
		t.Errorf("%s: %d, %s with error %q; want 403, Bearer with error \"insufficient_scope\"", name, a.status, a.scheme, a.challenge["error"])
	}
	if got := slices.Sorted(slices.Values(a.scopes)); !slices.Equal(got, want) {
		t.Errorf("%s: the challenge asks for %q, want %q", name, got, want)
	}
	resp, err := http.Get(a.challenge["resource_metadata"])
	must(t, err)
	defer http.DefaultClient.CloseIdleConnections()
	defer func() { _ = resp.Body.Close() }()
	if document, err := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK || err != nil || !strings.Contains(string(document), `"resource":"`+s.url+`"`) {
		t.Errorf("%s: resource_metadata %q: %d %s, %v; want the metadata of %s", name, a.challenge["resource_metadata"], resp.StatusCode, document, err, s.url)
	}
}
