package main

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/tenantfile"
)

var shellWord = regexp.MustCompile(`'[^']*'|\S+`)

// The commands of the documentation and of the help texts work on the starter's tenant.
func TestTenantDocumentation(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "tenant.yaml")
	text := bytes.ReplaceAll(tenantfile.Starter, []byte("# clusters:\n    #   - name: aks"), []byte("clusters:\n      - name: aks"))
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	r := startTenant(t, dir, file)
	page := string(readFile(t, "../../docs/tenant.md"))
	seen := map[string]bool{}
	for line := range strings.Lines(page + tenantHelp + mintHelp + controlHelp) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "mcp-entra tenant ")
		if rest, _, _ = strings.Cut(rest, " > "); !ok || seen[rest] {
			continue
		}
		words := shellWord.FindAllString(rest, -1)
		if words[0] != "token" && words[0] != "control" || strings.Contains(rest, "[flags]") || strings.Contains(rest, "NAME") || words[1][0] >= 'a' && words[0] == "token" || words[1] == "changes" {
			continue // others start a tenant, or are no commands
		}
		seen[rest] = true
		args := []string{"tenant", words[0], "-state", r.state()}
		for _, word := range words[1:] {
			args = append(args, strings.Trim(word, "'"))
		}
		if code, stdout, stderr := start(t, nil, args...); code != exitOK || stdout == "" || stderr != "" {
			t.Errorf("mcp-entra tenant %s = %d, %q, %q", rest, code, stdout, stderr)
		}
	}
	if len(seen) < 12 {
		t.Errorf("only %d commands were found: %v", len(seen), seen)
	}
	for _, block := range strings.Split(page, "```yaml\ntenants:")[1:] {
		block, _, _ = strings.Cut(block, "```")
		if _, err := tenantfile.Read([]byte("tenants:" + block)); err != nil {
			t.Errorf("a file of docs/tenant.md: %v", err)
		}
	}
	for _, key := range keysOf(reflect.TypeFor[tenantfile.Spec]()) {
		if !strings.Contains(page, "`"+key+"`") && !strings.Contains(page, "`"+key+":") {
			t.Errorf("docs/tenant.md lacks the key %s", key)
		}
	}
}

// keysOf returns the keys of a file's part and of those below it.
func keysOf(t reflect.Type) []string {
	var keys []string
	switch t.Kind() {
	case reflect.Slice:
		return keysOf(t.Elem())
	case reflect.Struct:
		for field := range t.Fields() {
			if key := field.Tag.Get("yaml"); key != "" {
				keys = append(append(keys, key), keysOf(field.Type)...)
			}
		}
	default:
	}
	return keys
}
