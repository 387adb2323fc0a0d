package setup

import (
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/graph"
	"github.com/mcpentra/mcp-entra-go/internal/authority"
	"github.com/mcpentra/mcp-entra-go/internal/knownclients"
)

const (
	// scopeName is the scope that each client has from the start.
	scopeName = "access_as_user"
	// ownTag marks the applications that setup made: destroy removes no others.
	ownTag = "mcp-entra"
	// ownName is the display name of secrets and certificates that setup adds.
	ownName = "mcp-entra"

	tokenVersion = 2
)

// A State is what a tenant has, or what it should have: then ids that are not known yet are
// placeholders, such as ${api.appId}.
type State struct {
	Tenant    string
	Apps      []App                             // the API's first
	Former    []App                             // tenant: those of clients that the file no longer names
	Resources map[string]graph.ServicePrincipal // of resources, by key; those that the tenant has
	Known     map[string]string                 // as in a Plan
	Unread    []Blocked                         // what this sign-in may not read
	Notes     []string
	Faults    []error // tenant: what stands in the way of the spec
}

// An App is an application with all that belongs to it.
type App struct {
	Key      string // api, public, ...
	Name     string // unique name
	Platform knownclients.Platform
	Clients  []Client

	graph.Application
	Principal graph.ServicePrincipal
	Federated []graph.FederatedCredential
	Grants    []graph.PermissionGrant   // to this application, for all users
	GrantsOf  []graph.PermissionGrant   // tenant: of this API, to clients
	Roles     []graph.AppRoleAssignment // of this application's roles to others

	Inheritable []graph.InheritablePermission // of a blueprint
	Agents      []graph.AgentIdentity         // its children

	Secret  bool // desired: it has a secret
	Deleted bool // tenant: it is among the deleted
	Adopted bool // it was there before setup
}

// proven reports whether the application authenticates to Entra as the spec's proof says.
func (a App) proven() bool { return a.Key == apiKey || a.Key == proxyKey }

// app returns the state's application with this key, or an empty one.
func (s *State) app(key string) App {
	i := slices.IndexFunc(s.Apps, func(a App) bool { return a.Key == key })
	if i < 0 {
		return App{Key: key}
	}
	return s.Apps[i]
}

// Desired returns the state that the spec asks for, in a tenant that has what have says.
func Desired(spec Spec, have *State, place authority.Cloud, host authority.Host) (*State, error) {
	s := &State{Tenant: have.Tenant, Known: have.Known}
	api, err := desiredAPI(spec, have, place, host)
	if err != nil {
		return nil, err
	}
	s.Apps = append(s.Apps, api)
	for _, a := range apps(spec) {
		app := desiredClient(spec, a, api)
		if a.key == proxyKey {
			app = desiredProxy(spec, app, api, place, host)
		}
		s.Apps = append(s.Apps, app)
	}
	return s, nil
}

func desiredAPI(spec Spec, have *State, place authority.Cloud, host authority.Host) (App, error) {
	api := App{Key: apiKey, Name: spec.Name, Adopted: spec.Adopt != "", Secret: spec.Proof.Secret}
	api.DisplayName, api.SignInAudience, api.Tags = displayName(spec, apiKey), audience(spec), []string{ownTag}
	api.API.RequestedAccessTokenVersion = tokenVersion
	api.IdentifierURIs = append([]string{"api://${api.appId}"}, serverURIs(spec, have.app(apiKey))...)
	api.API.Scopes = apiScopes(spec, have.app(apiKey))
	api.AppRoles = appRoles(spec, have.app(apiKey))
	api.OptionalClaims.AccessToken = []graph.OptionalClaim{
		{Name: "xms_cc"}, {Name: "acrs"}, {Name: "idtyp", AdditionalProperties: []string{"include_user_token"}},
		{Name: "xms_sub_fct"}, {Name: "xms_act_fct"}, {Name: "xms_par_app_azp"}, // without them, an agent user can't be told from a person
	}
	api.Web.RedirectURIs = landings(spec)
	api.IsFallbackPublicClient = new(bool) // on, Entra takes no proof from it (AADSTS700025)
	for i, r := range spec.Resources {
		key := resourceKey(spec, i)
		need := graph.RequiredResourceAccess{ResourceAppID: placeholder(key, "appId")}
		for _, scope := range r.Scopes {
			need.ResourceAccess = append(need.ResourceAccess, graph.ResourceAccess{ID: placeholder(key, "scope."+scope), Type: "Scope"})
		}
		api.RequiredResourceAccess = append(api.RequiredResourceAccess, need)
		api.Grants = append(api.Grants, allUsers(apiKey, key, r.Scopes))
	}
	all := each(api.API.Scopes, func(s graph.PermissionScope) string { return s.ID }) // or a step-up would end at a consent page
	for _, c := range spec.Clients {
		if c.AppID != "" {
			api.API.PreAuthorized = append(api.API.PreAuthorized, graph.PreAuthorizedApp{AppID: c.AppID, DelegatedPermissionIDs: all})
		}
	}
	switch spec.AuthProxy {
	case proxyIsAPI: // it is a client of itself
		api.Web.RedirectURIs = union(api.Web.RedirectURIs, callbacks(spec))
		api.Grants = append(api.Grants, allUsers(apiKey, apiKey, []string{scopeName}))
	case proxyIsOwn: // its users consent to the downstream permissions together with the API
		api.API.PreAuthorized = append(api.API.PreAuthorized, graph.PreAuthorizedApp{AppID: "${proxy.appId}", DelegatedPermissionIDs: all})
		if len(spec.Agents) == 0 { // for agents, no user can
			api.API.KnownClientApplications = []string{"${proxy.appId}"}
		}
	}
	for i, r := range spec.Roles {
		for _, principal := range r.Assign {
			api.Roles = append(api.Roles, graph.AppRoleAssignment{PrincipalID: principal, ResourceID: "${api.sp}", AppRoleID: api.AppRoles[i].ID})
		}
	}
	makeBlueprint(&api, spec, have.app(apiKey))
	api.Federated = federated(spec, "API", place, host)
	var err error
	api.KeyCredentials, err = certificate(spec.Proof.Certificate)
	return api, err
}

func desiredClient(spec Spec, a clientApp, api App) App {
	app := App{Key: a.key, Name: spec.Name + "-" + a.key, Platform: a.platform, Clients: a.clients, Secret: a.platform == knownclients.Web}
	app.DisplayName, app.SignInAudience, app.Tags = displayName(spec, a.key), audience(spec), []string{ownTag}
	switch a.platform {
	case knownclients.Public:
		app.PublicClient.RedirectURIs = a.redirects()
	case knownclients.Web:
		app.Web.RedirectURIs = a.redirects()
	case knownclients.SPA:
		app.SPA.RedirectURIs = a.redirects()
	}
	fallback := a.deviceCode()
	app.IsFallbackPublicClient = &fallback
	app.RequiredResourceAccess = []graph.RequiredResourceAccess{{
		ResourceAppID: "${api.appId}", ResourceAccess: []graph.ResourceAccess{{ID: api.API.Scopes[0].ID, Type: "Scope"}},
	}}
	app.Grants = []graph.PermissionGrant{allUsers(a.key, apiKey, []string{scopeName})}
	return app
}

// desiredProxy makes a client's application the proxy's own: it authenticates as the API does and, pre-authorized for
// all scopes, needs no consent to them.
func desiredProxy(spec Spec, app, api App, place authority.Cloud, host authority.Host) App {
	app.SignInAudience, app.Secret, app.Grants = "AzureADMyOrg", api.Secret, nil
	access := &app.RequiredResourceAccess[0]
	access.ResourceAccess = nil
	for _, s := range api.API.Scopes {
		access.ResourceAccess = append(access.ResourceAccess, graph.ResourceAccess{ID: s.ID, Type: "Scope"})
	}
	app.Federated, app.KeyCredentials = federated(spec, "proxy", place, host), api.KeyCredentials
	return app
}

// allUsers is the grant of a resource's scopes to an application, on behalf of all users.
func allUsers(client, resource string, scopes []string) graph.PermissionGrant {
	return graph.PermissionGrant{
		ClientID: placeholder(client, "sp"), ResourceID: placeholder(resource, "sp"), ConsentType: "AllPrincipals", Scope: strings.Join(scopes, " "),
	}
}

func displayName(spec Spec, key string) string {
	name := cmp.Or(spec.DisplayName, spec.Name)
	switch key {
	case apiKey:
		return name
	case proxyKey:
		return name + " (sign-in)"
	}
	return name + " (" + key + " clients)"
}

func audience(spec Spec) string {
	if spec.MultiTenant {
		return "AzureADMultipleOrgs"
	}
	return "AzureADMyOrg"
}

func placeholder(key, member string) string { return "${" + key + "." + member + "}" }

// derivedID returns an id that depends on its arguments alone, so that a second run asks for the
// same: a UUID of version 8 (RFC 9562 section 5.8).
func derivedID(name, kind, value string) string {
	sum := sha256.Sum256([]byte("mcp-entra\x00" + name + "\x00" + kind + "\x00" + value))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// apiScopes returns the API's scopes, access_as_user first. One that is there already under another id
// keeps its id and its texts: clients refer to it.
func apiScopes(spec Spec, have App) []graph.PermissionScope {
	api := displayName(spec, apiKey)
	scopes := []graph.PermissionScope{{
		Value: scopeName, Type: "User",
		AdminConsentDisplayName: "Use " + api + " on behalf of the signed-in user",
		AdminConsentDescription: "Lets the client call " + api + " with what the signed-in user may do.",
		UserConsentDisplayName:  "Use " + api + " as yourself",
		UserConsentDescription:  "Lets the client call " + api + " with what you may do.",
	}}
	for _, s := range spec.Scopes {
		title, kind := cmp.Or(s.Description, s.Name), "User"
		if s.Admin {
			kind = "Admin"
		}
		scopes = append(scopes, graph.PermissionScope{
			Value: s.Name, Type: kind, AdminConsentDisplayName: title, UserConsentDisplayName: title,
			AdminConsentDescription: "Lets the client call " + api + " with the scope " + s.Name + ", on behalf of the signed-in user.",
			UserConsentDescription:  "Lets the client call " + api + " with the scope " + s.Name + ", on your behalf.",
		})
	}
	for i, s := range scopes {
		scopes[i].ID, scopes[i].IsEnabled = derivedID(spec.Name, "scope", s.Value), true
		for _, other := range have.API.Scopes {
			if other.Value != s.Value || other.ID == scopes[i].ID {
				continue
			}
			other.IsEnabled = true
			if s.Type == "Admin" {
				other.Type = s.Type // nobody's scope becomes open to users by being adopted
			}
			scopes[i] = other
			break
		}
	}
	return scopes
}

func appRoles(spec Spec, have App) []graph.AppRole {
	var roles []graph.AppRole
	for _, r := range spec.Roles {
		role := graph.AppRole{ID: derivedID(spec.Name, "role", r.Value), Value: r.Value, DisplayName: r.Value, Description: r.Description, IsEnabled: true}
		if role.Description == "" {
			role.Description = r.Value
		}
		if r.Users {
			role.AllowedMemberTypes = append(role.AllowedMemberTypes, "User")
		}
		if r.Applications {
			role.AllowedMemberTypes = append(role.AllowedMemberTypes, "Application")
		}
		for _, other := range have.AppRoles {
			if other.ID == role.ID && len(minus(other.AllowedMemberTypes, role.AllowedMemberTypes))+len(minus(role.AllowedMemberTypes, other.AllowedMemberTypes)) == 0 {
				role.AllowedMemberTypes = other.AllowedMemberTypes // in Graph's order
			}
			if other.Value == r.Value && other.ID != role.ID { // as for the scope
				role = other
				role.IsEnabled = true
			}
		}
		roles = append(roles, role)
	}
	return roles
}

// landings returns the pages where a consent ends: /consent/done beside each server's endpoint. For agents only an
// administrator consents, without a page.
func landings(spec Spec) []string {
	if spec.Landing != nil || len(spec.Agents) > 0 {
		return spec.Landing
	}
	var pages []string
	for _, server := range spec.Servers {
		u, err := url.Parse(server)
		if err != nil {
			continue // check has said so
		}
		u.Path = path.Join("/", path.Dir(u.Path), "consent/done")
		if page := u.String(); checkRedirect(page, knownclients.Web) == nil { // Entra takes http on localhost alone
			pages = union(pages, []string{page})
		}
	}
	return pages
}

// federated returns the credentials of the API, or of the proxy. Entra takes any values and fails at the first token
// only, so none of them is typed in twice: a managed identity's principal id is looked up.
func federated(spec Spec, owner string, place authority.Cloud, host authority.Host) []graph.FederatedCredential {
	var all []graph.FederatedCredential
	if spec.Proof.ManagedIdentity != "" {
		all = append(all, graph.FederatedCredential{
			Name: "mcp-entra-identity", Issuer: host.Tenant("${tenant}") + "/v2.0", Subject: "${identity.sp}",
			Audiences: []string{place.Federation}, Description: "The " + owner + "'s managed identity",
		})
	}
	if w := spec.Proof.Workload; w != nil {
		all = append(all, graph.FederatedCredential{
			Name: "mcp-entra-workload", Issuer: w.Issuer, Subject: w.Subject(),
			Audiences: []string{place.Federation}, Description: "The " + owner + "'s Kubernetes service account",
		})
	}
	return all
}

// hasPrivateKey reports whether a PEM file has what proves the API, too.
func hasPrivateKey(file string) bool {
	data, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return true
		}
	}
	return false
}

// certificate reads the first certificate of a PEM file.
func certificate(file string) ([]graph.KeyCredential, error) {
	if file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("proof.certificate: %w", err)
	}
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return nil, errors.New("proof.certificate: the file has no PEM block CERTIFICATE")
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("proof.certificate: %w", err)
		}
		return []graph.KeyCredential{{
			DisplayName: ownName, Type: "AsymmetricX509Cert", Usage: "Verify", Key: cert.Raw,
			StartDateTime: cert.NotBefore.UTC(), EndDateTime: cert.NotAfter.UTC(),
		}}, nil
	}
}
