package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// storageResource is Azure Storage's resource, the audience of tokens for blobs.
const storageResource = "https://storage.azure.com"

// listenConfig is where the server listens and what it logs. The demo reads nothing else from the
// environment.
type listenConfig struct {
	host       string
	port       int  // 0: any free one
	portIsSet  bool // set explicitly
	logLevel   slog.Level
	levelIsSet bool // set explicitly
}

// config is the whole configuration of the server.
type config struct {
	listenConfig
	tenantID, apiAppID string
	authorityHost      string // "" for the public cloud
	storageURL         string // "" if not configured; so is
	container          string
	obo                bool
	method             clientauth.Method // holds the client secret and never prints it
	audiences          []string          // that OBO may request tokens for
	publicURL          string            // origin; "" for http://localhost:PORT
	consentURL         string            // where a consent ends; "" lets Entra choose
	stateKeys          [][]byte          // encrypt what clients send back
	downloadDir        string
	warnings           []string // to log at startup
	misspelled         []string // unknown names in the .env file, with suggestions
}

// variables reads variables from the environment, or else from the .env file, and collects faults.
type variables struct {
	lookup func(name string) (string, bool)
	file   map[string]dotenvValue
	faults []fault
}

// newVariables takes os.LookupEnv, or a map in tests, and the content of the .env file.
func newVariables(lookup func(string) (string, bool), dotenv []byte) *variables {
	v := &variables{lookup: lookup}
	v.file, v.faults = parseDotenv(dotenv)
	return v
}

// raw returns the unchanged value. As in other dotenv readers, an empty environment variable
// overrides the file.
func (v *variables) raw(name string) string {
	if value, ok := v.lookup(name); ok {
		return value
	}
	return v.file[name].text
}

// text returns the value without surrounding white space.
func (v *variables) text(name string) string { return strings.TrimSpace(v.raw(name)) }

// textOr returns the value, or the default if it is empty.
func (v *variables) textOr(name, byDefault string) string {
	if s := v.text(name); s != "" {
		return s
	}
	return byDefault
}

// fault records a fault of the variable and the variable's source.
func (v *variables) fault(name, problem, remedy string) {
	where := name
	if _, ok := v.lookup(name); !ok {
		if value, ok := v.file[name]; ok {
			where = fmt.Sprintf("%s (%s:%d)", name, dotenvFile, value.line)
		}
	}
	v.faults = append(v.faults, fault{where, problem, remedy})
}

// check records the error, if any, as the variable's fault.
func (v *variables) check(name string, err error, remedy string) bool {
	if err != nil {
		v.fault(name, err.Error(), remedy)
	}
	return err == nil
}

// readConfig reads the whole configuration from the environment and the content of the .env file.
// It uses nothing else and reports all faults at once.
func readConfig(lookup func(string) (string, bool), dotenv []byte) (config, []fault) {
	v := newVariables(lookup, dotenv)
	var c config
	v.readIdentity(&c)
	v.readStorage(&c)
	v.readOBO(&c)
	v.readListen(&c.listenConfig)
	v.readPublicURL(&c)
	c.downloadDir = v.textOr("DOWNLOAD_DIR", "./downloads")
	v.warnOfProcessVariables(&c)
	c.misspelled = misspelled(v.file)
	return c, v.faults
}

// readExplainConfig reads the configuration for judging a token. Without IDs, the token's own are
// used.
func readExplainConfig(lookup func(string) (string, bool), dotenv []byte) (config, []fault) {
	v := newVariables(lookup, dotenv)
	var c config
	c.tenantID, c.apiAppID = v.text("TENANT_ID"), v.text("API_APP_ID")
	if c.tenantID != "" && c.apiAppID != "" {
		v.readIdentity(&c)
		return c, v.faults
	}
	if c.tenantID != "" {
		v.check("TENANT_ID", checkTenantID(c.tenantID), "Copy the Directory (tenant) ID, or leave it out")
	}
	if c.apiAppID != "" {
		v.check("API_APP_ID", checkClientID(c.apiAppID), "Copy the Application (client) ID, or leave it out")
	}
	v.readAuthority(&c)
	return c, v.faults
}

// nothingSet reports whether neither the tenant nor the app is configured.
func nothingSet(lookup func(string) (string, bool), dotenv []byte) bool {
	v := newVariables(lookup, dotenv)
	return v.text("TENANT_ID") == "" && v.text("API_APP_ID") == ""
}

// readListenConfig reads what the demo needs.
func readListenConfig(lookup func(string) (string, bool), dotenv []byte) (listenConfig, []fault) {
	v := newVariables(lookup, dotenv)
	var c listenConfig
	v.readListen(&c)
	return c, v.faults
}

func (v *variables) readIdentity(c *config) {
	c.tenantID, c.apiAppID = v.text("TENANT_ID"), v.text("API_APP_ID")
	v.check("TENANT_ID", checkTenantID(c.tenantID), "Copy the Directory (tenant) ID from the app registration's overview")
	v.check("API_APP_ID", checkClientID(c.apiAppID), "Copy the Application (client) ID from the overview of the MCP server API's app registration")
	if c.apiAppID != "" && strings.EqualFold(c.apiAppID, c.tenantID) {
		v.fault("API_APP_ID", "is the value of TENANT_ID", "Copy the Application (client) ID, which is beside it in the app registration's overview")
	}
	v.readAuthority(c)
}

func (v *variables) readAuthority(c *config) {
	c.authorityHost = v.text("AZURE_AUTHORITY_HOST")
	v.check("AZURE_AUTHORITY_HOST", checkAuthorityHost(c.authorityHost),
		"Leave it out for the public cloud, or set another cloud's host, such as https://login.microsoftonline.us")
}

func (v *variables) readStorage(c *config) {
	c.storageURL, c.container = v.text("AZURE_STORAGE_ACCOUNT_URL"), v.text("AZURE_STORAGE_CONTAINER")
	if c.storageURL != "" {
		v.check("AZURE_STORAGE_ACCOUNT_URL", checkStorageURL(c.storageURL),
			"Copy the Blob service's URL from the storage account's endpoints")
	}
	if c.container != "" {
		v.check("AZURE_STORAGE_CONTAINER", checkContainer(c.container), "Set it to the name of the container only")
	}
	if missing := c.missingStorage(); len(missing) > 0 {
		c.warnings = append(c.warnings, "read_blob_with_token can't read: not set: "+strings.Join(missing, ", "))
	}
}

// missingStorage returns the unset variables that the blob tool needs.
func (c *config) missingStorage() []string {
	var missing []string
	if c.storageURL == "" {
		missing = append(missing, "AZURE_STORAGE_ACCOUNT_URL")
	}
	if c.container == "" {
		missing = append(missing, "AZURE_STORAGE_CONTAINER")
	}
	return missing
}

// readOBO reads the On-Behalf-Of settings. It ignores them if the flow is off, because the
// documented .env has placeholders.
func (v *variables) readOBO(c *config) {
	switch s := v.text("USE_OBO_FLOW"); strings.ToLower(s) {
	case "true", "1", "yes", "on":
		c.obo = true
	case "false", "0", "no", "off":
		return
	case "":
		v.wantFlow(c)
		return
	default:
		v.fault("USE_OBO_FLOW", fmt.Sprintf("%q is neither on (true, 1, yes, on) nor off (false, 0, no, off, empty)", shorten(s)), "Set it to true or false")
		return
	}
	v.same("AZURE_TENANT_ID", "TENANT_ID", c.tenantID, "the exchange runs at the tenant of the users' tokens")
	v.same("ENTRA_APP_CLIENT_ID", "API_APP_ID", c.apiAppID, "only the app that the users' tokens are for can exchange them")
	v.readMethod(c)
	v.readAudiences(c)
	v.readConsent(c)
}

// wantFlow reports a forgotten USE_OBO_FLOW: an operator who configures a secret wants the app to
// act on behalf of users. It only warns about the token file, which Kubernetes sets in each pod,
// and about an empty USE_OBO_FLOW, which may be intentional.
func (v *variables) wantFlow(c *config) {
	i := slices.IndexFunc(proofs, func(name string) bool { return v.text(name) != "" })
	if i < 0 {
		return
	}
	const problem = "is set and USE_OBO_FLOW is not, so this server does not act as its users"
	_, inEnvironment := v.lookup("USE_OBO_FLOW")
	if _, inFile := v.file["USE_OBO_FLOW"]; inEnvironment || inFile || proofs[i] == "AZURE_FEDERATED_TOKEN_FILE" {
		c.warnings = append(c.warnings, proofs[i]+" "+problem+": set USE_OBO_FLOW to true or false")
		return
	}
	v.fault(proofs[i], problem, "Set USE_OBO_FLOW=true, or USE_OBO_FLOW=false if the server must not act as its users")
}

// readConsent reads how users are asked for consent during a call.
func (v *variables) readConsent(c *config) {
	c.consentURL = v.text("CONSENT_REDIRECT_URL")
	list := v.raw("STATE_KEYS")
	if list == "" {
		return
	}
	for i, text := range strings.Split(list, ",") {
		key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
		if err != nil || len(key) != 32 { // the text is a secret: don't quote it
			v.fault("STATE_KEYS", fmt.Sprintf("key %d is not base64 of 32 bytes", i+1), "Make one with: openssl rand -base64 32")
			continue
		}
		if bytes.Count(key, []byte{0}) == len(key) {
			v.fault("STATE_KEYS", fmt.Sprintf("key %d is all zero", i+1), "Make one with: openssl rand -base64 32")
			continue
		}
		c.stateKeys = append(c.stateKeys, key)
	}
}

// same requires an optional variable to equal another.
func (v *variables) same(name, other, want, why string) {
	got := v.text(name)
	if got != "" && want != "" && !strings.EqualFold(got, want) {
		v.fault(name, fmt.Sprintf("%q differs from %s: %s", shorten(got), other, why), "Leave it out, or set it to the value of "+other)
	}
}

// proofs are the variables for how the app authenticates to Entra, by precedence.
var proofs = []string{"ENTRA_APP_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE", "UMI_CLIENT_ID"}

// readMethod reads how the app authenticates to Entra. A secret takes precedence.
func (v *variables) readMethod(c *config) {
	i := slices.IndexFunc(proofs, func(name string) bool { return v.text(name) != "" })
	if i < 0 {
		v.fault("ENTRA_APP_CLIENT_SECRET, UMI_CLIENT_ID", "USE_OBO_FLOW is on and neither is set, so the app can't authenticate to Entra",
			"Set ENTRA_APP_CLIENT_SECRET (local development), UMI_CLIENT_ID (managed identity in Azure), AZURE_FEDERATED_TOKEN_FILE (Kubernetes) "+
				"or AZURE_CLIENT_CERTIFICATE_PATH, or USE_OBO_FLOW=false")
		return
	}
	used, value, identity := proofs[i], v.text(proofs[i]), v.text("UMI_CLIENT_ID")
	remedy := ""
	switch used {
	case "ENTRA_APP_CLIENT_SECRET":
		c.method = clientauth.Secret(v.raw(used))
		remedy = "Copy the secret's value (not its ID) again, without anything else"
	case "AZURE_CLIENT_CERTIFICATE_PATH":
		c.method = clientauth.CertificateFile(value, v.raw("AZURE_CLIENT_CERTIFICATE_PASSWORD"))
		remedy = "Name a PEM or PFX file with an RSA key and its certificate; the password of a PFX is AZURE_CLIENT_CERTIFICATE_PASSWORD"
	case "AZURE_FEDERATED_TOKEN_FILE":
		c.method = clientauth.WorkloadIdentity(value)
		if identity != "" { // exchange the pod's token through this managed identity
			c.method = clientauth.WorkloadManagedIdentity(value, identity)
			identity = ""
		}
		remedy = "Name the projected service account token, as the platform sets it; with UMI_CLIENT_ID, the identity's client id"
	case "UMI_CLIENT_ID":
		c.method, identity = clientauth.ManagedIdentity(value), ""
		remedy = "Copy the Client ID from the overview of the user-assigned managed identity"
	}
	v.check(used, checkMethod(c.method), remedy)
	for _, other := range proofs[i+1:] {
		if v.text(other) != "" && (other != "UMI_CLIENT_ID" || identity != "") {
			c.warnings = append(c.warnings, other+" is not used: "+used+" is set and takes precedence")
		}
	}
}

func (v *variables) readAudiences(c *config) {
	const name = "TARGET_AUDIENCES"
	for audience := range strings.SplitSeq(v.textOr(name, storageResource), ",") {
		audience = strings.TrimSpace(audience)
		if v.check(name, checkAudience(audience), "List resource URIs such as "+storageResource+", comma separated, without /.default") {
			c.audiences = append(c.audiences, audience)
		}
	}
	forBlobs := func(audience string) bool { return strings.TrimSuffix(audience, "/") == storageResource }
	if (c.storageURL != "" || c.container != "") && !slices.ContainsFunc(c.audiences, forBlobs) {
		v.fault(name, "does not contain "+storageResource+", which read_blob_with_token needs",
			"Add it, or leave AZURE_STORAGE_ACCOUNT_URL and AZURE_STORAGE_CONTAINER out")
	}
}

func (v *variables) readListen(c *listenConfig) {
	c.host = v.textOr("HOST", "127.0.0.1")
	v.check("HOST", checkHost(c.host), "Set it to 127.0.0.1 for this machine only, or 0.0.0.0 in a container")
	s := v.text("PORT")
	c.port, c.portIsSet = 8000, s != ""
	if c.portIsSet {
		port, err := strconv.ParseUint(s, 10, 16)
		if err != nil {
			v.fault("PORT", fmt.Sprintf("%q is not a number from 0 to 65535", shorten(s)), "Leave it out for 8000; 0 takes any free port")
		}
		c.port = int(port)
	}
	s = v.text("LOG_LEVEL")
	c.levelIsSet = s != ""
	switch strings.ToLower(s) {
	case "debug":
		c.logLevel = slog.LevelDebug
	case "info", "":
		c.logLevel = slog.LevelInfo
	case "warn":
		c.logLevel = slog.LevelWarn
	case "error":
		c.logLevel = slog.LevelError
	default:
		v.fault("LOG_LEVEL", fmt.Sprintf("%q is not a level", shorten(s)), "Set it to debug, info, warn or error")
	}
}

func (v *variables) readPublicURL(c *config) {
	s := strings.TrimSuffix(v.text("PUBLIC_URL"), "/")
	if s == "" {
		if ip := net.ParseIP(c.host); c.host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			c.warnings = append(c.warnings, "HOST is open to other machines and PUBLIC_URL is not set: "+
				"only clients that call this server localhost are served")
		}
		return
	}
	c.publicURL = s
	v.check("PUBLIC_URL", checkOrigin(s), "Set it to what clients use, such as https://mcp.example.com; /mcp is added to it")
}

// warnOfProcessVariables warns about variables that have no effect in the .env file.
func (v *variables) warnOfProcessVariables(c *config) {
	for _, name := range processVariables {
		if _, inFile := v.file[name]; inFile {
			if _, set := v.lookup(name); !set {
				c.warnings = append(c.warnings, name+" in "+dotenvFile+" has no effect: set it in the environment")
			}
		}
	}
}

// shorten limits how much of an invalid value is shown.
func shorten(s string) string {
	const most = 80
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
