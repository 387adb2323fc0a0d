package doctor

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
)

// openID holds the members that matter of a tenant's metadata.
type openID struct {
	Issuer    string `json:"issuer"`
	Token     string `json:"token_endpoint"`
	Authorize string `json:"authorization_endpoint"`
	Keys      string `json:"jwks_uri"`
	Cloud     string `json:"cloud_instance_name"`
	Region    string `json:"tenant_region_scope"`
}

var entraCode = regexp.MustCompile(`AADSTS([0-9]{4,9})\b`)

// code returns the AADSTS code in the answer, or 0.
func (p probe) code() int {
	m := entraCode.FindSubmatch(p.body)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(string(m[1])) // at most 9 digits
	return n
}

// noTenant are the codes for a tenant that isn't there: not found, an invalid name, unused and
// therefore blocked or deleted, in another cloud.
var noTenant = []int{90002, 900023, 5000224, 5000225, 90038}

// otherClouds are the authorities of the clouds, by a part of their issuers and endpoints.
var otherClouds = map[string]string{
	"login.microsoftonline.com":        "the public cloud",
	"login.microsoftonline.us":         "US Government",
	"login.partner.microsoftonline.cn": "China (21Vianet)",
	"login.chinacloudapi.cn":           "China (21Vianet)",
}

// tenant finds out whether the tenant is there, and in this cloud.
func (x *exam) tenant(context.Context) Result {
	if r := x.lacks("TENANT_ID", x.TenantID); r != nil {
		return *r
	}
	p := x.entra
	const copyID = "Copy the Directory (tenant) ID from the app registration's overview into TENANT_ID"
	f := Finding{Problem: "there is no tenant " + x.TenantID + " at " + x.host.String(), Expected: "the tenant's metadata",
		Came:   fmt.Sprintf("HTTP status %d, AADSTS%d", p.status, p.code()),
		Remedy: copyID + ", or set AZURE_AUTHORITY_HOST if the tenant is in another cloud"}
	if p.status != http.StatusOK {
		if !slices.Contains(noTenant, p.code()) {
			f.Problem = "Entra ID does not show the tenant's metadata"
		}
		return failed(f)
	}
	if err := json.Unmarshal(p.body, &x.doc); err != nil {
		return failed(Finding{Problem: "the tenant's metadata is not JSON", Expected: "an OpenID metadata document", Came: err.Error(),
			Remedy: "Check what answers at " + x.host.String()})
	}
	if cloud, elsewhere := x.otherCloud(); elsewhere {
		f.Problem = "the tenant is in another cloud"
		f.Expected, f.Came = x.host.String(), "https://"+cloud
		f.Remedy = "Set AZURE_AUTHORITY_HOST=https://" + cloud + " (" + otherClouds[cloud] + "), or correct TENANT_ID"
		return failed(f)
	}
	return ok("Entra ID has the tenant %s", x.TenantID)
}

// otherCloud returns the authority that the metadata names, if it is one of another cloud.
func (x *exam) otherCloud() (string, bool) {
	for _, address := range []string{x.doc.Token, x.doc.Authorize} {
		host := hostOf(address)
		if _, known := otherClouds[host]; known && host != hostOf(x.host.String()) && !x.sameCloud(host) {
			return host, true
		}
	}
	return "", false
}

func (x *exam) sameCloud(host string) bool {
	own, known := otherClouds[hostOf(x.host.String())]
	return known && own == otherClouds[host] || !known && x.host.Trusts(host) && host == "login.microsoftonline.com"
}

// metadataV2 checks the tenant's metadata for v2 tokens.
func (x *exam) metadataV2(context.Context) Result {
	if x.doc.Issuer == "" && x.TenantID == "" {
		return *x.lacks("TENANT_ID", x.TenantID)
	}
	findings := x.checkDocument(x.doc, "/v2.0")
	x.keyURL = x.doc.Keys
	return judged(findings, "issuer %s", x.doc.Issuer)
}

// metadataV1 checks the tenant's metadata for v1 tokens, which External ID doesn't have.
func (x *exam) metadataV1(ctx context.Context) Result {
	if r := x.lacks("TENANT_ID", x.TenantID); r != nil {
		return *r
	}
	address := x.host.MetadataV1(x.TenantID)
	p := x.get(ctx, address+"?appid="+url.QueryEscape(x.ClientID))
	var doc openID
	switch {
	case p.err != nil:
		return failed(x.unreachable(p, address))
	case p.status == http.StatusNotFound && p.code() == 0:
		return ok("this authority issues no v1 tokens")
	case p.status != http.StatusOK || json.Unmarshal(p.body, &doc) != nil:
		return failed(Finding{Problem: "the v1 metadata can't be read, so the server gets no keys", Expected: "HTTP status 200, application/json",
			Came: fmt.Sprintf("HTTP status %d, %s", p.status, contentType(p.header)), Remedy: "Let " + address + " through, as the v2 metadata is"})
	}
	findings := x.checkDocument(doc, "/")
	if doc.Cloud != x.doc.Cloud {
		findings = append(findings, Finding{Problem: "the two metadata documents are of two clouds", Expected: x.doc.Cloud, Came: doc.Cloud,
			Remedy: "Check what answers at " + x.host.String() + ": a cache or proxy mixes answers"})
	}
	return judged(findings, "issuer %s", doc.Issuer)
}

// checkDocument checks what the verifier relies on.
func (x *exam) checkDocument(doc openID, end string) (findings []Finding) {
	remedy := "Check what answers at " + x.host.String() + ": Entra's metadata always has these"
	issuer := strings.ReplaceAll(doc.Issuer, "{tenantid}", strings.ToLower(x.TenantID))
	u, err := url.Parse(issuer)
	want := "https://" + hostOf(x.host.String()) + "/" + strings.ToLower(x.TenantID) + end
	if end == "/" {
		want = "https://sts.windows.net/" + strings.ToLower(x.TenantID) + end
	}
	if err != nil || u.Scheme != "https" || !x.host.Trusts(u.Hostname()) || u.Path != "/"+strings.ToLower(x.TenantID)+end {
		findings = append(findings, Finding{Problem: "the metadata's issuer is not the tenant's", Expected: want, Came: orElse(printable(doc.Issuer), "none"), Remedy: remedy})
	}
	if keys, err := url.Parse(doc.Keys); err != nil || keys.Scheme != "https" || !x.host.Trusts(keys.Hostname()) {
		findings = append(findings, Finding{Problem: "the metadata names keys on a foreign host", Expected: "an https URL on " + hostOf(x.host.String()),
			Came: orElse(printable(doc.Keys), "none"), Remedy: remedy})
	}
	return findings
}

// keySet reads the tenant's signing keys.
func (x *exam) keySet(ctx context.Context) Result {
	if x.keyURL == "" {
		return *x.lacks("TENANT_ID", x.TenantID)
	}
	p := x.get(ctx, x.keyURL)
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	f := Finding{Problem: "the tenant's signing keys can't be read, so every call gets 503", Expected: "a JSON key set with RSA keys",
		Remedy: "Let " + withoutQuery(x.keyURL) + " through unchanged. The server goes on with the keys it has for up to 24 hours"}
	switch {
	case p.err != nil:
		unreachable := x.unreachable(p, x.keyURL)
		f.Came = unreachable.Came
		return failed(f)
	case p.status != http.StatusOK || !p.isJSON() || json.Unmarshal(p.body, &set) != nil:
		f.Came = fmt.Sprintf("HTTP status %d, %s", p.status, contentType(p.header))
		return failed(f)
	}
	usable := 0
	why := "a set without keys"
	for _, key := range set.Keys {
		if problem := x.unusable(key); problem != "" {
			why = "no usable key: " + problem
			continue
		}
		usable++
	}
	if usable == 0 {
		f.Came = why
		return failed(f)
	}
	has := func(key map[string]any) bool { return key["kid"] == x.freshKeyID() }
	if x.freshKeyID() != "" && !slices.ContainsFunc(set.Keys, has) {
		f.Problem = "the key set is an old one: Entra ID signs with a key that it lacks"
		f.Expected, f.Came = "the key "+printable(x.freshKeyID()), "keys without it"
		f.Remedy = "Something between here and Entra ID answers from a cache: let " + withoutQuery(x.keyURL) + " through"
		return failed(f)
	}
	return ok("%d of %d keys are usable", usable, len(set.Keys))
}

// freshKeyID is the key that signed the app's own token a moment ago, or "".
func (x *exam) freshKeyID() string {
	if x.proof == nil {
		return ""
	}
	return x.proof.answer.keyID
}

// unusable says why the verifier can't use a key, or nothing.
func (x *exam) unusable(key map[string]any) string {
	text := func(name string) string { s, _ := key[name].(string); return s }
	n, err := base64.RawURLEncoding.DecodeString(text("n"))
	public := rsa.PublicKey{N: new(big.Int).SetBytes(n)}
	issuer := strings.ReplaceAll(text("issuer"), "{tenantid}", strings.ToLower(x.TenantID))
	expected := strings.ReplaceAll(x.doc.Issuer, "{tenantid}", strings.ToLower(x.TenantID))
	switch {
	case text("kid") == "":
		return "a key has no kid"
	case text("kty") != "RSA" || text("use") != "sig":
		return fmt.Sprintf("kty %q, use %q", printable(text("kty")), printable(text("use")))
	case text("alg") != "" && text("alg") != "RS256":
		return fmt.Sprintf("alg %q", printable(text("alg")))
	case err != nil || public.N.BitLen() < 2048 || public.N.BitLen() > 8192:
		return "its modulus is not a number of 2048 to 8192 bits"
	case issuer != "" && issuer != expected:
		return fmt.Sprintf("it is of the issuer %q", printable(issuer))
	case text("cloud_instance_name") != "" && x.doc.Cloud != "" && text("cloud_instance_name") != x.doc.Cloud:
		return fmt.Sprintf("it is of the cloud %q", printable(text("cloud_instance_name")))
	}
	return ""
}

func withoutQuery(address string) string {
	before, _, _ := strings.Cut(address, "?")
	return before
}

// appExists asks the token endpoint whether it knows the application. The request has no
// proof, so its answer is a refusal in any case; the code tells which.
func (x *exam) appExists(ctx context.Context) Result {
	if r := x.lacks("TENANT_ID", x.TenantID, "API_APP_ID", x.ClientID); r != nil {
		return *r
	}
	if err := authority.CheckGUID(x.ClientID); err != nil {
		return failed(Finding{Problem: "API_APP_ID " + err.Error(), Expected: "a GUID", Remedy: "Copy the Application (client) ID from the registration's overview"})
	}
	a := x.postToken(ctx, url.Values{"grant_type": {"client_credentials"}, "client_id": {x.ClientID}, "scope": {x.ClientID + "/.default"}})
	if f := x.unknownApp(a.code); f != nil {
		return failed(*f)
	}
	switch {
	case a.err != nil:
		return notRun("the token endpoint did not answer: %v", a.err)
	case a.code == 0 && !a.accepted:
		return notRun("the token endpoint's answer has no code (HTTP status %d)", a.status)
	}
	return ok("the tenant knows the application %s", x.ClientID)
}

// unknownApp says what is wrong if the code means that the tenant lacks the application, or its
// service principal.
func (x *exam) unknownApp(code int) *Finding {
	switch code {
	case 700016, 70001, 700011, 700038:
		return &Finding{Problem: "the tenant has no application " + x.ClientID, Expected: "an application of the tenant " + x.TenantID,
			Came: fmt.Sprintf("AADSTS%d", code),
			Remedy: "Compare API_APP_ID and TENANT_ID with the registration's overview (Application ID, Directory ID). " +
				"If the application is another tenant's, add its service principal: az ad sp create --id " + x.ClientID}
	case 7000229:
		return &Finding{Problem: "the application has no service principal in the tenant", Expected: "an enterprise application " + x.ClientID,
			Came: "AADSTS7000229", Remedy: "Add it: az ad sp create --id " + x.ClientID + ", or mcp-entra setup apply"}
	case 7000112:
		return &Finding{Problem: "the application is disabled in the tenant", Expected: "Enabled for users to sign in: Yes", Came: "AADSTS7000112",
			Remedy: "Enable it: Enterprise applications, the application, Properties"}
	}
	return nil
}
