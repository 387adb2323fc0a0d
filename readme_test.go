package mcpentrago_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The server in the READMEs compiles as printed, and both print the same.
func TestREADMEServer(t *testing.T) {
	t.Parallel()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	var printed string
	for _, readme := range []string{"README.md", "README.ja.md"} {
		data, err := os.ReadFile(readme)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, ok := strings.Cut(string(data), "<!-- server -->\n```go\n")
		code, _, ok2 := strings.Cut(rest, "```")
		if !ok || !ok2 {
			t.Fatalf("%s has no code under <!-- server -->", readme)
		}
		if code := withoutComments(code); printed == "" {
			printed = code
		} else if printed != code {
			t.Errorf("%s prints another server than README.md", readme)
		} else {
			continue // compiled
		}
		// The file is in a folder that exists only for this build.
		source := filepath.Join(t.TempDir(), "main.go")
		overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(dir, "readme", "main.go"): source}})
		if err != nil {
			t.Fatal(err)
		}
		list := filepath.Join(t.TempDir(), "overlay.json")
		for name, text := range map[string]string{source: code, list: string(overlay)} {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(t.TempDir(), "server"), "-overlay", list, "./readme").CombinedOutput()
		if err != nil {
			t.Errorf("go build of the server in %s = %v, want no error\n%s", readme, err, out)
		}
	}
}

// withoutComments removes what follows // on each line: it is in the language of the page.
func withoutComments(code string) string {
	var b strings.Builder
	for line := range strings.Lines(code) {
		line, _, _ = strings.Cut(strings.TrimRight(line, "\n"), "// ")
		b.WriteString(strings.TrimRight(line, " \t") + "\n")
	}
	return b.String()
}
