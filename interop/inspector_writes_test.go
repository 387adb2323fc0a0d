//go:build unix

package interop_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
)

// A developer writes with the Inspector, through examples/storage -write: a new blob, what it is, an
// edit, another edit of what is gone by then, and a delete that nobody confirms.
func TestInspectorWritesBlobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	env := w.environment(t)
	env["AZURE_STORAGE_WRITE_ALLOW"] = container + "/reports/"
	env["PUBLIC_URL"] = "http://localhost" // nothing here uses it
	s := w.startProgram(t, exampleStorage, env, "-write")
	token := w.token(w.alice)
	t.Run("calls", func(t *testing.T) {
		for _, era := range []string{"modern", "legacy"} {
			t.Run(era, func(t *testing.T) {
				t.Parallel()
				w.inspectWrites(t, s, era, token)
			})
		}
		t.Run("schemas", func(t *testing.T) {
			t.Parallel()
			stdout, stderr, code := w.inspect(t, s.url(), "modern", token, "--method", "tools/list", "--strict")
			if code != inspectorOK || !strings.Contains(stdout, `"write_blob"`) {
				t.Errorf("got the exit code %d, want the tools, with schemas that the Inspector likes: %s", code, stderr)
			}
		})
	})
	if code := s.terminate(t); code != 0 {
		t.Errorf("the exit code after SIGTERM is %d, want 0", code)
	}
	checkLog(t, s.process, append(w.secrets(), token))
}

// inspectWrites makes the calls, each in a process of its own.
func (w *world) inspectWrites(t *testing.T, s *server, era, token string) {
	t.Helper()
	path := "reports/" + era + ".md"
	call := func(tool string, more map[string]any, exitCode int, outcome, reason string) map[string]any {
		t.Helper()
		a := map[string]any{"blob_path": path}
		maps.Copy(a, more)
		data, err := json.Marshal(a)
		must(t, err)
		stdout, stderr, code := w.inspect(t, s.url(), era, token, "--method", "tools/call", "--tool-name", tool, "--tool-args-json", string(data))
		if code != exitCode {
			t.Fatalf("%s %s: got the exit code %d, want %d: %s %s", tool, data, code, exitCode, stdout, stderr)
		}
		result := inspected(t, stdout)
		answer, _ := result["structuredContent"].(map[string]any)
		gotOutcome, _ := answer["outcome"].(string)
		gotReason, _ := answer["reason"].(string)
		if gotOutcome != outcome || gotReason != reason {
			t.Errorf("%s: got %v, want %s %s", tool, answer, outcome, reason)
		}
		etag, _ := answer["etag"].(string)
		if content, err := json.Marshal(result["content"]); etag == "" || err != nil || !strings.Contains(string(content), etag) {
			t.Errorf("%s: got the etag %q, and the text %s; want it in both", tool, etag, content)
		}
		return answer
	}
	made := call("write_blob", map[string]any{"text": "# Report\n", "content_type": "text/markdown", "metadata": map[string]any{"author": "alice"}}, inspectorOK, "done", "")
	stat := call("stat_blob", nil, inspectorOK, "", "")
	if stat["etag"] != made["etag"] || stat["content_type"] != "text/markdown" || !strings.Contains(neutral(stat), `"metadata":{"author":"alice"}`) {
		t.Errorf("stat_blob: got %v, want the blob that was written", stat)
	}
	edited := call("edit_blob", map[string]any{"old_text": "Report", "new_text": "A report", "if_match": made["etag"]}, inspectorOK, "done", "")
	stale := call("edit_blob", map[string]any{"old_text": "Report", "new_text": "My report", "if_match": made["etag"]}, inspectorToolFailed, "refused", "changed")
	kept := call("delete_blob", map[string]any{"if_match": edited["etag"]}, inspectorToolFailed, "refused", "not_confirmed")
	for _, answer := range []map[string]any{stale, kept} {
		if answer["etag"] != edited["etag"] {
			t.Errorf("got the etag %v, want that of the edit, %v", answer["etag"], edited["etag"])
		}
	}
	status, body := w.get(t, path, w.tenant.Token(w.alice, w.client, w.tenant.Storage(), "user_impersonation"))
	if string(body) != "# A report\n" {
		t.Errorf("Azurite has %q (status %d), want the edited text", body, status)
	}
}
