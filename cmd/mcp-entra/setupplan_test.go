package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

func TestSetupSavedPlan(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	saved := filepath.Join(s.dir, "plan.json")
	s.must(exitDiffers, "plan", "-f", s.spec(), "-out", saved)
	s.must(exitOK, "apply", saved)
	s.must(exitOK, "check", "-f", s.spec())
	s.must(exitOK, "apply", saved) // done already

	// The tenant changes between plan and apply: just the plan's steps, or none.
	file := s.spec("servers: [https://mcp.example.com/mcp]", "servers: [https://mcp.example.com/mcp, https://second.example.com/mcp]",
		furtherScopes[0], furtherScopes[1])
	s.must(exitDiffers, "plan", "-f", file, "-out", saved)
	api := s.app("files-mcp")
	s.graph("PATCH", "/applications/"+api["id"].(string), map[string]any{"identifierUris": append(texts(api["identifierUris"]), "api://"+s.tenant.ID()+"/x")})
	s.wire.written()
	code, _, stderr := s.run("apply", saved)
	if code != exitFailed || !strings.Contains(stderr, "no longer as it was when the plan was saved; it does not have these steps: api/server-uris") {
		t.Errorf("apply of an old plan = %d, %s; want %d", code, stderr, exitFailed)
	}
	if writes := s.wire.written(); len(writes) > 0 {
		t.Errorf("it writes %q", writes)
	}
	whole, err := os.ReadFile(saved)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, other, want string }{
		"tenant":  {`"tenant": "` + s.tenant.ID(), `"tenant": "77777777-2222-3333-4444-555555555555`, "the plan is for the tenant 77777777-"},
		"Graph":   {`"graph": "https://`, `"graph": "https://evil.`, "the plan is for \"https://evil."},
		"server":  {`"https://second.example.com/mcp"`, `"ftp://second.example.com/mcp"`, "server is \"ftp:"},
		"scope":   {`"name": "Files.Read"`, `"name": "Files Read"`, "scope is \"Files Read\""},
		"id":      {`"appId": "aebc6443-996d-45c2-90f0-388ff96faa56"`, `"appId": "` + pasted + `"`, "appId is not a GUID"},
		"name":    {`"name": "files-mcp"`, `"name": "files'mcp"`, "name is \"files'mcp\""},
		"two":     {"\n}\n", "\n}\n{}", "there is more after it"},
		"request": {`"method": "PATCH"`, `"method": "DELETE"`, "it does not have these steps"},
	} {
		text := strings.ReplaceAll(string(whole), c.old, c.other)
		code, stdout, stderr := s.run("apply", s.write("bad.json", text))
		if code != exitFailed || !strings.Contains(stderr, c.want) || strings.Contains(stdout+stderr, pasted[:6]) || text == string(whole) {
			t.Errorf("apply of a plan with another %s = %d, %s; want %d, %q", name, code, stderr, exitFailed, c.want)
		}
	}
	if writes := s.wire.written(); len(writes) > 0 {
		t.Errorf("plans that were tampered with write %q", writes)
	}
	for name, text := range map[string]string{"no plan": "{}", "unknown member": `{"spec":{},"stepps":[]}`, "cut off": `{"spec":`} {
		if code, _, stderr := s.run("apply", s.write("bad.json", text)); code != exitFailed || !strings.Contains(stderr, "not a plan that setup plan -out has saved") {
			t.Errorf("apply of %s = %d, %s; want %d", name, code, stderr, exitFailed)
		}
	}
}

func TestSetupFlagsOnly(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	flags := []string{"-name", "files-mcp", "-server", "https://mcp.example.com/mcp", "-resource", "storage", "-resource", "graph=User.Read",
		"-client", "vscode", "-client", "inspector", "-managed-identity", s.identity.ClientID}
	env := s.write("server.env", "LOG_LEVEL=debug\nTENANT_ID=old\n")
	s.must(exitOK, append([]string{"apply", "-env", env}, flags...)...)
	s.must(exitOK, append([]string{"check"}, flags...)...)
	data, err := os.ReadFile(env)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	if !strings.Contains(text, "LOG_LEVEL=debug\n") || strings.Contains(text, "TENANT_ID=old") || !strings.Contains(text, "TENANT_ID="+s.tenant.ID()+"\n") ||
		!strings.Contains(text, "PUBLIC_URL=https://mcp.example.com\n") {
		t.Errorf("-env writes %q", text)
	}
}

func TestSetupJSON(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	file := s.spec()
	decode := func(text string) map[string]any {
		t.Helper()
		var v map[string]any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		return v
	}
	if plan := decode(s.must(exitDiffers, "plan", "-f", file, "-json")); len(plan["steps"].([]any)) < 10 {
		t.Errorf("plan -json: %v", plan)
	}
	report := decode(s.must(exitOK, "apply", "-f", file, "-json"))
	outcome := report["outcome"].(map[string]any)
	if outcome["scope"] != "https://mcp.example.com/mcp/access_as_user" || len(outcome["clients"].([]any)) != 3 {
		t.Errorf("apply -json: %v", outcome)
	}
	if plan := decode(s.must(exitOK, "check", "-f", file, "-json")); len(plan["steps"].([]any)) != 0 {
		t.Errorf("check -json: %v", plan)
	}
	if status := decode(s.must(exitOK, "status", "-json")); status["app"] != true || status["tenant"] != s.tenant.ID() {
		t.Errorf("status -json: %v", status)
	}
}

func TestSetupStatus(t *testing.T) {
	t.Parallel()
	s := newStage(t, "Application.ReadWrite.All", "Directory.Read.All")
	out := s.must(exitOK, "status")
	for _, want := range []string{"signed in as", "application " + s.operator.ClientID, s.tenant.ID(), "has     Application.ReadWrite.All", "MISSING DelegatedPermissionGrant.ReadWrite.All"} {
		if !strings.Contains(out, want) {
			t.Errorf("status prints no %q:\n%s", want, out)
		}
	}
}

// A person signs in with a device code; the roles are named.
func TestSetupStatusOfAUser(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	user := s.tenant.AddUser("alice@example.com", "Alice")
	user.Roles = []entratest.Role{entratest.RoleApplicationDeveloper}
	code, stdout, stderr := s.asUser(user, "status", "-auth", "device", "-tenant", s.tenant.ID())
	if code != exitOK || !strings.Contains(stdout, "user alice@example.com") || !strings.Contains(stdout, "Application Developer") {
		t.Errorf("status = %d\n%s%s", code, stdout, stderr)
	}
}

// asUser runs setup at the terminal of a user.
func (s *stage) asUser(user *entratest.User, args ...string) (code int, stdout, stderr string) {
	s.Helper()
	return s.runAs(func(p *process) {
		lookup := p.lookup
		p.lookup = func(name string) (string, bool) {
			if name == "AZURE_AUTHORITY_HOST" {
				return lookup(name)
			}
			return "", false
		}
		p.terminal = true
		p.stderr = &deviceUser{t: s.T, tenant: s.tenant, user: user}
	}, args...)
}

// A deviceUser reads standard error and enters the code that it shows.
type deviceUser struct {
	t      *testing.T
	tenant *entratest.Tenant
	user   *entratest.User
	text   strings.Builder
}

func (d *deviceUser) Write(p []byte) (int, error) {
	_, rest, ok := strings.Cut(string(p), "enter the code ")
	if ok {
		code, _, _ := strings.Cut(rest, " ")
		if err := d.tenant.Browser(d.user).EnterDeviceCode(d.t.Context(), code); err != nil {
			d.t.Errorf("the device code %q of %q: %v", code, p, err)
		}
	}
	return d.text.Write(p)
}
