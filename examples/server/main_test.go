package main

import (
	"bytes"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/internal/serverconfig"
)

const (
	testTenant = "12345678-1234-1234-1234-123456789abc"
	testApp    = "87654321-4321-4321-4321-cba987654321"
	testSecret = "Xy7~S3cr3tValue"
)

// lookupIn returns an environment with only these variables.
func lookupIn(variables map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := variables[name]
		return value, ok
	}
}

// with returns the required variables and more.
func with(more ...string) map[string]string {
	variables := map[string]string{"TENANT_ID": testTenant, "API_APP_ID": testApp}
	for i := 0; i < len(more); i += 2 {
		variables[more[i]] = more[i+1]
	}
	return variables
}

// withOBO adds the On-Behalf-Of flow with a secret.
func withOBO(more ...string) map[string]string {
	variables := with("USE_OBO_FLOW", "true", "ENTRA_APP_CLIENT_SECRET", testSecret)
	maps.Copy(variables, with(more...))
	return variables
}

// Without configuration, the program first suggests the demo. A misspelled name is reported next
// to the fault that it causes.
func TestFirstStart(t *testing.T) {
	for name, row := range map[string]struct {
		variables map[string]string
		dotenv    string
		first     bool
		texts     []string
	}{
		"nothing at all":    {nil, "", true, []string{"TENANT_ID: is missing", "API_APP_ID: is missing"}},
		"only a port":       {map[string]string{"PORT": "8080"}, "", true, nil},
		"misspelled":        {nil, "TENANTID=" + testTenant + "\nAPI_APP_ID=" + testApp, false, []string{"TENANT_ID: is missing", ".env:1: TENANTID has no effect; did you mean TENANT_ID?"}},
		"half of it":        {map[string]string{"TENANT_ID": testTenant}, "", false, []string{"API_APP_ID: is missing"}},
		"one id for both":   {map[string]string{"TENANT_ID": testTenant, "API_APP_ID": strings.ToUpper(testTenant)}, "", false, []string{"API_APP_ID: is the value of TENANT_ID"}},
		"a forgotten flow":  {with("ENTRA_APP_CLIENT_SECRET", testSecret), "", false, []string{"ENTRA_APP_CLIENT_SECRET: is set and USE_OBO_FLOW is not", "USE_OBO_FLOW=true"}},
		"the same, by .env": {with(), "AZURE_CLIENT_CERTIFICATE_PATH=/x.pem", false, []string{"AZURE_CLIENT_CERTIFICATE_PATH (.env:1): is set and USE_OBO_FLOW is not"}},
		"an odd flow":       {withOBO("USE_OBO_FLOW", "perhaps"), "", false, []string{`"perhaps" is neither on (true, 1, yes, on) nor off (false, 0, no, off, empty)`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			if row.dotenv != "" {
				if err := os.WriteFile(serverconfig.DotenvFile, []byte(row.dotenv), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), nil, lookupIn(row.variables), strings.NewReader(""), &stdout, &stderr); code != exitFailed {
				t.Errorf("exit code %d, want %d", code, exitFailed)
			}
			demo := strings.Index(stderr.String(), "-demo")
			if (demo >= 0) != row.first || demo > strings.Index(stderr.String(), "The configuration has") {
				t.Errorf("-demo is not where it should be:\n%s", stderr.String())
			}
			wantText(t, stderr.String(), row.texts...)
			if strings.Contains(stderr.String(), testSecret) {
				t.Errorf("a secret is shown:\n%s", stderr.String())
			}
		})
	}
}

// TestHealth asks servers that are healthy, not healthy, and not there.
func TestHealth(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		status    int // 0: nobody listens
		variables map[string]string
		code      int
		text      string
	}{
		"healthy":            {200, nil, exitOK, ""},
		"on every address":   {200, map[string]string{"HOST": "0.0.0.0"}, exitOK, ""},
		"without keys":       {503, nil, exitFailed, "answers 503 Service Unavailable, want 200: keys_unavailable"},
		"something else":     {302, nil, exitFailed, "answers 302 Found, want 200"},
		"nobody":             {0, nil, exitFailed, "does not answer"},
		"a port of any kind": {200, map[string]string{"PORT": "0"}, exitFailed, "PORT is 0"},
		"not a port":         {200, map[string]string{"PORT": "x"}, exitFailed, "PORT: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/health" {
					t.Errorf("asks for %s, want /health", r.URL)
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(row.status)
				_, _ = io.WriteString(w, "keys_unavailable")
			}))
			defer server.Close()
			_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
			variables := map[string]string{"PORT": port}
			maps.Copy(variables, row.variables)
			if row.status == 0 {
				server.Close()
			}
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), []string{"-health"}, lookupIn(variables), strings.NewReader(""), &stdout, &stderr); code != row.code {
				t.Errorf("exit code %d, want %d: %s", code, row.code, stderr.String())
			}
			wantText(t, stderr.String(), row.text)
		})
	}
}
