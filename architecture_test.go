package mcpentrago_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/mcpentra/mcp-entra-go"

// mayImport is which packages of the module a package may import, besides
// itself and what is below internal. Whoever is not listed imports none.
var mayImport = map[string][]string{
	"entraauth/mcpauth":     {"entraauth"},
	"obo":                   {"obo/clientauth"},
	"mcpentra":              {"entraauth", "entraauth/mcpauth", "obo"}, // the proxy is an interface
	"authproxy":             {"entraauth", "obo/clientauth"},
	"internal/explain":      {"entraauth"},
	"internal/serverconfig": {"authproxy", "blobtool", "entraauth", "obo", "obo/clientauth"}, // their constructors are its checks
	"cmd/mcp-entra": {"authproxy", "blobtool", "blobtool/blobtest", "entraauth", "entraauth/mcpauth", "entratest",
		"mcpentra", "obo", "obo/clientauth"},
	"examples/agent":               {"entraauth", "mcpentra", "obo", "obo/clientauth", "entratest"}, // the demonstration brings its tenant
	"examples/graph":               {"obo", "obo/clientauth", "entratest"},                          // so does this one
	"examples/internal/documented": {"authproxy", "blobtool", "entraauth", "mcpentra", "obo"},
	"examples/server": {"authproxy", "entraauth", "mcpentra", "obo", "obo/clientauth",
		"entratest", "blobtool/blobtest", // the demonstration brings its tenant
		"examples/server/heapfloor"},
	"examples/storage": {"entraauth", "mcpentra", "obo", "obo/clientauth", "blobtool",
		"entratest", "blobtool/blobtest"}, // and so does this one
}

// owner returns the package whose rule holds for a package: the command, for those below it.
func owner(name string) string {
	if strings.HasPrefix(name, "cmd/mcp-entra/") {
		return "cmd/mcp-entra"
	}
	return name
}

type pkg struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestImportDirections(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		for _, i := range p.Imports {
			other, ours := strings.CutPrefix(i, module+"/")
			if !ours || isInternal(other) {
				continue
			}
			if !slices.Contains(mayImport[owner(name)], other) {
				t.Errorf("%s imports %s", name, other)
			}
		}
		foreign := func(i string) bool { // what is below the double's own internal is the double
			return strings.HasPrefix(i, module) && !strings.HasPrefix(i, module+"/"+name+"/internal/")
		}
		if (name == "entratest" || name == "blobtool/blobtest") && slices.ContainsFunc(p.Imports, foreign) {
			t.Errorf("%s, a test double, imports a package of ours: it must not share our mistakes", name)
		}
	}
}

// What is about HTTP alone stands on net/http alone.
func TestEdgeKnowsNeitherMCPNorEntra(t *testing.T) {
	for _, p := range packages(t) {
		if p.ImportPath != module+"/internal/edge" {
			continue
		}
		for _, i := range p.Imports {
			if strings.Contains(i, ".") { // a host's name: not of the standard library
				t.Errorf("internal/edge imports %s, want the standard library alone", i)
			}
		}
		return
	}
	t.Error("internal/edge is not there")
}

func isInternal(name string) bool {
	return strings.HasPrefix(name, "internal/") || strings.Contains(name, "/internal/")
}

// A file is about one thing.
func TestFiles(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") && path != ".") {
			return fs.SkipDir
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if n := bytes.Count(data, []byte("\n")); n > 400 {
			t.Errorf("%s has %d lines; at most 400", path, n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The marked code in the READMEs and docs is that of compiled examples.
func TestPagesShowExamples(t *testing.T) {
	const signIn, proxy, plain = "entratest/example_signin_test.go", "mcpentra/example_authproxy_test.go", "authproxy/example_test.go"
	const agents, verified = "docs/agents.md", "entraauth/example_agent_test.go"
	const assembled = "mcpentra/example_agent_test.go"
	const scopes = "entraauth/example_scopes_test.go"
	for _, c := range []struct{ page, mark, file string }{
		{"README.md", "offline", signIn}, {"README.ja.md", "offline", signIn},
		{"README.md", "proxy", proxy}, {"README.ja.md", "proxy", proxy}, {"docs/authproxy.md", "plain", plain},
		{agents, "policy", verified}, {agents, "identity", verified}, {agents, "obo", "obo/example_agent_test.go"},
		{agents, "agent", assembled}, {agents, "choice", assembled}, {agents, "lend", assembled},
		{"docs/authorization.md", "hierarchy", scopes},
		{"docs/telemetry.md", "providers", "mcpentra/example_telemetry_test.go"},
	} {
		data, err := os.ReadFile(c.page)
		if err != nil {
			t.Fatal(err)
		}
		example, err := os.ReadFile(c.file)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, ok := strings.Cut(string(data), "<!-- "+c.mark+" -->\n```go\n")
		code, _, ok2 := strings.Cut(rest, "```")
		if !ok || !ok2 {
			t.Errorf("%s: no code under %q", c.page, c.mark)
		}
		for line := range strings.Lines(code) {
			if line, _, _ = strings.Cut(strings.TrimSpace(line), " // "); !strings.Contains(string(example), strings.TrimSpace(line)) {
				t.Errorf("%s: %q is not in %s", c.page, line, c.file)
			}
		}
	}
}
