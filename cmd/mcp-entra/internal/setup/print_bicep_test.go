package setup

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
)

// bicepTypes are the properties that can be written, by type, of the extension's v1.0 types 1.0.0
// (microsoftgraph/msgraph-bicep-types, generated/microsoftgraph/microsoft.graph/v1.0/1.0.0/types.md):
// those used here.
var bicepTypes = map[string][]string{
	"applications": {
		"uniqueName", "displayName", "signInAudience", "tags", "identifierUris", "api", "appRoles", "optionalClaims", "requiredResourceAccess",
		"publicClient", "web", "spa", "isFallbackPublicClient", "keyCredentials",
	},
	"servicePrincipals":                         {"appId"},
	"applications/federatedIdentityCredentials": {"name", "issuer", "subject", "audiences", "description"},
	"oauth2PermissionGrants":                    {"clientId", "resourceId", "consentType", "scope"},
	"appRoleAssignedTo":                         {"principalId", "resourceId", "appRoleId"},
	// Parts of applications, below the first level.
	"": {
		"requestedAccessTokenVersion", "oauth2PermissionScopes", "preAuthorizedApplications", "knownClientApplications", "appId", "delegatedPermissionIds",
		"id", "value", "type", "isEnabled", "adminConsentDisplayName", "adminConsentDescription", "userConsentDisplayName", "userConsentDescription",
		"displayName", "description", "allowedMemberTypes", "accessToken", "name", "essential", "additionalProperties",
		"resourceAppId", "resourceAccess", "redirectUris", "usage", "key", "startDateTime", "endDateTime",
	},
}

func bicepOf(t *testing.T, spec Spec) string {
	t.Helper()
	host, err := authority.Parse("")
	if err != nil {
		t.Fatal(err)
	}
	want, err := Desired(spec, &State{}, host.Cloud(), host)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := PrintBicep(&b, spec, want); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func bicepSpec() Spec {
	return Spec{
		Name: "notes", DisplayName: "O'Brien's ${notes} \\ \n", Cloud: "public", Servers: []string{"https://mcp.example.com/mcp"},
		Resources: []Resource{
			{Name: "storage", AppID: "e406a681-f3d4-42a8-90b6-c2b029497af1", Scopes: []string{"user_impersonation"}},
			{Name: "https://api.example.com", Scopes: []string{"Notes.Read"}},
		},
		Clients: []Client{
			{ID: "vscode", AppID: "aebc6443-996d-45c2-90f0-388ff96faa56"},
			{ID: "claude", Platform: "publicClient", Redirects: []string{"https://claude.ai/api/mcp/auth_callback"}},
			{ID: "copilotstudio", Platform: "web", Redirects: []string{"https://global.consent.azure-apim.net/redirect/x"}},
		},
		Scopes: []Scope{{Name: "Notes.Read"}, {Name: "Notes.Delete", Description: "Delete your notes", Admin: true}},
		Roles:  []Role{{Value: "Notes.Admin", Users: true, Assign: []string{"99999999-1234-1234-1234-123456789abc"}}},
		Proof:  Proof{ManagedIdentity: "88888888-1234-1234-1234-123456789abc", Secret: true},
	}
}

func TestPrintBicep(t *testing.T) {
	t.Parallel()
	got := bicepOf(t, bicepSpec())
	for _, part := range []string{
		"extension microsoftGraphV1\n",
		"// Registers notes with",
		"//  - make the service principal of storage, should the tenant lack it: az ad sp create --id e406a681-f3d4-42a8-90b6-c2b029497af1\n",
		"//  - make the secret of notes: ",
		"//  - make the secret of notes-web: ",
		"param apiAppId string = ''\n",
		"resource storageSp 'Microsoft.Graph/servicePrincipals@v1.0' existing = {\n  appId: 'e406a681-f3d4-42a8-90b6-c2b029497af1'\n}\n",
		"param resource1AppId string\n",
		"  appId: resource1AppId\n",
		`  displayName: 'O\'Brien\'s \${notes} \\ \u{a}'` + "\n",
		"  identifierUris: concat([\n    'https://mcp.example.com/mcp'\n  ], empty(apiAppId) ? [] : ['api://${apiAppId}'])\n",
		"    requestedAccessTokenVersion: 2\n",
		"    preAuthorizedApplications: empty(apiAppId) ? [] : [\n      {\n        appId: 'aebc6443-996d-45c2-90f0-388ff96faa56'\n        delegatedPermissionIds: [\n          '" +
			strings.Join([]string{derivedID("notes", "scope", "access_as_user"), derivedID("notes", "scope", "Notes.Read"), derivedID("notes", "scope", "Notes.Delete")}, "'\n          '") + "'\n        ]\n",
		"        value: 'Notes.Read'\n        type: 'User'\n        isEnabled: true\n        adminConsentDisplayName: 'Notes.Read'\n",
		"        value: 'Notes.Delete'\n        type: 'Admin'\n        isEnabled: true\n        adminConsentDisplayName: 'Delete your notes'\n",
		"id: filter(storageSp.oauth2PermissionScopes, scope => scope.value == 'user_impersonation')[0].id\n",
		"resource apiFederated1 'Microsoft.Graph/applications/federatedIdentityCredentials@v1.0' = {\n  name: '${apiApp.uniqueName}/mcp-entra-identity'\n  issuer: 'https://login.microsoftonline.com/${tenant().tenantId}/v2.0'\n  subject: identitySp.id\n",
		"resource publicApp 'Microsoft.Graph/applications@v1.0' = {\n  uniqueName: 'notes-public'\n",
		"resource webSp 'Microsoft.Graph/servicePrincipals@v1.0' = {\n  appId: webApp.appId\n}\n",
		"resource publicGrant1 'Microsoft.Graph/oauth2PermissionGrants@v1.0' = {\n  clientId: publicSp.id\n  resourceId: apiSp.id\n  consentType: 'AllPrincipals'\n  scope: 'access_as_user'\n}\n",
		"  principalId: '99999999-1234-1234-1234-123456789abc'\n  resourceId: apiSp.id\n",
		"output apiAppId string = apiApp.appId\noutput publicAppId string = publicApp.appId\noutput webAppId string = webApp.appId\n",
	} {
		if !strings.Contains(got, part) {
			t.Errorf("the file lacks\n%s", part)
		}
	}
	if t.Failed() {
		t.Logf("the file is\n%s", got)
	}
}

// proxySpec asks for a proxy with an application of its own.
func proxySpec() Spec {
	spec := bicepSpec()
	spec.AuthProxy = proxyIsOwn
	return spec
}

// The API refers to the proxy's application and that one to the API, and Bicep takes no circle.
func TestPrintBicepWithProxy(t *testing.T) {
	t.Parallel()
	got := bicepOf(t, proxySpec())
	for _, part := range []string{
		"//  - make the secret of notes-proxy: ",
		"  identifierUris: empty(apiAppId) ? [] : [\n    'api://${apiAppId}'\n  ]\n",
		"    knownClientApplications: [\n      proxyApp.appId\n    ]\n",
		"      {\n        appId: proxyApp.appId\n        delegatedPermissionIds: [\n",
		"  requiredResourceAccess: empty(apiAppId) ? [] : [\n    {\n      resourceAppId: apiAppId\n",
		"      'https://mcp.example.com/oauth/callback'\n",
		"  name: '${proxyApp.uniqueName}/mcp-entra-identity'\n",
		"output proxyAppId string = proxyApp.appId\n",
	} {
		if !strings.Contains(got, part) {
			t.Errorf("the file lacks\n%s\nit is\n%s", part, got)
		}
	}
	refers := map[string][]string{}
	symbol := regexp.MustCompile(`\b[a-z0-9]+(?:App|Sp|Grant\d+|Role\d+|Federated\d+)\b`)
	for _, block := range strings.Split(got, "\nresource ")[1:] {
		name, body, _ := strings.Cut(block, " ")
		body, _, _ = strings.Cut(body, "\n}\n")
		refers[name] = symbol.FindAllString(body, -1)
	}
	var visit func(name string, path []string)
	visit = func(name string, path []string) {
		if slices.Contains(path, name) {
			t.Fatalf("a circle: %s, %s", strings.Join(path, ", "), name)
		}
		for _, other := range refers[name] {
			visit(other, append(path, name))
		}
	}
	for name := range refers {
		visit(name, nil)
	}
}

// All properties are of the extension's types.
func TestPrintBicepTypes(t *testing.T) {
	t.Parallel()
	kind, lines := "", 0
	for line := range strings.Lines(bicepOf(t, bicepSpec()) + bicepOf(t, proxySpec())) {
		if m := regexp.MustCompile(`^resource \w+ 'Microsoft\.Graph/(.*)@v1\.0'`).FindStringSubmatch(line); m != nil {
			kind = m[1]
		}
		m := regexp.MustCompile(`^( +)(\w+): `).FindStringSubmatch(line)
		if m == nil {
			continue
		}
		lines++
		allowed := bicepTypes[kind]
		if len(m[1]) > 2 {
			allowed = bicepTypes[""]
		}
		if !slices.Contains(allowed, m[2]) {
			t.Errorf("%s has no property %s: %s", kind, m[2], line)
		}
	}
	if lines < 50 {
		t.Errorf("%d properties were seen, want all of the file", lines)
	}
}

func TestPrintBicepWithoutResource(t *testing.T) {
	t.Parallel()
	spec := bicepSpec()
	state := &State{Apps: []App{{Key: "api", Name: "notes"}}}
	state.Apps[0].DisplayName = "${web9.sp}"
	if err := PrintBicep(&strings.Builder{}, spec, state); err == nil || !strings.Contains(err.Error(), "print apiApp: nothing in the file has ${web9.sp}") {
		t.Errorf("PrintBicep with a reference to nothing = %v", err)
	}
	spec.Proof, spec.Clients, spec.Resources = Proof{}, nil, nil
	if got := bicepOf(t, spec); strings.Contains(got, "secret of") || strings.Contains(got, "existing = ") || strings.Contains(got, "preAuthorizedApplications") {
		t.Errorf("a plain API's file has parts of others:\n%s", got)
	}
}

func FuzzEscapeBicep(f *testing.F) {
	for _, s := range []string{"", "'", `\`, "${x}", "$", "a\nb\r\t\x00", "\u2028", "é$", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := escapeBicep(s)
		back := regexp.MustCompile(`\\u\{([0-9a-f]+)\}|\\(.)`).ReplaceAllStringFunc(got, func(m string) string {
			var r rune
			if _, err := fmt.Sscanf(m, `\u{%x}`, &r); err == nil {
				return string(r)
			}
			return m[1:]
		})
		if want := strings.ToValidUTF8(s, "\uFFFD"); strings.ToValidUTF8(back, "\uFFFD") != want && !strings.Contains(want, "\uFFFD") {
			t.Errorf("escapeBicep(%q) = %q, which reads as %q", s, got, back)
		}
		if regexp.MustCompile(`(^|[^\\])(\\\\)*(\$\{|'|\n)`).MatchString(got) {
			t.Errorf("escapeBicep(%q) = %q ends the literal", s, got)
		}
	})
}
