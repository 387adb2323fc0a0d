//go:build unix

package interop_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// A developer's way through a container with the Inspector: what is there, what is
// it, what does it say, where else does it say so; and the same as resources.
func TestInspectorReadsBlobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := w.newLibrary(t, mcpentra.Credential)
	token := w.token(w.alice)
	for _, era := range []string{"modern", "legacy"} {
		t.Run(era, func(t *testing.T) {
			t.Parallel()
			run := func(arguments ...string) map[string]any {
				t.Helper()
				stdout, stderr, code := w.inspect(t, l.url, era, token, arguments...)
				if code != inspectorOK {
					t.Fatalf("%v: exit code %d: %s %s", arguments, code, stdout, stderr)
				}
				return inspected(t, stdout)
			}
			tool := func(name string, arguments map[string]any) map[string]any {
				t.Helper()
				data, err := json.Marshal(arguments)
				must(t, err)
				answer, _ := run("--method", "tools/call", "--tool-name", name, "--tool-args-json", string(data))["structuredContent"].(map[string]any)
				return answer
			}
			listed := tool("list_blobs", map[string]any{"prefix": "logs/"})
			if rows := fmt.Sprint(listed["blobs"]); !strings.Contains(rows, "name:"+bigPath) {
				t.Fatalf("list_blobs: %v", listed)
			}
			big := string(w.document(t, bigPath).data)
			stat := tool("stat_blob", map[string]any{"blob_path": bigPath})
			if size, _ := stat["size"].(float64); int(size) != len(big) {
				t.Errorf("stat_blob: %v", stat)
			}
			// Two pages, which join without gap or overlap, of one version.
			first := tool("read_blob", map[string]any{"blob_path": bigPath, "max_chars": 5000})
			next, _ := first["next_offset"].(float64)
			second := tool("read_blob", map[string]any{"blob_path": bigPath, "offset": next, "etag": first["etag"], "max_chars": 5000})
			if got := fmt.Sprint(first["text"], second["text"]); next == 0 || got != big[:len(got)] || len(got) < 9000 {
				t.Errorf("two pages of read_blob: %d characters, the second from %v on", len(got), next)
			}
			found := tool("search_blobs", map[string]any{"text": `^00000042 the quick`, "prefix": "logs/"})
			if matches := fmt.Sprint(found["matches"]); !strings.Contains(matches, "line:43") {
				t.Errorf("search_blobs: %v", found)
			}

			uri := "blob://" + container + "/docs/%E3%82%88%E3%81%86%E3%81%93%E3%81%9D.txt"
			if resources := fmt.Sprint(run("--method", "resources/list")["resources"]); !strings.Contains(resources, uri) {
				t.Errorf("resources/list lacks %s: %s", uri, resources)
			}
			if templates := fmt.Sprint(run("--method", "resources/templates/list")); !strings.Contains(templates, "blob://"+container+"/{+path}") {
				t.Errorf("resources/templates/list: %s", templates)
			}
			if contents := fmt.Sprint(run("--method", "resources/read", "--uri", uri)["contents"]); !strings.Contains(contents, w.document(t, welcomePath).text) {
				t.Errorf("resources/read: %s", contents)
			}
		})
	}
}
