package main

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/setup"
)

// asAz is the variable that tells az the host of the directory.
const asAz = "MCP_ENTRA_TEST_AZ"

// az is as much of the Azure CLI as scripts use: az account show and az rest, with JMESPath as far as
// captures go. Requests go to the directory.
func az(directory string, args []string) int {
	if args[0] == "account" {
		fmt.Println(cmp.Or(os.Getenv("AZ_TENANT"), "12345678-1234-1234-1234-123456789abc"))
		return 0
	}
	flags := map[string][]string{}
	var flag string
	for _, a := range args[1:] {
		if strings.HasPrefix(a, "--") {
			flag = a
			continue
		}
		flags[flag] = append(flags[flag], a)
	}
	first := func(name string) string { return strings.Join(flags[name], "") }
	target := strings.Replace(first("--url"), first("--resource"), directory, 1)
	req, err := http.NewRequest(first("--method"), target, strings.NewReader(first("--body")))
	if err != nil {
		return fail(err)
	}
	for _, h := range flags["--headers"] {
		name, value, _ := strings.Cut(h, "=")
		req.Header.Set(name, value)
	}
	req.Header.Set("Authorization", "Bearer "+os.Getenv("AZ_TOKEN"))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(os.Getenv("AZ_CA")))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	resp, err := client.Do(req)
	if err != nil {
		return fail(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return fail(err)
	case resp.StatusCode >= 300:
		return fail(fmt.Errorf("%s(%s)", http.StatusText(resp.StatusCode), body))
	case len(body) == 0 || flags["--query"] == nil:
		return 0
	}
	var answer map[string]any
	if err := json.Unmarshal(body, &answer); err != nil {
		return fail(err)
	}
	query := strings.TrimSuffix(strings.TrimPrefix(first("--query"), "["), "]")
	for q := range strings.SplitSeq(query, ", ") {
		fmt.Println(cmp.Or(find(answer, q), "None"))
	}
	return 0
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "ERROR:", err)
	return 1
}

var byValue = regexp.MustCompile(`^(\w+)\[\?value=='([^']*)'\]\.id \| \[0\]$`)

func find(answer map[string]any, query string) string {
	m := byValue.FindStringSubmatch(query)
	if m == nil {
		text, _ := answer[query].(string)
		return text
	}
	list, _ := answer[m[1]].([]any)
	for _, item := range list {
		if entry, _ := item.(map[string]any); entry["value"] == m[2] {
			return fmt.Sprint(entry["id"])
		}
	}
	return ""
}

// A scripted directory answers requests by method and path, each answer once, the last one for ever.
type scripted struct {
	mu      sync.Mutex
	answers map[string][]string // "GET /path": statuses and bodies, "200 {...}"
	got     []string            // "PATCH /path body", with Prefer where it is sent
}

func (d *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	line := strings.TrimSpace(r.Method + " " + r.URL.RequestURI() + " " + r.Header.Get("Prefer") + " " + string(body))
	d.got = append(d.got, line)
	if len(body) > 0 && r.Header.Get("Content-Type") != "application/json" {
		http.Error(w, `{"error":{"code":"Request_BadRequest","message":"Content-Type"}}`, http.StatusBadRequest)
		return
	}
	key := r.Method + " " + r.URL.RequestURI()
	answers := d.answers[key]
	if len(answers) == 0 {
		http.Error(w, `{"error":{"code":"Unexpected","message":"`+r.URL.Path+`"}}`, http.StatusBadRequest)
		return
	}
	if len(answers) > 1 {
		d.answers[key] = answers[1:]
	}
	status, text, _ := strings.Cut(answers[0], " ")
	code, err := strconv.Atoi(status)
	if err != nil {
		panic(err)
	}
	w.WriteHeader(code)
	fmt.Fprint(w, text)
}

// runScript runs the script with az and sleep from folder bin, and returns what it prints.
func runScript(t *testing.T, script, directory string, env ...string) (stdout, stderr string, err error) {
	t.Helper()
	bin := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// Links, because a program that was just written may be busy: processes that start meanwhile have it open.
	for _, name := range []string{"az", "sleep"} {
		if err := os.Symlink(self, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "setup.sh")
	if err := os.WriteFile(file, []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "bash", file)
	cmd.Dir = filepath.Dir(file)
	cmd.Env = append([]string{"PATH=" + bin + ":" + os.Getenv("PATH"), asAz + "=" + directory, "GORACE=atexit_sleep_ms=0"}, env...) // az ends often
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

const awkward = `O'Brien ${x} & "Söhne" $(touch pwned) ` + "`touch pwned`" + ` \ %s !! \n`

func azPlan(t *testing.T) *setup.Plan {
	t.Helper()
	body := func(v any) json.RawMessage {
		data, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	return &setup.Plan{
		Spec: setup.Spec{Name: "notes"}, Graph: "https://graph.microsoft.com/v1.0",
		Known: map[string]string{"storage.sp": "sp-of-storage"},
		Notes: []string{"two\nlines"},
		Steps: []setup.Step{{
			ID: "api/create", Title: awkward, Permission: "Application.ReadWrite.All", Role: "Application Developer",
			Method: "PATCH", Path: "/applications(uniqueName='notes')", Upsert: true, Body: body(map[string]string{"displayName": awkward}),
			Read:     "/applications(uniqueName='notes')",
			Captures: []setup.Capture{{Name: "api.id", Member: "id"}, {Name: "api.appId", Member: "appId"}},
		}, {
			ID: "resource/graph", Title: "Look up", Method: "GET", Path: "/servicePrincipals(appId='g')",
			Captures: []setup.Capture{{Name: "graph.scope.User.Read", Member: "oauth2PermissionScopes", Where: "User.Read"}, {Name: "graph.sp", Member: "id"}},
		}, {
			ID: "api/permissions", Title: "Permissions", Method: "PATCH", Path: "/applications/${api.id}",
			Body: body(map[string]string{"a": "api://${api.appId}", "b": "${graph.scope.User.Read}", "c": "${storage.sp}", "d": "${tenant}"}),
		}, {
			ID: "grant/storage", Title: "Grant", Method: "POST", Path: "/oauth2PermissionGrants", MayExist: true, Body: body(map[string]string{"clientId": "${api.appId}"}),
		}, {
			ID: "api/secret", Title: "Secret", Method: "POST", Path: "/applications/${api.id}/addPassword", Body: body(map[string]string{"displayName": "x"}),
			Captures: []setup.Capture{{Name: "api.secret", Member: "secretText", Secret: true}},
		}},
	}
}

func directory() *scripted {
	const notFound = `404 {"error":{"code":"Request_ResourceNotFound","message":"Resource does not exist"}}`
	return &scripted{answers: map[string][]string{
		"PATCH /v1.0/applications(uniqueName='notes')": {"204 "},
		"GET /v1.0/applications(uniqueName='notes')":   {notFound, `200 {"id":"object-1"}`, `200 {"id":"object-1","appId":"client-1"}`},
		"GET /v1.0/servicePrincipals(appId='g')":       {`200 {"id":"sp-g","oauth2PermissionScopes":[{"id":"s0","value":"User"},{"id":"s1","value":"User.Read"}]}`},
		"PATCH /v1.0/applications/object-1":            {notFound, `429 {"error":{"code":"TooManyRequests","message":"later"}}`, "204 "},
		"POST /v1.0/oauth2PermissionGrants":            {`409 {"error":{"code":"Request_MultipleObjectsWithSameKeyValue","message":"Permission entry already exists."}}`},
		"POST /v1.0/applications/object-1/addPassword": {`200 {"secretText":"s3cr3t~value","keyId":"k"}`},
	}}
}

func printed(t *testing.T, p *setup.Plan) string {
	t.Helper()
	var b strings.Builder
	if err := setup.PrintAz(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPrintAz(t *testing.T) {
	t.Parallel()
	d := directory()
	server := httptest.NewServer(d)
	defer server.Close()
	secrets := filepath.Join(t.TempDir(), "secrets")
	script := printed(t, azPlan(t))
	for range 2 { // the second run adds no secret
		stdout, stderr, err := runScript(t, script, server.URL, "SECRETS_FILE="+secrets)
		if err != nil {
			t.Fatalf("the script failed: %v\n%s\n%s", err, stderr, script)
		}
		if stdout != "api.appId=client-1\n" || !strings.Contains(stderr, awkward) || strings.Contains(stdout+stderr, "s3cr3t") {
			t.Errorf("it prints %q and %q, want the client ID, the titles, and no secret", stdout, stderr)
		}
	}
	name, _ := json.Marshal(map[string]string{"displayName": awkward})
	writes := slices.DeleteFunc(slices.Clone(d.got), func(line string) bool { return strings.HasPrefix(line, "GET ") })
	want := []string{
		"PATCH /v1.0/applications(uniqueName='notes') create-if-missing " + string(name),
		`PATCH /v1.0/applications/object-1  {"a":"api://client-1","b":"s1","c":"sp-of-storage","d":"12345678-1234-1234-1234-123456789abc"}`,
		`POST /v1.0/oauth2PermissionGrants  {"clientId":"client-1"}`,
		`POST /v1.0/applications/object-1/addPassword  {"displayName":"x"}`,
	}
	if got := slices.Compact(writes[:len(writes)-3]); !slices.Equal(got, want) {
		t.Errorf("first run wrote\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := writes[len(writes)-3:]; !slices.Equal(got, want[:3]) {
		t.Errorf("second run wrote\n%s\nwant no second secret", strings.Join(got, "\n"))
	}
	data, err := os.ReadFile(secrets)
	if err != nil || string(data) != "ENTRA_APP_CLIENT_SECRET='s3cr3t~value'\n" {
		t.Errorf("file of secrets: %q, %v", data, err)
	}
	if info, err := os.Stat(secrets); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("file of secrets: %v, %v; want mode 0600", info.Mode(), err)
	}
}

func TestPrintAzFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*setup.Plan, *scripted)
		says   string
	}{
		"refused": {func(_ *setup.Plan, d *scripted) {
			d.answers["PATCH /v1.0/applications/object-1"] = []string{`403 {"error":{"code":"Authorization_RequestDenied","message":"Insufficient privileges"}}`}
		}, "Insufficient privileges"},
		"never replicated": {func(_ *setup.Plan, d *scripted) {
			d.answers["GET /v1.0/applications(uniqueName='notes')"] = []string{`200 {"id":"object-1"}`}
		}, "has no id_api_id id_api_appId"},
		"another tenant": {func(p *setup.Plan, _ *scripted) { p.Tenant = "99999999-1234-1234-1234-123456789abc" }, "az login --tenant 99999999"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, d := azPlan(t), directory()
			c.change(p, d)
			server := httptest.NewServer(d)
			defer server.Close()
			_, stderr, err := runScript(t, printed(t, p), server.URL)
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(stderr, c.says) {
				t.Errorf("script ended with %v and %q; want exit code 1 and %q", err, stderr, c.says)
			}
			if slices.ContainsFunc(d.got, func(line string) bool { return strings.Contains(line, "addPassword") }) {
				t.Errorf("it went on after the failure: %q", d.got)
			}
		})
	}
	p := azPlan(t)
	p.Steps = p.Steps[2:]
	if err := setup.PrintAz(io.Discard, p); err == nil || !strings.Contains(err.Error(), "api/permissions: no step before it finds ${api.id}") {
		t.Errorf("PrintAz of a plan that lacks a step = %v", err)
	}
}
