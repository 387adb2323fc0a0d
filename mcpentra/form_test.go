package mcpentra_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

const pingWithID = `{"jsonrpc":"2.0","id":"q-7","method":"tools/call","params":{"name":"secure_ping"}}`

// send is do with all headers given: a nil list leaves one out, and several values
// are several lines.
func (w *world) send(t testing.TB, method, url, body string, header http.Header) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	must(t, err)
	req.Header = header.Clone()
	req.Header.Set("Authorization", "Bearer "+w.token(w.alice))
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, resp.Header, string(data)
}

// withSessions is a world whose server has sessions, which end with the test.
func withSessions(t testing.TB, opts ...mcpentra.Option) *world {
	t.Helper()
	w := newWorld(t, append(opts, mcpentra.WithSessions())...)
	t.Cleanup(func() {
		for s := range w.server.MCP().Sessions() {
			_ = s.Close()
			_ = s.Wait()
		}
	})
	return w
}

// isRefusal checks that the answer is a JSON-RPC error with that id and code.
func isRefusal(t testing.TB, name string, header http.Header, body, id string, code float64) {
	t.Helper()
	if !strings.HasPrefix(header.Get("Content-Type"), "application/json") {
		t.Errorf("%s: Content-Type %q, %s; want application/json at the start", name, header.Get("Content-Type"), body)
		return
	}
	e, _ := decode(t, body)["error"].(map[string]any)
	if !strings.Contains(body, `"id":`+id+`,`) || e == nil || e["code"] != code {
		t.Errorf("%s: %s, want id %s and code %v", name, body, id, code)
	}
}

// Accept is read as HTTP has it: ranges, weights, any case, several lines, or none.
func TestAccept(t *testing.T) {
	t.Parallel()
	stateless, sessions := newWorld(t), withSessions(t)
	for _, row := range []struct {
		accept []string
		status int
	}{
		{nil, 200},
		{[]string{""}, 200},
		{[]string{"*/*"}, 200},
		{[]string{"*"}, 200},
		{[]string{"text/event-stream"}, 200},
		{[]string{"TEXT/Event-Stream"}, 200},
		{[]string{"text/*;q=0.5"}, 200},
		{[]string{"text/*; q=.2, application/json"}, 200},
		{[]string{"application/json, text/event-stream"}, 200},
		{[]string{"application/json,text/event-stream;charset=utf-8;q=0.001"}, 200},
		{[]string{"application/json", "text/event-stream"}, 200},
		{[]string{"text/html", "*/*;q=0.1"}, 200},
		{[]string{"text/*;q=0, text/event-stream"}, 200},
		{[]string{"text/event-stream;q=oops"}, 200},
		{[]string{"application/json"}, 406},
		{[]string{"APPLICATION/JSON"}, 406},
		{[]string{"application/*"}, 406},
		{[]string{"text/html"}, 406},
		{[]string{"text/event-stream;q=0"}, 406},
		{[]string{"text/event-stream; Q=0.0, */*"}, 406},
		{[]string{"*/*;q=0"}, 406},
		{[]string{"text/*;q=0, */*"}, 406},
		{[]string{"text/event-streams"}, 406},
	} {
		header := http.Header{"Content-Type": {"application/json"}}
		if row.accept != nil {
			header["Accept"] = row.accept
		}
		name := "Accept: " + strings.Join(row.accept, " | ")
		status, h, body := stateless.send(t, http.MethodPost, stateless.url, pingWithID, header)
		if status != row.status {
			t.Errorf("%s: %d %s, want %d", name, status, body, row.status)
		}
		if status != 200 {
			isRefusal(t, name, h, body, `"q-7"`, -32600)
		}
		status, h, body = sessions.send(t, http.MethodPost, sessions.url, strings.Replace(initialize, `"id":1`, `"id":"q-7"`, 1), header)
		if status != row.status {
			t.Errorf("%s with sessions: %d %s, want %d", name, status, body, row.status)
		}
		if status != 200 {
			isRefusal(t, name, h, body, `"q-7"`, -32600)
		}
	}
}

func TestContentType(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for value, want := range map[string]int{
		"application/json": 200, "Application/JSON": 200, "application/json; charset=utf-8": 200, "application/json;charset=\"UTF-8\"": 200,
		" application/json ;": 200, "": 415, "text/plain": 415, "application/x-www-form-urlencoded": 415, "application/jsonp": 415, "json": 415,
		"application/json, text/plain": 415, "multipart/form-data; boundary=application/json": 415, strings.Repeat("x", 10_000): 415,
	} {
		header := http.Header{"Accept": {"*/*"}}
		if value != "" {
			header.Set("Content-Type", value)
		}
		status, h, body := w.send(t, http.MethodPost, w.url, pingWithID, header)
		if status != want {
			t.Errorf("Content-Type %.60q: %d %.200s, want %d", value, status, body, want)
		}
		if status != 200 {
			isRefusal(t, value, h, body, `"q-7"`, -32600)
			if len(body) > 1000 {
				t.Errorf("a long Content-Type comes back: %d bytes, want at most 1000", len(body))
			}
		}
	}
}

// A wrong HTTP method is told which there are.
func TestHTTPMethods(t *testing.T) {
	t.Parallel()
	for allow, w := range map[string]*world{"POST": newWorld(t), "GET, POST, DELETE": withSessions(t)} {
		for _, method := range []string{"GET", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS", "TRACE", "BREW"} {
			if strings.Contains(allow, method) {
				continue
			}
			status, h, body := w.send(t, method, w.url, "", http.Header{"Accept": {"*/*"}})
			if status != http.StatusMethodNotAllowed || h.Get("Allow") != allow {
				t.Errorf("%s: %d, Allow %q, want 405 and %q", method, status, h.Get("Allow"), allow)
			}
			if method != "HEAD" {
				isRefusal(t, method, h, body, "null", -32600)
			}
		}
	}
}

// With and without a slash at the end, under each mounting, without redirect.
func TestTrailingSlash(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	base := strings.TrimSuffix(w.url, "/mcp")
	below := http.NewServeMux()
	below.Handle("/front/", http.StripPrefix("/front", w.server))
	behind := serve(t, below) + "/front"
	for _, url := range []string{base + "/mcp", base + "/mcp/", base + "/", base, behind + "/mcp/", behind + "/", base + "//mcp", base + "/mcp//", base + "/x/../mcp", base + "/./mcp/"} {
		if s, _, b := do(t, http.MethodPost, url, pingWithID, map[string]string{"Authorization": "Bearer " + w.token(w.alice)}); s != 200 {
			t.Errorf("%s with a token: got %d %s, want 200", url, s, b)
		}
		if s, h, b := do(t, http.MethodPost, url, pingWithID, nil); s != 401 || !strings.Contains(h.Get("Www-Authenticate"), "resource_metadata=") {
			t.Errorf("%s without token: got %d %q %s, want 401 and resource_metadata=", url, s, h.Get("Www-Authenticate"), b)
		}
	}
	for _, path := range []string{"/mcp/", "", "/", "/mcp"} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			url := base + "/.well-known/oauth-protected-resource" + path
			s, _, b := do(t, method, url, "", nil)
			if s != 200 || method == http.MethodGet && decode(t, b)["resource"] != resourceURL {
				t.Errorf("%s %s: got %d %s, want 200 and the metadata", method, url, s, b)
			}
		}
	}
	must(t, w.verifier.Ready(t.Context())) // a probe does not wait for the keys for long
	for _, path := range []string{"/health", "/ready", "/consent/done"} {
		if s, _, b := do(t, http.MethodHead, base+path, "", nil); s != 200 || b != "" {
			t.Errorf("HEAD %s: got %d %q, want 200, none", path, s, b)
		}
	}
}

// Where there is nothing, the answer names the endpoint.
func TestWrongPathNamesTheRightOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	base := strings.TrimSuffix(w.url, "/mcp")
	for _, path := range []string{"/sse", "/mcp/x", "/MCP", "/mcp/messages", "/.well-known/oauth-authorization-server", "/register", "/v1/mcp"} {
		for _, method := range []string{http.MethodPost, http.MethodGet} {
			s, h, b := do(t, method, base+path, pingWithID, map[string]string{"Authorization": "Bearer " + w.token(w.alice)})
			if s != 404 || !strings.Contains(b, resourceURL) {
				t.Errorf("%s %s: got %d %s, want 404 and %q", method, path, s, b, resourceURL)
			}
			isRefusal(t, path, h, b, `"q-7"`, -32600)
		}
	}
	if s, _, b := do(t, http.MethodGet, base+"/sse", "", map[string]string{"Host": "evil.example"}); s != 403 || strings.Contains(b, resourceURL) {
		t.Errorf("for a foreign Host: got %d %s, want 403 and no %q", s, b, resourceURL)
	}
}
