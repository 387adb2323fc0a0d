package setup

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/yamlfile"
	"github.com/mcpentra/mcp-entra-go/internal/knownclients"
)

// platforms are the platforms by their names in YAML and flags.
var platforms = map[string]knownclients.Platform{
	"": "", "public": knownclients.Public, "web": knownclients.Web, "spa": knownclients.SPA,
}

func checkPlatform(s string) error {
	if platforms[s] == "" {
		return fmt.Errorf("is %s; use public (a program without a secret), web (a server with a secret) or spa (a page in the browser)", shown(s))
	}
	return nil
}

// check checks what the members of a client say together.
func (c Client) check() error {
	switch {
	case c.AppID != "" && (c.Platform != "" || len(c.Redirects) > 0 || c.DeviceCode):
		return fmt.Errorf("%s has an app-id, so it is pre-authorized only: leave platform, redirects and device-code out", c.ID)
	case c.AppID != "":
		return nil
	case c.Platform == "":
		return fmt.Errorf("%s needs a platform: public, web or spa", c.ID)
	case c.DeviceCode && c.Platform != knownclients.Public:
		return fmt.Errorf("%s: device-code is for platform public only: Entra takes no secret from an application that may sign in so (AADSTS700025)", c.ID)
	case len(c.Redirects) == 0 && !c.DeviceCode:
		return fmt.Errorf("%s needs redirects", c.ID)
	}
	for _, r := range c.Redirects {
		if err := checkRedirect(r, c.Platform); err != nil {
			return fmt.Errorf("a redirect of %s %w", c.ID, err)
		}
	}
	if portClash(c.Redirects, c.Redirects) {
		return fmt.Errorf("%s has redirects on localhost that differ in their port alone: Entra ignores the port, so write one", c.ID)
	}
	return nil
}

// lowerIDs writes ids as Graph does, which compares some of them character for character.
func (s *Spec) lowerIDs() {
	ids := []*string{&s.Tenant, &s.Adopt, &s.Proof.ManagedIdentity, &s.Sponsor}
	for i := range s.Clients {
		ids = append(ids, &s.Clients[i].AppID)
	}
	for _, r := range s.Roles {
		for i := range r.Assign {
			ids = append(ids, &r.Assign[i])
		}
	}
	for _, id := range ids {
		*id = strings.ToLower(*id)
	}
}

// checkValues checks the single values of a spec that was neither read from YAML nor from flags.
func (s Spec) checkValues() error {
	var faults []error
	check := func(what string, check func(string) error, values ...string) {
		for _, value := range values {
			if err := check(value); err != nil {
				faults = append(faults, fmt.Errorf("%s %w", what, err))
			}
		}
	}
	given := func(values ...string) []string {
		return slices.DeleteFunc(values, func(v string) bool { return v == "" })
	}
	check("name", checkName, s.Name)
	check("displayName", checkText, given(s.DisplayName)...)
	check("authProxy", checkAuthProxy, given(s.AuthProxy)...)
	check("certificate", checkPath, given(s.Proof.Certificate)...)
	check("cloud", checkCloud, s.Cloud)
	check("an id", checkID, given(s.Tenant, s.Adopt, s.Proof.ManagedIdentity, s.Sponsor)...)
	check("agent", checkText, s.Agents...)
	check("server", checkServer, s.Servers...)
	check("landing", func(u string) error { return checkRedirect(u, knownclients.Web) }, s.Landing...)
	for _, r := range s.Resources {
		check("resource", checkResource, r.Name)
		check("permission", checkScope, r.Scopes...)
		if r.AppID != knownResources[r.Name].AppID {
			faults = append(faults, fmt.Errorf("the client ID of the resource %s is not its own", shown(r.Name)))
		}
	}
	for _, c := range s.Clients {
		check("client", checkName, c.ID)
		check("appId", checkID, given(c.AppID)...)
		if _, ok := knownclients.ByID(c.ID); !ok {
			faults = append(faults, c.check())
		}
	}
	for _, scope := range s.Scopes {
		check("scope", checkScope, scope.Name)
		check("description", checkText, given(scope.Description)...)
	}
	for _, r := range s.Roles {
		check("role", checkScope, r.Value)
		check("assign", checkID, r.Assign...)
	}
	if w := s.Proof.Workload; w != nil {
		check("issuer", checkIssuer, w.Issuer)
		check("workload identity", checkKubernetes, w.Namespace, w.ServiceAccount)
	}
	return errors.Join(faults...)
}

// check returns what is wrong with the spec as a whole.
func (s Spec) check() []error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if s.Name == "" {
		fault("name is missing: the application's key in the tenant, such as files-mcp")
	}
	if len(s.Servers) == 0 {
		fault("servers is missing: the MCP endpoint's URL, exactly as clients use it, such as https://mcp.example.com/mcp")
	}
	for what, list := range map[string][]string{
		"app-id":   slices.DeleteFunc(each(s.Clients, func(c Client) string { return c.AppID }), func(id string) bool { return id == "" }),
		"client":   each(s.Clients, func(c Client) string { return c.ID }),
		"resource": each(s.Resources, func(r Resource) string { return r.Name }),
	} {
		for i, name := range list {
			if slices.Contains(list[:i], name) {
				fault("the %s %s appears twice", what, shown(name))
			}
		}
	}
	names := slices.Concat([]string{scopeName}, each(s.Scopes, func(s Scope) string { return s.Name }), each(s.Roles, func(r Role) string { return r.Value }))
	for i, name := range names {
		if slices.ContainsFunc(names[:i], func(other string) bool { return strings.EqualFold(name, other) }) {
			fault("%s appears twice among the scopes and roles, which share one name space; %s is there without being named", shown(name), scopeName)
		}
	}
	for _, scope := range s.Scopes {
		if slices.Contains([]string{"openid", "profile", "email", "offline_access"}, strings.ToLower(scope.Name)) {
			fault("the scope %s is Entra's own, which no access token for an API has; leave it out", shown(scope.Name))
		}
	}
	for _, r := range s.Roles {
		if !r.Users && !r.Applications {
			fault("the role %s is for nobody: for: users, applications, or both", r.Value)
		}
	}
	for _, c := range s.Clients {
		if c.AppID != "" && strings.EqualFold(c.AppID, s.Adopt) {
			fault("the client %s is the API itself: one application for both is refused at sign-in (AADSTS90009); use one of its own", c.ID)
		}
	}
	if w := s.Proof.Workload; w != nil && (w.Issuer == "" || w.Namespace == "" || w.ServiceAccount == "") {
		fault("proof.workload-identity needs issuer, namespace and service-account")
	}
	return slices.Concat(faults, s.checkProxy(), s.checkAgents())
}

// SetAdopt sets the application to adopt.
func (s *Spec) SetAdopt(clientID string) error {
	if err := checkID(clientID); err != nil {
		return fmt.Errorf("-adopt %w", err)
	}
	s.Adopt = strings.ToLower(clientID)
	return errors.Join(s.check()...)
}

func each[T any](list []T, name func(T) string) []string {
	names := make([]string, len(list))
	for i, x := range list {
		names[i] = name(x)
	}
	return names
}

// Flags are what the command line says instead of a file, for the simple case.
type Flags struct {
	Name, Tenant, Cloud, Adopt, ManagedIdentity string
	AuthProxy                                   string
	Sponsor                                     string
	Servers, Resources, Clients                 []string // resources and clients as NAME or NAME=VALUE,VALUE
	Agents                                      []string
	Secret                                      bool
}

// FromFlags returns the spec that the flags ask for.
func FromFlags(f Flags) (Spec, error) {
	var faults []error
	check := func(flag, value string, check func(string) error) {
		if value == "" {
			return
		}
		if err := check(value); err != nil {
			faults = append(faults, fmt.Errorf("-%s %w", flag, err))
		}
	}
	s := Spec{Name: f.Name, Tenant: f.Tenant, Cloud: f.Cloud, Adopt: f.Adopt, Servers: f.Servers}
	s.Proof = Proof{ManagedIdentity: f.ManagedIdentity, Secret: f.Secret}
	s.AuthProxy, s.Agents, s.Sponsor = f.AuthProxy, f.Agents, f.Sponsor
	if s.Cloud == "" {
		s.Cloud = "public"
	}
	check("name", f.Name, checkName)
	check("tenant", f.Tenant, checkID)
	check("cloud", s.Cloud, checkCloud)
	check("adopt", f.Adopt, checkID)
	check("managed-identity", f.ManagedIdentity, checkID)
	check("auth-proxy", f.AuthProxy, checkAuthProxy)
	check("sponsor", f.Sponsor, checkID)
	for _, name := range f.Agents {
		check("agent", name, checkText)
	}
	for _, server := range f.Servers {
		check("server", server, checkServer)
	}
	for _, text := range f.Resources {
		name, list, _ := strings.Cut(text, "=")
		scopes := yamlfile.SplitList(list)
		for _, scope := range scopes {
			check("resource", scope, checkScope)
		}
		check("resource", name, checkResource)
		r, err := resource(name, scopes)
		if err != nil {
			faults = append(faults, errors.New("-resource graph needs the permissions: -resource graph=User.Read"))
		}
		s.Resources = append(s.Resources, r)
	}
	for _, text := range f.Clients {
		id, list, _ := strings.Cut(text, "=")
		c, err := known(id, yamlfile.SplitList(list))
		if err != nil {
			faults = append(faults, fmt.Errorf("-client %w", err))
		}
		s.Clients = append(s.Clients, c)
	}
	if len(faults) == 0 {
		s.lowerIDs()
		faults = s.check()
	}
	return s, errors.Join(faults...)
}
