//go:build unix

package interop_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// Exit codes of the Inspector's command line.
const (
	inspectorOK           = 0
	inspectorAuthRequired = 3
	inspectorToolFailed   = 5
)

// inspect runs MCP Inspector's command line on the endpoint, and returns what it
// printed and its exit code.
func (w *world) inspect(t *testing.T, endpoint, era, token string, arguments ...string) (stdout, stderr string, code int) {
	t.Helper()
	args := []string{
		"--cli", endpoint, "--transport", "http", "--protocol-era", era, "--format", "json",
		"--stored-auth-only", // nobody is there to sign in
	}
	if token != "" {
		args = append(args, "--header", "Authorization: Bearer "+token)
	}
	p := start(t, "mcp-inspector", command(w.ctx, t.TempDir(), nil, nodeProgram(t, "mcp-inspector"), append(args, arguments...)...))
	code = p.wait()
	return p.stdout.String(), p.stderr.String(), code
}

// inspected returns the result that the Inspector printed.
func inspected(t *testing.T, stdout string) map[string]any {
	t.Helper()
	result, ok := decode(t, []byte(stdout))["result"].(map[string]any)
	if !ok {
		t.Fatalf("the Inspector printed no result: %s", stdout)
	}
	return result
}

func TestInspector(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		era, handshake, otherHandshake string
	}{
		{"modern", "method=server/discover ", "method=initialize "},
		{"legacy", "method=initialize ", "method=server/discover "},
	} {
		t.Run(c.era, func(t *testing.T) {
			s := w.startServer(t, w.environment(t))
			token := w.token(w.alice)
			t.Run("calls", func(t *testing.T) { w.inspectAll(t, s, c.era, token) })
			log := s.stderr.String()
			if !strings.Contains(log, c.handshake) || strings.Contains(log, c.otherHandshake) {
				t.Errorf("the Inspector did not speak the %s protocol", c.era)
			}
			s.stop(t)
			checkLog(t, s.process, append(w.secrets(), token))
		})
	}
}

// inspectAll does what a developer would, each in a process of its own.
func (w *world) inspectAll(t *testing.T, s *server, era, token string) {
	t.Helper()
	tool := func(name string, arguments map[string]any, check func(*testing.T, map[string]any)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := json.Marshal(arguments)
			must(t, err)
			stdout, _, code := w.inspect(t, s.url(), era, token, "--method", "tools/call", "--tool-name", name, "--tool-args-json", string(data))
			if code != inspectorOK {
				t.Fatalf("exit code %d", code)
			}
			answer, _ := inspected(t, stdout)["structuredContent"].(map[string]any)
			check(t, answer)
		})
	}
	tool("secure_ping", map[string]any{}, checkPing)
	tool("get_user_info", map[string]any{}, func(t *testing.T, answer map[string]any) { checkUserInfo(t, answer, w.alice) })
	tool("get_azure_blob_storage_token", map[string]any{}, func(t *testing.T, answer map[string]any) { w.checkStorageToken(t, answer, w.alice) })
	d := w.document(t, welcomePath)
	tool("read_blob_with_token", d.arguments(), func(t *testing.T, answer map[string]any) { d.checkRead(t, answer, s.dir, "downloads") })

	t.Run("list", func(t *testing.T) {
		t.Parallel()
		w.inspectList(t, s, era, token)
	})
	t.Run("blob not found", func(t *testing.T) {
		t.Parallel()
		stdout, _, code := w.inspect(t, s.url(), era, token, "--method", "tools/call", "--tool-name", "read_blob_with_token", "--tool-arg", "blob_path=nothere.txt")
		if code != inspectorToolFailed || inspected(t, stdout)["isError"] != true || !strings.Contains(stdout, "BlobNotFound") {
			t.Errorf("exit code %d, want %d: %s", code, inspectorToolFailed, stdout)
		}
	})
	for _, c := range []struct{ name, token string }{
		{"no token", ""},
		{"not a token", "garbage"},
		{"expired token", w.tenant.Mint(w.api, 1, func(_, claims map[string]any) { claims["exp"] = time.Now().Add(-time.Hour).Unix() })},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, stderr, code := w.inspect(t, s.url(), era, c.token, "--method", "tools/list")
			if code != inspectorAuthRequired || !strings.Contains(stderr, "auth_required") {
				t.Errorf("exit code %d, want %d: %s", code, inspectorAuthRequired, stderr)
			}
		})
	}
}

// inspectList lists the tools, and lets the Inspector judge their schemas.
func (w *world) inspectList(t *testing.T, s *server, era, token string) {
	t.Helper()
	stdout, stderr, code := w.inspect(t, s.url(), era, token, "--method", "tools/list", "--strict")
	if code != inspectorOK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	tools, _ := inspected(t, stdout)["tools"].([]any)
	var names []string
	for _, tool := range tools {
		tool, _ := tool.(map[string]any)
		name, _ := tool["name"].(string)
		names = append(names, name)
	}
	want := []string{"get_azure_blob_storage_token", "get_user_info", "read_blob_with_token", "secure_ping"}
	if !slices.Equal(names, want) {
		t.Errorf("the tools are %v, want %v", names, want)
	}
}
