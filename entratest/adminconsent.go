package entratest

import (
	"net/url"
	"slices"
)

// serveAdminConsent is the page on which an administrator consents for the whole tenant: to the
// scopes that are asked for or, without any, to the permissions of the app's registration
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
		job.scopes = append(job.scopes, scopeRequest{resource: t.graph, identifier: t.graph.AppIDURI, names: openid})
	}
	if len(job.scopes) == 0 {
		job.scopes = t.registered(client)
	}
	return job, nil
}

// registered returns the permissions of the app's registration as scopes.
func (t *Tenant) registered(client *App) []scopeRequest {
	var all []scopeRequest
	for _, p := range t.listed(client) {
		all = append(all, scopeRequest{resource: p.resource, identifier: p.resource.AppIDURI, names: slices.Clone(p.scopes)})
	}
	return all
}
