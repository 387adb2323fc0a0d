package setup

import (
	"net/url"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/graph"
)

// NewDestroyPlan returns the steps that take back what setup made. An application that setup made
// is deleted, with all that hangs on it, unless others have added to it: then, and if it was
// adopted, it stays and loses what the spec names. Resources' service principals stay.
func NewDestroyPlan(spec Spec, want, have *State, graphBase string, purge bool) (*Plan, error) {
	spec.Exclusive = false
	additions, err := NewPlan(spec, want, undeleted(have), graphBase, Options{}) // for what it keeps
	if err != nil {
		return nil, err
	}
	p := &planner{spec: spec, want: want, have: have, plan: &Plan{
		Spec: spec, Tenant: have.Tenant, Graph: graphBase, Known: additions.Known, Steps: []Step{}, Unread: have.Unread, Notes: slices.Clone(have.Notes),
		Kept: slices.DeleteFunc(additions.Kept, func(k Kept) bool {
			return slices.ContainsFunc(have.Former, func(a App) bool { return k.App == displayName(spec, a.Key) })
		}),
	}}
	for _, fault := range have.Faults {
		p.plan.Notes = append(p.plan.Notes, fault.Error())
	}
	for _, w := range slices.Backward(want.Apps) {
		h := have.app(w.Key)
		switch {
		case h.ID == "":
		case h.Deleted:
			if purge {
				p.purge(h)
			}
		case w.Adopted || p.othersHave(w, h):
			p.strip(w, h)
		default:
			p.removeAgents(w, h, purge)
			p.remove(w)
			if purge {
				p.purge(h)
			}
		}
	}
	for _, h := range have.Former { // after those that show on the next run that there may be deleted ones
		if !h.Deleted {
			p.remove(h)
		}
		if purge {
			p.purge(h)
		}
	}
	return p.plan, nil
}

// undeleted returns the state without the applications among the deleted.
func undeleted(have *State) *State {
	s := *have
	s.Apps = slices.DeleteFunc(slices.Clone(have.Apps), func(a App) bool { return a.Deleted })
	return &s
}

// remove plans to delete an application.
func (p *planner) remove(a App) {
	p.step(Step{ID: a.Key + "/delete", Title: "Delete the application " + a.Name, Method: "DELETE", Path: a.path()}, a.remover(), nil)
}

func (p *planner) purge(h App) {
	p.step(Step{ID: h.Key + "/purge", Title: "Delete " + h.Name + " for good", Method: "DELETE", Needs: []string{h.Key + "/delete"},
		Path: "/directory/deletedItems/" + placeholder(h.Key, "id")}, h.remover(), nil)
}

// othersHave reports whether others have added something to an application, and names what the plan
// does not name yet: clients and role holders of theirs.
func (p *planner) othersHave(w, h App) bool {
	before := len(p.plan.Kept)
	for _, role := range h.Roles {
		if role.AppRoleID != "00000000-0000-0000-0000-000000000000" && !slices.ContainsFunc(w.Roles, func(x graph.AppRoleAssignment) bool {
			return x.PrincipalID == role.PrincipalID && x.AppRoleID == role.AppRoleID
		}) {
			p.keep(w, "a role of %s %s", role.PrincipalDisplayName, role.PrincipalID)
		}
	}
	for _, grant := range h.GrantsOf {
		if !slices.ContainsFunc(slices.Concat(p.have.Apps, p.have.Former), func(a App) bool { return a.Principal.ID == grant.ClientID }) {
			p.keep(w, "the consent to the client with the service principal %s: %s", grant.ClientID, grant.Scope)
		}
	}
	if len(p.plan.Kept) > before {
		return true
	}
	name := displayName(p.spec, w.Key)
	return slices.ContainsFunc(p.plan.Kept, func(k Kept) bool { return k.App == name })
}

// strip takes what the spec names off an application that stays.
func (p *planner) strip(w, h App) {
	if w.Key == apiKey {
		p.removeAgents(w, h, false)
		p.stripInheritable(w, h)
		p.stripAPI(w, h)
	}
	if w.proven() {
		p.stripProof(w, h)
	}
	p.stripRedirects(w, "publicClient", w.PublicClient, h.PublicClient)
	p.stripRedirects(w, "web", w.Web, h.Web)
	p.stripRedirects(w, "spa", w.SPA, h.SPA)
	for _, g := range h.Grants {
		i := slices.IndexFunc(w.Grants, func(x graph.PermissionGrant) bool { return p.known(x.ResourceID) == g.ResourceID })
		if i < 0 || g.ConsentType != "AllPrincipals" {
			continue
		}
		path := "/oauth2PermissionGrants/" + url.PathEscape(g.ID)
		if rest := minus(strings.Fields(g.Scope), strings.Fields(w.Grants[i].Scope)); len(rest) > 0 {
			p.step(Step{ID: "grant/" + w.Key + "/strip-" + g.ResourceID, Title: "Take back the consent of " + w.Name, Method: "PATCH", Path: path},
				grants, map[string]any{"scope": strings.Join(rest, " ")})
		} else {
			p.step(Step{ID: "grant/" + w.Key + "/strip-" + g.ResourceID, Title: "Take back the consent of " + w.Name, Method: "DELETE", Path: path}, grants, nil)
		}
	}
	p.stripPermissions(w, h)
	for _, c := range h.PasswordCredentials {
		if ownSecret(c) {
			p.step(Step{ID: w.Key + "/strip-secret-" + c.KeyID, Title: "Remove the secret " + c.DisplayName + " of " + w.Name, Method: "POST",
				Path: "/applications/" + placeholder(w.Key, "id") + "/removePassword"}, w.prover(), map[string]any{"keyId": c.KeyID})
		}
	}
}

func (p *planner) stripRedirects(a App, platform string, ours, have graph.Redirects) {
	if rest := minus(have.RedirectURIs, ours.RedirectURIs); len(rest) < len(have.RedirectURIs) {
		p.patch(a, "strip-redirects-"+platform, "Take the redirect URIs off "+a.Name, map[string]any{platform: map[string]any{"redirectUris": list(rest)}})
	}
}

// list is a list that is not null in JSON.
func list[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

func (p *planner) stripPermissions(w, h App) {
	var rest []graph.RequiredResourceAccess
	changed := false
	for _, r := range h.RequiredResourceAccess {
		for _, x := range w.RequiredResourceAccess {
			if p.known(x.ResourceAppID) != r.ResourceAppID {
				continue
			}
			had := len(r.ResourceAccess)
			r.ResourceAccess = slices.DeleteFunc(slices.Clone(r.ResourceAccess), func(a graph.ResourceAccess) bool {
				return slices.ContainsFunc(x.ResourceAccess, func(b graph.ResourceAccess) bool { return p.known(b.ID) == a.ID })
			})
			changed = changed || len(r.ResourceAccess) < had
		}
		if len(r.ResourceAccess) > 0 {
			rest = append(rest, r)
		}
	}
	if changed {
		p.patch(w, "strip-permissions", "Take the declared permissions off "+w.Name, map[string]any{"requiredResourceAccess": list(rest)})
	}
}

// stripAPI takes off what only the API has. Token version 2 stays: Entra does not take it back while
// an App ID URI depends on it.
func (p *planner) stripAPI(w, h App) {
	for _, r := range h.Roles {
		if slices.ContainsFunc(w.Roles, func(x graph.AppRoleAssignment) bool {
			return x.PrincipalID == r.PrincipalID && x.AppRoleID == r.AppRoleID
		}) {
			p.step(Step{ID: "assign/strip-" + r.ID, Title: "Take the role back from " + r.PrincipalID, Method: "DELETE",
				Path: "/servicePrincipals/${api.sp}/appRoleAssignedTo/" + url.PathEscape(r.ID)}, assignments, nil)
		}
	}
	own := func(client graph.PreAuthorizedApp) bool {
		return slices.ContainsFunc(w.API.PreAuthorized, func(x graph.PreAuthorizedApp) bool { return p.known(x.AppID) == client.AppID })
	}
	if rest := slices.DeleteFunc(slices.Clone(h.API.PreAuthorized), own); len(rest) < len(h.API.PreAuthorized) {
		p.patch(w, "strip-preauthorized", "Take the pre-authorized clients off "+w.Name, map[string]any{"api": map[string]any{"preAuthorizedApplications": list(rest)}})
		h.API.PreAuthorized = rest
	}
	ours := func(client string) bool {
		return slices.ContainsFunc(w.API.KnownClientApplications, func(x string) bool { return p.known(x) == client })
	}
	if rest := slices.DeleteFunc(slices.Clone(h.API.KnownClientApplications), ours); len(rest) < len(h.API.KnownClientApplications) {
		p.patch(w, "strip-known-clients", "Take the proxy off the known clients of "+w.Name, map[string]any{"api": map[string]any{"knownClientApplications": list(rest)}})
	}
	gone := w
	gone.API.Scopes = slices.DeleteFunc(slices.Clone(h.API.Scopes), func(s graph.PermissionScope) bool { return s.ID == derivedID(w.Name, "scope", s.Value) })
	gone.AppRoles = slices.DeleteFunc(slices.Clone(h.AppRoles), func(r graph.AppRole) bool { return r.ID == derivedID(w.Name, "role", r.Value) })
	kept := len(p.plan.Kept)
	p.entitlements(gone, h)
	p.plan.Kept = p.plan.Kept[:kept]
	uris := slices.Clone(p.spec.Servers)
	if len(gone.API.Scopes) == 0 { // else api://{appId} stays, for others' scopes
		uris = append(uris, p.known("api://${api.appId}"))
	}
	if rest := minus(h.IdentifierURIs, uris); len(rest) < len(h.IdentifierURIs) {
		p.patch(w, "strip-uris", "Take the App ID URIs off "+w.Name, map[string]any{"identifierUris": list(rest)})
	}
}

// stripProof takes off how the application authenticates, but for secrets.
func (p *planner) stripProof(w, h App) {
	path := "/applications/" + placeholder(w.Key, "id") + "/federatedIdentityCredentials/"
	for _, f := range h.Federated {
		if slices.ContainsFunc(w.Federated, func(x graph.FederatedCredential) bool { return x.Name == f.Name }) {
			p.step(Step{ID: w.Key + "/strip-federated-" + f.Name, Title: "Remove the federated credential " + f.Name, Method: "DELETE", Path: path + url.PathEscape(f.ID)}, w.writer(), nil)
		}
	}
	same := func(k graph.KeyCredential) bool {
		return slices.ContainsFunc(w.KeyCredentials, func(x graph.KeyCredential) bool { return string(x.Key) == string(k.Key) })
	}
	if rest := slices.DeleteFunc(slices.Clone(h.KeyCredentials), same); len(rest) < len(h.KeyCredentials) {
		p.patch(w, "strip-certificate", "Remove the certificate of "+w.Name, map[string]any{"keyCredentials": list(rest)})
	}
}
