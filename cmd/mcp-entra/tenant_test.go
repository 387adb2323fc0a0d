package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/tenantcontrol"
	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/tenantfile"
)

// A lineWriter sends what is written to it.
type lineWriter chan string

func (w lineWriter) Write(b []byte) (int, error) {
	w <- string(b)
	return len(b), nil
}

// A runningTenant is mcp-entra tenant, in this process.
type runningTenant struct {
	dir    string
	output string // what it printed at the start
	stop   func() (code int, stderr string)
}

func (r *runningTenant) state() string { return filepath.Join(r.dir, "tenant.json") }

// startTenant runs mcp-entra tenant on free ports with its files in dir, until the test ends.
func startTenant(t *testing.T, dir string, args ...string) *runningTenant {
	t.Helper()
	r := &runningTenant{dir: dir}
	args = append([]string{"tenant", "-addr", "127.0.0.1:0", "-control", "127.0.0.1:0", "-state", r.state()}, args...)
	ctx, cancel := context.WithCancel(t.Context())
	out, ended := make(lineWriter, 1), make(chan int, 1)
	var errs bytes.Buffer
	p := &process{lookup: func(string) (string, bool) { return "", false }, stdin: strings.NewReader(""), stdout: out, stderr: &errs}
	go func() { ended <- run(ctx, p, args) }()
	code, stopped := 0, false
	r.stop = func() (int, string) {
		cancel()
		if !stopped {
			code, stopped = <-ended, true
		}
		return code, errs.String()
	}
	t.Cleanup(func() { r.stop() })
	select {
	case r.output = <-out:
	case code = <-ended:
		stopped = true
		t.Fatalf("mcp-entra %q ended with %d: %s", args, code, errs.String())
	}
	return r
}

func (r *runningTenant) info(t *testing.T) tenantcontrol.Info {
	t.Helper()
	code, stdout, stderr := start(t, nil, "tenant", "control", "-state", r.state(), "tenants")
	var info tenantcontrol.Info
	if err := json.Unmarshal([]byte(stdout), &info); err != nil || code != exitOK {
		t.Fatalf("control tenants = %d: %v: %s%s", code, err, stdout, stderr)
	}
	return info
}

func TestReadyTenant(t *testing.T) {
	t.Parallel()
	r := startTenant(t, t.TempDir())
	info := r.info(t)
	for _, want := range []string{
		info.AuthorityHost, info.Tenants[0].ID, info.Tenants[0].Apps[0].ClientID, info.Tenants[0].Apps[0].Scopes[0], info.Page, info.Control,
		"SSL_CERT_FILE=" + info.CA, "REQUESTS_CA_BUNDLE=" + info.CA, "NODE_EXTRA_CA_CERTS=" + info.CA, "alice@contoso.example", "bob@contoso.example", r.state(),
	} {
		if !strings.Contains(r.output, want) {
			t.Errorf("the output lacks %q:\n%s", want, r.output)
		}
	}
	code, stdout, stderr := start(t, nil, "tenant", "token", "-state", r.state(), "-user", "alice", "-client", "client", "-api", "api", "-scope", "access_as_user")
	if code != exitOK || strings.Count(stdout, ".") != 2 || strings.Count(stdout, "\n") != 1 || !strings.HasPrefix(stdout, "eyJ") || stderr != "" {
		t.Errorf("token = %d, %q, %q; want a token only", code, stdout, stderr)
	}
	for _, path := range []string{r.state(), keyFileOf(info.CA)} {
		if f, err := os.Stat(path); err != nil || f.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", path, f, err)
		}
	}
	if code, stderr := r.stop(); code != exitOK || stderr != "" {
		t.Errorf("stopped with %d, %q; want 0", code, stderr)
	}
	if _, err := os.Stat(r.state()); !os.IsNotExist(err) {
		t.Errorf("the state's file is still there: %v", err)
	}
	code, _, stderr = start(t, nil, "tenant", "token", "-state", r.state(), "-client", "client", "-api", "api")
	if code != exitFailed || !strings.Contains(stderr, "start one with mcp-entra tenant") {
		t.Errorf("token without a tenant = %d, %q", code, stderr)
	}
}

// The ids and the CA stay the same over runs.
func TestTenantAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	first := startTenant(t, dir, "-ca", ca)
	before, old := first.info(t), readFile(t, ca)
	first.stop()
	second := startTenant(t, dir, "-ca", ca)
	after := second.info(t)
	if before.Tenants[0].ID != after.Tenants[0].ID || before.Tenants[0].Apps[0].ClientID != after.Tenants[0].Apps[0].ClientID ||
		before.Tenants[0].Users[0].ObjectID != after.Tenants[0].Users[0].ObjectID || !bytes.Equal(old, readFile(t, ca)) {
		t.Errorf("the second run has other ids or another CA")
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestTenantPlainHTTP(t *testing.T) {
	t.Parallel()
	r := startTenant(t, t.TempDir(), "-http", "-json")
	var info tenantcontrol.Info
	if err := json.Unmarshal([]byte(r.output), &info); err != nil || strings.Count(r.output, "\n") != 1 || info.CA != "" || !strings.HasPrefix(info.AuthorityHost, "http://localhost:") {
		t.Fatalf("-http -json printed %v: %s", err, r.output)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, info.Tenants[0].Metadata, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("%s: %s", info.Tenants[0].Metadata, response.Status)
	}
}

func TestTenantFromFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "tenant.yaml")
	if err := os.WriteFile(file, []byte("tenants:\n- name: t\n  apps:\n  - name: api\n    scopes: [read]\n    secrets: [{file: api.secret}]\n  managedIdentities: [{name: umi}]\n  clusters: [{name: aks}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := startTenant(t, dir, file)
	secret := filepath.Join(dir, "api.secret")
	for _, want := range []string{"Made a client secret in " + secret, "IDENTITY_ENDPOINT=http://127.0.0.1:", "identity ", "cluster "} {
		if !strings.Contains(r.output, want) {
			t.Errorf("the output lacks %q:\n%s", want, r.output)
		}
	}
	if text := string(readFile(t, secret)); strings.Contains(r.output, strings.TrimSpace(text)) {
		t.Error("the output has the secret")
	}
	code, stdout, stderr := start(t, nil, "tenant", "token", "-state", r.state(), "-cluster", "aks", "-subject", "system:serviceaccount:ns:api")
	if code != exitOK || strings.Count(stdout, ".") != 2 {
		t.Errorf("a cluster's token = %d, %q, %q", code, stdout, stderr)
	}
	code, stdout, stderr = start(t, nil, "tenant", "control", "-state", r.state(), "clock", `{"set": "2031-01-01T00:00:00Z"}`)
	if code != exitOK || !strings.HasPrefix(stdout, `{"now":"2031-01-01T00:00:00`) {
		t.Errorf("control clock = %d, %q, %q", code, stdout, stderr)
	}
}

// TestTenantShowsAgents: text, page and control endpoint tell blueprints, agents and agent users from others.
func TestTenantShowsAgents(t *testing.T) {
	t.Parallel()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "tenant.yaml")
	check(os.WriteFile(file, []byte(`
tenants:
- name: contoso
  apps:
  - {name: server, kind: blueprint, scopes: [access_as_user]}
  - {name: helper, kind: agent, blueprint: server}
  - {name: local, kind: agent-client, redirects: {desktop: [http://localhost]}}
  - {name: files, scopes: [read]}
  users: [{upn: alice@contoso.example}, {upn: helper@contoso.example, agent: helper}]
`), 0o600))
	r := startTenant(t, dir, file)
	info := r.info(t).Tenants[0]
	server, files, helper, local := info.Apps[0], info.Apps[1], info.Apps[2], info.Apps[3] // agents after their blueprints
	if server.Kind != "blueprint" || helper.Kind != "agent" || helper.Parent != "server" || local.Kind != "agent" || local.Parent != "" || !local.Public || files.Kind != "" {
		t.Errorf("control tenants: %+v", info.Apps)
	}
	if info.Users[0].Agent != "" || info.Users[1].Agent != "helper" {
		t.Errorf("control tenants: %+v", info.Users)
	}
	for _, want := range []string{
		"  blueprint  " + server.ClientID + "  server\n", "  agent      " + helper.ClientID + "  helper, agent identity of server\n",
		"  client     " + local.ClientID + "  local, agent identity\n", "  app        " + files.ClientID + "  files\n",
		"alice@contoso.example\n", "helper@contoso.example, agent user of helper\n",
	} {
		if !strings.Contains(r.output, want) {
			t.Errorf("the output lacks %q:\n%s", want, r.output)
		}
	}
	jar, err := cookiejar.New(nil)
	check(err)
	_, link, _ := strings.Cut(r.output, "\nPage      ")
	link, _, _ = strings.Cut(link, "\n")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link, nil)
	check(err)
	response, err := (&http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	check(err)
	defer func() { _ = response.Body.Close() }()
	page, err := io.ReadAll(response.Body)
	check(err)
	for _, want := range []string{`server <span class="tag">blueprint</span>`, `helper <span class="tag">agent of server</span>`, `<span class="tag">agent user of helper</span>`} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
}

func TestTenantRefusals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	state := filepath.Join(dir, "tenant.json")
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() }) // after the parallel subtests
	for name, text := range map[string]string{
		"bad.yaml": "tenants:\n- name: t\n  appps: []\n  users: [{upn: x}]\n", "state.json": "{}", "stale.json": `{"control": "http://127.0.0.1:1/control/", "key": "k"}`, "cert.pem": "x",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	free := []string{"tenant", "-addr", "127.0.0.1:0", "-control", "127.0.0.1:0", "-state", state}
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"help":               {[]string{"tenant", "-h"}, exitOK, "Examples:"},
		"token's help":       {[]string{"tenant", "token", "-h"}, exitOK, "Prints a token of the running tenant"},
		"control's help":     {[]string{"tenant", "control", "-h"}, exitOK, "requests?refused=true"},
		"unknown flag":       {[]string{"tenant", "-https"}, exitUsage, "flag provided but not defined: -https"},
		"two files":          {[]string{"tenant", "a", "b"}, exitUsage, "expected one FILE"},
		"flags behind":       {[]string{"tenant", "a", "-http"}, exitUsage, "expected one FILE, after the flags"},
		"http and ca":        {[]string{"tenant", "-http", "-ca", "x.pem"}, exitUsage, "remove one of them"},
		"ca named like key":  {[]string{"tenant", "-ca", "ca.key"}, exitUsage, "choose a name such as ca.pem"},
		"open address":       {[]string{"tenant", "-addr", "0.0.0.0:8443"}, exitUsage, "-addr: expected a loopback address"},
		"open control":       {[]string{"tenant", "-control", ":8444"}, exitUsage, "-control: expected a loopback address"},
		"no file":            {append(free[:7:7], in("none.yaml")), exitFailed, "mcp-entra tenant -init prints one"},
		"bad file":           {append(free[:7:7], in("bad.yaml")), exitFailed, "line 3: tenants[0]: the key appps is not known; the nearest is apps\nline 4: tenants[0].users[0].upn: expected"},
		"control's port":     {[]string{"tenant", "-addr", "127.0.0.1:0", "-control", taken.Addr().String(), "-state", state}, exitFailed, "choose another address with -control"},
		"tenant's port":      {[]string{"tenant", "-addr", taken.Addr().String(), "-control", "127.0.0.1:0", "-state", state}, exitFailed, "choose another address with -addr"},
		"state's folder":     {[]string{"tenant", "-addr", "127.0.0.1:0", "-control", "127.0.0.1:0", "-http", "-state", in("none/state.json")}, exitFailed, "choose another file with -state"},
		"certificate alone":  {append(free[:7:7], "-ca", in("cert.pem")), exitFailed, "its key " + in("cert.key") + " is missing"},
		"token of whom":      {[]string{"tenant", "token", "-user", "alice"}, exitUsage, "expected -client and -api, or -cluster"},
		"token's arguments":  {[]string{"tenant", "token", "alice"}, exitUsage, "expected flags only"},
		"no state":           {[]string{"tenant", "token", "-state", in("none.json"), "-client", "c", "-api", "a"}, exitFailed, "no tenant runs here"},
		"other file":         {[]string{"tenant", "token", "-state", in("state.json"), "-client", "c", "-api", "a"}, exitFailed, "is not the state of a tenant"},
		"tenant is gone":     {[]string{"tenant", "token", "-state", in("stale.json"), "-client", "c", "-api", "a"}, exitFailed, "does not answer; start it with mcp-entra tenant"},
		"control of what":    {[]string{"tenant", "control"}, exitUsage, "expected a NAME"},
		"control of a state": {[]string{"tenant", "control", "-state", in("none.json"), "clock"}, exitFailed, "no tenant runs here"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := start(t, nil, c.args...)
			if code != c.code || !strings.Contains(stderr, c.want) || stdout != "" {
				t.Errorf("mcp-entra %q = %d, %q, %q; want %d, %q", c.args, code, stdout, stderr, c.code, c.want)
			}
		})
	}
}

func TestTenantInit(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := start(t, nil, "tenant", "-init")
	if code != exitOK || stdout != string(tenantfile.Starter) || stderr != "" {
		t.Errorf("tenant -init = %d, %q, %q; want the starter file", code, stdout, stderr)
	}
}

// Nothing is left running when the program ends.
func TestTenantLeavesNothing(t *testing.T) { //nolint:paralleltest // goleak looks at all goroutines
	ignore := goleak.IgnoreCurrent()
	r := startTenant(t, t.TempDir())
	r.info(t)
	r.stop()
	goleak.VerifyNone(t, ignore)
}

// Killed at any moment of its start, the program leaves nothing that is in the way of the next run.
func TestTenantKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "tenant.yaml")
	if err := os.WriteFile(file, []byte("tenants:\n- name: t\n  apps: [{name: api, scopes: [read], secrets: [{file: api.secret}]}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for after := time.Duration(0); after < 80*time.Millisecond; after += 8 * time.Millisecond {
		for _, name := range []string{"ca.pem", "ca.key", "api.secret", "tenant.json"} {
			_ = os.Remove(filepath.Join(dir, name))
		}
		ctx, cancel := context.WithTimeout(t.Context(), after) // kills it
		cmd := exec.CommandContext(ctx, program, "tenant", "-addr", "127.0.0.1:0", "-control", "127.0.0.1:0",
			"-state", filepath.Join(dir, "tenant.json"), "-ca", filepath.Join(dir, "ca.pem"), file)
		cmd.Args[0] = "mcp-entra"
		_ = cmd.Run()
		cancel()
		r := startTenant(t, dir, "-ca", filepath.Join(dir, "ca.pem"), file)
		if code, stderr := r.stop(); code != exitOK {
			t.Errorf("after a kill at %v: %d, %s", after, code, stderr)
		}
	}
}
