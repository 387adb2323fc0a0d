package setup

import (
	"reflect"
	"slices"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/graph"
)

// An entitlement is a scope or an app role: both must be disabled before they are changed or
// removed (CannotDeleteOrUpdateEnabledEntitlement).
type entitlement[T any] struct {
	id      func(T) string
	value   func(T) string
	enabled func(*T) *bool
	kind    string // "scope", "role": in the derived ids
}

var scopes = entitlement[graph.PermissionScope]{
	id: func(s graph.PermissionScope) string { return s.ID }, value: func(s graph.PermissionScope) string { return s.Value },
	enabled: func(s *graph.PermissionScope) *bool { return &s.IsEnabled }, kind: "scope",
}

var roles = entitlement[graph.AppRole]{
	id: func(r graph.AppRole) string { return r.ID }, value: func(r graph.AppRole) string { return r.Value },
	enabled: func(r *graph.AppRole) *bool { return &r.IsEnabled }, kind: "role",
}

// change returns the collection to end with, and the one that must stand before it, with what is
// to be changed or removed disabled; each nil if it isn't needed. What others added stays.
func (e entitlement[T]) change(p *planner, a App, want, have []T) (disabled, final []T) {
	off, differs := slices.Clone(have), false
	for i, h := range have {
		j := slices.IndexFunc(want, func(w T) bool { return e.id(w) == e.id(h) })
		ours := e.id(h) == derivedID(a.Name, e.kind, e.value(h))
		switch {
		case j >= 0 && same(want[j], h):
			final = append(final, h)
			continue
		case j >= 0:
			final = append(final, want[j])
		case !ours && !p.spec.Exclusive:
			p.keep(a, "%s %s", e.kind, e.value(h))
			final = append(final, h)
			continue
		}
		differs = true
		if on := e.enabled(&off[i]); *on && (j < 0 || !e.onlyEnables(want[j], h)) {
			*on = false
			disabled = off
		}
	}
	for _, w := range want {
		if !slices.ContainsFunc(have, func(h T) bool { return e.id(h) == e.id(w) }) {
			final, differs = append(final, w), true
		}
	}
	if !differs {
		return nil, nil
	}
	if final == nil {
		final = []T{}
	}
	return disabled, final
}

// onlyEnables reports whether the change is no more than enabling it.
func (e entitlement[T]) onlyEnables(want, have T) bool {
	*e.enabled(&have) = *e.enabled(&want)
	return same(want, have)
}

func same[T any](a, b T) bool { return reflect.DeepEqual(a, b) }

// entitlements plans the API's scopes and roles.
func (p *planner) entitlements(want, have App) {
	plans := []func(want, have App){p.planScopes, p.planRoles}
	if slices.ContainsFunc(have.AppRoles, func(r graph.AppRole) bool { // a role becomes a scope: its value must be free first
		return slices.ContainsFunc(want.API.Scopes, func(s graph.PermissionScope) bool { return s.Value == r.Value })
	}) {
		slices.Reverse(plans)
	}
	for _, plan := range plans {
		plan(want, have)
	}
}

func (p *planner) planScopes(want, have App) {
	off, final := scopes.change(p, want, want.API.Scopes, have.API.Scopes)
	if final == nil {
		return
	}
	needs := p.unauthorize(want, have, final)
	if off != nil {
		p.patch(want, "scopes-off", "Disable the scopes that change, which Graph wants first", map[string]any{"api": map[string]any{"oauth2PermissionScopes": off}})
		needs = append(needs, want.Key+"/scopes-off")
	}
	p.patch(want, "scopes", "Set the scopes of "+want.Name, map[string]any{"api": map[string]any{"oauth2PermissionScopes": final}}, needs...)
}

func (p *planner) planRoles(want, have App) {
	off, final := roles.change(p, want, want.AppRoles, have.AppRoles)
	if final == nil {
		return
	}
	var needs []string
	if off != nil {
		p.patch(want, "roles-off", "Disable the roles that change, which Graph wants first", map[string]any{"appRoles": off})
		needs = []string{want.Key + "/roles-off"}
	}
	p.patch(want, "roles", "Set the roles of "+want.Name, map[string]any{"appRoles": final}, needs...)
}

// unauthorize plans that no client is pre-authorized for a scope that is removed, which Graph wants
// first, and returns the step.
func (p *planner) unauthorize(want, have App, final []graph.PermissionScope) (needs []string) {
	for _, s := range have.API.Scopes {
		if !slices.ContainsFunc(final, func(f graph.PermissionScope) bool { return f.ID == s.ID }) {
			p.removed = append(p.removed, s.ID)
		}
	}
	rest := p.withoutRemoved(have.API.PreAuthorized)
	if same(list(rest), list(have.API.PreAuthorized)) {
		return nil
	}
	p.patch(want, "preauthorized-first", "Take removed scopes from pre-authorized clients", map[string]any{"api": map[string]any{"preAuthorizedApplications": list(rest)}})
	return []string{want.Key + "/preauthorized-first"}
}

// withoutRemoved returns the pre-authorized clients without the scopes that the plan removes.
func (p *planner) withoutRemoved(clients []graph.PreAuthorizedApp) []graph.PreAuthorizedApp {
	var rest []graph.PreAuthorizedApp
	for _, c := range clients {
		if ids := minus(c.DelegatedPermissionIDs, p.removed); len(ids) == len(c.DelegatedPermissionIDs) {
			rest = append(rest, c)
		} else if len(ids) > 0 {
			rest = append(rest, graph.PreAuthorizedApp{AppID: c.AppID, DelegatedPermissionIDs: ids})
		}
	}
	return rest
}

// preAuthorized plans the clients that need no consent, in a request after that of the scope: Graph
// doesn't find the id of a scope made in the same one.
func (p *planner) preAuthorized() {
	want, have := p.want.app(apiKey), p.have.app(apiKey)
	all, differs := []graph.PreAuthorizedApp{}, false
	had := p.withoutRemoved(have.API.PreAuthorized)
	for _, h := range had {
		i := slices.IndexFunc(want.API.PreAuthorized, func(w graph.PreAuthorizedApp) bool { return p.known(w.AppID) == h.AppID })
		switch {
		case i >= 0:
			ids, changed := p.texts(want, "scope of the pre-authorized client "+h.AppID+":", want.API.PreAuthorized[i].DelegatedPermissionIDs, h.DelegatedPermissionIDs)
			differs = differs || changed
			all = append(all, graph.PreAuthorizedApp{AppID: h.AppID, DelegatedPermissionIDs: ids})
		case p.spec.Exclusive:
			differs = true
		default:
			p.keep(want, "pre-authorized client %s", h.AppID)
			all = append(all, h)
		}
	}
	for _, w := range want.API.PreAuthorized {
		if !slices.ContainsFunc(had, func(h graph.PreAuthorizedApp) bool { return h.AppID == p.known(w.AppID) }) {
			all, differs = append(all, w), true
		}
	}
	if differs {
		p.patch(want, "preauthorized", "Pre-authorize clients that show no consent page", map[string]any{"api": map[string]any{"preAuthorizedApplications": all}}, want.Key+"/scopes")
	}
}

// knownClients plans the clients whose users consent to the API's own permissions with the same page.
func (p *planner) knownClients() {
	want, have := p.want.app(apiKey), p.have.app(apiKey)
	all, differs := p.texts(want, "known client", want.API.KnownClientApplications, have.API.KnownClientApplications)
	if differs {
		p.patch(want, "known-clients", "Let users consent to what "+want.Name+" needs as they sign in", map[string]any{"api": map[string]any{"knownClientApplications": all}})
	}
}
