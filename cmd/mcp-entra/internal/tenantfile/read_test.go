package tenantfile_test

import (
	"bytes"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/tenantfile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// oneApp returns a file with a tenant that has this app, and more.
func oneApp(app string, more ...string) string {
	return "tenants:\n- name: t\n  apps:\n  - name: a\n    " + strings.ReplaceAll(app, "\n", "\n    ") + "\n" + strings.Join(more, "\n")
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	const id, secret = "11111111-2222-3333-4444-555555555555", "Qw8Q~secret-that-was-pasted"
	for name, c := range map[string]struct{ text, want string }{
		"empty":             {"", "line 1: tenants: there is no tenant; mcp-entra tenant -init"},
		"unknown key":       {"tenants:\n- name: t\n  app: []", "line 3: tenants[0]: the key app is not known; the nearest is apps"},
		"unknown platform":  {oneApp("redirects: {sap: []}"), "line 5: tenants[0].apps[0].redirects: the key sap is not known; the nearest is spa"},
		"two clocks":        {"tenants: [{name: t}]\nclock: {start: 2026-01-01T00:00:00Z, offset: 1h}", "line 2: clock: start and offset exclude each other"},
		"no name":           {"tenants: [{id: " + id + "}]", "line 1: tenants[0].name: expected a name"},
		"same name":         {"tenants: [{name: t}, {name: t}]", "tenants[1].name: another entry has this name"},
		"same app":          {oneApp("scopes: []\n", "  - name: a"), "apps[1].name: another entry has this name"},
		"Microsoft's app":   {"tenants: [{name: t, apps: [{name: graph}]}]", "storage and graph are Microsoft's own"},
		"no GUID":           {"tenants: [{name: t, id: " + secret + "}]", "tenants[0].id: expected a GUID"},
		"empty GUID":        {"tenants: [{name: t, id: 00000000-0000-0000-0000-000000000000}]", "tenants[0].id: expected a GUID"},
		"same id":           {oneApp("clientId: "+id, "  - name: b", "    clientId: "+strings.ToUpper(id)), "apps[1].clientId: another entry, or an API of Microsoft, has this id"},
		"Microsoft's id":    {oneApp("clientId: 00000003-0000-0000-C000-000000000000"), "or an API of Microsoft, has this id"},
		"Microsoft's URI":   {oneApp("appIdUris: [https://graph.microsoft.com]"), "or an API of Microsoft, has this App ID URI"},
		"no time of tokens": {"tenants: [{name: t}]\nclock: {start: 9999-01-01T00:00:00Z}", "line 2: clock.start: the clock's time must be from 1970 to 2199"},
		"user with app's":   {oneApp("clientId: "+id, "  users: [{upn: u@c.example, objectId: "+id+"}]"), "users[0].objectId: another entry, or an API of Microsoft, has this id"},
		"consent policy":    {"tenants: [{name: t, consentPolicy: nobody}]", "consentPolicy: expected one of: admins, admins-on-request, users"},
		"lifetime":          {"tenants: [{name: t, tokenLifetime: -1m}]", "tokenLifetime: expected a positive duration"},
		"token version":     {oneApp("tokenVersion: 3"), "tokenVersion: expected 1 or 2"},
		"bare App ID URI":   {oneApp("appIdUris: [" + secret + "]"), "appIdUris[0]: expected a URI such as api://"},
		"slash at the end":  {oneApp("appIdUris: [https://mcp.example.com/]"), "Entra refuses an App ID URI that ends with a slash"},
		"taken App ID URI":  {oneApp("appIdUris: [https://m.example]", "  - name: b", "    appIdUris: [https://m.example]"), "another app of the tenant, or an API"},
		"long App ID URI":   {oneApp("appIdUris: [https://m.example/" + strings.Repeat("a", 255) + "]"), "at most 255 characters"},
		"scope with URI":    {oneApp("scopes: [api://x/read]"), "scopes[0]: expected a short name"},
		"scope and role":    {oneApp("scopes: [read]\nroles: [read]"), "a scope and a role of this name"},
		"scope twice":       {oneApp("scopes: [read, read]"), "it appears twice"},
		"admin scope":       {oneApp("scopes: [read, write]\nadminScopes: [wirte]"), "adminScopes[0]: no scope of this app has this name; the nearest is write"},
		"optional claim":    {oneApp("optionalClaims: [idtype]"), "optionalClaims[0]: no optional claim has this name; the nearest is idtyp"},
		"known client":      {oneApp("knownClients: [zzz]"), "knownClients[0]: no app has this name; there are: a"},
		"permission":        {oneApp("permissions: [{resource: storage, scopes: [read]}]"), "permissions[0].scopes[0]: no scope of that app has this name"},
		"relative redirect": {oneApp("redirects: {web: [callback]}"), "redirects.web[0]: expected an absolute URI"},
		"http redirect":     {oneApp("redirects: {web: [http://app.example.com/cb]}"), "http is for localhost and 127.0.0.1 only"},
		"wildcard":          {oneApp("redirects: {spa: [https://*.example.com]}"), "wildcards are not supported"},
		"fragment":          {oneApp("redirects: {web: [https://app.example.com/#x]}"), "a redirect URI has no fragment"},
		"IPv6 redirect":     {oneApp("redirects: {desktop: ['http://[::1]/cb']}"), "Entra does not support [::1]"},
		"scheme for spa":    {oneApp("redirects: {spa: [myapp://cb]}"), "only desktop apps have schemes of their own"},
		"long redirect":     {oneApp("redirects: {web: [https://a.example/" + strings.Repeat("a", 256) + "]}"), "at most 256 characters"},
		"public with web":   {oneApp("public: true\nredirects: {web: [https://a.example]}"), "redirects.web: a public client has no web redirects"},
		"public and secret": {oneApp("public: true\nsecrets: [{value: " + secret + "}]"), "a public client proves nothing (AADSTS700025)"},
		"empty secret":      {oneApp("secrets: [{expires: 2030-01-01T00:00:00Z}]"), "secrets[0]: expected value or file: one of them"},
		"secret as text":    {oneApp("secrets: [" + secret + "]"), "secrets[0]: expected keys and values, one of: value, file, expires"},
		"short secret":      {oneApp("secrets: [{value: abc}]"), "secrets[0].value: expected at least 8 characters"},
		"certificate":       {oneApp("certificates: ['']"), "certificates[0]: expected the path of a PEM file"},
		"two issuers":       {oneApp("federatedCredentials: [{managedIdentity: m, cluster: c}]"), "expected managedIdentity, cluster or issuer: one of them"},
		"identity":          {oneApp("federatedCredentials: [{managedIdentity: m}]"), "managedIdentity: no managed identity has this name; the file has none"},
		"identity's sub":    {oneApp("federatedCredentials: [{managedIdentity: m, subject: s}]", "  managedIdentities: [{name: m}]"), "the subject is the identity's object ID"},
		"no subject":        {oneApp("federatedCredentials: [{cluster: c}]", "  clusters: [{name: c}]"), "subject: expected a subject such as system:serviceaccount:"},
		"issuer alone":      {oneApp("federatedCredentials: [{issuer: 'https://i.example', subject: s}]"), "issuer, publicKey (a PEM file) and keyId"},
		"http issuer":       {oneApp("federatedCredentials: [{issuer: 'http://i.example', subject: s, publicKey: k, keyId: k}]"), "issuer: expected an https URL"},
		"upn":               {"tenants: [{name: t, users: [{upn: alice}]}]", "upn: expected a user principal name such as alice@contoso.example"},
		"same user":         {"tenants: [{name: t, users: [{upn: a@c.example}, {upn: A@c.example}]}]", "users[1].upn: another user has this name"},
		"group":             {"tenants: [{name: t, groups: [{name: staff}], users: [{upn: a@c.example, groups: [staf]}]}]", "groups[0]: no group has this name; the nearest is staff"},
		"role's app":        {oneApp("roles: [r]", "  users: [{upn: a@c.example, assignedRoles: {b: [r]}}]"), "assignedRoles.b: no app has this name"},
		"role of Graph":     {oneApp("assignedRoles: {graph: [Application.ReadWrite]}"), "no role of that app has this name; the nearest is Application.ReadWrite.All"},
		"role":              {oneApp("roles: [Reader]", "  users: [{upn: a@c.example, assignedRoles: {a: [Raeder]}}]"), "no role of that app has this name; the nearest is Reader"},
		"consent's scope":   {oneApp("scopes: [read]", "  consents: [{client: a, resource: a, scopes: [raed]}]"), "consents[0].scopes[0]: no scope of that app has this name; the nearest is read"},
		"consent's client":  {oneApp("scopes: [read]", "  consents: [{resource: a}]"), "consents[0].client: expected a name (app)"},
		"consent's user":    {oneApp("scopes: [read]", "  consents: [{client: a, resource: a, user: bob}]"), "consents[0].user: no user has this name; the file has none"},
		"policy":            {oneApp("scopes: [read]", "  conditionalAccess: [{resource: a, require: c100}]"), "require: expected mfa, block, or an authentication context"},
		"fault's endpoint":  {"tenants: [{name: t, faults: [{endpoint: tokens, aadsts: 1}]}]", "faults[0].endpoint: expected one of: authorize, device"},
		"fault of nothing":  {"tenants: [{name: t, faults: [{endpoint: token, times: 1}]}]", "nothing goes wrong here"},
		"fault's status":    {"tenants: [{name: t, faults: [{endpoint: token, status: 99}]}]", "faults[0].status: expected a status from 200 to 599"},
		"fault's method":    {"tenants: [{name: t, faults: [{endpoint: graph, graphCode: x, method: FETCH}]}]", "faults[0].method: expected GET, POST"},
		"domain":            {"tenants: [{name: t, directory: {domains: [https://contoso.example]}}]", "directory.domains[0]: expected a domain"},
		"directory role":    {"tenants: [{name: t, users: [{upn: a@c.example, directoryRoles: [Application Develper]}]}]", "the nearest is Application Developer"},
		"kind":              {oneApp("kind: blueprnt"), "kind: no kind has this name; the nearest is blueprint"},
		"agent's parent":    {oneApp("kind: agent\nblueprint: b", "  - name: b"), "blueprint: no app of kind blueprint has this name; the file has none"},
		"parent of an app":  {oneApp("blueprint: a"), "only an app of kind agent has a blueprint"},
		"agent's secret":    {oneApp("kind: agent\nblueprint: b\nsecrets: [{value: "+secret+"}]", "  - {name: b, kind: blueprint}"), "secrets: an agent identity has no registration of its own"},
		"agent's scopes":    {oneApp("kind: agent-client\nscopes: [read]"), "scopes: an agent identity has no registration of its own"},
		"agent's redirects": {oneApp("kind: agent\nblueprint: b\nredirects: {desktop: [http://localhost]}", "  - {name: b, kind: blueprint}"), "redirects: an agent identity has no"},
		"agent's object ID": {oneApp("kind: agent\nblueprint: b\nobjectId: "+id, "  - {name: b, kind: blueprint}"), "objectId: an agent identity's objectId is its clientId"},
		"public agent":      {oneApp("kind: agent\nblueprint: b\npublic: true", "  - {name: b, kind: blueprint}"), "public: an agent proves itself by its blueprint"},
		"public blueprint":  {oneApp("kind: blueprint\npublic: true"), "public: a blueprint is no public client"},
		"inheritable of it": {oneApp("inheritable: [{resource: storage}]"), "inheritable[0]: only an app of kind blueprint"},
		"inheritable scope": {oneApp("kind: blueprint\ninheritable: [{resource: storage, scopes: [read]}]"), "inheritable[0].scopes[0]: no scope of that app"},
		"agent of a user":   {oneApp("kind: blueprint", "  users: [{upn: a@c.example, agent: a}]"), "users[0].agent: no app of kind agent has this name; the file has none"},
		"negative fault":    {"tenants: [{name: t, faults: [{endpoint: token, drop: true, times: -1}]}]", "faults[0].times: expected no negative value"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tenantfile.Read([]byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), secret) {
				t.Errorf("Read = %v, want an error with %q\n%s", err, c.want, c.text)
			}
		})
	}
}

// App ID URIs are a tenant's own, and the claims that a tenant issues can be asked for.
func TestGoodFiles(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"the same App ID URI in two tenants": "tenants: [{name: t, apps: [{name: a, appIdUris: [https://m.example]}]}, {name: u, apps: [{name: a, appIdUris: [https://m.example]}]}]",
		"optional claims":                    oneApp("optionalClaims: [acrs, email, idtyp, upn, xms_act_fct, xms_cc, xms_par_app_azp, xms_sub_fct]"),
		"an agent before its blueprint":      oneApp("kind: agent\nblueprint: b", "  - {name: b, kind: blueprint}", "  users: [{upn: a@c.example, agent: a}]"),
		"a byte order mark":                  "\uFEFFtenants: [{name: t}]\r\n",
	} {
		if _, err := tenantfile.Read([]byte(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := tenantfile.Read([]byte("tenants:\n- name: t\n  id: x\n  apps:\n  - name: a\n    redirects:\n      web: [ftp://x]\n      spa: [x]\n"))
	if err == nil || strings.Count(err.Error(), "line ") != 3 {
		t.Errorf("Read = %v, want three faults", err)
	}
}

func TestStarterIsValid(t *testing.T) {
	t.Parallel()
	if _, err := tenantfile.Read(tenantfile.Starter); err != nil {
		t.Error(err)
	}
	// What is commented out is valid too, but for the files that it names.
	var lines [][]byte
	for line := range bytes.Lines(tenantfile.Starter) {
		text := bytes.TrimLeft(line, " ")
		if rest, ok := bytes.CutPrefix(text, []byte("# ")); ok && (rest[0] < 'A' || rest[0] > 'Z') { // prose begins with a capital
			line = append(bytes.Repeat([]byte(" "), len(line)-len(text)), rest...)
		}
		lines = append(lines, line)
	}
	if _, err := tenantfile.Read(bytes.Join(lines, nil)); err != nil {
		t.Errorf("with its comments: %v\n%s", err, bytes.Join(lines, nil))
	}
}

// The ids of the same file are the same in each run.
func TestDerivedIDs(t *testing.T) {
	t.Parallel()
	first, err := tenantfile.Read([]byte(oneApp("scopes: [read]")))
	if err != nil {
		t.Fatal(err)
	}
	second, err := tenantfile.Read([]byte(oneApp("scopes: [read, write]")))
	if err != nil {
		t.Fatal(err)
	}
	a, b := first.Tenants[0].Apps[0], second.Tenants[0].Apps[0]
	if a.ClientID != b.ClientID || a.ClientID == a.ObjectID || a.AppIDURIs[0] != "api://"+a.ClientID {
		t.Errorf("the ids are %q and %q, want the same; App ID URI %q", a.ClientID, b.ClientID, a.AppIDURIs)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(tenantfile.Starter)
	f.Add([]byte(oneApp("redirects: {web: [https://a.example]}\nsecrets: [{value: 12345678}]", "  users: [{upn: a@c.example}]", "  faults: [{endpoint: token, drop: true}]")))
	f.Add([]byte("tenants: [{name: t, consents: [{client: a, resource: storage}]}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		spec, err := tenantfile.Read(data)
		if err == nil && len(spec.Tenants) == 0 {
			t.Error("a file without tenants is valid")
		}
	})
}
