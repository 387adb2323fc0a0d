package setup

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/graph"
)

// principal plans an application's service principal in the tenant.
func (p *planner) principal(a App) {
	if p.plan.Known[a.Key+".sp"] != "" {
		return
	}
	path, need := "/servicePrincipals", application
	if a.IsBlueprint() { // nothing makes it by itself
		path, need = path+graph.BlueprintPrincipal, blueprintPrincipal
	}
	p.step(Step{
		ID: a.Key + "/principal", Title: "Create the service principal of " + a.Name, Method: "POST", Path: path, MayExist: true,
		Read:     "/servicePrincipals(appId='" + placeholder(a.Key, "appId") + "')?$select=id,appId",
		Captures: []Capture{{Name: a.Key + ".sp", Member: "id"}},
	}, need, map[string]any{"appId": placeholder(a.Key, "appId")})
}

// resources plans the service principals of resources, which a tenant lacks until their first use,
// and learns the ids of their scopes.
func (p *planner) resources() {
	for i, r := range p.spec.Resources {
		key := resourceKey(p.spec, i)
		if p.plan.Known[key+".sp"] != "" {
			continue
		}
		if r.AppID == "" {
			continue // the tenant has none: Observe has said so
		}
		s := Step{
			ID: "resource/" + key, Title: "Create the service principal of " + r.Name, Method: "POST", Path: "/servicePrincipals", MayExist: true,
			Read:     "/servicePrincipals(appId='" + placeholder(key, "appId") + "')?$select=id,appId,oauth2PermissionScopes",
			Captures: []Capture{{Name: key + ".sp", Member: "id"}},
		}
		for _, scope := range r.Scopes {
			s.Captures = append(s.Captures, Capture{Name: key + ".scope." + scope, Member: "oauth2PermissionScopes", Where: scope})
		}
		p.step(s, foreign, map[string]any{"appId": placeholder(key, "appId")})
	}
}

// permissions plans what an application declares to need of others.
func (p *planner) permissions(want, have App) {
	var all []graph.RequiredResourceAccess
	differs := false
	for _, h := range have.RequiredResourceAccess {
		i := slices.IndexFunc(want.RequiredResourceAccess, func(w graph.RequiredResourceAccess) bool { return p.known(w.ResourceAppID) == h.ResourceAppID })
		var need []graph.ResourceAccess
		if i >= 0 {
			need = want.RequiredResourceAccess[i].ResourceAccess
		}
		access, changed := merge(p, want, "declared permission of "+h.ResourceAppID, need, h.ResourceAccess,
			func(w, h graph.ResourceAccess) bool { return p.known(w.ID) == h.ID && w.Type == h.Type },
			func(a graph.ResourceAccess) string { return a.Type + " " + a.ID })
		differs = differs || changed
		if len(access) > 0 {
			all = append(all, graph.RequiredResourceAccess{ResourceAppID: h.ResourceAppID, ResourceAccess: access})
		}
	}
	for _, w := range want.RequiredResourceAccess {
		if !slices.ContainsFunc(have.RequiredResourceAccess, func(h graph.RequiredResourceAccess) bool { return p.known(w.ResourceAppID) == h.ResourceAppID }) {
			all, differs = append(all, w), true
		}
	}
	if differs {
		if all == nil {
			all = []graph.RequiredResourceAccess{}
		}
		p.patch(want, "permissions", "Declare the permissions that "+want.Name+" needs", map[string]any{"requiredResourceAccess": all})
	}
}

// grants plans the consent for all users: one row for each client and resource.
func (p *planner) grants(want, have App) {
	if p.unread("permission grants to " + want.Name) {
		return
	}
	for i, h := range have.Grants {
		if h.ConsentType == "AllPrincipals" && !slices.ContainsFunc(want.Grants, func(w graph.PermissionGrant) bool { return p.known(w.ResourceID) == h.ResourceID }) {
			p.dropGrant(want, have.Grants[i])
		}
	}
	for _, w := range want.Grants {
		resource := strings.TrimSuffix(strings.TrimPrefix(w.ResourceID, "${"), ".sp}")
		i := slices.IndexFunc(have.Grants, func(h graph.PermissionGrant) bool {
			return h.ConsentType == "AllPrincipals" && p.known(w.ResourceID) == h.ResourceID
		})
		title := "Consent for all users: " + want.Name + " may use " + w.Scope + " of " + p.resourceName(resource)
		if i < 0 {
			p.step(Step{ID: "grant/" + want.Key + "/" + resource, Title: title, Method: "POST", Path: "/oauth2PermissionGrants",
				Needs: []string{"resource/" + resource}}, grants, w) // which knows whether there are such scopes
			continue
		}
		had := strings.Fields(have.Grants[i].Scope)
		all, differs := p.texts(want, "consent to "+p.resourceName(resource)+":", strings.Fields(w.Scope), had)
		if differs {
			p.step(Step{ID: "grant/" + want.Key + "/" + resource, Title: title, Method: "PATCH", Path: "/oauth2PermissionGrants/" + url.PathEscape(have.Grants[i].ID)},
				grants, map[string]any{"scope": strings.Join(all, " ")})
		}
	}
}

func (p *planner) dropGrant(a App, h graph.PermissionGrant) {
	if !p.spec.Exclusive {
		p.keep(a, "consent to the service principal %s: %s", h.ResourceID, h.Scope)
		return
	}
	p.step(Step{ID: "grant/" + a.Key + "/drop-" + h.ResourceID, Title: "Take back the consent of " + a.Name + " to " + h.Scope,
		Method: "DELETE", Path: "/oauth2PermissionGrants/" + url.PathEscape(h.ID)}, grants, nil)
}

func (p *planner) resourceName(key string) string {
	if key == apiKey {
		return p.spec.Name
	}
	for i, r := range p.spec.Resources {
		if resourceKey(p.spec, i) == key {
			return r.Name
		}
	}
	return key
}

// unread reports whether the sign-in may not read something.
func (p *planner) unread(what string) bool {
	return slices.ContainsFunc(p.have.Unread, func(b Blocked) bool { return b.What == what })
}

// roles plans who has the API's roles.
func (p *planner) roles() {
	want, have := p.want.app(apiKey), p.have.app(apiKey)
	if p.unread("role assignments of " + want.Name) {
		return
	}
	for _, w := range want.Roles {
		if slices.ContainsFunc(have.Roles, func(h graph.AppRoleAssignment) bool {
			return h.PrincipalID == w.PrincipalID && h.AppRoleID == w.AppRoleID
		}) {
			continue
		}
		i := slices.IndexFunc(want.AppRoles, func(r graph.AppRole) bool { return r.ID == w.AppRoleID })
		p.step(Step{
			ID: "assign/" + want.AppRoles[i].Value + "/" + w.PrincipalID, Title: "Give " + w.PrincipalID + " the role " + want.AppRoles[i].Value,
			Method: "POST", Path: "/servicePrincipals/${api.sp}/appRoleAssignedTo", MayExist: true, Needs: []string{"api/roles"},
		}, assignments, w)
	}
}

// federated plans an application's federated credentials, found by their names.
func (p *planner) federated(want, have App) {
	all := "/applications/" + placeholder(want.Key, "id") + "/federatedIdentityCredentials"
	if p.unread("federated credentials of " + want.Name) {
		return
	}
	same := func(w, h graph.FederatedCredential) bool {
		return p.known(w.Issuer) == h.Issuer && p.known(w.Subject) == h.Subject
	}
	for _, h := range have.Federated {
		if slices.ContainsFunc(want.Federated, func(w graph.FederatedCredential) bool { return w.Name == h.Name || same(w, h) }) {
			continue
		}
		if !p.spec.Exclusive {
			p.keep(want, "federated credential %s (subject %s)", h.Name, h.Subject)
			continue
		}
		p.step(Step{ID: want.Key + "/federated/drop-" + h.Name, Title: "Remove the federated credential " + h.Name, Method: "DELETE",
			Path: all + "/" + url.PathEscape(h.ID)}, want.writer(), nil)
	}
	for _, w := range want.Federated {
		title := "Set the federated credential for " + strings.ToLower(w.Description[:1]) + w.Description[1:]
		if i := slices.IndexFunc(have.Federated, func(h graph.FederatedCredential) bool { return same(w, h) }); i >= 0 {
			if h := have.Federated[i]; !slices.Equal(w.Audiences, h.Audiences) { // there can't be another with this issuer and subject
				path := all + "/" + url.PathEscape(h.ID)
				p.step(Step{ID: want.Key + "/federated/" + w.Name, Title: title + ": the audience of " + h.Name, Method: "PATCH", Path: path, Read: path},
					want.writer(), map[string]any{"audiences": w.Audiences})
			}
			continue
		}
		if strings.Contains(p.known(w.Subject), "${identity.sp}") && !slices.ContainsFunc(p.plan.Steps, func(s Step) bool { return s.ID == "identity/find" }) {
			p.step(Step{ID: "identity/find", Title: "Find the managed identity's principal id", Method: "GET",
				Path: graph.PrincipalByAppID(p.spec.Proof.ManagedIdentity) + "?$select=id", Captures: []Capture{{Name: "identity.sp", Member: "id"}}}, application, nil)
		}
		path := all + "(name='" + w.Name + "')"
		p.step(Step{ID: want.Key + "/federated/" + w.Name, Title: title, Method: "PATCH", Path: path, Upsert: true, Read: path}, want.writer(), w)
	}
}

// secret plans an application's secret. It is last: whoever interrupts setup before has no secret
// that nobody knows.
func (p *planner) secret(want, have App) {
	own := []graph.PasswordCredential{} // the newest first
	for _, c := range have.PasswordCredentials {
		switch {
		case !ownSecret(c) && p.spec.Exclusive:
			p.removeSecret(want, c, "not in the file")
		case !ownSecret(c):
			p.keep(want, "secret %s (until %s)", c.DisplayName, c.EndDateTime.Format(time.DateOnly))
		case p.options.Saved != nil && slices.Contains(p.options.Saved.Lost, c.DisplayName):
			p.removeSecret(want, c, "which an interrupted run added without saving it")
			p.plan.Steps[len(p.plan.Steps)-1].ID = want.Key + removesLost + c.KeyID
		case want.Secret && (p.options.Now.IsZero() || c.EndDateTime.After(p.options.Now)):
			own = append(own, c)
			p.plan.HadSecrets = append(p.plan.HadSecrets, c.KeyID)
		}
	}
	slices.SortFunc(own, func(a, b graph.PasswordCredential) int { return b.StartDateTime.Compare(a.StartDateTime) })
	rotate := p.options.Rotate && !slices.Contains(p.options.Rotated, want.Key)
	if !want.Secret || len(own) > 0 && !rotate {
		p.noteEnd(want, own)
		return
	}
	p.step(Step{
		ID: want.Key + "/secret", Title: "Add a secret to " + want.Name, Method: "POST", Path: "/applications/" + placeholder(want.Key, "id") + "/addPassword",
		Captures: []Capture{{Name: want.Key + ".secret", Member: "secretText", Secret: true}},
	}, want.prover(), map[string]any{"passwordCredential": map[string]any{"displayName": ownName}})
	for _, c := range own[min(1, len(own)):] {
		p.removeSecret(want, c, "older than the previous one")
	}
}

// noteEnd says when the newest secret ends, if that is soon, and whether its text is in the file.
func (p *planner) noteEnd(a App, own []graph.PasswordCredential) {
	if saved := p.options.Saved; len(own) > 0 && saved != nil && !slices.Contains(saved.Variables, SecretVariable(a.Key)) {
		p.plan.Notes = append(p.plan.Notes, a.Name+" has a secret, and the file of secrets does not ("+SecretVariable(a.Key)+"): if nobody has it any more, setup apply -rotate adds another")
	}
	if len(own) > 0 && !p.options.Now.IsZero() && own[0].EndDateTime.Before(p.options.Now.AddDate(0, 0, 30)) {
		p.plan.Notes = append(p.plan.Notes, "the secret of "+a.Name+" ends on "+own[0].EndDateTime.Format(time.DateOnly)+": setup apply -rotate adds another")
	}
}

func (p *planner) removeSecret(a App, c graph.PasswordCredential, why string) {
	p.step(Step{
		ID: a.Key + "/remove-secret-" + c.KeyID, Title: "Remove the secret " + c.DisplayName + " of " + a.Name + ", " + why, Method: "POST",
		Path: "/applications/" + placeholder(a.Key, "id") + "/removePassword",
	}, a.prover(), map[string]any{"keyId": c.KeyID})
}

// ownSecret reports whether setup has added the secret.
func ownSecret(c graph.PasswordCredential) bool {
	return c.DisplayName == ownName || strings.HasPrefix(c.DisplayName, ownName+" ")
}
