package services_test

import (
	"os"
	"strings"
	"testing"
)

// The code in docs/services.md is that of this module.
func TestDocs(t *testing.T) {
	t.Parallel()
	page := read(t, "../../docs/services.md")
	for mark, file := range map[string]string{
		"keyvault": "keyvault/main.go", "arm": "services_test.go", "sql": "services_test.go",
		"servicebus": "services_test.go", "own": "services_test.go", "cosmos": "services_test.go", "offline service": "services_test.go",
	} {
		_, rest, found := strings.Cut(page, "<!-- "+mark+" -->\n```go\n")
		code, _, closed := strings.Cut(rest, "```")
		if !found || !closed {
			t.Errorf("docs/services.md has no code under %q", mark)
		}
		source := read(t, file)
		for line := range strings.Lines(code) {
			if line = strings.TrimSpace(line); !strings.Contains(source, line) {
				t.Errorf("docs/services.md: %q is not in %s", line, file)
			}
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
