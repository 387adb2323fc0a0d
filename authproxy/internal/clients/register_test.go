package clients_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clients"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/redirecturi"
)

const (
	cursor = "cursor://anysphere.cursor-mcp/oauth/callback"
	name   = "https://mcp.example.com\ntenant\napp"
	first  = `{"redirect_uris": ["https://a.example/cb"]}`
)

var now = time.Date(2026, 11, 29, 12, 0, 0, 7, time.UTC)

func testKey(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func newRegistry(t testing.TB, name string, keys ...[]byte) *clients.Registry {
	t.Helper()
	g, err := clients.NewRegistry(keys, name)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// newDirectory returns a directory with the configuration, and with a registry and a clock if it
// has none.
func newDirectory(t testing.TB, c clients.Config) *clients.Directory {
	t.Helper()
	if c.Registry == nil {
		c.Registry = newRegistry(t, name, testKey(1))
	}
	c.Now = func() time.Time { return now }
	d, err := clients.NewDirectory(c)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func register(t testing.TB, d *clients.Directory, metadata string) *clients.Registration {
	t.Helper()
	answer, err := d.Register([]byte(metadata))
	if err != nil {
		t.Fatalf("Register(%s): %v", metadata, err)
	}
	return answer
}

// codeOf returns the code of an error, or "", and fails the test if the error is not fit for a
// client.
func codeOf(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	e, ok := errors.AsType[*oauth.Error](err)
	if !ok {
		t.Fatalf("the error %v is a %T, want an *oauth.Error", err, err)
	}
	if !quotable.MatchString(e.Description) {
		t.Errorf("error_description can't have %q", e.Description)
	}
	return e.Code
}

// quotable is what an error_description may have (RFC 6749, section 5.2).
var quotable = regexp.MustCompile(`^[ !#-\[\]-~]+$`)

// Point 22: what is kept and echoed.
func TestRegister(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, clients.Config{Private: []string{cursor}})
	const redirects = `"redirect_uris":["https://a.example/cb"]`
	ten := `"redirect_uris":["` + strings.Join(slices.Repeat([]string{"https://a.example/cb"}, 10), `","`) + `"]`
	for _, c := range []struct{ what, metadata, want string }{
		{
			"the least", `{` + redirects + `}`,
			`{` + redirects + `,"token_endpoint_auth_method":"client_secret_basic","grant_types":["authorization_code"],"response_types":["code"]}`,
		},
		{
			"all members", `{"client_name":"A","token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token"],"response_types":["code"],
				"client_uri":"https://a.example","logo_uri":"https://a.example/x.png","scope":"x","contacts":["a"],"application_type":"native","software_id":"x",
				"jwks_uri":"https://a.example/k","extension":{"a":[1]},` + redirects + `}`,
			`{"client_name":"A",` + redirects + `,"token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token"],"response_types":["code"]}`,
		},
		{
			"unsupported grants and response types", `{"token_endpoint_auth_method":"client_secret_post","grant_types":["implicit","refresh_token","authorization_code","urn:x"],
				"response_types":["token","code"],` + redirects + `}`,
			`{` + redirects + `,"token_endpoint_auth_method":"client_secret_post","grant_types":["authorization_code","refresh_token"],"response_types":["code"]}`,
		},
		{
			"null is none", `{"client_name":null,"token_endpoint_auth_method":null,"grant_types":null,"response_types":null,"jwks":null,` + redirects + `}`,
			`{` + redirects + `,"token_endpoint_auth_method":"client_secret_basic","grant_types":["authorization_code"],"response_types":["code"]}`,
		},
		{
			"names are cleaned", `{"client_name":" A\u202e\u0000\u200b\n\tB\u2028C  ","token_endpoint_auth_method":"none",` + redirects + `}`,
			`{"client_name":"A B C",` + redirects + `,"token_endpoint_auth_method":"none","grant_types":["authorization_code"],"response_types":["code"]}`,
		},
		{
			"long names are cut", `{"client_name":"` + strings.Repeat("é", 101) + `","token_endpoint_auth_method":"none",` + redirects + `}`,
			`{"client_name":"` + strings.Repeat("é", 99) + `…",` + redirects + `,"token_endpoint_auth_method":"none","grant_types":["authorization_code"],"response_types":["code"]}`,
		},
		{
			"one redirect ten times", `{"token_endpoint_auth_method":"none",` + ten + `}`,
			`{` + redirects + `,"token_endpoint_auth_method":"none","grant_types":["authorization_code"],"response_types":["code"]}`,
		},
		{
			"the operator's private scheme", `{"token_endpoint_auth_method":"none","redirect_uris":["` + cursor + `","http://localhost/cb"]}`,
			`{"redirect_uris":["` + cursor + `","http://localhost/cb"],"token_endpoint_auth_method":"none","grant_types":["authorization_code"],"response_types":["code"]}`,
		},
	} {
		answer := register(t, d, c.metadata)
		text, err := json.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		expires, hasExpiry := got["client_secret_expires_at"]
		secret, _ := got["client_secret"].(string)
		if public := answer.Auth == "none"; (secret == "") != public || hasExpiry == public || hasExpiry && expires != 0.0 || secret != "" && len(secret) != 43 {
			t.Errorf("%s: a secret of %d characters that expires at %v, for the method %s", c.what, len(secret), expires, answer.Auth)
		}
		if got["client_id_issued_at"] != float64(now.Unix()) || got["client_id"] == "" {
			t.Errorf("%s: client_id %q issued at %v, want %d", c.what, got["client_id"], got["client_id_issued_at"], now.Unix())
		}
		for _, member := range []string{"client_id", "client_id_issued_at", "client_secret", "client_secret_expires_at"} {
			delete(got, member)
		}
		rest, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if !sameJSON(t, rest, []byte(c.want)) {
			t.Errorf("%s: the answer is %s, want %s", c.what, rest, c.want)
		}
		client, err := d.Find(t.Context(), answer.ClientID)
		if err != nil {
			t.Fatalf("%s: Find: %v", c.what, err)
		}
		if client.Name != answer.Name || !slices.Equal(client.Redirects, answer.Redirects) || client.Auth.String() != answer.Auth ||
			client.Refresh != (len(answer.Grants) == 2) || client.Kind != clients.Registered || client.ID != answer.ClientID {
			t.Errorf("%s: Find = %+v, want what was registered: %+v", c.what, client, answer)
		}
	}
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y any
	if err := errors.Join(json.Unmarshal(a, &x), json.Unmarshal(b, &y)); err != nil {
		t.Fatal(err)
	}
	a, errA := json.Marshal(x)
	b, errB := json.Marshal(y)
	if err := errors.Join(errA, errB); err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(a, b)
}

// Points 17 and 22: what is refused.
func TestRegisterRefuses(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, clients.Config{Only: []redirecturi.Preset{{Redirects: []string{"https://a.example/*", "http://localhost/cb"}}}})
	const ok = `"redirect_uris":["https://a.example/cb"]`
	eleven := `{"redirect_uris":["` + strings.Join(slices.Repeat([]string{"https://a.example/cb"}, 11), `","`) + `"]}`
	var long []string
	for i := range 3 {
		long = append(long, "https://a.example/"+strings.Repeat(string(rune('a'+i)), 400))
	}
	tooLong := `{"redirect_uris":["` + strings.Join(long, `","`) + `"]}`
	for _, c := range []struct{ what, metadata, want, reason string }{
		{"not JSON", `redirect_uris=x`, oauth.InvalidClientMetadata, "not JSON"},
		{"nothing", ``, oauth.InvalidClientMetadata, "not JSON"},
		{"an array", `[]`, oauth.InvalidClientMetadata, "not a JSON object"},
		{"null", `null`, oauth.InvalidClientMetadata, "not a JSON object"},
		{"more after the object", first + `{}`, oauth.InvalidClientMetadata, "not JSON"},
		{"a member twice", `{` + ok + `,` + ok + `}`, oauth.InvalidClientMetadata, "twice"},
		{"no redirects", `{}`, oauth.InvalidRedirectURI, "at least one"},
		{"another case", `{"Redirect_URIs":["https://a.example/cb"]}`, oauth.InvalidRedirectURI, "at least one"},
		{"empty redirects", `{"redirect_uris":[]}`, oauth.InvalidRedirectURI, "at least one"},
		{"a redirect that is no array", `{"redirect_uris":"https://a.example/cb"}`, oauth.InvalidRedirectURI, "an array"},
		{"a redirect that is no string", `{"redirect_uris":[1]}`, oauth.InvalidRedirectURI, "array of strings"},
		{"a null redirect", `{"redirect_uris":[null]}`, oauth.InvalidRedirectURI, "array of strings"},
		{"eleven redirects", eleven, oauth.InvalidRedirectURI, "11 URIs"},
		{"one bad of two", `{"redirect_uris":["https://a.example/cb","https://a.example/cb#"]}`, oauth.InvalidRedirectURI, "redirect_uris[1]: it has a fragment"},
		{"a private scheme", `{"redirect_uris":["` + cursor + `"]}`, oauth.InvalidRedirectURI, "schemes other than https are off"},
		{"not in the operator's list", `{"redirect_uris":["https://b.example/cb"]}`, oauth.InvalidRedirectURI, "not one of them"},
		{"too long", tooLong, oauth.InvalidClientMetadata, "the limit is 1024"},
		{"a name that is no string", `{"client_name":1,` + ok + `}`, oauth.InvalidClientMetadata, "client_name must be a string"},
		{"private_key_jwt", `{"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://a.example/k",` + ok + `}`, oauth.InvalidClientMetadata, "jwks_uri"},
		{"an unknown method", `{"token_endpoint_auth_method":"tls_client_auth",` + ok + `}`, oauth.InvalidClientMetadata, "token_endpoint_auth_method"},
		{"inline keys", `{"jwks":{"keys":[]},` + ok + `}`, oauth.InvalidClientMetadata, "jwks"},
		{"response types without code", `{"response_types":["token"],` + ok + `}`, oauth.InvalidClientMetadata, "response_types"},
		{"no response types", `{"response_types":[],` + ok + `}`, oauth.InvalidClientMetadata, "response_types"},
		{"response types that are no array", `{"response_types":"code",` + ok + `}`, oauth.InvalidClientMetadata, "response_types"},
		{"grants without codes", `{"grant_types":["client_credentials","refresh_token"],` + ok + `}`, oauth.InvalidClientMetadata, "grant_types"},
		{"no grants", `{"grant_types":[],` + ok + `}`, oauth.InvalidClientMetadata, "grant_types"},
	} {
		answer, err := d.Register([]byte(c.metadata))
		if code := codeOf(t, err); code != c.want || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: Register = %+v, %v; want %s with %q", c.what, answer, err, c.want, c.reason)
		}
	}
}

// Point 22: realistic registrations are short. The numbers are in docs/design.md.
func TestRegistrationsAreShort(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, clients.Config{Private: []string{cursor}})
	for _, c := range []struct {
		client, metadata string
		most             int
	}{
		{"Claude", `{"client_name":"Claude","redirect_uris":["https://claude.ai/api/mcp/auth_callback"],"grant_types":["authorization_code","refresh_token"]}`, 160},
		{"MCP Inspector", `{"client_name":"MCP Inspector","redirect_uris":["http://localhost:6274/oauth/callback"],"token_endpoint_auth_method":"none"}`, 160},
		{"mcp-remote", `{"client_name":"MCP CLI Proxy","redirect_uris":["http://localhost:28331/oauth/callback"],"token_endpoint_auth_method":"none"}`, 160},
		{"Copilot Studio", `{"client_name":"Copilot Studio","redirect_uris":["https://global.consent.azure-apim.net/redirect/crc25-5fmy-20server-5f0123456789abcdef"]}`, 200},
		{"Cursor", `{"client_name":"Cursor","redirect_uris":["` + cursor + `","https://www.cursor.com/agents/mcp/oauth/callback","http://localhost:8787/callback"]}`, 260},
		{"VS Code", `{"client_name":"Visual Studio Code","redirect_uris":["https://insiders.vscode.dev/redirect","https://vscode.dev/redirect",
			"http://127.0.0.1/","http://127.0.0.1:33418/"],"token_endpoint_auth_method":"none"}`, 280},
	} {
		answer := register(t, d, c.metadata)
		t.Logf("%s: %d characters", c.client, len(answer.ClientID))
		if n := len(answer.ClientID); n > c.most {
			t.Errorf("%s: the client_id has %d characters, want at most %d", c.client, n, c.most)
		}
	}
	// 1,024 characters are possible, and no more.
	most := 0
	for n := 1; ; n++ {
		answer, err := d.Register([]byte(`{"redirect_uris":["https://a.example/` + strings.Repeat("a", 480) + `","https://a.example/` + strings.Repeat("b", n) + `"]}`))
		if codeOf(t, err) == oauth.InvalidClientMetadata {
			break
		}
		most = max(most, len(answer.ClientID))
	}
	if most < 1020 || most > 1024 {
		t.Errorf("the longest client_id has %d characters, want 1,024 or a few less", most)
	}
}

// FuzzRegister: what is accepted can be found again, as the answer says.
func FuzzRegister(f *testing.F) {
	for _, seed := range []string{
		first, `{"redirect_uris":["http://localhost/cb","` + cursor + `"],"client_name":"A\u202eB","token_endpoint_auth_method":"none"}`,
		`{"redirect_uris":["https://a.example/cb"],"grant_types":["authorization_code","refresh_token"],"response_types":["code"],"jwks":null}`,
		`{"redirect_uris":["https://a.example/cb"],"jwks":{}}`, `{"redirect_uris":[null]}`, `[`, ``,
	} {
		f.Add([]byte(seed))
	}
	d := newDirectory(f, clients.Config{Private: []string{cursor}})
	f.Fuzz(func(t *testing.T, metadata []byte) {
		answer, err := d.Register(metadata)
		if err != nil {
			if code := codeOf(t, err); code != oauth.InvalidClientMetadata && code != oauth.InvalidRedirectURI {
				t.Errorf("Register(%q): %v", metadata, err)
			}
			return
		}
		c, err := d.Find(t.Context(), answer.ClientID)
		if err != nil || c.Name != answer.Name || c.Auth.String() != answer.Auth || !slices.Equal(c.Redirects, answer.Redirects) {
			t.Errorf("Register(%q) = %+v, but Find = %+v, %v", metadata, answer, c, err)
		}
		if len(answer.ClientID) > 1024 || len([]rune(answer.Name)) > 100 || len(answer.Redirects) > 10 {
			t.Errorf("Register(%q) = %+v, which is too large", metadata, answer)
		}
	})
}

func BenchmarkRegister(b *testing.B) {
	d := newDirectory(b, clients.Config{})
	metadata := []byte(`{"client_name":"Claude","redirect_uris":["https://claude.ai/api/mcp/auth_callback"],"grant_types":["authorization_code","refresh_token"],` +
		`"response_types":["code"],"token_endpoint_auth_method":"client_secret_post","scope":"a","client_uri":"https://claude.ai"}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Register(metadata); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFind(b *testing.B) {
	d := newDirectory(b, clients.Config{Presets: []redirecturi.Preset{{Name: "A", Redirects: []string{"https://a.example/cb"}}}})
	id := register(b, d, first).ClientID
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Find(b.Context(), id); err != nil {
			b.Fatal(err)
		}
	}
}
