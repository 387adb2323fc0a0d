package setup

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/graph"
)

// An observer reads what a tenant has of what a spec names.
type observer struct {
	graph *graph.Client
	spec  Spec
	state *State
}

// Observe reads the tenant's state. What stands in the way of the spec is in its Faults: names and
// App ID URIs that others hold, identities and permissions that don't exist.
func Observe(ctx context.Context, g *graph.Client, spec Spec, tenant string) (*State, error) {
	o := &observer{graph: g, spec: spec, state: &State{
		Tenant: tenant, Resources: map[string]graph.ServicePrincipal{}, Known: map[string]string{"tenant": tenant},
	}}
	if err := o.applications(ctx); err != nil {
		return nil, err
	}
	for i := range spec.Resources {
		if err := o.resource(ctx, i); err != nil {
			return nil, err
		}
	}
	if err := o.identity(ctx); err != nil {
		return nil, err
	}
	for i := range o.state.Apps {
		if err := o.belongings(ctx, &o.state.Apps[i]); err != nil {
			return nil, err
		}
	}
	if err := o.policy(ctx); err != nil {
		return nil, err
	}
	return o.state, nil
}

// Unobserved returns the state of a tenant of which nothing is known: a plan for it makes all.
func Unobserved(spec Spec) *State {
	s := &State{Tenant: spec.Tenant, Known: map[string]string{}}
	if spec.Tenant != "" {
		s.Known["tenant"] = spec.Tenant
	}
	if spec.Adopt != "" {
		s.Known["api.appId"] = spec.Adopt
	}
	for i, r := range spec.Resources {
		if r.AppID != "" {
			s.Known[resourceKey(spec, i)+".appId"] = r.AppID
		}
	}
	return s
}

func (o *observer) fault(format string, args ...any) {
	o.state.Faults = append(o.state.Faults, fmt.Errorf(format, args...))
}

// unread notes a read that this sign-in may not do, and reports whether err was one.
func (o *observer) unread(err error, what string, need who) bool {
	if !graph.IsForbidden(err) {
		return false
	}
	o.state.Unread = append(o.state.Unread, Blocked{What: what, Permission: need.permission, Role: need.role, Reason: err.Error()})
	return true
}

// names returns the keys and unique names of the spec's applications.
func names(spec Spec) (keys []string, byKey map[string]string) {
	byKey = map[string]string{apiKey: spec.Name}
	keys = []string{apiKey}
	for _, a := range apps(spec) {
		keys = append(keys, a.key)
		byKey[a.key] = spec.Name + "-" + a.key
	}
	return keys, byKey
}

// applications finds the spec's applications: by unique name, or the one to adopt.
func (o *observer) applications(ctx context.Context) error {
	keys, byKey := names(o.spec)
	var missing []string
	for _, key := range keys {
		app := App{Key: key, Name: byKey[key]}
		var err error
		if key == apiKey && o.spec.Adopt != "" {
			app.Adopted = true
			app.Application, err = o.graph.Application(ctx, graph.ApplicationByAppID(o.spec.Adopt))
			if graph.IsNotFound(err) {
				o.fault("there is no application with the client ID %s in this tenant to adopt; copy the Application (client) ID from its overview", o.spec.Adopt)
				continue
			}
		} else {
			app.Application, err = o.graph.Application(ctx, graph.ByUniqueName(app.Name))
		}
		switch {
		case graph.IsNotFound(err):
			missing = append(missing, key)
			continue
		case graph.IsForbidden(err):
			return fmt.Errorf("this sign-in can't read applications, which needs %s: %w", application, err)
		case err != nil:
			return err
		}
		if !app.Adopted && !slices.Contains(app.Tags, ownTag) {
			o.fault("the application %s (client ID %s) has the unique name %s, and setup did not make it: adopt it (-adopt %s), or choose another name",
				quoted(app.DisplayName), app.AppID, app.Name, app.AppID)
			continue
		}
		o.found(app)
	}
	if err := o.former(ctx, keys); err != nil {
		return err
	}
	if len(missing) > 0 || len(o.missingURIs()) > 0 {
		if err := o.deleted(ctx, missing, byKey); err != nil {
			return err
		}
	}
	slices.SortStableFunc(o.state.Apps, func(a, b App) int { return slices.Index(keys, a.Key) - slices.Index(keys, b.Key) })
	return o.holders(ctx)
}

var clientKey = regexp.MustCompile(`^(proxy|(public|web|spa)\d*)$`)

// former finds the applications of clients that an earlier file named. Their keys end in numbers
// without a gap, at least as far as nobody has deleted one.
func (o *observer) former(ctx context.Context, keys []string) error {
	for _, platform := range []string{"public", "web", "spa", proxyKey} {
		for n := 1; ; n++ {
			key := platform
			if n > 1 {
				key += strconv.Itoa(n)
			}
			if slices.Contains(keys, key) {
				continue
			}
			app := App{Key: key, Name: o.spec.Name + "-" + key}
			var err error
			app.Application, err = o.graph.Application(ctx, graph.ByUniqueName(app.Name))
			if graph.IsNotFound(err) || err == nil && !slices.Contains(app.Tags, ownTag) {
				break
			}
			if err != nil {
				return err
			}
			if app.Principal, err = o.graph.ServicePrincipal(ctx, app.AppID); err != nil && !graph.IsNotFound(err) && !graph.IsForbidden(err) {
				return err
			}
			o.state.Former = append(o.state.Former, app)
			o.state.Known[key+".id"] = app.ID
		}
	}
	return nil
}

// missingURIs are App ID URIs that the API must have and has not.
func (o *observer) missingURIs() []string {
	api := o.state.app(apiKey)
	return minus(serverURIs(o.spec, api), api.IdentifierURIs)
}

func (o *observer) found(app App) {
	o.state.Apps = append(o.state.Apps, app)
	maps.Copy(o.state.Known, map[string]string{app.Key + ".id": app.ID, app.Key + ".appId": app.AppID})
}

// deleted looks for the missing applications among the deleted, which hold their unique names and
// App ID URIs for 30 days.
func (o *observer) deleted(ctx context.Context, missing []string, byKey map[string]string) error {
	all, err := o.graph.DeletedApplications(ctx)
	if err != nil {
		if o.unread(err, "deleted applications, which may hold names and App ID URIs", application) {
			return nil
		}
		return err
	}
	for _, key := range missing {
		i := slices.IndexFunc(all, func(a graph.Application) bool { return a.UniqueName == byKey[key] })
		switch {
		case i < 0:
		case !slices.Contains(all[i].Tags, ownTag):
			o.fault("the deleted application %s (client ID %s) holds the unique name %s for 30 days, and setup did not make it: in the portal (App registrations, Deleted applications), delete it permanently, or choose another name",
				quoted(all[i].DisplayName), all[i].AppID, byKey[key])
		default:
			o.found(App{Key: key, Name: byKey[key], Application: all[i], Deleted: true})
		}
	}
	for _, a := range all {
		key, ours := strings.CutPrefix(a.UniqueName, o.spec.Name+"-")
		if ours && clientKey.MatchString(key) && slices.Contains(a.Tags, ownTag) && byKey[key] == "" {
			o.state.Former = append(o.state.Former, App{Key: key, Name: a.UniqueName, Application: a, Deleted: true})
			o.state.Known[key+".id"] = a.ID
		}
	}
	for _, uri := range o.missingURIs() {
		for _, a := range all {
			if slices.Contains(a.IdentifierURIs, uri) {
				o.fault("the App ID URI %s is held by the deleted application %s (client ID %s) for 30 days: in the portal (App registrations, Deleted applications), delete it permanently, or restore it and adopt it (-adopt %s)",
					uri, quoted(a.DisplayName), a.AppID, a.AppID)
			}
		}
	}
	return nil
}

// holders reports other applications that have the API's display name or App ID URIs.
func (o *observer) holders(ctx context.Context) error {
	api := o.state.app(apiKey)
	if api.ID == "" && len(o.state.Faults) == 0 {
		others, err := o.graph.ApplicationsNamed(ctx, displayName(o.spec, apiKey))
		if err != nil {
			return err
		}
		others = slices.DeleteFunc(others, func(a graph.Application) bool { return a.UniqueName == o.spec.Name }) // the search knows it already
		if len(others) > 0 {
			ids := make([]string, len(others))
			for i, a := range others {
				ids[i] = a.AppID
			}
			o.fault("%d application(s) in this tenant are called %s already (client ID %s): adopt one with -adopt CLIENT_ID, or choose another name or display-name",
				len(others), quoted(displayName(o.spec, apiKey)), strings.Join(ids, ", "))
		}
	}
	for _, uri := range o.missingURIs() {
		others, err := o.graph.ApplicationsWithURI(ctx, uri)
		if err != nil {
			return err
		}
		for _, a := range others {
			if a.AppID != api.AppID && a.UniqueName != o.spec.Name {
				o.fault("the App ID URI %s belongs to the application %s (client ID %s): remove it there, or adopt that application (-adopt %s)",
					uri, quoted(a.DisplayName), a.AppID, a.AppID)
			}
		}
	}
	return nil
}

// resource finds a resource's service principal and the ids of its scopes.
func (o *observer) resource(ctx context.Context, i int) error {
	r, key := o.spec.Resources[i], resourceKey(o.spec, i)
	var p graph.ServicePrincipal
	var err error
	if r.AppID != "" {
		o.state.Known[key+".appId"] = r.AppID
		p, err = o.graph.ServicePrincipal(ctx, r.AppID)
		if graph.IsNotFound(err) {
			return nil // it was never used in this tenant: the plan makes it
		}
	} else {
		p, err = o.named(ctx, r.Name)
	}
	if err != nil {
		if o.unread(err, "the service principal of "+r.Name, application) {
			return nil
		}
		return err
	}
	if p.ID == "" {
		return nil // named has said why
	}
	for j := range i {
		if other := resourceKey(o.spec, j); o.state.Known[other+".appId"] == p.AppID {
			o.fault("the resources %s and %s are one application: write it once, with the permissions of both", o.spec.Resources[j].Name, r.Name)
		}
	}
	o.state.Resources[key] = p
	maps.Copy(o.state.Known, map[string]string{key + ".appId": p.AppID, key + ".sp": p.ID})
	for _, value := range r.Scopes {
		j := slices.IndexFunc(p.OAuth2PermissionScopes, func(s graph.PermissionScope) bool { return s.Value == value })
		if j < 0 {
			has := make([]string, len(p.OAuth2PermissionScopes))
			for i, s := range p.OAuth2PermissionScopes {
				has[i] = s.Value
			}
			o.fault("%s has no delegated permission %s in this tenant%s", r.Name, value, nearestOf(value, has))
			continue
		}
		o.state.Known[key+".scope."+value] = p.OAuth2PermissionScopes[j].ID
	}
	return nil
}

// named finds the service principal with this App ID URI.
func (o *observer) named(ctx context.Context, uri string) (graph.ServicePrincipal, error) {
	all, err := o.graph.ServicePrincipalsNamed(ctx, uri)
	if err != nil {
		return graph.ServicePrincipal{}, err
	}
	if len(all) != 1 {
		o.fault("%d service principals in this tenant have the App ID URI %s, want 1: write it as in the API's registration (Expose an API), or use it once so that the tenant knows it", len(all), uri)
		return graph.ServicePrincipal{}, nil
	}
	return all[0], nil
}

// identity looks the managed identity's principal id up, which the federated credential's subject is.
func (o *observer) identity(ctx context.Context) error {
	id := o.spec.Proof.ManagedIdentity
	if id == "" {
		return nil
	}
	p, err := o.graph.ServicePrincipal(ctx, id)
	switch {
	case graph.IsNotFound(err):
		o.fault("this tenant has no managed identity with the client ID %s: copy the Client ID (not the Object ID) from the overview of the user-assigned managed identity, which must be in this tenant", id)
	case o.unread(err, "the managed identity's principal id", application):
	case err != nil:
		return err
	case p.ServicePrincipalType != "" && p.ServicePrincipalType != "ManagedIdentity":
		o.fault("the client ID %s is that of %s, which is not a managed identity but of the type %s", id, quoted(p.DisplayName), p.ServicePrincipalType)
	default:
		o.state.Known["identity.sp"] = p.ID
	}
	return nil
}

// belongings reads what belongs to an application besides its registration.
func (o *observer) belongings(ctx context.Context, app *App) error {
	if app.Deleted {
		return nil
	}
	err := o.blueprint(ctx, app)
	if err != nil {
		return err
	}
	if app.proven() {
		if app.Federated, err = o.graph.FederatedCredentials(ctx, app.ID); err != nil && !o.unread(err, "federated credentials of "+app.Name, application) {
			return err
		}
	}
	app.Principal, err = o.graph.ServicePrincipal(ctx, app.AppID)
	if graph.IsNotFound(err) || o.unread(err, "the service principal of "+app.Name, application) {
		return nil
	}
	if err != nil {
		return err
	}
	o.state.Known[app.Key+".sp"] = app.Principal.ID
	if enabled := app.Principal.AccountEnabled; enabled != nil && !*enabled {
		o.state.Notes = append(o.state.Notes, "somebody has disabled sign-in for "+app.Name+" (Enterprise applications, Properties): nobody gets tokens for it")
	}
	if app.Grants, err = o.graph.PermissionGrants(ctx, "clientId", app.Principal.ID); err != nil && !o.unread(err, "permission grants to "+app.Name, grants) {
		return err
	}
	if app.Key != apiKey {
		return nil
	}
	if app.GrantsOf, err = o.graph.PermissionGrants(ctx, "resourceId", app.Principal.ID); err != nil && !graph.IsForbidden(err) {
		return err
	}
	if app.Roles, err = o.graph.AppRoleAssignments(ctx, app.Principal.ID); err != nil && !o.unread(err, "role assignments of "+app.Name, assignments) {
		return err
	}
	return nil
}
