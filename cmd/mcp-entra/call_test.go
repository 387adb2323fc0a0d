package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// call runs mcp-entra call with a token in the environment.
func call(t *testing.T, token, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return start(t, func(p *process) {
		p.lookup = variables("MCP_TOKEN", token)
		p.stdin = strings.NewReader(stdin)
	}, append([]string{"call"}, args...)...)
}

func TestListAndCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token()
	const listing = `get_user_info
    Returns the signed-in user's identity: all claims of the verified access token, and how the token fared under each verification rule.
greet
    Greets
    somebody.
    arguments: name, times (optional)
secure_ping
    Checks that the caller is authenticated. Needs no arguments.
`
	if code, out, errs := call(t, token, "", w.url); code != exitOK || out != listing {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	var tools []struct{ Name string }
	if _, out, errs := call(t, token, "", "-json", w.url); json.Unmarshal([]byte(out), &tools) != nil || len(tools) != 3 || tools[1].Name != "greet" {
		t.Errorf("-json: %s%s", out, errs)
	}
	code, out, errs := call(t, token, "", w.url, "secure_ping")
	var ping struct{ Message string }
	if err := json.Unmarshal([]byte(out), &ping); err != nil || code != exitOK || ping.Message != "Authenticated ping successful" {
		t.Errorf("exit code %d, %v\n%s%s", code, err, out, errs)
	}
	code, out, errs = call(t, token, "", w.url, "greet", `{"name": "ボブ"}`)
	if code != exitOK || out != "Hello, ボブ\n" {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	var result struct{ Content []struct{ Text string } }
	code, out, errs = call(t, token, "", "-json", w.url, "greet", `{"name": "ボブ"}`)
	if json.Unmarshal([]byte(out), &result) != nil || code != exitOK || len(result.Content) != 1 || result.Content[0].Text != "Hello, ボブ" {
		t.Errorf("-json: exit code %d\n%s%s", code, out, errs)
	}
}

func TestTokenSources(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, env, stdin string
		flags            []string
	}{
		{"environment", token, "", nil},
		{"file", "wrong", "", []string{"-token", file}},
		{"standard input", "wrong", token + "\r\n", []string{"-token", "-"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if code, _, errs := call(t, tt.env, tt.stdin, append(tt.flags, w.url)...); code != exitOK {
				t.Errorf("exit code %d: %s", code, errs)
			}
		})
	}
}

func TestCallRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	noScope := w.tenant.Mint(w.api, 1, func(_, claims map[string]any) { claims["scp"] = "other" })
	closed := httptest.NewServer(nil)
	closed.Close()
	tests := []struct {
		name, token string
		args        []string
		want        []string
	}{
		{"no token", "", []string{w.url}, []string{"401 Unauthorized: No Bearer token found in Authorization header", "\nWWW-Authenticate: Bearer ", "add -browser or -device"}},
		{"bad token", "garbage", []string{w.url}, []string{"401 Unauthorized: Token is not a well-formed JWT", `error="invalid_token"`}},
		{"scope missing", noScope, []string{w.url}, []string{"403 Forbidden: Required scope is missing", `error="insufficient_scope"`}},
		{"unknown tool", w.token(), []string{w.url, "nope"}, []string{`unknown tool "nope"`}},
		{"argument missing", w.token(), []string{w.url, "greet"}, []string{"greet answered: ", "name"}},
		{"nobody there", w.token(), []string{closed.URL}, []string{"refused"}},
		{"another path", w.token(), []string{w.url + "/x"}, []string{"404 Not Found"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, out, errs := call(t, tt.token, "", tt.args...)
			if code != exitFailed || out != "" {
				t.Errorf("exit code %d, output %q", code, out)
			}
			for _, want := range tt.want {
				if !strings.Contains(errs, want) {
					t.Errorf("%q does not say %q", errs, want)
				}
			}
			if tt.token != "" && len(tt.token) > 20 && strings.Contains(errs, tt.token) {
				t.Errorf("the token is shown: %s", errs)
			}
		})
	}
}

func TestCallUsage(t *testing.T) {
	t.Parallel()
	const url = "http://localhost:8000/mcp"
	tests := []struct {
		name, token, stdin string
		args               []string
		want               string
	}{
		{"no URL", "", "", nil, "expected one URL"},
		{"flags after the URL", "", "", []string{url, "-list"}, "after the flags"},
		{"no URL at all", "", "", []string{"localhost"}, "is not a URL"},
		{"http to elsewhere", "", "", []string{"http://mcp.example.com/mcp"}, "must begin with https://"},
		{"arguments", "", "", []string{url, "x", "[1]"}, "must be a JSON object"},
		{"null arguments", "", "", []string{url, "x", "null"}, "must be a JSON object"},
		{"too many", "", "", []string{url, "x", "{}", "{}"}, "then a tool and its arguments"},
		{"no such file", "", "", []string{"-token", "/no/such", url}, "the file can't be read"},
		{"the token itself", "", "", []string{"-token", "eyJhbGciOi.eyJhdWQiOi.c2ln", url}, "-token names a file"},
		{"an empty file", "", "", []string{"-token", "-", url}, "there is no token"},
		{"both ways to sign in", "", "", []string{"-browser", "-device", url}, "exclude each other"},
		{"a client by name", "", "", []string{"-device", "-client", "vscode", url}, `-client: "vscode" is not a GUID`},
		{"a secret as client", "", "", []string{"-device", "-client", "Xy7~S3cr3tValue", url}, "are not shown"},
		{"a bare scope", "", "", []string{"-device", "-scope", "access_as_user", url}, "is not in full"},
		{"an authority with path", "", "", []string{"-device", "-authority", "https://login.microsoftonline.com/common", url}, "must have no path"},
		{"token with scheme", "Bearer abc", "", []string{url}, "without \"Bearer\""},
		{"endless standard input", "", strings.Repeat("x", maxToken+1), []string{"-token", "-", url}, "more than 65536 bytes"},
		{"unknown flag", "", "", []string{"-x", url}, "flag provided but not defined: -x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, _, errs := call(t, tt.token, tt.stdin, tt.args...)
			if code != exitUsage || !strings.Contains(errs, tt.want) {
				t.Errorf("exit code %d, %q does not say %q", code, errs, tt.want)
			}
			if strings.Contains(errs, "eyJ") || strings.Contains(errs, "S3cr3t") {
				t.Errorf("a secret is shown: %s", errs)
			}
		})
	}
	if code, _, _ := call(t, "", "", "-h"); code != exitOK {
		t.Errorf("-h: exit code %d", code)
	}
}

// TestRedirect checks that the token goes only to the intended host.
func TestCallRedirect(t *testing.T) {
	t.Parallel()
	stranger := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a stranger was sent %q", r.Header.Get("Authorization"))
	}))
	defer stranger.Close()
	trickster := httptest.NewServer(http.RedirectHandler(stranger.URL, http.StatusTemporaryRedirect))
	defer trickster.Close()
	if code, _, _ := call(t, "secret", "", trickster.URL); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
}

// Without a token the user signs in when the server asks for it, and again when a tool needs more.
func TestCallSignsIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, mcpentra.WithToolPolicy("secure_ping", entraauth.Policy{Scopes: []string{"Ping.Read"}}))
	for way, prompt := range map[string]string{"-browser": "Sign in with the browser", "-device": "enter the code"} {
		change := func(p *process) {
			w.at(t)(p)
			p.stderr = w.prompts(t, p.stderr)
		}
		code, out, errs := start(t, change, "call", way, "-client", w.client.ClientID, w.url, "secure_ping")
		if code != exitOK || !strings.Contains(out, "Authenticated ping successful") || !strings.Contains(errs, prompt) {
			t.Errorf("%s: exit code %d\n%s%s", way, code, out, errs)
		}
	}
	code, out, errs := start(t, func(p *process) { w.at(t)(p); p.terminal = true }, "call", "-client", w.client.ClientID, w.url)
	if code != exitOK || !strings.Contains(out, "greet") {
		t.Errorf("in a terminal: exit code %d\n%s%s", code, out, errs)
	}
}

// A claims challenge is answered too, with a stronger sign-in.
func TestCallMeetsClaims(t *testing.T) {
	t.Parallel()
	w := newWorld(t, mcpentra.WithToolPolicy("secure_ping", entraauth.Policy{AuthContext: "c1"}))
	w.api.OptionalClaims = []string{"xms_cc", "acrs"}
	code, out, errs := start(t, w.at(t), "call", "-browser", "-client", w.client.ClientID, w.url, "secure_ping")
	if code != exitOK || !strings.Contains(out, "Authenticated ping successful") || strings.Count(errs, "Sign in with the browser") != 2 {
		t.Errorf("exit code %d\n%s%s, want two sign-ins", code, out, errs)
	}
}

// Who doesn't sign in is told so once.
func TestCallSignInFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct {
		change func(*process)
		client string
		want   string
	}{
		"no browser": {func(p *process) {
			p.openURL = func(string) error { return errors.New("no browser can be opened here") }
		}, w.client.ClientID, "no browser can be opened here"},
		"no client":    {func(*process) {}, "12345678-1234-1234-1234-123456789abc", "AADSTS700016"},
		"another host": {func(p *process) { p.lookup = variables() }, w.client.ClientID, "none of Microsoft's sign-in hosts: add -authority https://"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := start(t, func(p *process) { w.at(t)(p); c.change(p) }, "call", "-browser", "-client", c.client, w.url)
			if code != exitFailed || out != "" || strings.Count(errs, c.want) != 1 {
				t.Errorf("exit code %d, %q, want %q once", code, errs, c.want)
			}
		})
	}
}
