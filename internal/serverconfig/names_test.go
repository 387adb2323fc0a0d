package serverconfig

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestMisspeltNamesAreNamed(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"TENANTID": "TENANT_ID", "tenant_id": "TENANT_ID", "Tenant_Id": "TENANT_ID", "TENNANT_ID": "TENANT_ID", "TENANT__ID": "TENANT_ID", "TENATN_ID": "TENANT_ID",
		"API_APPID": "API_APP_ID", "API_APP_IDS": "API_APP_ID", "ENTRA_APP_CLIENT_SECERT": "ENTRA_APP_CLIENT_SECRET",
		"USE_OBOFLOW": "USE_OBO_FLOW", "USE_0BO_FL0W": "USE_OBO_FLOW", "STATE_KEY": "STATE_KEYS", "AUTH_PROXY_KEY": "AUTH_PROXY_KEYS", "TARGET_AUDIENCE": "TARGET_AUDIENCES",
		"UMI_CLIENTID": "UMI_CLIENT_ID", "LOGLEVEL": "LOG_LEVEL", "PROT": "PORT", "port": "PORT", "PUBLICURL": "PUBLIC_URL", "TOOL_POLICY": "TOOL_POLICIES", "HTTP_PROXY": "HTTPS_PROXY",
		"AZURE_STORAGE_ACOUNT_URL": "AZURE_STORAGE_ACCOUNT_URL", "https_proxy": "HTTPS_PROXY",
		// A word is missing, added or replaced:
		"USE_OBO": "USE_OBO_FLOW", "OBO_FLOW": "USE_OBO_FLOW", "use_obo": "USE_OBO_FLOW", "ENABLE_OBO_FLOW": "USE_OBO_FLOW", "USE_OBO_FLOW_NOW": "USE_OBO_FLOW",
		"ENTRA_APP_SECRET": "ENTRA_APP_CLIENT_SECRET", "ENTRA_CLIENT_SECRET": "ENTRA_APP_CLIENT_SECRET", "ENTRA_APP_CLIENT_KEY": "ENTRA_APP_CLIENT_ID or ENTRA_APP_CLIENT_SECRET",
		"AZURE_CLIENT_SECRET": "ENTRA_APP_CLIENT_SECRET", "CLIENT_SECRET": "ENTRA_APP_CLIENT_SECRET or AUTH_PROXY_CLIENT_SECRET", "AAD_CLIENT_SECRET": "ENTRA_APP_CLIENT_SECRET",
		"STORAGE_ACCOUNT_URL": "AZURE_STORAGE_ACCOUNT_URL", "AZURE_STORAGE_URL": "AZURE_STORAGE_ACCOUNT_URL", "AZURE_STORAGE_ACCOUNT": "AZURE_STORAGE_ACCOUNT_URL",
		"AZURE_STORAGE_ACCOUNT_URI": "AZURE_STORAGE_ACCOUNT_URL", "AZURE_STORAGE_CONTAINER_NAME": "AZURE_STORAGE_CONTAINER", "STORAGE_CONTAINER": "AZURE_STORAGE_CONTAINER",
		"AZURE_STORAGE":   "AZURE_STORAGE_ACCOUNT_URL or AZURE_STORAGE_CONTAINER",
		"AZURE_AUTHORITY": "AZURE_AUTHORITY_HOST", "AUTHORITY_HOST": "AZURE_AUTHORITY_HOST", "AZURE_TENANT": "AZURE_TENANT_ID", "MY_TENANT_ID": "TENANT_ID", "ID_TENANT": "TENANT_ID",
		"CLIENT_ID": "ENTRA_APP_CLIENT_ID or AUTH_PROXY_CLIENT_ID or UMI_CLIENT_ID", "APP_ID": "API_APP_ID or ENTRA_APP_CLIENT_ID or APP_ID_URIS", "API_CLIENT_ID": "API_APP_ID", "API_ID": "API_APP_ID", "ENTRA_CLIENT_ID": "ENTRA_APP_CLIENT_ID",
		"MCP_LOG_LEVEL": "LOG_LEVEL", "AZURE_CLIENT_CERTIFICATE_PASWORD": "AZURE_CLIENT_CERTIFICATE_PASSWORD", "AZURE_CLIENT_CERTIFICATE": "AZURE_CLIENT_CERTIFICATE_PASSWORD or AZURE_CLIENT_CERTIFICATE_PATH",
		// Names of other programs:
		"DATABASE_URL": "", "PATH": "", "AZURE_CLIENT_ID": "", "COSTS": "", "POSTS": "", "NODE_ENV": "", "X": "", "_": "",
		"GITHUB_CLIENT_ID": "", "GITHUB_CLIENT_SECRET": "", "AZURE_SUBSCRIPTION_ID": "", "AZURE_STORAGE_KEY": "", "AZURE_STORAGE_CONNECTION_STRING": "",
		"AZURE_OPENAI_ENDPOINT": "", "AZURE_CLIENT": "", "ID": "",
		strings.Repeat("A", 10000): "",
	} {
		if got := vocabulary(knownVariables).meantBy(name); got != want {
			t.Errorf("%.40s: got %q, want %q", name, got, want)
		}
	}
	for _, known := range knownVariables {
		if got := vocabulary(knownVariables).meantBy(known); got != "" {
			t.Errorf("%s is taken for %s", known, got)
		}
	}
}

// Every variable that is read is known and documented.
func TestKnownVariables(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../examples/server/README.md")
	if err != nil {
		t.Fatal(err)
	}
	asked := map[string]bool{}
	for _, variables := range []map[string]string{with(), withOBO(), with("USE_OBO_FLOW", "1", "AZURE_CLIENT_CERTIFICATE_PATH", "/no/such"), withProxy()} {
		_, _ = Read(func(name string) (string, bool) {
			asked[name] = true
			return lookupIn(variables)(name)
		}, []byte("SSL_CERT_FILE=x"))
	}
	for name := range asked {
		others := slices.Concat(replicaVariables, productionVariables) // platforms set the first, and the second are warned of
		if !slices.Contains(knownVariables, name) && !slices.Contains(others, name) {
			t.Errorf("%s is read and not known", name)
		}
	}
	for _, name := range knownVariables {
		if !slices.Contains(processVariables, name) && (!asked[name] || !bytes.Contains(readme, []byte("`"+name+"`"))) {
			t.Errorf("%s: read %v, and README.md does not have it", name, asked[name])
		}
	}
}

func TestMisspeltNamesAreWarnedOf(t *testing.T) {
	t.Parallel()
	c := mustRead(t, with(), "OTHER=1\nUSE_OBO=1\nSTATE_KEY=s3cr3t\nlog_level=debug\n")
	want := []string{".env:2: USE_OBO has no effect; did you mean USE_OBO_FLOW?", ".env:3: STATE_KEY has no effect; did you mean STATE_KEYS?", ".env:4: log_level has no effect; did you mean LOG_LEVEL?"}
	if !slices.Equal(c.Misspelled, want) {
		t.Errorf("got %q, want %q", c.Misspelled, want)
	}
}

func TestForgottenFlow(t *testing.T) {
	t.Parallel()
	blobs := []string{"AZURE_STORAGE_ACCOUNT_URL", "https://a.blob.core.windows.net", "AZURE_STORAGE_CONTAINER", "docs"}
	for name, row := range map[string]struct {
		more, dotenv string
		flow         []string
		warned       bool
	}{
		"a secret, and the flow is empty":             {"ENTRA_APP_CLIENT_SECRET", "", []string{"USE_OBO_FLOW", ""}, true},
		"a secret, and the flow is empty in the file": {"ENTRA_APP_CLIENT_SECRET", "USE_OBO_FLOW=", nil, true},
		"a secret, and the flow is off":               {"ENTRA_APP_CLIENT_SECRET", "", []string{"USE_OBO_FLOW", "Off"}, false},
		"what Kubernetes sets":                        {"AZURE_FEDERATED_TOKEN_FILE", "", nil, true},
		"a password alone":                            {"AZURE_CLIENT_CERTIFICATE_PASSWORD", "", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			variables := with(append(append([]string{row.more, testSecret}, blobs...), row.flow...)...)
			c := mustRead(t, variables, row.dotenv)
			if got := strings.Join(c.Warnings, "\n"); strings.Contains(got, row.more+" is set and USE_OBO_FLOW is not") != row.warned || (got != "") != row.warned {
				t.Errorf("warnings: %q", c.Warnings)
			}
		})
	}
}
