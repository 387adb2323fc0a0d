package entratest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
)

// consentStep shows the consent page if consent is missing, and reports whether the errand can
// continue. It also records the page's answer.
func (t *Tenant) consentStep(e *exchange, f *flow, job *errand, user *User) bool {
	wanted := t.wanted(job, user)
	admins := t.adminsOnly(wanted)
	if f.Consented && (user.Administrator || !admins) {
		t.recordConsent(f, job, user, wanted)
		return true
	}
	fixed := func(w wish) bool {
		return w.client.microsoft && w.resource.microsoft && w.client.ClientID != graphToolsClientID
	}
	switch {
	case slices.ContainsFunc(wanted, fixed):
		job.fail(reject(65002, fmt.Sprintf("Consent between first party application '%s' and first party resource must be configured via preauthorization. "+
			"Applications owned and operated by Microsoft must get approval from the API owner before requesting tokens for that API.", job.client.ClientID)))
	case len(wanted) == 0 && job.prompt != "consent" && !job.admin:
		return true
	case job.prompt == "none":
		job.fail(reject(65001, fmt.Sprintf("The user or administrator has not consented to use the application with ID '%s' named '%s'.",
			job.client.ClientID, job.client.name())))
	case job.admin && !user.Administrator:
		e.refusePage(reject(90094, "An administrator must sign in here: the account has no administrator's role."))
	case admins && !user.Administrator:
		t.showAdminNeeded(e, f, job, user)
	default:
		e.page(http.StatusOK, t.consentPage(e, f, job, user, wanted))
	}
	return false
}

// A wish is the scopes that a client requests for a resource.
type wish struct {
	client, resource *App
	scopes           []string
}

// wanted returns what needs consent: what is missing or, if the request asks for the page,
// everything in the request.
func (t *Tenant) wanted(job *errand, user *User) []wish {
	again := job.prompt == "consent" || job.admin
	var all []wish
	add := func(client, resource *App, scopes []string) {
		have := t.consented(client, resource, user.ObjectID)
		scopes = slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return !again && slices.Contains(have, s) })
		if len(scopes) > 0 {
			all = append(all, wish{client, resource, scopes})
		}
	}
	for _, scope := range job.scopes {
		if !scope.all() {
			add(job.client, scope.resource, scope.names)
			continue
		}
		for _, p := range t.listed(job.client) {
			add(job.client, p.resource, p.scopes)
		}
		if scope.resource.knows(job.client) { // the middle tier's own permissions, on the same page
			add(job.client, scope.resource, scope.resource.offered())
			for _, p := range t.listed(scope.resource) {
				add(scope.resource, p.resource, p.scopes)
			}
		}
	}
	if len(job.scopes) == 0 && !job.admin && (again || !t.hasAnyConsent(job.client, user.ObjectID)) {
		add(job.client, t.graph, []string{"openid", "profile"})
	}
	return all
}

func (a *App) knows(client *App) bool {
	a.tenant.mu.Lock()
	defer a.tenant.mu.Unlock()
	return slices.Contains(a.entry.written.API.KnownClientApplications, client.ClientID) ||
		slices.ContainsFunc(a.KnownClients, func(known *App) bool { return known.ClientID == client.ClientID })
}

// adminsOnly reports whether only an administrator can consent.
func (t *Tenant) adminsOnly(wanted []wish) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.consentPolicy != ConsentPolicyUsers || slices.ContainsFunc(wanted, func(w wish) bool {
		return slices.ContainsFunc(w.scopes, func(s string) bool { return slices.Contains(w.resource.AdminScopes, s) })
	})
}

// recordConsent records the consent given on the page.
func (t *Tenant) recordConsent(f *flow, job *errand, user *User, wanted []wish) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, w := range wanted {
		if user.Administrator && (f.Everyone || job.admin) {
			addTo(t.consents, grantKey{w.client, w.resource}, w.scopes)
			continue
		}
		addTo(t.userConsents, userGrantKey{w.client, w.resource, user.ObjectID}, w.scopes)
	}
}

// needsAdmin is the error for users who cannot consent themselves.
func needsAdmin(code int, client *App) *rejection {
	return reject(code, fmt.Sprintf("Admin consent is required for the permissions requested by this application '%s'.", client.ClientID))
}

// serveAdminConsent serves the page on which an administrator consents for the whole tenant: to
// the requested scopes or, without any, to the permissions in the app's registration
// (https://learn.microsoft.com/entra/identity-platform/v2-admin-consent).
func (t *Tenant) serveAdminConsent(e *exchange) {
	t.proceed(e, &flow{Kind: flowAdmin, Query: e.request.URL.RawQuery, Shared: e.shared})
}

func (t *Tenant) adminErrand(e *exchange, f *flow) (*errand, *rejection) {
	form, err := url.ParseQuery(f.Query)
	if err != nil || len(f.Query) > maxQuery {
		return nil, reject(90015, "Requested query string is too long.")
	}
	if form.Get("client_id") == "" {
		return nil, missing("client_id")
	}
	client, r := t.knownClient(form.Get("client_id"))
	if r != nil {
		return nil, r
	}
	back, r := client.redirectTo(form.Get("redirect_uri"))
	if r != nil {
		return nil, r
	}
	q := &authorizeRequest{client: client, redirect: back, mode: "query", state: form.Get("state")}
	job := &errand{
		client: client, admin: true,
		done: func(*User, signIn) {
			answer := url.Values{"admin_consent": {"True"}, "tenant": {t.id}}
			if scope := form.Get("scope"); scope != "" {
				answer.Set("scope", scope)
			}
			q.respond(e, answer)
		},
		fail: func(r *rejection) { q.fail(e, r) },
	}
	all, openid, r := t.parseScopes(form.Get("scope"))
	if r != nil {
		return job, r
	}
	job.scopes = all
	if len(openid) > 0 {
		job.scopes = append(job.scopes, scopeRequest{resource: t.graph, identifier: graphURI, names: openid})
	}
	if len(job.scopes) == 0 {
		job.scopes = t.registered(client)
	}
	return job, nil
}

// registered returns the permissions in the app's registration as scopes.
func (t *Tenant) registered(client *App) []scopeRequest {
	var all []scopeRequest
	for _, p := range t.listed(client) {
		all = append(all, scopeRequest{resource: p.resource, identifier: p.resource.AppIDURI(), names: slices.Clone(p.scopes)})
	}
	return all
}
