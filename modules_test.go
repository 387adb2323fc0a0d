package mcpentrago_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// mayRequire is what the root module requires directly, and what for. Whoever
// gets the module gets these; a program that needs more is a module of its own.
var mayRequire = map[string]string{
	"github.com/Azure/azure-sdk-for-go/sdk/azcore":               "credentials",
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity":           "managed identities",
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob":       "blobs",
	"github.com/AzureAD/microsoft-authentication-library-for-go": "token requests",
	"github.com/MicahParks/jwkset":                               "signing keys",
	"github.com/MicahParks/keyfunc/v3":                           "signing keys",
	"github.com/golang-jwt/jwt/v5":                               "signatures",
	"github.com/google/jsonschema-go":                            "tools' schemas",
	"github.com/klauspost/compress":                              "compressed blobs",
	"github.com/maypok86/otter/v2":                               "caches",
	"github.com/modelcontextprotocol/go-sdk":                     "MCP",
	"github.com/yosida95/uritemplate/v3":                         "resource templates",
	"go.opentelemetry.io/otel":                                   "telemetry",
	"go.opentelemetry.io/otel/metric":                            "telemetry",
	"go.opentelemetry.io/otel/trace":                             "telemetry",
	"go.uber.org/goleak":                                         "tests",
	"go.yaml.in/yaml/v4":                                         "files of mcp-entra setup and tenant",
	"golang.org/x/text":                                          "charsets",
	"golang.org/x/time":                                          "rates",
	"software.sslmate.com/src/go-pkcs12":                         "PFX files",
}

// mustNotNeed are modules that must not reach users by way of ours.
var mustNotNeed = regexp.MustCompile(`redis|opentelemetry\.io/(otel/(sdk|exporters)|contrib)|prometheus|k8s\.io|testcontainers|docker|aws|stacklok|lestrrat|go-oidc|mcp-go`)

// A moduleFile is what go mod edit -json says of a go.mod.
type moduleFile struct {
	Require []struct {
		Path, Version string
		Indirect      bool
	}
	Replace []struct {
		Old, New struct{ Path, Version string }
	}
}

// TestRootModule keeps what users get small: go.mod lists every module that a
// package of ours needs, however indirectly.
func TestRootModule(t *testing.T) {
	t.Parallel()
	root := readModule(t, ".")
	var direct []string
	for _, r := range root.Require {
		if !r.Indirect {
			direct = append(direct, r.Path)
		}
		if mustNotNeed.MatchString(r.Path) {
			t.Errorf("the root module needs %s; put what needs it into a module of its own", r.Path)
		}
	}
	if got, want := slices.Sorted(slices.Values(direct)), slices.Sorted(maps.Keys(mayRequire)); !slices.Equal(got, want) {
		t.Errorf("the root module requires\n%q, want\n%q", got, want)
	}
	if len(root.Replace) > 0 {
		t.Errorf("the root module replaces %v; those who get it would not see that", root.Replace)
	}
}

// TestModuleGraph looks at the whole graph, most of which no build reads.
func TestModuleGraph(t *testing.T) {
	t.Parallel()
	all, err := command(t, ".", "go", "list", "-m", "all")
	if err != nil {
		t.Skip("listing the module graph needs a proxy: ", err)
	}
	for line := range strings.Lines(all) {
		if mustNotNeed.MatchString(line) {
			t.Errorf("the root's module graph has %s", line)
		}
	}
}

// TestNestedModules: each nested module works by itself, on this copy of the
// root, and is built in the workspace with the versions that it has by itself.
func TestNestedModules(t *testing.T) {
	t.Parallel()
	var work struct{ Use []struct{ DiskPath string } }
	decode(t, &work, ".", "go", "work", "edit", "-json")
	versions := make(map[string]string)
	for _, r := range readModule(t, ".").Require {
		versions[r.Path] = r.Version
	}
	for _, use := range work.Use {
		name := path.Clean(use.DiskPath)
		if name == "." {
			continue
		}
		m := readModule(t, name)
		replaced := make(map[string]string)
		for _, r := range m.Replace {
			replaced[r.Old.Path] = path.Join(module, name, r.New.Path)
		}
		for other, folder := range replaced {
			if other != folder || other != module && !strings.HasPrefix(other, module+"/") {
				t.Errorf("%s replaces %s by %s, want modules of ours by their folders", name, other, folder)
			}
		}
		if replaced[module] == "" {
			t.Errorf("%s does not replace the root module", name)
		}
		for _, r := range m.Require {
			if want, ok := versions[r.Path]; ok && r.Version != want {
				t.Errorf("%s requires %s %s, want %s as another module of go.work does; run go work sync", name, r.Path, r.Version, want)
			}
			versions[r.Path] = r.Version
		}
	}
}

func readModule(t *testing.T, dir string) moduleFile {
	t.Helper()
	var m moduleFile
	decode(t, &m, dir, "go", "mod", "edit", "-json")
	return m
}

func decode(t *testing.T, into any, dir, name string, args ...string) {
	t.Helper()
	out, err := command(t, dir, name, args...)
	if err == nil {
		err = json.Unmarshal([]byte(out), into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// command returns what a command prints. It runs in dir; go runs outside the workspace.
func command(t *testing.T, dir, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	if args[0] != "work" {
		cmd.Env = append(cmd.Environ(), "GOWORK=off")
	}
	var problem strings.Builder
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s in %s: %w\n%s", cmd, dir, err, &problem)
	}
	return string(out), nil
}
