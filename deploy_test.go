package mcpentrago_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/mcpentra/mcp-entra-go/internal/serverconfig"
)

// TestImageContext: what the image's servers are built from passes .dockerignore, and nothing else
// does but the rest of the same folders.
func TestImageContext(t *testing.T) {
	t.Parallel()
	admitted := make(map[string]bool)
	for line := range strings.Lines(readFile(t, ".dockerignore")) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "!"); ok {
			admitted[name] = true
		}
	}
	needed := map[string]bool{"go.mod": true, "go.sum": true}
	for _, program := range []string{"examples/server", "examples/production"} { // the Dockerfile's PROGRAM
		out, err := command(t, program, "go", "list", "-deps", ".")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out) {
			if dir, ok := strings.CutPrefix(strings.TrimSpace(line), module+"/"); ok {
				dir, _, _ = strings.Cut(dir, "/")
				needed[dir] = true
			}
		}
	}
	if got, want := slices.Sorted(maps.Keys(admitted)), slices.Sorted(maps.Keys(needed)); !slices.Equal(got, want) {
		t.Errorf(".dockerignore lets in\n%q, want\n%q", got, want)
	}
}

// A recipe runs the server somewhere.
type recipe struct {
	page    string
	file    string
	set     func(t *testing.T, file string) map[string]string // the variables that it sets
	preStop string                                            // finds the seconds before the stop; "" if there are none
	grace   string                                            // finds the seconds from then until the process is killed
}

const drainSeconds = 25 // the default of mcpentra.Limits.DrainTimeout

var recipes = []recipe{
	{"containerapps", "deploy/containerapps/main.bicep", bicepVariables, "", `terminationGracePeriodSeconds: (\d+)`},
	{"appservice", "deploy/appservice/main.bicep", bicepVariables, "", `'WEBSITES_CONTAINER_STOP_TIME_LIMIT', value: '(\d+)'`},
	{"aks", "deploy/aks/mcp-server.yaml", manifestVariables, `preStop:\s+sleep:\s+seconds: (\d+)`, `terminationGracePeriodSeconds: (\d+)`},
	{"systemd", "deploy/systemd/mcp-server.service", unitVariables, "", `TimeoutStopSec=(\d+)s`},
	{"image", "docs/deploy/image.md", imageVariables, "", `--stop-timeout (\d+)`},
}

// TestRecipes: each recipe configures the server without a fault, and gives it the time to drain.
func TestRecipes(t *testing.T) {
	t.Parallel()
	known := readFile(t, "examples/server/README.md")
	for _, r := range recipes {
		t.Run(r.page, func(t *testing.T) {
			t.Parallel()
			text := readFile(t, r.file)
			before := 0
			if r.preStop != "" {
				before = number(t, r.preStop, text)
			}
			if got, want := number(t, r.grace, text), before+drainSeconds+10; got != want {
				t.Errorf("grace is %d s, want %d before the stop + %d to drain + 10 = %d", got, before, drainSeconds, want)
			}
			set := r.set(t, text)
			for name := range set {
				if !strings.Contains(known, "`"+name+"`") && name != "AZURE_CLIENT_ID" && !strings.HasPrefix(name, "WEBSITES_") {
					t.Errorf("sets %s, which examples/server/README.md does not have", name)
				}
			}
			c, faults := serverconfig.Read(func(name string) (string, bool) { v, ok := set[name]; return v, ok }, nil)
			for _, f := range faults {
				t.Errorf("%s: %s. %s", f.Where, f.Problem, f.Remedy)
			}
			if r.page == "image" {
				return // its user sets the rest
			}
			if len(c.Warnings) > 0 {
				t.Errorf("the server warns: %q", c.Warnings)
			}
			if !strings.HasPrefix(c.PublicURL, "https://") || !c.OBO || c.DownloadMax == 0 {
				t.Errorf("PUBLIC_URL is %q, OBO %t, DOWNLOAD_MAX_BYTES %d; want an https URL, true and a limit", c.PublicURL, c.OBO, c.DownloadMax)
			}
			if c.Host != "0.0.0.0" && r.page != "systemd" || c.Port != 8000 {
				t.Errorf("listens on %s, port %d; want every address, 8000", c.Host, c.Port)
			}
		})
	}
}

// TestRecipesOfTheBicep: built-in authentication is off, and the probes ask what exists.
func TestRecipesOfTheBicep(t *testing.T) {
	t.Parallel()
	for file, want := range map[string][]string{
		"deploy/containerapps/main.bicep": {`authConfigs@\S+ = \{\s+parent: app\s+name: 'current'\s+properties: \{\s+platform: \{\s+enabled: false`,
			`targetPort: 8000`, `type: 'Readiness'\s+httpGet: \{ path: '/ready', port: 8000 \}`, `type: 'Liveness'\s+tcpSocket: \{ port: 8000 \}`, `minReplicas: 2`},
		"deploy/appservice/main.bicep": {`config@\S+ = \{\s+parent: app\s+name: 'authsettingsV2'\s+properties: \{\s+platform: \{\s+enabled: false`,
			`httpsOnly: true`, `'WEBSITES_PORT', value: '8000'`, `healthCheckPath: '/ready'`, `clientAffinityEnabled: false`},
	} {
		text := regexp.MustCompile(`(?m)^\s*//.*\n`).ReplaceAllString(readFile(t, file), "")
		for _, pattern := range want {
			if !regexp.MustCompile(pattern).MatchString(text) {
				t.Errorf("%s: nothing matches %s", file, pattern)
			}
		}
		if bytes.Contains([]byte(text), []byte("CLIENT_SECRET")) {
			t.Errorf("%s has a secret of the app; its managed identity is the credential", file)
		}
	}
}

// TestGatewayPolicy: the policy of API Management lets event streams through, and no client's word
// about where a request comes from.
func TestGatewayPolicy(t *testing.T) {
	t.Parallel()
	found := make(map[string]string)
	for d := xml.NewDecoder(strings.NewReader(readFile(t, "deploy/gateway/apim-policy.xml"))); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		a := make(map[string]string)
		for _, attr := range e.Attr {
			a[attr.Name.Local] = attr.Value
		}
		switch name := e.Name.Local; {
		case name == "forward-request":
			found["buffer-response"] = a["buffer-response"]
		case name == "set-header":
			found[a["name"]] = a["exists-action"]
		case strings.HasPrefix(name, "cache-"), strings.HasPrefix(name, "validate-"), name == "cors", name == "set-body":
			t.Errorf("has %s, which changes or holds what the server says", name)
		}
	}
	want := map[string]string{"buffer-response": "false", "X-Forwarded-Host": "override", "Forwarded": "delete",
		"traceparent": "delete", "tracestate": "delete", "baggage": "delete"}
	if !maps.Equal(found, want) {
		t.Errorf("sets %v, want %v", found, want)
	}
}

// TestFunctionsHost: the host of Functions finds the program and its port.
func TestFunctionsHost(t *testing.T) {
	t.Parallel()
	var host struct {
		Profile string `json:"configurationProfile"`
		Handler struct {
			Description struct {
				Program string `json:"defaultExecutablePath"`
			} `json:"description"`
			HTTP map[string]string `json:"http"`
			Port string            `json:"port"`
		} `json:"customHandler"`
	}
	if err := json.Unmarshal([]byte(readFile(t, "deploy/functions/host.json")), &host); err != nil {
		t.Fatal(err)
	}
	h := host.Handler
	if host.Profile != "mcp-custom-handler" || h.Description.Program != "mcp-server" || h.Port != "8000" || h.HTTP["DefaultAuthorizationLevel"] != "anonymous" {
		t.Errorf("host.json is %+v", host)
	}
}

// TestRecipesSayWhatIsChecked: nobody takes a page for more than was tried.
func TestRecipesSayWhatIsChecked(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("docs/deploy/*.md")
	if err != nil || len(pages) != 7 {
		t.Fatalf("%d pages, %v; want 7", len(pages), err)
	}
	for _, page := range pages {
		_, checked, ok := strings.Cut(readFile(t, page), "\n## Checked\n")
		if !ok || !regexp.MustCompile(`(?i)\*\*(not |never |neither )`).MatchString(checked) {
			t.Errorf("%s does not say under ## Checked what was not", page)
		}
	}
}

// Values for what a recipe leaves to its user.
const someID, someOtherID, someKey = "12345678-1234-1234-1234-123456789abc", "87654321-4321-4321-4321-cba987654321", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

// filled returns the value with examples in place of what the user fills in.
func filled(value string) string {
	return strings.NewReplacer("YOUR_TENANT_ID", someID, "YOUR_API_APP_ID", someOtherID, "//ACCOUNT.", "//contoso.", "tenantId", someID, "apiAppId", someOtherID,
		"publicUrl", "https://mcp.example.com", "identity.properties.clientId", "11111111-2222-3333-4444-555555555555", "storageAccountUrl", "https://contoso.blob.core.windows.net",
		"storageContainer", "docs", "stateKeys", someKey, "state-keys", someKey, "${name}", "mcp").Replace(value)
}

// imageVariables are those that the image sets.
func imageVariables(t *testing.T, _ string) map[string]string {
	t.Helper()
	_, line, ok := strings.Cut(readFile(t, "Dockerfile"), "\nENV HOST=")
	line, _, _ = strings.Cut("HOST="+line, "\n")
	if !ok {
		t.Fatal("Dockerfile does not set HOST")
	}
	set := map[string]string{"TENANT_ID": someID, "API_APP_ID": someOtherID}
	addPairs(set, line)
	return set
}

// bicepVariables are the image's and those of a template, each on a line of its own.
func bicepVariables(t *testing.T, text string) map[string]string {
	t.Helper()
	set := imageVariables(t, "")
	for _, m := range regexp.MustCompile(`\{ name: '([A-Z_]+)', (?:value|secretRef): '?([^' ]+)'? \}`).FindAllStringSubmatch(text, -1) {
		set[m[1]] = filled(m[2])
	}
	return set
}

// manifestVariables are the image's, those of the ConfigMap and the secret, and what workload
// identity adds.
func manifestVariables(t *testing.T, text string) map[string]string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("token"), 0o600); err != nil {
		t.Fatal(err)
	}
	set := imageVariables(t, "")
	maps.Copy(set, map[string]string{"STATE_KEYS": someKey, "AZURE_FEDERATED_TOKEN_FILE": file, "AZURE_CLIENT_ID": someOtherID, "AZURE_TENANT_ID": someID,
		"AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com/"})
	for d := yaml.NewDecoder(strings.NewReader(text)); ; {
		var object struct {
			Kind string            `yaml:"kind"`
			Data map[string]string `yaml:"data"`
		}
		if err := d.Decode(&object); errors.Is(err, io.EOF) {
			return set
		} else if err != nil {
			t.Fatal(err)
		}
		for name, value := range object.Data {
			set[name] = filled(value)
		}
	}
}

// unitVariables are those of the unit, and of the file that its page shows.
func unitVariables(t *testing.T, text string) map[string]string {
	t.Helper()
	set := make(map[string]string)
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		if pairs, ok := strings.CutPrefix(lines.Text(), "Environment="); ok {
			addPairs(set, pairs)
		}
	}
	_, file, _ := strings.Cut(readFile(t, "docs/deploy/systemd.md"), "```sh\nTENANT_ID=")
	file, _, _ = strings.Cut("TENANT_ID="+file, "```")
	addPairs(set, strings.NewReplacer("TENANT_ID=…", "TENANT_ID="+someID, "API_APP_ID=…", "API_APP_ID="+someOtherID, "//ACCOUNT.", "//contoso.").Replace(file))
	if path := set["AZURE_CLIENT_CERTIFICATE_PATH"]; path != "%d/client.pem" || !strings.Contains(text, "\nLoadCredential=client.pem:/etc/mcp-server/client.pem\n") {
		t.Errorf("the certificate's path is %q, want that of the credential client.pem", path)
	}
	delete(set, "AZURE_CLIENT_CERTIFICATE_PATH") // which needs a certificate
	set["ENTRA_APP_CLIENT_SECRET"] = "Xy7~S3cr3tValue"
	return set
}

// addPairs adds each NAME=value of a list with spaces.
func addPairs(set map[string]string, list string) {
	for pair := range strings.FieldsSeq(list) {
		name, value, _ := strings.Cut(pair, "=")
		set[name] = value
	}
}

func number(t *testing.T, pattern, text string) int {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("nothing matches %s", pattern)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
