package entratest

import (
	"net/http"
	"slices"
)

// form returns what every page with a flow needs.
func (t *Tenant) form(e *exchange, f *flow, job *errand, title string, user *User) formPage {
	next := *f
	next.Browser = e.browser()
	next.Expires = t.now().Unix() + flowLifetime
	page := formPage{Title: title, Action: "/" + t.id + "/login", Flow: t.sealer.seal("flow", next), App: job.client.Name}
	if user != nil {
		page.UPN = user.UserPrincipalName
	}
	return page
}

// maxTiles is how many accounts the picker shows; any other can be typed.
const maxTiles = 50

func (t *Tenant) showPicker(e *exchange, f *flow, job *errand) {
	page := pickerPage{formPage: t.form(e, f, job, "Pick an account", nil), Hint: job.hint}
	for _, owner := range t.audience(f, job) {
		owner.mu.Lock()
		users := slices.Clone(owner.users[:min(len(owner.users), maxTiles)])
		owner.mu.Unlock()
		for _, user := range users {
			if len(page.Accounts) == maxTiles || !user.isHinted(job.hint) {
				continue
			}
			_, signedIn := e.signedIn(user)
			page.Accounts = append(page.Accounts, account{user.ObjectID, user.DisplayName, user.UserPrincipalName, signedIn})
		}
	}
	e.page(http.StatusOK, page)
}

func (t *Tenant) showApproval(e *exchange, f *flow, job *errand, user *User) {
	e.page(http.StatusOK, approvalPage{t.form(e, f, job, "Approve sign-in request", user)})
}

func (t *Tenant) consentPage(e *exchange, f *flow, job *errand, user *User, wanted []wish) consentPage {
	title := "Permissions requested"
	if job.admin {
		title = "Permissions requested for your organization"
	}
	page := consentPage{
		formPage: t.form(e, f, job, title, user),
		ForAll:   job.admin, MayForAll: user.Administrator && !job.admin,
	}
	for _, w := range wanted {
		for _, scope := range w.scopes {
			line := wantedScope{Scope: scope, Resource: w.resource.Name}
			if w.client != job.client {
				line.For = w.client.Name
			}
			page.Wanted = append(page.Wanted, line)
		}
	}
	return page
}

func (t *Tenant) showAdminNeeded(e *exchange, f *flow, job *errand, user *User) {
	t.mu.Lock()
	policy := t.consentPolicy
	t.mu.Unlock()
	page := adminPage{formPage: t.form(e, f, job, "Need admin approval", user), Code: 90094}
	if policy == ConsentPolicyAdminsOnRequest {
		page.Title, page.Code, page.MayRequest = "Approval required", 90095, true
	}
	e.page(http.StatusOK, page)
}
