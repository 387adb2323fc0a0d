package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// A stage is a tenant with an operator who runs setup in it.
type stage struct {
	*testing.T
	tenant   *entratest.Tenant
	operator *entratest.App // signs in as itself
	secret   string
	dir      string
	identity *entratest.UserAssignedIdentity // proves the API
	wire     *wire
	bearer   string // of somebody else
}

// signingKey is one key for all tenants: making one takes longer than most tests.
var signingKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// operatorRoles are the permissions of Microsoft Graph that an operator may need.
var operatorRoles = []string{
	"Application.ReadWrite.All", "DelegatedPermissionGrant.ReadWrite.All", "AppRoleAssignment.ReadWrite.All", "Directory.Read.All",
	"AgentIdentityBlueprint.ReadWrite.All", "AgentIdentityBlueprint.DeleteRestore.All", "AgentIdentityBlueprintPrincipal.Create",
	"AgentIdentity.Create.All", "AgentIdentity.DeleteRestore.All", "AgentIdentity.Read.All",
}

func newStage(t *testing.T, roles ...string) *stage {
	t.Helper()
	tenant := entratest.New(t, &entratest.Options{SigningKey: signingKey()})
	s := &stage{T: t, tenant: tenant, operator: tenant.AddApp("pipeline"), dir: t.TempDir(), identity: tenant.AddManagedIdentity("files-identity")}
	if roles == nil {
		roles = operatorRoles
	}
	s.secret = s.operator.AddSecret()
	tenant.GrantRoles(s.operator, tenant.Graph(), roles...)
	s.wire = &wire{base: tenant.HTTPClient().Transport}
	return s
}

// spec writes a file that asks for a bit of everything, with changes to its text.
func (s *stage) spec(changes ...string) string {
	s.Helper()
	text := `name: files-mcp
display-name: Files
servers: [https://mcp.example.com/mcp]
resources:
  - storage
  - graph: User.Read
clients: [vscode, azurecli, inspector]
roles:
  - value: Files.Admin
    for: users
proof:
  managed-identity: ` + s.identity.ClientID + "\n"
	return s.write("mcp-entra.yaml", strings.NewReplacer(changes...).Replace(text))
}

func (s *stage) write(name, text string) string {
	s.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.Fatal(err)
	}
	return path
}

// run runs setup as the operator.
func (s *stage) run(args ...string) (code int, stdout, stderr string) {
	s.Helper()
	return s.runAs(nil, args...)
}

func (s *stage) runAs(change func(*process), args ...string) (code int, stdout, stderr string) {
	s.Helper()
	return start(s.T, func(p *process) {
		s.process(p)
		if change != nil {
			change(p)
		}
	}, append([]string{"setup", args[0], "-graph-host", s.tenant.AuthorityHost()}, args[1:]...)...)
}

func (s *stage) process(p *process) {
	variables := map[string]string{
		"AZURE_AUTHORITY_HOST": s.tenant.AuthorityHost(), "AZURE_TENANT_ID": s.tenant.ID(),
		"AZURE_CLIENT_ID": s.operator.ClientID, "AZURE_CLIENT_SECRET": s.secret,
	}
	p.lookup = func(name string) (string, bool) { value, ok := variables[name]; return value, ok }
	p.client = &http.Client{Transport: s.wire}
	p.wait = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
}

// must runs setup and wants this exit code.
func (s *stage) must(code int, args ...string) (stdout string) {
	s.Helper()
	got, stdout, stderr := s.run(args...)
	if got != code {
		s.Fatalf("setup %q = %d, want %d\n%s%s", args, got, code, stdout, stderr)
	}
	return stdout
}

// graph sends a request to Microsoft Graph as somebody else who may do all, and returns the answer.
func (s *stage) graph(method, path string, body any) map[string]any {
	s.Helper()
	status, answer := s.try(method, path, body)
	if status >= 300 {
		s.Fatalf("%s %s = %d %v", method, path, status, answer)
	}
	return answer
}

func (s *stage) try(method, path string, body any) (int, map[string]any) {
	s.Helper()
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			s.Fatal(err)
		}
	}
	req, err := http.NewRequest(method, s.tenant.AuthorityHost()+"/v1.0"+path, bytes.NewReader(data))
	if err != nil {
		s.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+s.token())
	resp, err := s.tenant.HTTPClient().Do(req)
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var answer map[string]any
	if text, err := io.ReadAll(resp.Body); err == nil && len(text) > 0 {
		if err := json.Unmarshal(text, &answer); err != nil {
			s.Fatal(err)
		}
	}
	return resp.StatusCode, answer
}

// token is of an application with all permissions, which setup knows nothing of.
func (s *stage) token() string {
	s.Helper()
	if s.bearer != "" {
		return s.bearer
	}
	other := s.tenant.AddApp("somebody else")
	secret := other.AddSecret()
	s.tenant.GrantRoles(other, s.tenant.Graph(), operatorRoles...)
	resp, err := s.tenant.HTTPClient().PostForm(s.tenant.AuthorityHost()+"/"+s.tenant.ID()+"/oauth2/v2.0/token", map[string][]string{
		"grant_type": {"client_credentials"}, "client_id": {other.ClientID}, "client_secret": {secret}, "scope": {"https://graph.microsoft.com/.default"},
	})
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Token == "" {
		s.Fatalf("no token: %v", err)
	}
	s.bearer = answer.Token
	return s.bearer
}

// app reads an application of ours.
func (s *stage) app(name string) map[string]any {
	s.Helper()
	return s.graph("GET", "/applications(uniqueName='"+name+"')", nil)
}

var guids = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// snapshot is all that setup can have made, as text in which ids that differ from tenant to tenant
// are numbered.
func (s *stage) snapshot(names ...string) string {
	s.Helper()
	var b strings.Builder
	write := func(title string, v any) {
		data, err := json.MarshalIndent(v, "", " ")
		if err != nil {
			s.Fatal(err)
		}
		b.WriteString(title + " " + string(data) + "\n")
	}
	for _, name := range names {
		status, app := s.try("GET", "/applications(uniqueName='"+name+"')", nil)
		if status == http.StatusNotFound {
			b.WriteString(name + " is not there\n")
			continue
		}
		for _, secret := range list(app["passwordCredentials"]) {
			secret["displayName"], secret["hint"] = "", "" // random
		}
		write(name, app)
		id := app["id"].(string)
		write("federated", list(s.graph("GET", "/applications/"+id+"/federatedIdentityCredentials", nil)["value"]))
		status, principal := s.try("GET", "/servicePrincipals(appId='"+app["appId"].(string)+"')", nil)
		if status == http.StatusNotFound {
			b.WriteString("no principal\n")
			continue
		}
		write("principal", principal)
		sp := principal["id"].(string)
		given := list(s.graph("GET", "/oauth2PermissionGrants?$filter=clientId%20eq%20'"+sp+"'", nil)["value"])
		slices.SortFunc(given, func(a, b map[string]any) int { return strings.Compare(a["scope"].(string), b["scope"].(string)) })
		write("grants", given)
		write("roles", list(s.graph("GET", "/servicePrincipals/"+sp+"/appRoleAssignedTo", nil)["value"]))
		if app["@odata.type"] == "#microsoft.graph.agentIdentityBlueprint" {
			write("inheritable", s.inheritable(id))
			write("agents", s.agents(app["appId"].(string)))
		}
	}
	write("all", len(list(s.graph("GET", "/applications?$filter=startswith(displayName,'Files')", nil)["value"])))
	seen := map[string]int{}
	text := guids.ReplaceAllStringFunc(b.String(), func(id string) string {
		if _, ok := seen[id]; !ok {
			seen[id] = len(seen) + 1
		}
		return "id-" + string(rune('A'+seen[id]))
	})
	text = regexp.MustCompile(`"\d{4}-\d\d-\d\dT[^"]*"|https://localhost:\d+|entratest-[0-9a-f]{8}|"id": "[A-Za-z0-9_=-]{20,}"`).ReplaceAllString(text, "•")
	return text
}

func list(v any) []map[string]any {
	items, _ := v.([]any)
	all := make([]map[string]any, 0, len(items))
	for _, item := range items {
		all = append(all, item.(map[string]any))
	}
	return all
}

// A wire is the connection to the tenant. It can end the process, or lose an answer, at a write.
type wire struct {
	base http.RoundTripper
	// on is told of each answer to a write to Microsoft Graph, by number, from 1. An error takes the
	// answer's place.
	mu     sync.Mutex
	on     func(n int, r *http.Request, resp *http.Response) error
	before func(r *http.Request) (*http.Response, error)
	writes []string
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	before := w.before
	w.mu.Unlock()
	if before != nil {
		if resp, err := before(r); !errors.Is(err, errPass) {
			return resp, err
		}
	}
	resp, err := w.base.RoundTrip(r)
	if err != nil || !strings.HasPrefix(r.URL.Path, "/v1.0/") || r.Method == http.MethodGet {
		return resp, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writes = append(w.writes, r.Method+" "+r.URL.Path)
	if w.on == nil {
		return resp, nil
	}
	if err := w.on(len(w.writes), r, resp); err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

// written returns the writes since the last call.
func (w *wire) written() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.writes
	w.writes = nil
	return all
}

func (w *wire) set(on func(n int, r *http.Request, resp *http.Response) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.on, w.writes = on, nil
}

func (w *wire) setBefore(before func(r *http.Request) (*http.Response, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.before = before
}

var (
	errKilled = errors.New("the process was killed")
	errPass   = errors.New("the request goes on")
)

func texts(v any) []string {
	items, _ := v.([]any)
	all := make([]string, 0, len(items))
	for _, item := range items {
		text, _ := item.(string)
		all = append(all, text)
	}
	slices.Sort(all)
	return all
}
