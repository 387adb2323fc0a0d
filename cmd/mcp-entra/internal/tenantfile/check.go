package tenantfile

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/yamlfile"
)

var (
	guid          = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)
	namePattern   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}$`)
	upnPattern    = regexp.MustCompile(`^[^@\s/]{1,64}@[A-Za-z0-9.-]{1,255}$`)
	domainPattern = regexp.MustCompile(`^([a-z0-9-]+\.)+[a-z0-9-]+$`)
	permission    = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,120}$`) // a scope or an app role
	authContext   = regexp.MustCompile(`^c([1-9]|[1-9][0-9])$`)
)

// What the tenant's Microsoft Graph offers: delegated permissions and, as app roles, application
// permissions.
var (
	graphScopes = append([]string{
		"openid", "profile", "email", "offline_access", "User.Read", "User.Read.All", "User.ReadWrite.All", "Group.ReadWrite.All",
		"Application.Read.All", "Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All", "DelegatedPermissionGrant.ReadWrite.All",
		"Directory.AccessAsUser.All", "Directory.Read.All", "Policy.Read.All", "AuditLog.Read.All",
		"Group.Read.All", "Mail.Read", "Calendars.Read", "Files.Read",
	}, graphForAgents...)
	graphRoles = append([]string{
		"User.Read.All", "Application.Read.All", "Application.ReadWrite.All", "Application.ReadWrite.OwnedBy",
		"AppRoleAssignment.ReadWrite.All", "DelegatedPermissionGrant.ReadWrite.All", "Directory.Read.All", "Policy.Read.All",
	}, graphForAgents...)
	graphForAgents = []string{ // both
		"AgentIdentity.Read.All", "AgentIdentity.Create.All", "AgentIdentity.DeleteRestore.All", "AgentIdentityBlueprint.Create",
		"AgentIdentityBlueprint.Read.All", "AgentIdentityBlueprint.ReadWrite.All", "AgentIdentityBlueprint.DeleteRestore.All",
		"AgentIdentityBlueprintPrincipal.Create",
	}
)

const emptyGUID = "00000000-0000-0000-0000-000000000000"

// What Microsoft's own APIs have in every tenant.
var (
	microsoftIDs = map[string]bool{
		"00000003-0000-0000-c000-000000000000": true, "e406a681-f3d4-42a8-90b6-c2b029497af1": true, "fb60f99c-7a34-4190-8149-302f77469936": true,
	}
	microsoftURIs = map[string]bool{"https://graph.microsoft.com": true, "https://storage.azure.com": true, "api://AzureADTokenExchange": true}
)

// A checker checks one tenant.
type checker struct {
	spec      *TenantSpec
	resources map[string][]string // scopes by app, Microsoft's among them
	roles     map[string][]string // app roles by app
	uris      map[string]bool     // App ID URIs
	taken     map[string]bool     // ids of the whole file
}

// check reports what is wrong with the file.
func (s *Spec) check(c *yamlfile.Cursor) {
	if len(s.Tenants) == 0 {
		c.Key("tenants").Faultf("there is no tenant; mcp-entra tenant -init prints a file to start from")
	}
	if !s.Clock.Start.IsZero() && s.Clock.Offset != 0 {
		c.Key("clock").Faultf("start and offset exclude each other; keep one")
	}
	if start := s.Clock.Start; !start.IsZero() && !canBe(start) {
		c.Key("clock").Key("start").Faultf("%v", errTime)
	}
	names, taken := map[string]bool{}, maps.Clone(microsoftIDs)
	for i := range s.Tenants {
		at := c.Key("tenants").Item(i)
		unique(at, s.Tenants[i].Name, names)
		k := &checker{
			spec: &s.Tenants[i], taken: taken, uris: maps.Clone(microsoftURIs), roles: map[string][]string{"graph": graphRoles},
			resources: map[string][]string{"storage": {"user_impersonation"}, "graph": graphScopes},
		}
		k.check(at)
	}
}

// unique checks an entry's name.
func unique(c *yamlfile.Cursor, name string, names map[string]bool) {
	at := c.Key("name")
	switch {
	case !namePattern.MatchString(name):
		at.Faultf("expected a name of at most 63 letters, digits, spaces, dots, dashes and underscores")
	case names[name]:
		at.Faultf("another entry has this name; names refer to entries, so choose another")
	}
	names[name] = true
}

func (k *checker) check(c *yamlfile.Cursor) {
	t := k.spec
	k.id(c.Key("id"), t.ID)
	if t.TokenLifetime < 0 {
		c.Key("tokenLifetime").Faultf("expected a positive duration such as 75m")
	}
	for i, domain := range t.Directory.Domains {
		if !domainPattern.MatchString(domain) {
			c.Key("directory").Key("domains").Item(i).Faultf("expected a domain such as contoso.example")
		}
	}
	if _, ok := consentPolicies[t.ConsentPolicy]; !ok {
		c.Key("consentPolicy").Faultf("expected one of: admins, admins-on-request, users")
	}
	names := map[string]bool{}
	for i, a := range t.Apps {
		unique(c.Key("apps").Item(i), a.Name, names)
		if a.Name == "storage" || a.Name == "graph" {
			c.Key("apps").Item(i).Key("name").Faultf("storage and graph are Microsoft's own; choose another name")
		}
		k.resources[a.Name], k.roles[a.Name] = a.Scopes, a.Roles
	}
	names = map[string]bool{}
	for i, g := range t.Groups {
		unique(c.Key("groups").Item(i), g.Name, names)
		k.id(c.Key("groups").Item(i).Key("objectId"), g.ObjectID)
	}
	names = map[string]bool{}
	for i, m := range t.ManagedIdentities {
		at := c.Key("managedIdentities").Item(i)
		unique(at, m.Name, names)
		k.id(at.Key("clientId"), m.ClientID)
		k.id(at.Key("objectId"), m.ObjectID)
		k.assigned(at, m.AssignedRoles)
	}
	names = map[string]bool{}
	for i, cluster := range t.Clusters {
		unique(c.Key("clusters").Item(i), cluster.Name, names)
	}
	for i := range t.Apps {
		k.app(c.Key("apps").Item(i), &t.Apps[i])
	}
	k.users(c.Key("users"))
	k.policies(c)
}

// id checks a GUID, and that no other entry has it.
func (k *checker) id(c *yamlfile.Cursor, id string) {
	id = strings.ToLower(id)
	switch {
	case !guid.MatchString(id) || id == emptyGUID:
		c.Faultf("expected a GUID such as 11111111-2222-3333-4444-555555555555; leave it out to derive one from the name")
	case k.taken[id]:
		c.Faultf("another entry, or an API of Microsoft, has this id")
	}
	k.taken[id] = true
}

func (k *checker) users(c *yamlfile.Cursor) {
	names := map[string]bool{}
	for i, u := range k.spec.Users {
		at, upn := c.Item(i), strings.ToLower(u.UPN)
		switch {
		case !upnPattern.MatchString(upn):
			at.Key("upn").Faultf("expected a user principal name such as alice@contoso.example")
		case names[upn]:
			at.Key("upn").Faultf("another user has this name")
		}
		names[upn] = true
		k.id(at.Key("objectId"), u.ObjectID)
		if u.Agent != "" {
			refer(at.Key("agent"), "app of kind agent", u.Agent, k.spec.named(kindAgent))
		}
		for j, role := range u.Roles {
			refer(at.Key("directoryRoles").Item(j), "directory role", role, directoryRoles)
		}
		for j, group := range u.Groups {
			refer(at.Key("groups").Item(j), "group", group, namesOf(k.spec.Groups, func(g GroupSpec) string { return g.Name }))
		}
		k.assigned(at, u.AssignedRoles)
	}
}

// assigned checks the app roles of a principal.
func (k *checker) assigned(c *yamlfile.Cursor, roles map[string][]string) {
	for app, names := range roles {
		at := c.Key("assignedRoles").Key(app)
		if refer(at, "app", app, slices.Sorted(maps.Keys(k.roles))) {
			subset(at, "role", names, k.roles[app])
		}
	}
}

func (k *checker) policies(c *yamlfile.Cursor) {
	for i, consent := range k.spec.Consents {
		at := c.Key("consents").Item(i)
		k.referApp(at.Key("client"), consent.Client)
		if k.referResource(at.Key("resource"), consent.Resource) {
			subset(at.Key("scopes"), "scope", consent.Scopes, k.resources[consent.Resource])
		}
		if consent.User != "" {
			k.referUser(at.Key("user"), consent.User)
		}
	}
	for i, policy := range k.spec.ConditionalAccess {
		at := c.Key("conditionalAccess").Item(i)
		k.referResource(at.Key("resource"), policy.Resource)
		if policy.Require != "mfa" && policy.Require != "block" && !authContext.MatchString(policy.Require) {
			at.Key("require").Faultf("expected mfa, block, or an authentication context from c1 to c99")
		}
	}
	for i := range k.spec.Faults {
		f, at := &k.spec.Faults[i], c.Key("faults").Item(i)
		if f.Client != "" {
			k.referApp(at.Key("client"), f.Client)
		}
		if f.User != "" {
			k.referUser(at.Key("user"), f.User)
		}
		for _, problem := range f.Check() {
			at.Key(problem.Key).Faultf("%s", problem.Text)
		}
	}
}

// refer checks a reference by name.
func refer(c *yamlfile.Cursor, kind, name string, names []string) bool {
	if slices.Contains(names, name) {
		return true
	}
	switch near, ok := yamlfile.Nearest(name, names); {
	case name == "":
		c.Faultf("expected a name (%s)", kind)
	case ok:
		c.Faultf("no %s has this name; the nearest is %s", kind, near)
	case len(names) == 0:
		c.Faultf("no %s has this name; the file has none", kind)
	default:
		c.Faultf("no %s has this name; there are: %s", kind, strings.Join(names, ", "))
	}
	return false
}

func (k *checker) referApp(c *yamlfile.Cursor, name string) {
	refer(c, "app", name, slices.Sorted(maps.Keys(k.roles)))
}

func (k *checker) referResource(c *yamlfile.Cursor, name string) bool {
	return refer(c, "app", name, slices.Sorted(maps.Keys(k.resources)))
}

func (k *checker) referUser(c *yamlfile.Cursor, name string) {
	refer(c, "user", name, namesOf(k.spec.Users, func(u UserSpec) string { return u.UPN }))
}

// subset checks that an app offers scopes or roles.
func subset(c *yamlfile.Cursor, kind string, names, offered []string) {
	for i, name := range names {
		if !slices.Contains(offered, name) {
			refer(c.Item(i), kind+" of that app", name, offered)
		}
	}
}

func namesOf[T any](list []T, name func(T) string) []string {
	names := make([]string, len(list))
	for i, entry := range list {
		names[i] = name(entry)
	}
	return names
}
