// Package serverconfig reads the configuration of the example servers (examples/server and
// examples/production): variables of the environment or of a .env file; the environment takes precedence. All faults are reported at
// once, each with its place and a remedy. cmd/mcp-entra reads it too.
package serverconfig

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// StorageResource is Azure Storage's resource, the audience of tokens for blobs.
const StorageResource = "https://storage.azure.com"

// Path is the path of the server's endpoint, below PUBLIC_URL.
const Path = "/mcp"

// Tools are the tools that the server has, in listing order.
var Tools = []string{"get_azure_blob_storage_token", "get_user_info", "read_blob_with_token", "secure_ping"}

// Config is the whole configuration of the server.
type Config struct {
	Listen
	Agents
	TenantID, APIAppID string
	AuthorityHost      string // "" for the public cloud

	PublicURL      string         // the origin that clients use; "" for http://localhost:PORT
	AppIDURIs      []string       // of the API's registration
	AllowedHosts   []string       // that gateways send in place of PublicURL's
	AllowedOrigins []string       // of web pages that may call the server
	TrustedProxies []netip.Prefix // whose X-Forwarded headers count
	Sessions       bool           // keep sessions, for older protocol versions
	ToolPolicies   []ToolPolicy   // what callers of some tools need besides the scope

	StorageURL  string // "" if not configured; so is
	Container   string
	DownloadDir string
	DownloadMax int64 // bytes of saved copies, of all users; 0 for the tool's default

	OBO        bool              // act on behalf of users
	Method     clientauth.Method // holds the client secret and never prints it
	Audiences  []string          // that OBO may request tokens for
	ConsentURL string            // where a consent ends; "" lets Entra choose
	StateKeys  [][]byte          // encrypt what clients send back

	AuthProxy *AuthProxy // nil if clients sign in to Entra themselves

	Warnings   []string // to log at startup
	Misspelled []string // unknown names in the .env file, with suggestions
	Foreign    []string // variables that are set, and only examples/production reads
}

// ResourceURL returns the URL that clients use. origin is what the server listens on, for a server
// without PUBLIC_URL: its port may be known only once it listens.
func (c Config) ResourceURL(origin string) string { return cmp.Or(c.PublicURL, origin) + Path }

// Read reads the whole configuration from the environment and the content of the .env file.
// It uses nothing else and reports all faults at once.
func Read(lookup func(string) (string, bool), dotenv []byte) (Config, []Fault) {
	v := newVariables(lookup, dotenv)
	c := v.readConfig()
	for _, name := range slices.Concat(exclusiveVariables, otelEndpoints) {
		if v.text(name) != "" {
			c.Foreign = append(c.Foreign, name)
		}
	}
	c.Misspelled = vocabulary(knownVariables).misspelled(v.file)
	return c, v.faults
}

func (v *variables) readConfig() Config {
	var c Config
	v.readIdentity(&c)
	v.readStorage(&c)
	v.wantAuthProxy(&c)
	v.readOBO(&c)
	v.readAgents(&c)
	v.readListen(&c.Listen)
	v.readSite(&c)
	v.readAuthProxy(&c)
	v.readAppIDURIs(&c)
	v.readToolPolicies(&c)
	v.readDownloads(&c)
	v.warnOfProcessVariables(&c)
	return c
}

// ReadForToken reads the configuration for judging a token. Without IDs, the token's own are
// used.
func ReadForToken(lookup func(string) (string, bool), dotenv []byte) (Config, []Fault) {
	v := newVariables(lookup, dotenv)
	var c Config
	c.TenantID, c.APIAppID = v.text("TENANT_ID"), v.text("API_APP_ID")
	if c.TenantID != "" && c.APIAppID != "" {
		v.readIdentity(&c)
		v.readCallingAgents(&c)
		v.readPublicURL(&c)
		v.readAppIDURIs(&c)
		return c, v.faults
	}
	if c.TenantID != "" {
		v.check("TENANT_ID", CheckTenantID(c.TenantID), "Copy the Directory (tenant) ID, or leave it out")
	}
	if c.APIAppID != "" {
		v.check("API_APP_ID", CheckClientID(c.APIAppID), "Copy the Application (client) ID, or leave it out")
	}
	v.readAuthority(&c)
	return c, v.faults
}

// NothingSet reports whether neither the tenant nor the app is configured.
func NothingSet(lookup func(string) (string, bool), dotenv []byte) bool {
	v := newVariables(lookup, dotenv)
	return v.text("TENANT_ID") == "" && v.text("API_APP_ID") == ""
}

// ReadListen reads what the demo needs.
func ReadListen(lookup func(string) (string, bool), dotenv []byte) (Listen, []Fault) {
	v := newVariables(lookup, dotenv)
	var c Listen
	v.readListen(&c)
	return c, v.faults
}

func (v *variables) readIdentity(c *Config) {
	c.TenantID, c.APIAppID = v.text("TENANT_ID"), v.text("API_APP_ID")
	v.check("TENANT_ID", CheckTenantID(c.TenantID), "Copy the Directory (tenant) ID from the app registration's overview")
	v.check("API_APP_ID", CheckClientID(c.APIAppID), "Copy the Application (client) ID from the overview of the MCP server API's app registration")
	if c.APIAppID != "" && strings.EqualFold(c.APIAppID, c.TenantID) {
		v.fault("API_APP_ID", "is the value of TENANT_ID", "Copy the Application (client) ID, which is beside it in the app registration's overview")
	}
	v.readAuthority(c)
}

func (v *variables) readAuthority(c *Config) {
	c.AuthorityHost = v.text("AZURE_AUTHORITY_HOST")
	v.check("AZURE_AUTHORITY_HOST", checkAuthorityHost(c.AuthorityHost),
		"Leave it out for the public cloud, or set another cloud's host, such as https://login.microsoftonline.us")
}

func (v *variables) readStorage(c *Config) {
	c.StorageURL, c.Container = v.text("AZURE_STORAGE_ACCOUNT_URL"), v.text("AZURE_STORAGE_CONTAINER")
	if c.StorageURL != "" {
		v.check("AZURE_STORAGE_ACCOUNT_URL", checkStorageURL(c.StorageURL),
			"Copy the Blob service's URL from the storage account's endpoints")
	}
	if c.Container != "" {
		v.check("AZURE_STORAGE_CONTAINER", checkContainer(c.Container), "Set it to the name of the container only")
	}
	if missing := c.MissingStorage(); len(missing) > 0 {
		c.Warnings = append(c.Warnings, "read_blob_with_token can't read: not set: "+strings.Join(missing, ", "))
	}
}

func (v *variables) readDownloads(c *Config) {
	c.DownloadDir = v.textOr("DOWNLOAD_DIR", "./downloads")
	v.check("DOWNLOAD_DIR", checkFolder(c.DownloadDir), "Name a folder; it is made if it is not there")
	const name = "DOWNLOAD_MAX_BYTES"
	if s := v.text(name); s != "" {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < 1 {
			v.fault(name, fmt.Sprintf("%q is not a number of bytes", Shorten(s)), "Set it to less than what DOWNLOAD_DIR can hold, such as 805306368 for 768 MiB, or leave it out for 16 GiB")
		}
		c.DownloadMax = n
	}
}

// MissingStorage returns the unset variables that the blob tool needs.
func (c *Config) MissingStorage() []string {
	var missing []string
	if c.StorageURL == "" {
		missing = append(missing, "AZURE_STORAGE_ACCOUNT_URL")
	}
	if c.Container == "" {
		missing = append(missing, "AZURE_STORAGE_CONTAINER")
	}
	return missing
}

// warnOfProcessVariables warns about variables that have no effect in the .env file.
func (v *variables) warnOfProcessVariables(c *Config) {
	for _, name := range processVariables {
		if _, inFile := v.file[name]; inFile {
			if _, set := v.lookup(name); !set {
				c.Warnings = append(c.Warnings, name+" in "+DotenvFile+" has no effect: set it in the environment")
			}
		}
	}
}
