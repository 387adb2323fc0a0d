package setup

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/graph"
)

// A planner turns the difference of two states into steps.
type planner struct {
	spec       Spec
	want, have *State
	plan       *Plan
	options    Options
	// removed are ids of scopes that the plan removes.
	removed []string
}

// Options of a plan.
type Options struct {
	Deleted string    `json:"deleted,omitempty"` // what to do with our applications among the deleted: restore, purge, or "" to ask
	Rotate  bool      `json:"rotate,omitempty"`  // add new secrets where there are some
	Rotated []string  `json:"-"`                 // applications that have got theirs in this run, by key
	Saved   *Saved    `json:"-"`                 // what the file of secrets has; nil if none is named
	Now     time.Time `json:"-"`                 // secrets that end before are none
}

// NewPlan returns the steps from one state to the other. The order is Entra's: token version 2
// before App ID URIs on any host, a scope before what refers to it, service principals before
// grants and assignments.
func NewPlan(spec Spec, want, have *State, graphBase string, options Options) (*Plan, error) {
	p := &planner{spec: spec, want: want, have: have, options: options, plan: &Plan{
		Spec: spec, Options: options, Tenant: have.Tenant, Graph: graphBase, Known: maps.Clone(have.Known), Steps: []Step{}, Unread: have.Unread, Notes: slices.Clone(have.Notes),
	}}
	have = p.afterPurge()
	for _, a := range want.Apps {
		if err := p.application(a, have.app(a.Key)); err != nil {
			return nil, err
		}
	}
	p.preAuthorized()
	p.knownClients()
	for _, a := range want.Apps {
		p.principal(a)
	}
	p.resources()
	for _, a := range want.Apps {
		p.permissions(a, have.app(a.Key))
	}
	for _, a := range want.Apps {
		p.grants(a, have.app(a.Key))
	}
	if api := want.app(apiKey); api.IsBlueprint() {
		p.inheritable(api, have.app(apiKey))
		p.agents(api, have.app(apiKey))
	}
	p.roles()
	for _, a := range want.Apps {
		if a.proven() {
			p.federated(a, have.app(a.Key))
		}
	}
	for _, a := range want.Apps {
		p.secret(a, have.app(a.Key))
	}
	for _, a := range have.Former {
		switch {
		case a.Deleted:
		case spec.Exclusive:
			p.remove(a)
		default:
			p.keep(a, "the application %s (client ID %s), whose clients the file no longer names; setup destroy deletes it", a.Name, a.AppID)
		}
	}
	return p.plan, nil
}

// afterPurge plans to delete our deleted applications for good, if that is asked for, and returns
// the state without them.
func (p *planner) afterPurge() *State {
	if p.options.Deleted != "purge" {
		return p.have
	}
	for _, a := range p.have.Apps {
		if a.Deleted {
			p.step(Step{ID: a.Key + "/purge", Title: "Delete " + a.Name + " for good, which was deleted", Method: "DELETE", Path: "/directory/deletedItems/" + a.ID}, a.remover(), nil)
			delete(p.plan.Known, a.Key+".id")
			delete(p.plan.Known, a.Key+".appId")
		}
	}
	p.have = undeleted(p.have)
	return p.have
}

// known replaces the placeholders whose values are known.
func (p *planner) known(s string) string { return expand(s, p.plan.Known) }

// placeholders are those of Step alone: texts of the tenant may have others, which stand for themselves.
var placeholders = regexp.MustCompile(`\$\{(tenant|identity\.sp|federated\.name|(api|proxy|public\d*|web\d*|spa\d*)\.(id|appId|sp|secret)|agent\d*\.id|` +
	`(storage|keyvault|arm|graph|resource\d+)\.(appId|sp|scope\.[A-Za-z0-9._-]+))\}`)

// expand replaces placeholders by their values. Unknown ones stay.
func expand(s string, known map[string]string) string {
	return placeholders.ReplaceAllStringFunc(s, func(m string) string {
		if value, ok := known[m[2:len(m)-1]]; ok {
			return value
		}
		return m
	})
}

// step adds a step. body is marshaled.
func (p *planner) step(s Step, need who, body any) {
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			panic("setup: a request's body can't be marshaled: " + err.Error()) // maps and structs of strings
		}
		s.Body = data
	}
	s.Permission, s.Role = need.permission, need.role
	p.plan.Steps = append(p.plan.Steps, s)
}

// patch adds a change of an application's members.
func (p *planner) patch(a App, id, title string, body map[string]any, needs ...string) {
	members := slices.Sorted(maps.Keys(body))
	p.step(Step{
		ID: a.Key + "/" + id, Title: title, Method: "PATCH", Path: a.path(),
		Read: "/applications/" + placeholder(a.Key, "id") + "?$select=" + strings.Join(members, ","), Needs: needs,
	}, a.writer(), body)
}

func (p *planner) keep(a App, format string, args ...any) {
	p.plan.Kept = append(p.plan.Kept, Kept{App: displayName(p.spec, a.Key), What: oneLine(fmt.Sprintf(format, args...))})
}

// merge returns a collection that has what is wanted and, unless the spec is exclusive, what others
// added; and whether it differs from what is there. Placeholders in want must be replaced in wanted.
func merge[T any](p *planner, a App, what string, want, have []T, same func(want, have T) bool, name func(T) string) (all []T, differs bool) {
	all = []T{} // an empty list, not null
	for _, h := range have {
		if slices.ContainsFunc(want, func(w T) bool { return same(w, h) }) {
			all = append(all, h)
			continue
		}
		if p.spec.Exclusive {
			differs = true
			continue
		}
		p.keep(a, "%s %s", what, name(h))
		all = append(all, h)
	}
	for _, w := range want {
		if !slices.ContainsFunc(have, func(h T) bool { return same(w, h) }) {
			all = append(all, w)
			differs = true
		}
	}
	return all, differs
}

// texts merges lists of strings.
func (p *planner) texts(a App, what string, want, have []string) (all []string, differs bool) {
	return merge(p, a, what, want, have, func(w, h string) bool { return p.known(w) == h }, func(s string) string { return s })
}

// application plans one app registration: what it is, its App ID URIs, scopes, roles, claims and
// redirects.
func (p *planner) application(want, have App) error {
	if err := p.exists(want, have); err != nil {
		return err
	}
	if want.Key == apiKey {
		p.uris(want, have)
		p.entitlements(want, have)
		p.claims(want, have)
	}
	if want.proven() {
		p.certificate(want, have)
	}
	p.redirects(want, "publicClient", want.PublicClient, have.PublicClient)
	p.redirects(want, "web", want.Web, have.Web)
	p.redirects(want, "spa", want.SPA, have.SPA)
	return nil
}

func (p *planner) redirects(a App, platform string, want, have graph.Redirects) {
	if all, differs := p.texts(a, "redirect URI", want.RedirectURIs, have.RedirectURIs); differs {
		p.patch(a, "redirects-"+platform, "Set the redirect URIs of "+a.Name+" ("+platform+")", map[string]any{platform: map[string]any{"redirectUris": all}})
	}
}

// exists plans that the application is there, as what it should be.
func (p *planner) exists(want, have App) error {
	if have.Deleted {
		switch p.options.Deleted {
		case "restore":
			if want.IsBlueprint() && !have.IsBlueprint() {
				return fmt.Errorf("%s (client ID %s), which was deleted, is not an agent identity blueprint, and Entra can't convert it: choose -deleted purge, or another name", want.Name, have.AppID)
			}
			p.step(Step{ID: want.Key + "/restore", Title: "Restore " + want.Name + ", which was deleted", LookAgain: true,
				Method: "POST", Path: "/directory/deletedItems/" + placeholder(want.Key, "id") + "/restore", Read: "/applications/" + placeholder(want.Key, "id") + "?$select=id"},
				want.remover(), map[string]any{})
		default:
			return fmt.Errorf("%s (client ID %s) was deleted and holds its name and App ID URIs for 30 days: choose -deleted restore to take it back with its client ID, or -deleted purge to delete it for good and make a new one", want.Name, have.AppID)
		}
	}
	body := map[string]any{}
	if want.DisplayName != have.DisplayName && !want.Adopted {
		body["displayName"] = want.DisplayName
	}
	if want.SignInAudience != have.SignInAudience {
		body["signInAudience"] = want.SignInAudience
	}
	if want.API.RequestedAccessTokenVersion > have.API.RequestedAccessTokenVersion {
		body["api"] = map[string]any{"requestedAccessTokenVersion": tokenVersion}
	}
	if fallback := want.IsFallbackPublicClient; fallback != nil && *fallback != (have.IsFallbackPublicClient != nil && *have.IsFallbackPublicClient) {
		body["isFallbackPublicClient"] = fallback
	}
	if !want.Adopted {
		if tags, differs := p.texts(want, "tag", want.Tags, have.Tags); differs {
			body["tags"] = tags
		}
	}
	switch {
	case have.ID == "":
		body["displayName"] = want.DisplayName // required
		title, path := "Create the application "+want.Name, graph.ByUniqueName(want.Name)
		if want.IsBlueprint() {
			title, path = "Create the agent identity blueprint "+want.Name, path+graph.Blueprint
			body["sponsors@odata.bind"] = p.sponsors()
		}
		p.step(Step{
			ID: want.Key + "/create", Title: title, Method: "PATCH", Path: path,
			Upsert: true, Read: graph.ByUniqueName(want.Name) + "?$select=id,appId",
			Captures: []Capture{{Name: want.Key + ".id", Member: "id"}, {Name: want.Key + ".appId", Member: "appId"}},
		}, want.writer(), body)
	case len(body) > 0:
		p.patch(want, "settings", "Set "+settingsIn(body)+" of "+want.Name, body)
	}
	return nil
}

// settingsIn names what a change of an application's settings is about: one of them can't be undone.
func settingsIn(body map[string]any) string {
	var names []string
	for _, s := range []struct{ member, name string }{
		{"displayName", "the display name"}, {"signInAudience", "the audience"}, {"api", "token version 2, which can't be taken back,"},
		{"isFallbackPublicClient", "whether it may use device codes"}, {"tags", "its tag"},
	} {
		if body[s.member] != nil {
			names = append(names, s.name)
		}
	}
	return strings.Join(names, ", ")
}

// uris plans the App ID URIs: those that every tenant allows first, then the servers' URLs, which a
// tenant's policy may refuse.
func (p *planner) uris(want, have App) {
	all, differs := p.texts(want, "App ID URI", want.IdentifierURIs, have.IdentifierURIs)
	if !differs {
		return
	}
	servers := func(uri string) bool {
		return slices.Contains(p.spec.Servers, uri) && !slices.Contains(have.IdentifierURIs, uri)
	}
	safe := slices.DeleteFunc(slices.Clone(all), servers)
	if len(safe) != len(have.IdentifierURIs) || len(safe) == len(all) {
		p.patch(want, "uri", "Give "+want.Name+" the App ID URI api://"+placeholder(apiKey, "appId"), map[string]any{"identifierUris": safe}, settled(want)...)
	}
	if len(safe) < len(all) {
		p.patch(want, "server-uris", "Give "+want.Name+" its servers' URLs as App ID URIs: "+strings.Join(minus(all, safe), " "), map[string]any{"identifierUris": all}, settled(want)...)
	}
}

// settled is the step that sets token version 2, which URIs on any host need.
func settled(a App) []string { return []string{a.Key + "/settings"} }

// claims plans the optional claims of access tokens.
func (p *planner) claims(want, have App) {
	claims, differs := have.OptionalClaims, false
	others := func(kind string, all []graph.OptionalClaim) []graph.OptionalClaim {
		return slices.DeleteFunc(slices.Clone(all), func(h graph.OptionalClaim) bool {
			if kind == "access" && slices.ContainsFunc(want.OptionalClaims.AccessToken, func(w graph.OptionalClaim) bool { return h.Name == w.Name && h.Source == "" }) {
				return false
			}
			if !p.spec.Exclusive {
				p.keep(want, "optional claim %s of %s tokens", h.Name, kind)
			}
			differs = differs || p.spec.Exclusive
			return p.spec.Exclusive
		})
	}
	claims.AccessToken, claims.IDToken, claims.SAML2Token = others("access", claims.AccessToken), others("ID", claims.IDToken), others("SAML", claims.SAML2Token)
	for _, w := range want.OptionalClaims.AccessToken {
		i := slices.IndexFunc(claims.AccessToken, func(h graph.OptionalClaim) bool { return h.Name == w.Name && h.Source == "" })
		if i < 0 {
			claims.AccessToken, differs = append(slices.Clip(claims.AccessToken), w), true
			continue
		}
		if properties := union(claims.AccessToken[i].AdditionalProperties, w.AdditionalProperties); len(properties) > len(claims.AccessToken[i].AdditionalProperties) {
			claims.AccessToken = slices.Clone(claims.AccessToken)
			claims.AccessToken[i].AdditionalProperties, differs = properties, true
		}
	}
	if differs {
		p.patch(want, "claims", "Ask for the claims "+strings.Join(each(want.OptionalClaims.AccessToken, func(c graph.OptionalClaim) string { return c.Name }), ", ")+" in access tokens", map[string]any{"optionalClaims": map[string]any{
			"accessToken": list(claims.AccessToken), "idToken": list(claims.IDToken), "saml2Token": list(claims.SAML2Token),
		}})
	}
}

// certificate plans an application's certificate. The others' keys go along, or Graph removes them.
func (p *planner) certificate(want, have App) {
	same := func(w, h graph.KeyCredential) bool { return string(w.Key) == string(h.Key) }
	all, differs := merge(p, want, "certificate", want.KeyCredentials, have.KeyCredentials, same, func(k graph.KeyCredential) string { return k.DisplayName + " " + k.KeyID })
	if differs {
		p.patch(want, "certificate", "Set the certificate of "+want.Name, map[string]any{"keyCredentials": all})
		p.plan.Steps[len(p.plan.Steps)-1].Role = want.prover().role
	}
}
