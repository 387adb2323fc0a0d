package serverconfig

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
)

const (
	testTenant   = "12345678-1234-1234-1234-123456789abc"
	testApp      = "87654321-4321-4321-4321-cba987654321"
	testIdentity = "11111111-1111-1111-1111-111111111111"
	testSecret   = "Xy7~S3cr3tValue"
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

func mustRead(t *testing.T, variables map[string]string, dotenv string) Config {
	t.Helper()
	c, faults := Read(lookupIn(variables), []byte(dotenv))
	if len(faults) > 0 {
		t.Fatalf("faults: %v", faults)
	}
	return c
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	c := mustRead(t, with(), "")
	type summary struct {
		tenant, app, authority, storage, container, host, public, downloads string
		port                                                                int
		obo, portIsSet, levelIsSet                                          bool
		level                                                               slog.Level
	}
	got := summary{c.TenantID, c.APIAppID, c.AuthorityHost, c.StorageURL, c.Container, c.Host, c.PublicURL, c.DownloadDir,
		c.Port, c.OBO, c.PortIsSet, c.LevelIsSet, c.LogLevel}
	want := summary{tenant: testTenant, app: testApp, host: "127.0.0.1", downloads: "./downloads", port: 8000, level: slog.LevelInfo}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if !slices.Equal(c.Warnings, []string{"read_blob_with_token can't read: not set: AZURE_STORAGE_ACCOUNT_URL, AZURE_STORAGE_CONTAINER"}) {
		t.Errorf("warnings: %q", c.Warnings)
	}
}

func TestEachVariable(t *testing.T) {
	t.Parallel()
	level := func(c Config) any { return c.LogLevel }
	flow := func(c Config) any { return c.OBO }
	method := func(c Config) any { return c.Method.String() }
	uris := func(c Config) any { return fmt.Sprint(c.AppIDURIs) }
	audiences := func(c Config) any { return fmt.Sprint(c.Audiences) }
	storage := []string{"AZURE_STORAGE_ACCOUNT_URL", "https://a.blob.core.windows.net", "AZURE_STORAGE_CONTAINER", "docs"}
	tests := []struct {
		name      string
		variables map[string]string
		get       func(Config) any
		want      any
	}{
		{"TENANT_ID", with("TENANT_ID", " "+testIdentity+"\n"), func(c Config) any { return c.TenantID }, testIdentity},
		{"API_APP_ID", with("API_APP_ID", testIdentity), func(c Config) any { return c.APIAppID }, testIdentity},
		{"AZURE_STORAGE_ACCOUNT_URL", with(storage...), func(c Config) any { return c.StorageURL }, "https://a.blob.core.windows.net"},
		{"Azurite's account URL", with("AZURE_STORAGE_ACCOUNT_URL", "https://127.0.0.1:10000/devstoreaccount1"),
			func(c Config) any { return c.StorageURL }, "https://127.0.0.1:10000/devstoreaccount1"},
		{"AZURE_STORAGE_CONTAINER", with(storage...), func(c Config) any { return c.Container }, "docs"},
		{"USE_OBO_FLOW true", withOBO(), flow, true},
		{"USE_OBO_FLOW TRUE", withOBO("USE_OBO_FLOW", "TRUE"), flow, true},
		{"USE_OBO_FLOW 1", withOBO("USE_OBO_FLOW", "1"), flow, true},
		{"USE_OBO_FLOW Yes", withOBO("USE_OBO_FLOW", "Yes"), flow, true},
		{"USE_OBO_FLOW False", withOBO("USE_OBO_FLOW", "False"), flow, false},
		{"USE_OBO_FLOW 0", withOBO("USE_OBO_FLOW", "0"), flow, false},
		{"USE_OBO_FLOW no", withOBO("USE_OBO_FLOW", "no"), flow, false},
		{"USE_OBO_FLOW on", withOBO("USE_OBO_FLOW", " On "), flow, true},
		{"USE_OBO_FLOW OFF", withOBO("USE_OBO_FLOW", "OFF"), flow, false},
		{"USE_OBO_FLOW empty", withOBO("USE_OBO_FLOW", ""), flow, false},
		{"AZURE_TENANT_ID same", withOBO("AZURE_TENANT_ID", strings.ToUpper(testTenant)), flow, true},
		{"ENTRA_APP_CLIENT_ID same", withOBO("ENTRA_APP_CLIENT_ID", strings.ToUpper(testApp)), flow, true},
		{"ENTRA_APP_CLIENT_SECRET", withOBO(), method, "client secret"},
		{"UMI_CLIENT_ID", with("USE_OBO_FLOW", "1", "UMI_CLIENT_ID", testIdentity), method, "managed identity"},
		{"AZURE_FEDERATED_TOKEN_FILE", with("USE_OBO_FLOW", "1", "AZURE_FEDERATED_TOKEN_FILE", "/token"), method, "workload identity"},
		{"AZURE_FEDERATED_TOKEN_FILE and UMI_CLIENT_ID", with("USE_OBO_FLOW", "1", "AZURE_FEDERATED_TOKEN_FILE", "/token", "UMI_CLIENT_ID", testIdentity), method, "workload managed identity"},
		{"a secret wins", withOBO("UMI_CLIENT_ID", testIdentity), method, "client secret"},
		{"a secret wins over a placeholder", withOBO("UMI_CLIENT_ID", "your-managed-identity-client-id"), method, "client secret"},
		{"TARGET_AUDIENCES default", withOBO(), audiences, "[https://storage.azure.com]"},
		{"TARGET_AUDIENCES several", withOBO("TARGET_AUDIENCES", "https://graph.microsoft.com , https://storage.azure.com"), audiences,
			"[https://graph.microsoft.com https://storage.azure.com]"},
		{"TARGET_AUDIENCES with a slash", withOBO(append(storage, "TARGET_AUDIENCES", "https://storage.azure.com/")...), audiences, "[https://storage.azure.com/]"},
		{"TARGET_AUDIENCES without storage, without blobs", withOBO("TARGET_AUDIENCES", "https://vault.azure.net"), audiences, "[https://vault.azure.net]"},
		{"AZURE_AUTHORITY_HOST", with("AZURE_AUTHORITY_HOST", "https://localhost:1234/"), func(c Config) any { return c.AuthorityHost }, "https://localhost:1234/"},
		{"HOST", with("HOST", "0.0.0.0"), func(c Config) any { return c.Host }, "0.0.0.0"},
		{"HOST IPv6", with("HOST", "::1"), func(c Config) any { return c.Host }, "::1"},
		{"HOST name", with("HOST", "localhost"), func(c Config) any { return c.Host }, "localhost"},
		{"PORT", with("PORT", "8080"), func(c Config) any { return c.Port }, 8080},
		{"PORT 0", with("PORT", "0"), func(c Config) any { return c.Port }, 0},
		{"DOWNLOAD_DIR", with("DOWNLOAD_DIR", "/var/lib/blobs"), func(c Config) any { return c.DownloadDir }, "/var/lib/blobs"},
		{"DOWNLOAD_MAX_BYTES", with("DOWNLOAD_MAX_BYTES", "805306368"), func(c Config) any { return c.DownloadMax }, int64(768 << 20)},
		{"LOG_LEVEL debug", with("LOG_LEVEL", "debug"), level, slog.LevelDebug},
		{"LOG_LEVEL info", with("LOG_LEVEL", "info"), level, slog.LevelInfo},
		{"LOG_LEVEL WARN", with("LOG_LEVEL", "WARN"), level, slog.LevelWarn},
		{"LOG_LEVEL error", with("LOG_LEVEL", "error"), level, slog.LevelError},
		{"STATE_KEYS", withOBO("STATE_KEYS", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=,YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODk="), func(c Config) any { return len(c.StateKeys) }, 2},
		{"LOG_FORMAT json", with("LOG_FORMAT", "JSON"), func(c Config) any { return c.LogJSON }, true},
		{"LOG_FORMAT text", with("LOG_FORMAT", "text"), func(c Config) any { return c.LogJSON }, false},
		{"APP_ID_URIS default on this machine", with(), uris, "[api://" + testApp + "]"},
		{"APP_ID_URIS default over http", with("PUBLIC_URL", "http://localhost:9000"), uris, "[api://" + testApp + "]"},
		{"APP_ID_URIS default over https", with("PUBLIC_URL", "https://mcp.example.com/", "API_APP_ID", strings.ToUpper(testApp)), uris, "[https://mcp.example.com/mcp api://" + testApp + "]"},
		{"APP_ID_URIS", with("APP_ID_URIS", "api://mcp.example.com, https://mcp.example.com/mcp", "PUBLIC_URL", "https://mcp.example.com"), uris, "[api://mcp.example.com https://mcp.example.com/mcp]"},
		{"APP_ID_URIS without the resource", with("APP_ID_URIS", "api://"+testApp, "PUBLIC_URL", "https://mcp.example.com"), uris, "[api://" + testApp + "]"},
		{"APP_ID_URIS of the tenant", with("APP_ID_URIS", "api://"+strings.ToUpper(testTenant)+"/mcp"), uris, "[api://" + strings.ToUpper(testTenant) + "/mcp]"},
		{"ALLOWED_HOSTS", with("ALLOWED_HOSTS", "My-App.azurewebsites.net, 10.0.0.7"), func(c Config) any { return fmt.Sprint(c.AllowedHosts) }, "[my-app.azurewebsites.net 10.0.0.7]"},
		{"ALLOWED_ORIGINS", with("ALLOWED_ORIGINS", "https://App.example.com/,http://localhost:6274"), func(c Config) any { return fmt.Sprint(c.AllowedOrigins) }, "[https://app.example.com http://localhost:6274]"},
		{"TRUSTED_PROXIES", with("TRUSTED_PROXIES", "10.0.0.0/24, 192.0.2.7, fd00::/8"), func(c Config) any { return fmt.Sprint(c.TrustedProxies) }, "[10.0.0.0/24 192.0.2.7/32 fd00::/8]"},
		{"SESSIONS", with("SESSIONS", "on"), func(c Config) any { return c.Sessions }, true},
		{"SESSIONS off", with("SESSIONS", "off"), func(c Config) any { return c.Sessions }, false},
		{"TOOL_POLICIES", with("TOOL_POLICIES", "secure_ping roles=Reader"), func(c Config) any { return len(c.ToolPolicies) }, 1},
		{"CONSENT_REDIRECT_URL", withOBO("CONSENT_REDIRECT_URL", "https://mcp.example.com/consent/done"), func(c Config) any { return c.ConsentURL }, "https://mcp.example.com/consent/done"},
		{"PUBLIC_URL", with("PUBLIC_URL", "https://mcp.example.com"), func(c Config) any { return c.PublicURL }, "https://mcp.example.com"},
		{"PUBLIC_URL with a slash", with("PUBLIC_URL", "https://mcp.example.com:8443/"), func(c Config) any { return c.PublicURL }, "https://mcp.example.com:8443"},
		{"PUBLIC_URL as clients send it", with("PUBLIC_URL", "https://MCP.Example.com:443"), func(c Config) any { return c.PublicURL }, "https://mcp.example.com"},
		{"APP_ID_URIS default as clients send it", with("PUBLIC_URL", "https://MCP.Example.com:443/"), uris, "[https://mcp.example.com/mcp api://" + testApp + "]"},
		{"PUBLIC_URL on this machine", with("PUBLIC_URL", "http://localhost:9000"), func(c Config) any { return c.PublicURL }, "http://localhost:9000"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.get(mustRead(t, tt.variables, "")); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// TestEachFault has one invalid variable per row, and expects one fault that names it and says
// what to do.
func TestEachFault(t *testing.T) {
	t.Parallel()
	without := func(name string) map[string]string {
		variables := with()
		delete(variables, name)
		return variables
	}
	tests := []struct {
		name      string
		variables map[string]string
		where     string
		texts     []string
	}{
		{"no TENANT_ID", without("TENANT_ID"), "TENANT_ID", []string{"is missing", "Copy the Directory (tenant) ID"}},
		{"TENANT_ID empty", with("TENANT_ID", " "), "TENANT_ID", []string{"is missing"}},
		{"TENANT_ID common", with("TENANT_ID", "common"), "TENANT_ID", []string{`"common" is not a GUID`}},
		{"TENANT_ID placeholder", with("TENANT_ID", "your-tenant-id-here"), "TENANT_ID", []string{"is not a GUID"}},
		{"no API_APP_ID", without("API_APP_ID"), "API_APP_ID", []string{"is missing", "Copy the Application (client) ID"}},
		{"API_APP_ID as URI", with("API_APP_ID", "api://"+testApp), "API_APP_ID", []string{"is not a GUID"}},
		{"storage over http", with("AZURE_STORAGE_ACCOUNT_URL", "http://a.blob.core.windows.net"), "AZURE_STORAGE_ACCOUNT_URL", []string{"must begin with https://", "Copy the Blob service's URL"}},
		{"storage malformed", with("AZURE_STORAGE_ACCOUNT_URL", "mystorageaccount"), "AZURE_STORAGE_ACCOUNT_URL", []string{"https://"}},
		{"storage with SAS", with("AZURE_STORAGE_ACCOUNT_URL", "https://a.blob.core.windows.net?sig="+testSecret), "AZURE_STORAGE_ACCOUNT_URL", []string{"must have no query"}},
		{"storage with container", with("AZURE_STORAGE_ACCOUNT_URL", "https://a.blob.core.windows.net/docs"), "AZURE_STORAGE_ACCOUNT_URL", []string{"only the account's URL"}},
		{"container's name", with("AZURE_STORAGE_CONTAINER", "Docs?comp=list"), "AZURE_STORAGE_CONTAINER", []string{"lowercase letters", "Set it to the name of the container only"}},
		{"USE_OBO_FLOW", withOBO("USE_OBO_FLOW", "maybe"), "USE_OBO_FLOW", []string{`"maybe" is neither on (true, 1, yes, on) nor off (false, 0, no, off, empty)`, "Set it to true or false"}},
		{"OBO half configured", with("USE_OBO_FLOW", "true"), "ENTRA_APP_CLIENT_SECRET, UMI_CLIENT_ID", []string{"neither is set", "or USE_OBO_FLOW=false"}},
		{"another AZURE_TENANT_ID", withOBO("AZURE_TENANT_ID", testIdentity), "AZURE_TENANT_ID", []string{"differs from TENANT_ID", "Leave it out"}},
		{"another ENTRA_APP_CLIENT_ID", withOBO("ENTRA_APP_CLIENT_ID", testIdentity), "ENTRA_APP_CLIENT_ID", []string{"differs from API_APP_ID", "Leave it out"}},
		{"secret with a line break", withOBO("ENTRA_APP_CLIENT_SECRET", testSecret+"\n"), "ENTRA_APP_CLIENT_SECRET", []string{"whitespace", "Copy the secret's value (not its ID)"}},
		{"certificate missing", with("USE_OBO_FLOW", "true", "AZURE_CLIENT_CERTIFICATE_PATH", "/no/such.pem"), "AZURE_CLIENT_CERTIFICATE_PATH", []string{"/no/such.pem", "Name a PEM or PFX file"}},
		{"UMI_CLIENT_ID", with("USE_OBO_FLOW", "true", "UMI_CLIENT_ID", "my-identity"), "UMI_CLIENT_ID", []string{"is not a GUID", "Copy the Client ID"}},
		{"TARGET_AUDIENCES over http", withOBO("TARGET_AUDIENCES", "http://storage.azure.com"), "TARGET_AUDIENCES", []string{"https://…", "comma separated"}},
		{"TARGET_AUDIENCES as scope", withOBO("TARGET_AUDIENCES", "https://storage.azure.com/.default"), "TARGET_AUDIENCES", []string{"is a scope"}},
		{"TARGET_AUDIENCES with an empty item", withOBO("TARGET_AUDIENCES", "https://storage.azure.com,"), "TARGET_AUDIENCES", []string{"is empty"}},
		{"TARGET_AUDIENCES without storage", withOBO("TARGET_AUDIENCES", "https://graph.microsoft.com", "AZURE_STORAGE_ACCOUNT_URL", "https://a.blob.core.windows.net"),
			"TARGET_AUDIENCES", []string{"does not contain https://storage.azure.com"}},
		{"AZURE_AUTHORITY_HOST over http", with("AZURE_AUTHORITY_HOST", "http://localhost:1"), "AZURE_AUTHORITY_HOST", []string{"must begin with https://", "Leave it out"}},
		{"AZURE_AUTHORITY_HOST with tenant", with("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com/common"), "AZURE_AUTHORITY_HOST", []string{"no path"}},
		{"HOST with port", with("HOST", "127.0.0.1:8000"), "HOST", []string{"the port goes to PORT"}},
		{"HOST as URL", with("HOST", "http://localhost"), "HOST", []string{"neither an IP address nor a host name"}},
		{"PORT", with("PORT", "http"), "PORT", []string{`"http" is not a number from 0 to 65535`}},
		{"PORT too high", with("PORT", "65536"), "PORT", []string{"not a number from 0 to 65535"}},
		{"PORT negative", with("PORT", "-1"), "PORT", []string{"not a number from 0 to 65535"}},
		{"LOG_LEVEL", with("LOG_LEVEL", "verbose"), "LOG_LEVEL", []string{`"verbose" is not a level`, "debug, info, warn or error"}},
		{"CONSENT_REDIRECT_URL over http", withOBO("CONSENT_REDIRECT_URL", "http://mcp.example.com/consent/done"), "CONSENT_REDIRECT_URL", []string{"https", "PUBLIC_URL/consent/done"}},
		{"DOWNLOAD_DIR is a file", with("DOWNLOAD_DIR", "config_test.go"), "DOWNLOAD_DIR", []string{`"config_test.go" is a file, not a folder`, "Name a folder"}},
		{"DOWNLOAD_MAX_BYTES with a unit", with("DOWNLOAD_MAX_BYTES", "1Gi"), "DOWNLOAD_MAX_BYTES", []string{`"1Gi" is not a number of bytes`}},
		{"DOWNLOAD_MAX_BYTES is 0", with("DOWNLOAD_MAX_BYTES", "0"), "DOWNLOAD_MAX_BYTES", []string{`"0" is not a number of bytes`}},
		{"STATE_KEYS all zero", withOBO("STATE_KEYS", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), "STATE_KEYS", []string{"key 1 is all zero", "openssl rand -base64 32"}},
		{"STATE_KEYS too short", withOBO("STATE_KEYS", "c2VjcmV0"), "STATE_KEYS", []string{"key 1", "openssl rand -base64 32"}},
		{"LOG_FORMAT", with("LOG_FORMAT", "xml"), "LOG_FORMAT", []string{`"xml" is not a format`, "text or json"}},
		{"APP_ID_URIS with a scope", with("APP_ID_URIS", "api://"+testApp+"/access_as_user"), "APP_ID_URIS", []string{"is a scope of the API", "Expose an API"}},
		{"APP_ID_URIS with a slash", with("APP_ID_URIS", "https://mcp.example.com/mcp/"), "APP_ID_URIS", []string{"ends in a slash"}},
		{"APP_ID_URIS as ID", with("APP_ID_URIS", testApp), "APP_ID_URIS", []string{"is the application ID; its App ID URI is api://" + testApp}},
		{"APP_ID_URIS of another application", with("APP_ID_URIS", "api://"+testIdentity), "APP_ID_URIS", []string{"has the ID of neither API_APP_ID nor TENANT_ID"}},
		{"APP_ID_URIS with a gap", with("APP_ID_URIS", "api://"+testApp+",,https://mcp.example.com/mcp"), "APP_ID_URIS", []string{"has an empty URI"}},
		{"APP_ID_URIS twice", with("APP_ID_URIS", "api://"+testApp+",api://"+testApp), "APP_ID_URIS", []string{"is there twice"}},
		{"ALLOWED_HOSTS wildcard", with("ALLOWED_HOSTS", "*.example.com"), "ALLOWED_HOSTS", []string{"there are no wildcards", "List host names"}},
		{"ALLOWED_HOSTS with port", with("ALLOWED_HOSTS", "mcp.internal:8000"), "ALLOWED_HOSTS", []string{"leave out the port"}},
		{"ALLOWED_HOSTS as URL", with("ALLOWED_HOSTS", "https://mcp.internal"), "ALLOWED_HOSTS", []string{"leave out https://"}},
		{"ALLOWED_HOSTS with a gap", with("ALLOWED_HOSTS", "mcp.internal,"), "ALLOWED_HOSTS", []string{"the host is missing"}},
		{"ALLOWED_ORIGINS any", with("ALLOWED_ORIGINS", "*"), "ALLOWED_ORIGINS", []string{"is not an origin", "List origins"}},
		{"ALLOWED_ORIGINS null", with("ALLOWED_ORIGINS", "null"), "ALLOWED_ORIGINS", []string{"can't be told apart"}},
		{"TRUSTED_PROXIES of all", with("TRUSTED_PROXIES", "0.0.0.0/0"), "TRUSTED_PROXIES", []string{"any host in it could claim any client address", "10.0.0.0/24"}},
		{"TRUSTED_PROXIES as host", with("TRUSTED_PROXIES", "gateway.internal"), "TRUSTED_PROXIES", []string{"is not an IP network or address"}},
		{"SESSIONS", with("SESSIONS", "redis"), "SESSIONS", []string{`"redis" is neither on`, "Set it to true or false"}},
		{"PUBLIC_URL over http", with("PUBLIC_URL", "http://mcp.example.com"), "PUBLIC_URL", []string{"must begin with https://"}},
		{"PUBLIC_URL with path", with("PUBLIC_URL", "https://mcp.example.com/mcp"), "PUBLIC_URL", []string{"more than scheme, host and port", "/mcp is added"}},
		{"PUBLIC_URL with wildcard", with("PUBLIC_URL", "https://*.example.com"), "PUBLIC_URL", []string{"there are no wildcards"}},
		{"PUBLIC_URL with an odd port", with("PUBLIC_URL", "https://mcp.example.com:99999"), "PUBLIC_URL", []string{"is not a number from 1 to 65535"}},
		{"PUBLIC_URL with a last dot", with("PUBLIC_URL", "https://mcp.example.com."), "PUBLIC_URL", []string{"has a dot after the host"}},
		{"PUBLIC_URL as host", with("PUBLIC_URL", "mcp.example.com"), "PUBLIC_URL", []string{"not a URL with a host"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, faults := Read(lookupIn(tt.variables), nil)
			if len(faults) != 1 {
				t.Fatalf("got %d faults, want 1: %v", len(faults), faults)
			}
			text := faults[0].String()
			if !strings.HasPrefix(text, tt.where+": ") {
				t.Errorf("fault %q does not begin with %s", text, tt.where)
			}
			for _, want := range tt.texts {
				if !strings.Contains(text, want) {
					t.Errorf("fault %q does not say %q", text, want)
				}
			}
			if strings.Contains(text, testSecret) {
				t.Errorf("fault %q shows a secret", text)
			}
		})
	}
}

// A secret in any variable is shown by none, and neither is a key of a storage account.
func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	const key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
	for _, value := range []string{"Ab18Q~S3cr3tValueOfAnEntraClient.0123456", testSecret, key, "AccountKey=" + key} {
		variables := map[string]string{}
		for _, name := range knownVariables {
			if !slices.Contains(proofs, name) {
				variables[name] = value
			}
		}
		_, faults := Read(lookupIn(variables), nil)
		variables["USE_OBO_FLOW"] = "true"
		variables["ENTRA_APP_CLIENT_SECRET"] = value
		_, more := Read(lookupIn(variables), nil)
		for _, f := range append(faults, more...) {
			if strings.Contains(f.String(), "S3cr3t") || strings.Contains(f.String(), key[10:20]) {
				t.Errorf("a secret is shown: %s", f)
			}
		}
		if len(faults) < 12 {
			t.Errorf("got %d faults: %v", len(faults), faults)
		}
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	const dotenv = "AZURE_STORAGE_ACCOUNT_URL = http://insecure\nwhat is this\nLOG_LEVEL=loud\n"
	_, faults := Read(lookupIn(map[string]string{
		"API_APP_ID": "x", "AZURE_AUTHORITY_HOST": "ftp://x", "AZURE_STORAGE_CONTAINER": "X", "USE_OBO_FLOW": "true",
		"AZURE_TENANT_ID": "other", "ENTRA_APP_CLIENT_ID": "other", "TARGET_AUDIENCES": "x,y",
		"HOST": "a b", "PORT": "x", "PUBLIC_URL": "x",
	}), []byte(dotenv))
	var where []string
	for _, f := range faults {
		where = append(where, f.Where)
	}
	want := []string{".env:2", "TENANT_ID", "API_APP_ID", "AZURE_AUTHORITY_HOST", "AZURE_STORAGE_ACCOUNT_URL (.env:1)", "AZURE_STORAGE_CONTAINER",
		"ENTRA_APP_CLIENT_ID", "ENTRA_APP_CLIENT_SECRET, UMI_CLIENT_ID", "TARGET_AUDIENCES", "TARGET_AUDIENCES", "TARGET_AUDIENCES",
		"HOST", "PORT", "LOG_LEVEL (.env:3)", "PUBLIC_URL"}
	if !slices.Equal(where, want) { // without TENANT_ID, AZURE_TENANT_ID has nothing to equal
		t.Errorf("got faults of\n%q, want\n%q", where, want)
	}
	var b bytes.Buffer
	PrintFaults(&b, faults)
	if lines := strings.Count(b.String(), "\n"); lines != len(faults)+1 {
		t.Errorf("%d lines for %d faults:\n%s", lines, len(faults), b.String())
	}
}

// TestOBOOffLooksAtNothing: the documented .env has placeholders for all variables of the flow,
// and the server must start with it.
func TestOBOOffLooksAtNothing(t *testing.T) {
	t.Parallel()
	const dotenv = `
AZURE_STORAGE_ACCOUNT_URL="https://your-storage-account.blob.core.windows.net"
AZURE_STORAGE_CONTAINER="your-container-name"
USE_OBO_FLOW=false
AZURE_TENANT_ID="your-tenant-id-here"
ENTRA_APP_CLIENT_ID="your-api-app-id-here"
ENTRA_APP_CLIENT_SECRET="your-client-secret-here"  # for development
UMI_CLIENT_ID="your-managed-identity-client-id"  # in Azure
TARGET_AUDIENCES="anything"
`
	if c := mustRead(t, with(), dotenv); c.OBO || len(c.Warnings) > 0 {
		t.Errorf("obo %v, warnings %q", c.OBO, c.Warnings)
	}
}

func TestEnvironmentWinsOverFile(t *testing.T) {
	t.Parallel()
	const dotenv = "PORT=9000\nHOST=::1\nLOG_LEVEL=debug\n"
	c := mustRead(t, with("PORT", "9001", "LOG_LEVEL", ""), dotenv)
	if c.Port != 9001 || c.Host != "::1" || c.LogLevel != slog.LevelInfo {
		t.Errorf("port %d, host %s, level %s", c.Port, c.Host, c.LogLevel)
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	blobs := []string{"AZURE_STORAGE_ACCOUNT_URL", "https://a.blob.core.windows.net", "AZURE_STORAGE_CONTAINER", "docs"}
	tests := []struct {
		name      string
		variables map[string]string
		dotenv    string
		want      string
	}{
		{"nothing", with(blobs...), "", ""},
		{"container missing", with(blobs[:2]...), "", "not set: AZURE_STORAGE_CONTAINER"},
		{"account missing", with(blobs[2:]...), "", "not set: AZURE_STORAGE_ACCOUNT_URL"},
		{"three proofs", withOBO(append(blobs, "AZURE_FEDERATED_TOKEN_FILE", "/token")...), "", "AZURE_FEDERATED_TOKEN_FILE is not used"},
		{"both proofs", withOBO(append(blobs, "UMI_CLIENT_ID", testIdentity)...), "", "UMI_CLIENT_ID is not used"},
		{"open host", with(append(blobs, "HOST", "0.0.0.0")...), "", "PUBLIC_URL is not set"},
		{"open host with URL", with(append(blobs, "HOST", "0.0.0.0", "PUBLIC_URL", "https://mcp.example.com")...), "", ""},
		{"trust in the file", with(blobs...), "SSL_CERT_FILE=ca.pem", "SSL_CERT_FILE in .env has no effect"},
		{"trust in both", with(append(blobs, "SSL_CERT_FILE", "ca.pem")...), "SSL_CERT_FILE=ca.pem", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := strings.Join(mustRead(t, tt.variables, tt.dotenv).Warnings, "\n")
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestConfigHidesSecret checks that printing the configuration doesn't print the secret.
func TestConfigHidesSecret(t *testing.T) {
	t.Parallel()
	c := mustRead(t, withOBO(), "")
	var b bytes.Buffer
	slog.New(slog.NewJSONHandler(&b, nil)).Info("config", "config", fmt.Sprintf("%v %+v %#v", c, c, c), "method", c.Method)
	if strings.Contains(b.String(), testSecret) {
		t.Errorf("the secret is in %s", b.String())
	}
}

func TestDemoReadsThreeVariables(t *testing.T) {
	t.Parallel()
	c, faults := ReadListen(lookupIn(map[string]string{"TENANT_ID": "nonsense", "PORT": "9000"}), []byte("LOG_LEVEL=warn"))
	if len(faults) > 0 || c.Port != 9000 || !c.PortIsSet || c.LogLevel != slog.LevelWarn || !c.LevelIsSet {
		t.Errorf("got %+v, faults %v", c, faults)
	}
	if _, faults = ReadListen(lookupIn(map[string]string{"PORT": "x"}), nil); len(faults) != 1 {
		t.Errorf("faults %v", faults)
	}
}
