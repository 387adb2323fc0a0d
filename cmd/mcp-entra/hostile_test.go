package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// A hostileServer demands what it likes, in its challenge. It fails the test if it gets a token.
func hostileServer(t *testing.T, tenant *entratest.Tenant, scope string) string {
	t.Helper()
	return serveHostile(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Errorf("the server that demands %s gets a token", scope)
		}
		if r.Method == http.MethodGet {
			rw.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(rw).Encode(map[string]any{
				"resource": "http://" + r.Host + "/mcp", "authorization_servers": []string{tenant.AuthorityHost() + "/" + tenant.ID() + "/v2.0"},
			})
			return
		}
		rw.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer scope=%q`, scope))
		rw.WriteHeader(http.StatusUnauthorized)
	})
}

func serveHostile(t *testing.T, handle http.HandlerFunc) (url string) {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return server.URL + "/mcp"
}

// A server gets no token for another API than its own on its word alone: the Azure CLI, as which
// users sign in by default, may act in all of Azure.
func TestServerDemandsAnotherAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tenant.Consent(w.client, w.tenant.Graph(), "User.Read")
	w.tenant.Consent(w.client, w.tenant.Storage(), "user_impersonation")
	for _, scope := range []string{
		"https://graph.microsoft.com/User.Read", "User.Read", "00000003-0000-0000-c000-000000000000/.default",
		"https://storage.azure.com/user_impersonation", "HTTPS://management.azure.com//.default",
		w.api.AppIDURI() + "/access_as_user https://graph.microsoft.com/User.Read",
		"http://localhost@evil.example.com/x", "api:x", ".default",
	} {
		for _, command := range []string{"login", "call"} {
			url := hostileServer(t, w.tenant, scope)
			code, out, errs := start(t, func(p *process) {
				w.at(t)(p)
				p.openURL = func(string) error { t.Errorf("%s: a browser opens", scope); return nil }
			}, command, "-browser", "-client", w.client.ClientID, url)
			if code != exitFailed || out != "" || !strings.Contains(errs, "not of its own API") || !strings.Contains(errs, "add -scope") {
				t.Errorf("%s, %s: exit code %d\n%s%s", command, scope, code, out, errs)
			}
		}
	}
}

// Before users sign in, they are told who asks, and for what.
func TestSignInSaysForWhat(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, _, errs := start(t, w.at(t), "login", "-browser", "-client", w.client.ClientID, w.url)
	if want := w.url + " asks you to sign in at " + w.tenant.AuthorityHost() + "/" + w.tenant.ID() + " for " + w.api.AppIDURI() + "/access_as_user"; !strings.Contains(errs, want) {
		t.Errorf("%s\nwant %s", errs, want)
	}
}

// What a server sends reaches the terminal without control characters, and as valid JSON.
func TestTerminalSequences(t *testing.T) {
	t.Parallel()
	const evil = "\x1b]0;owned\x07\x1b[2J\u009b31m\u202e"
	url := serveHostile(t, func(rw http.ResponseWriter, r *http.Request) {
		var m struct {
			ID     json.RawMessage
			Method string
			Params struct{ Name string }
		}
		if r.Method != http.MethodPost || json.NewDecoder(r.Body).Decode(&m) != nil {
			rw.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		var result any
		switch {
		case m.Method == "initialize":
			result = map[string]any{"protocolVersion": "2025-06-18", "capabilities": map[string]any{"tools": map[string]any{}}, "serverInfo": map[string]any{"name": evil, "version": "1"}}
		case m.Method == "tools/list":
			result = map[string]any{"tools": []any{map[string]any{"name": "x", "description": evil, "inputSchema": map[string]any{"type": "object", "properties": map[string]any{evil: map[string]any{"default": evil}}}}}}
		case m.Method == "tools/call" && m.Params.Name == "refuse":
			rw.WriteHeader(http.StatusForbidden)
			_, _ = rw.Write([]byte(evil + "\x9b\xff"))
			return
		case m.Method == "tools/call":
			result = map[string]any{"content": []any{map[string]any{"type": "text", "text": "one\r\ntwo" + evil}}, "isError": m.Params.Name == "fail"}
		case m.ID == nil:
			rw.WriteHeader(http.StatusAccepted)
			return
		default:
			rw.WriteHeader(http.StatusBadRequest)
			return
		}
		rw.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(rw).Encode(map[string]any{"jsonrpc": "2.0", "id": m.ID, "result": result})
	})
	for _, args := range [][]string{{url}, {"-json", url}, {url, "work"}, {"-json", url, "work"}, {url, "fail"}, {url, "refuse"}} {
		_, out, errs := call(t, "token", "", args...)
		if strings.ContainsFunc(out+errs, moves) || !strings.Contains(out+errs, `\u001b[2J\u009b31m\u202e`) {
			t.Errorf("%v: %q", args[:len(args)-1], out+errs)
		}
		if args[0] == "-json" && !json.Valid([]byte(out)) {
			t.Errorf("%v: not JSON: %q", args, out)
		}
	}
}

// Endless pages of tools, endless answers and metadata that is for another server end with an error.
func TestEndlessServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	page := func(result string) http.HandlerFunc {
		return func(rw http.ResponseWriter, r *http.Request) {
			var m struct {
				ID     json.RawMessage
				Method string
			}
			switch _ = json.NewDecoder(r.Body).Decode(&m); {
			case r.Method != http.MethodPost:
				rw.WriteHeader(http.StatusMethodNotAllowed)
			case m.Method == "initialize":
				rw.Header().Set("Content-Type", "application/json")
				_, _ = fmt.Fprintf(rw, `{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"x","version":"1"}}}`, m.ID)
			case m.Method == "tools/list":
				rw.Header().Set("Content-Type", "application/json")
				_, _ = fmt.Fprintf(rw, `{"jsonrpc":"2.0","id":%s,"result":%s`, m.ID, result)
				for result == "" && r.Context().Err() == nil {
					_, _ = rw.Write([]byte(strings.Repeat(" ", 1<<20)))
				}
				_, _ = rw.Write([]byte("}"))
			case m.ID == nil:
				rw.WriteHeader(http.StatusAccepted)
			default:
				rw.WriteHeader(http.StatusBadRequest)
			}
		}
	}
	tools := strings.Repeat(`{"name":"x","inputSchema":{"type":"object"}},`, 999) + `{"name":"y","inputSchema":{"type":"object"}}`
	elsewhere := func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		rw.Header().Set("WWW-Authenticate", "Bearer")
		rw.WriteHeader(map[string]int{http.MethodGet: http.StatusOK, http.MethodPost: http.StatusUnauthorized}[r.Method])
		_, _ = rw.Write([]byte(`{"resource":"https://bank.example.com/mcp"}`))
	}
	for name, c := range map[string]struct {
		handle http.HandlerFunc
		args   []string
		want   string
	}{
		"endless pages":       {page(`{"tools":[` + tools + `],"nextCursor":"more"}`), []string{"call"}, "more than 10000 tools"},
		"an endless answer":   {page(""), []string{"call"}, "too large"},
		"metadata of another": {elsewhere, []string{"login", "-device"}, "character for character"},
		"a redirect to somewhere": {func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, w.url, http.StatusTemporaryRedirect)
		}, []string{"login", "-device"}, "307 Temporary Redirect without a token"},
		"a metadata redirect loop": {func(rw http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				rw.WriteHeader(http.StatusUnauthorized)
				return
			}
			http.Redirect(rw, r, r.URL.Path, http.StatusFound)
		}, []string{"login", "-device"}, "doesn't say where to sign in"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := start(t, func(p *process) { p.lookup = variables("MCP_TOKEN", "token") }, append(c.args, serveHostile(t, c.handle))...)
			if code != exitFailed || out != "" || !strings.Contains(errs, c.want) {
				t.Errorf("exit code %d, output %.100q\n%.500s", code, out, errs)
			}
		})
	}
}

// Users are sent to sign-in pages of Microsoft, or of the authority that they name, and to no others.
func TestServerNamesAnAuthority(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, issuer := range []string{
		"https://evil.example.com/common/v2.0", "https://login.microsoftonline.com.evil.example.com/common/v2.0", "https://login.microsoftonline.com@evil.example.com/common/v2.0",
		"https://login.microsoftonline.com:8443/common/v2.0", "http://login.microsoftonline.com/common/v2.0", "https://login.microsoftonline.com/a%3fb/v2.0",
		"https://login.microsoftonline.com/a%2f..%2fb/v2.0", "https://login.microsoftonline.com/%1b[2J/v2.0", "https://login.microsoftonline.com", "javascript:alert(1)", "file:///etc/passwd", "",
	} {
		url := serveHostile(t, func(rw http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				rw.Header().Set("Content-Type", "application/json")
				_ = json.NewEncoder(rw).Encode(map[string]any{"resource": "http://" + r.Host + "/mcp", "authorization_servers": []string{issuer}, "scopes_supported": []string{"api://x/y"}})
				return
			}
			rw.Header().Set("WWW-Authenticate", "Bearer")
			rw.WriteHeader(http.StatusUnauthorized)
		})
		for _, change := range []func(*process){
			func(p *process) { p.lookup = variables("AZURE_AUTHORITY_HOST", w.tenant.AuthorityHost()) },
			func(*process) {},
		} {
			code, out, errs := start(t, func(p *process) {
				change(p)
				p.client = w.tenant.HTTPClient()
				p.openURL = func(u string) error { t.Errorf("%s: a browser opens %s", issuer, u); return nil }
			}, "login", "-browser", "-client", w.client.ClientID, url)
			if code != exitFailed || out != "" {
				t.Errorf("%s: exit code %d, %s%s", issuer, code, out, errs)
			}
		}
	}
}

// The file of -out is the user's own: a link is replaced, not followed.
func TestTokenFileIsALink(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	folder := t.TempDir()
	target, link := filepath.Join(folder, "target"), filepath.Join(folder, "link")
	if err := os.WriteFile(target, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Skip("making a symbolic link needs a privilege on Windows: ", err)
	}
	code, _, errs := start(t, w.at(t), "login", "-browser", "-client", w.client.ClientID, "-out", link, w.url)
	kept, _ := os.ReadFile(target)
	info, err := os.Lstat(link)
	if code != exitOK || err != nil || string(kept) != "mine" || info.Mode() != 0o600 {
		t.Errorf("exit code %d, %v, target %q, mode %v\n%s", code, err, kept, info.Mode(), errs)
	}
}
