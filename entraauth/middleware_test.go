package entraauth_test

import (
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

var update = flag.Bool("update", false, "write the golden files")

const metadataURL = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"

// serve runs a handler behind a bearer check; it answers with the caller's id.
func (f *fixture) serve(t *testing.T, check *entraauth.BearerCheck) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(f.verifier.Middleware(check)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, entraauth.FromContext(r.Context()).UserID())
	})))
	t.Cleanup(s.Close)
	return s
}

type answer struct {
	status int
	header http.Header
	body   string
}

func get(t *testing.T, url string, header http.Header) answer {
	t.Helper()
	return request(t, http.MethodGet, url, header)
}

func request(t *testing.T, method, url string, header http.Header) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	return answer{resp.StatusCode, resp.Header, string(body)}
}

func authorization(values ...string) http.Header { return http.Header{"Authorization": values} }

func TestMiddlewareLetsTheCallerThrough(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	s := f.serve(t, nil)
	for _, scheme := range []string{"Bearer ", "bearer ", "BEARER   "} {
		a := get(t, s.URL, authorization(scheme+f.token()))
		if a.status != 200 || !strings.HasSuffix(a.body, strings.ToLower(f.alice.ObjectID)) {
			t.Errorf("%q: got %d %s, want 200 and Alice's id", scheme, a.status, a.body)
		}
	}
}

// The challenges as they go over the wire, one golden file for all.
func TestChallenges(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	s := f.serve(t, &entraauth.BearerCheck{ResourceMetadata: metadataURL})
	admin := f.serve(t, &entraauth.BearerCheck{ResourceMetadata: metadataURL, Policy: entraauth.Policy{Scopes: []string{"admin"}}})
	clients := f.serve(t, &entraauth.BearerCheck{ResourceMetadata: metadataURL, Policy: entraauth.Policy{Clients: []string{otherTenant}}})
	strong := f.serve(t, &entraauth.BearerCheck{ResourceMetadata: metadataURL, Policy: entraauth.Policy{AuthContext: "c1"}})
	able := f.tenant.Mint(f.api, 1, func(_, c map[string]any) { c["xms_cc"] = []string{"cp1"} })
	daemon := f.tenant.Mint(f.api, 1, func(h, c map[string]any) { appOnly(f, h, c) })
	good := f.token()
	mint := func(name string, value any) string {
		return f.tenant.Mint(f.api, 1, func(_, c map[string]any) { c[name] = value })
	}
	var golden strings.Builder
	for _, row := range []struct {
		name   string
		url    string
		header http.Header
		status int
	}{
		{"no header", s.URL, nil, 401},
		{"another scheme", s.URL, authorization("Basic dXNlcjpwdw=="), 401},
		{"scheme alone", s.URL, authorization("Bearer"), 401},
		{"empty token", s.URL, authorization("Bearer  "), 401},
		{"two tokens", s.URL, authorization("Bearer a b"), 400},
		{"two headers", s.URL, authorization("Bearer "+good, "Bearer "+good), 400},
		{"token in the query", s.URL + "/?access_token=x", authorization("Bearer " + good), 400},
		{"garbage", s.URL, authorization("Bearer x\"y"), 401},
		{"wrong audience", s.URL, authorization("Bearer " + mint("aud", "https://graph.microsoft.com")), 401},
		{"wrong issuer", s.URL, authorization("Bearer " + mint("iss", "https://evil.example/")), 401},
		{"expired", s.URL, authorization("Bearer " + mint("exp", f.clock.Now().Unix()-3600)), 401},
		{"scope missing", s.URL, authorization("Bearer " + mint("scp", "other")), 403},
		{"the guard's scope missing", admin.URL, authorization("Bearer " + good), 403},
		{"client not allowed", clients.URL, authorization("Bearer " + good), 403},
		{"ID token", s.URL, authorization("Bearer " + f.tenant.IDToken(f.alice, f.api)), 401},
		{"app-only token", s.URL, authorization("Bearer " + daemon), 403},
		{"stronger sign-in", strong.URL, authorization("Bearer " + able), 401},
		{"stronger sign-in, client can't", strong.URL, authorization("Bearer " + good), 403},
	} {
		a := get(t, row.url, row.header)
		if a.status != row.status {
			t.Errorf("%s: status %d, want %d", row.name, a.status, row.status)
		}
		checkChallenge(t, row.name, a)
		golden.WriteString("# " + row.name + "\n" + http.StatusText(a.status) + "\n" + a.header.Get("WWW-Authenticate") + "\n" + a.body + "\n")
	}
	text := strings.NewReplacer(f.tenant.ID(), "{tenant}", f.api.ClientID, "{api}", f.tenant.AuthorityHost(), "{authority}").Replace(golden.String())
	compareGolden(t, "challenges.txt", text)
}

// checkChallenge holds a challenge against RFC 6750 section 3.
func checkChallenge(t *testing.T, name string, a answer) {
	t.Helper()
	c := a.header.Get("WWW-Authenticate")
	if !strings.HasPrefix(c, "Bearer ") || !strings.Contains(c, `resource_metadata="`+metadataURL+`"`) {
		t.Errorf("%s: challenge %q, want %q at the start and %q", name, c, "Bearer ", `resource_metadata="`+metadataURL+`"`)
	}
	for _, param := range regexp.MustCompile(`(\w+)="([^"]*)"`).FindAllStringSubmatch(c, -1) {
		if strings.ContainsFunc(param[2], func(r rune) bool { return r < 0x20 || r > 0x7e || r == '\\' }) {
			t.Errorf("%s: %s has characters that RFC 6750 forbids: %q", name, param[1], param[2])
		}
		if param[1] == "error_description" && len(param[2]) > 256 {
			t.Errorf("%s: error_description of %d bytes, want at most 256", name, len(param[2]))
		}
	}
	if rest := regexp.MustCompile(`\w+="[^"]*"(, )?`).ReplaceAllString(strings.TrimPrefix(c, "Bearer "), ""); rest != "" {
		t.Errorf("%s: %q does not parse; left: %q", name, c, rest)
	}
	if a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s: may be cached", name)
	}
	var body struct {
		Error       string
		Description string `json:"error_description"`
	}
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || body.Error == "" || body.Description == "" {
		t.Errorf("%s: body %q, %v; want nil, an Error, a Description", name, a.body, err)
	}
}

func compareGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update writes it):\n%s", path, got)
	}
}

func TestUnavailableIsNotUnauthorized(t *testing.T) {
	t.Parallel()
	f := newTenant(t)
	f.tenant.Fail(entratest.EndpointKeys, entratest.Fault{Status: 500})
	f.start(t, nil)
	a := get(t, f.serve(t, nil).URL, authorization("Bearer "+f.token()))
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || a.header.Get("WWW-Authenticate") != "" {
		t.Errorf("got %d, Retry-After %q, challenge %q; want 503, a Retry-After, no WWW-Authenticate", a.status, a.header.Get("Retry-After"), a.header.Get("WWW-Authenticate"))
	}
	if !strings.Contains(a.body, "temporarily_unavailable") {
		t.Errorf("body %s, want temporarily_unavailable", a.body)
	}
}

func TestHugeTokenIsRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	s := f.serve(t, nil)
	if a := get(t, s.URL, authorization("Bearer "+strings.Repeat("a", 65<<10))); a.status != 401 {
		t.Errorf("65 KiB: status %d, want 401", a.status)
	}
	if a := get(t, s.URL, authorization("Bearer "+strings.Repeat("a", 1<<20))); a.status != 401 {
		t.Errorf("1 MiB: status %d, want 401", a.status)
	}
}

// What the token holds goes to the log, and the token itself nowhere.
func TestLogsHoldNoToken(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	s := f.serve(t, nil)
	good := f.token()
	bad := f.tenant.Mint(f.api, 1, func(_, c map[string]any) { c["aud"] = "https://their.example" })
	for _, token := range []string{good, bad, good[:len(good)-8] + "AAAAAAAA", "garbage-that-is-secret"} {
		_ = get(t, s.URL, authorization("Bearer "+token))
	}
	text := f.log.String()
	if !strings.Contains(text, "https://their.example") || !strings.Contains(text, "Audience validation failed") {
		t.Errorf("the log does not say what came: %s", text)
	}
	for _, part := range append(strings.Split(good, "."), append(strings.Split(bad, "."), "garbage-that-is-secret")...) {
		if len(part) > 20 && strings.Contains(text, part[:20]) {
			t.Errorf("the log holds a part of a token: %s…", part[:20])
		}
	}
}
