//go:build unix

package interop_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// mcp-entra call, as a user runs it against examples/server.
func TestCallCommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.startServer(t, w.environment(t))
	token := w.token(w.alice)
	run := func(token string, arguments ...string) (*process, int) {
		p := start(t, "mcp-entra call", command(w.ctx, t.TempDir(), map[string]string{"MCP_TOKEN": token}, mcpEntra, append([]string{"call", s.url()}, arguments...)...))
		return p, p.wait()
	}
	called := func(tool string, arguments map[string]any) map[string]any {
		data, err := json.Marshal(arguments)
		must(t, err)
		p, code := run(token, tool, string(data))
		if code != 0 {
			t.Fatalf("%s: exit code %d", tool, code)
		}
		return decode(t, []byte(p.stdout.String()))
	}

	list, code := run(token)
	for _, tool := range []string{"secure_ping", "get_user_info", "get_azure_blob_storage_token", "read_blob_with_token"} {
		if !strings.Contains(list.stdout.String(), tool+"\n") {
			t.Errorf("exit code %d; the list has no %s", code, tool)
		}
	}
	checkPing(t, called("secure_ping", map[string]any{}))
	checkUserInfo(t, called("get_user_info", map[string]any{}), w.alice)
	w.checkStorageToken(t, called("get_azure_blob_storage_token", map[string]any{}), w.alice)
	for _, d := range w.documents {
		d.checkRead(t, called("read_blob_with_token", d.arguments()), s.dir, "downloads")
	}

	for _, c := range []struct {
		name, token string
		arguments   []string
		want        string
	}{
		{"no token", "", nil, "No Bearer token found in Authorization header"},
		{"not a token", "garbage", nil, "401"},
		{"blob not found", token, []string{"read_blob_with_token", `{"blob_path": "nothere.txt"}`}, "BlobNotFound"},
	} {
		if p, code := run(c.token, c.arguments...); code != 1 || !strings.Contains(p.stderr.String(), c.want) {
			t.Errorf("%s: exit code %d, want 1, and %q in %q", c.name, code, c.want, p.stderr)
		}
	}
	s.stop(t)
	checkLog(t, s.process, append(w.secrets(), token))
}
