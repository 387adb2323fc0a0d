package serverconfig

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// readOBO reads the On-Behalf-Of settings. It ignores them if the flow is off, because the
// documented .env has placeholders; but the authorization proxy may need the app's credential.
func (v *variables) readOBO(c *Config) {
	var set bool
	c.OBO, set = v.flag("USE_OBO_FLOW")
	proxy := v.needsServerProof(c.AuthProxy)
	if !set && !proxy {
		v.wantFlow(c)
	}
	if c.OBO {
		v.same("AZURE_TENANT_ID", "TENANT_ID", c.TenantID, "the exchange runs at the tenant of the users' tokens")
		v.same("ENTRA_APP_CLIENT_ID", "API_APP_ID", c.APIAppID, "only the app that the users' tokens are for can exchange them")
	}
	if c.OBO || proxy {
		v.readMethod(c)
	}
	if !c.OBO {
		return
	}
	v.readAudiences(c)
	v.readConsent(c)
}

// wantFlow reports a forgotten USE_OBO_FLOW: an operator who configures a secret wants the app to
// act on behalf of users. It only warns about the token file, which Kubernetes sets in each pod,
// and about an empty USE_OBO_FLOW, which may be intentional.
func (v *variables) wantFlow(c *Config) {
	i := v.proof()
	if i < 0 {
		return
	}
	const problem = "is set and USE_OBO_FLOW is not, so this server does not act as its users"
	_, inEnvironment := v.lookup("USE_OBO_FLOW")
	if _, inFile := v.file["USE_OBO_FLOW"]; inEnvironment || inFile || proofs[i] == "AZURE_FEDERATED_TOKEN_FILE" {
		c.Warnings = append(c.Warnings, proofs[i]+" "+problem+": set USE_OBO_FLOW to true or false")
		return
	}
	v.fault(proofs[i], problem, "Set USE_OBO_FLOW=true, or USE_OBO_FLOW=false if the server must not act as its users")
}

// readConsent reads how users are asked for consent during a call.
func (v *variables) readConsent(c *Config) {
	c.ConsentURL = v.text("CONSENT_REDIRECT_URL")
	v.check("CONSENT_REDIRECT_URL", checkConsentURL(c.ConsentURL), "Set it to PUBLIC_URL/consent/done, and register it as a web redirect URI of the app, or leave it out")
	c.StateKeys = v.readKeys("STATE_KEYS")
}

// readKeys reads keys of 32 bytes, in base64 and separated by commas.
func (v *variables) readKeys(name string) (keys [][]byte) {
	for i, text := range v.list(name) {
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(key) != 32 { // the text is a secret: don't quote it
			v.fault(name, fmt.Sprintf("key %d is not base64 of 32 bytes", i+1), makeKey)
			continue
		}
		if bytes.Count(key, []byte{0}) == len(key) {
			v.fault(name, fmt.Sprintf("key %d is all zero", i+1), makeKey)
			continue
		}
		keys = append(keys, key)
	}
	return keys
}

const makeKey = "Make one with: openssl rand -base64 32"

// same requires an optional variable to equal another.
func (v *variables) same(name, other, want, why string) {
	got := v.text(name)
	if got != "" && want != "" && !strings.EqualFold(got, want) {
		v.fault(name, fmt.Sprintf("%q differs from %s: %s", Shorten(got), other, why), "Leave it out, or set it to the value of "+other)
	}
}

// proofs are the variables for how the app authenticates to Entra, by precedence.
var proofs = []string{"ENTRA_APP_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE", "UMI_CLIENT_ID"}

// proof returns which of the proofs is used; -1 if none is set.
func (v *variables) proof() int {
	return slices.IndexFunc(proofs, func(name string) bool { return v.text(name) != "" })
}

// usesProof reports whether that is the proof that is used.
func (v *variables) usesProof(name string) bool {
	i := v.proof()
	return i >= 0 && proofs[i] == name
}

// readMethod reads how the app authenticates to Entra. A secret takes precedence.
func (v *variables) readMethod(c *Config) {
	i := v.proof()
	if i < 0 {
		flag, alternative := "USE_OBO_FLOW", "USE_OBO_FLOW=false"
		if !c.OBO {
			flag, alternative = "AUTH_PROXY", "AUTH_PROXY_CLIENT_SECRET"
		}
		v.fault("ENTRA_APP_CLIENT_SECRET, UMI_CLIENT_ID", flag+" is on and neither is set, so the app can't authenticate to Entra",
			"Set ENTRA_APP_CLIENT_SECRET (local development), UMI_CLIENT_ID (managed identity in Azure), AZURE_FEDERATED_TOKEN_FILE (Kubernetes) "+
				"or AZURE_CLIENT_CERTIFICATE_PATH, or "+alternative)
		return
	}
	used, value, identity := proofs[i], v.text(proofs[i]), v.text("UMI_CLIENT_ID")
	remedy := ""
	switch used {
	case "ENTRA_APP_CLIENT_SECRET":
		c.Method = clientauth.Secret(v.raw(used))
		remedy = "Copy the secret's value (not its ID) again, without anything else"
	case "AZURE_CLIENT_CERTIFICATE_PATH":
		c.Method = clientauth.CertificateFile(value, v.raw("AZURE_CLIENT_CERTIFICATE_PASSWORD"))
		remedy = "Name a PEM or PFX file with an RSA key and its certificate; the password of a PFX is AZURE_CLIENT_CERTIFICATE_PASSWORD"
	case "AZURE_FEDERATED_TOKEN_FILE":
		c.Method = clientauth.WorkloadIdentity(value)
		if identity != "" { // exchange the pod's token through this managed identity
			c.Method = clientauth.WorkloadManagedIdentity(value, identity)
			identity = ""
		}
		remedy = "Name the projected service account token, as the platform sets it; with UMI_CLIENT_ID, the identity's client ID"
	case "UMI_CLIENT_ID":
		c.Method, identity = clientauth.ManagedIdentity(value), ""
		remedy = "Copy the Client ID from the overview of the user-assigned managed identity"
	}
	v.check(used, checkMethod(c.Method), remedy)
	for _, other := range proofs[i+1:] {
		if v.text(other) != "" && (other != "UMI_CLIENT_ID" || identity != "") {
			c.Warnings = append(c.Warnings, other+" is not used: "+used+" is set and takes precedence")
		}
	}
}

func (v *variables) readAudiences(c *Config) {
	const name = "TARGET_AUDIENCES"
	for audience := range strings.SplitSeq(v.textOr(name, StorageResource), ",") {
		audience = strings.TrimSpace(audience)
		if v.check(name, checkAudience(audience), "List resource URIs such as "+StorageResource+", comma separated, without /.default") {
			c.Audiences = append(c.Audiences, audience)
		}
	}
	forBlobs := func(audience string) bool { return strings.TrimSuffix(audience, "/") == StorageResource }
	if (c.StorageURL != "" || c.Container != "") && !slices.ContainsFunc(c.Audiences, forBlobs) {
		v.fault(name, "does not contain "+StorageResource+", which read_blob_with_token needs",
			"Add it, or leave AZURE_STORAGE_ACCOUNT_URL and AZURE_STORAGE_CONTAINER out")
	}
}
