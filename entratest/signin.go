package entratest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// The kinds of errand that lead to the sign-in pages.
const (
	flowAuthorize = "authorize"
	flowDevice    = "device"
	flowAdmin     = "adminconsent"
)

// flowLifetime is how long a page may stay open before it is submitted.
const flowLifetime = 3600 // seconds

// A flow is the state of a sign-in. The pages' forms carry it, encrypted and bound to the browser,
// so that no other site can submit one.
type flow struct {
	Kind    string
	Query   string // the request at the authorize or admin consent endpoint, or the user code
	Shared  bool   // started at /organizations or /common
	Browser string
	Expires int64

	Tenant    string // of the user, once chosen
	User      string // object ID
	Fresh     bool   // the user just chose the account
	MFA       bool   // the user just approved the sign-in
	Consented bool
	Everyone  bool // consent covers the whole tenant
}

// An errand is what the user came for, in the form that the pages need.
type errand struct {
	client *App
	scopes []scopeRequest
	prompt string
	hint   string
	claims claimsRequest
	admin  bool // the errand is an administrator's consent
	done   func(user *User, s signIn)
	fail   func(r *rejection)
}

// proceed sends the user to the next page or back to the client.
func (t *Tenant) proceed(e *exchange, f *flow) {
	owner := t
	if f.Tenant != "" {
		if owner = t.tenant(f.Tenant); owner == nil {
			e.refusePage(reject(90002, "The tenant is gone."))
			return
		}
	} else if f.Shared {
		owner = t.ownerOf(e, f)
	}
	job, r := owner.errand(e, f)
	switch {
	case r != nil && job == nil:
		e.refusePage(r)
	case r != nil:
		job.fail(r)
	default:
		owner.step(e, f, job)
	}
}

// ownerOf returns a tenant that knows the client, for requests without a tenant: preferably the
// tenant of a signed-in user, else the first.
func (h *host) ownerOf(e *exchange, f *flow) *Tenant {
	all := h.all()
	for _, s := range e.sessions() {
		if t := h.tenant(s.Tenant); t != nil {
			all = append([]*Tenant{t}, all...)
		}
	}
	clientID := ""
	if form, err := url.ParseQuery(f.Query); err == nil {
		clientID = form.Get("client_id")
	}
	if f.Kind == flowDevice {
		if d := h.devices.byUserCode(f.Query); d != nil {
			clientID = d.clientID
		}
	}
	for _, t := range all {
		if _, r := t.knownClient(clientID); r == nil {
			return t
		}
	}
	return all[0]
}

// errand reads the flow's request. If it returns no errand, the error goes on a page.
func (t *Tenant) errand(e *exchange, f *flow) (*errand, *rejection) {
	switch f.Kind {
	case flowDevice:
		return t.deviceErrand(e, f)
	case flowAdmin:
		return t.adminErrand(e, f)
	default:
		q, r := t.readAuthorize(f.Query)
		if q == nil {
			return nil, r
		}
		return &errand{
			client: q.client, scopes: q.scopes, prompt: q.prompt, hint: q.hint, claims: q.claims,
			done: func(user *User, s signIn) { t.sendCode(e, q, user, s) },
			fail: func(r *rejection) { q.fail(e, r) },
		}, r
	}
}

// step finds the first missing thing: an account, a second factor, or consent.
func (t *Tenant) step(e *exchange, f *flow, job *errand) {
	user, s, r := t.account(e, f, job)
	switch {
	case r != nil:
		job.fail(r)
		return
	case user == nil:
		t.showPicker(e, f, job)
		return
	}
	f.Tenant, f.User = t.id, user.ObjectID
	switch {
	case user.Disabled:
		e.refusePage(reject(50057, "The user account is disabled."))
		return
	case user.agent != nil:
		e.refusePage(reject(50126, "The account is an agent user, which has no credentials to sign in with."))
		return
	}
	if f.MFA {
		s.MFA, s.Contexts = true, union(s.Contexts, t.contextsOf(job))
	}
	if r := t.policy(job, s); r != nil {
		switch {
		case job.prompt == "none":
			job.fail(r)
		case r.code == 53003:
			e.refusePage(r)
		default:
			t.showApproval(e, f, job, user)
		}
		return
	}
	if t.consentStep(e, f, job, user) {
		e.remember(s)
		job.done(user, s)
	}
}

// account returns the user to continue with, or nil if the user must choose.
func (t *Tenant) account(e *exchange, f *flow, job *errand) (*User, signIn, *rejection) {
	if f.User != "" {
		user := t.userByID(f.User)
		if user == nil {
			return nil, signIn{}, reject(50034, fmt.Sprintf("The user account does not exist in the directory '%s'.", t.id))
		}
		if s, ok := e.signedIn(user); ok && (!f.Fresh || job.prompt != "login") {
			return user, s, nil
		}
		return user, t.newSignIn(user), nil
	}
	if job.prompt == "login" || job.prompt == "select_account" || job.prompt == "create" || f.Kind != flowAuthorize {
		return nil, signIn{}, nil
	}
	var found []*User
	for _, owner := range t.audience(f, job) {
		for _, s := range e.sessions() {
			if s.Tenant != owner.id {
				continue
			}
			if user := owner.userByID(s.User); user != nil && s.Epoch == user.epoch.Load() && user.isHinted(job.hint) {
				found = append(found, user)
			}
		}
	}
	if len(found) == 1 && found[0].tenant == t { // users of other tenants go through the picker
		s, _ := e.signedIn(found[0])
		return found[0], s, nil
	}
	if job.prompt == "none" {
		if len(found) > 1 {
			return nil, signIn{}, reject(16000, "Several user identities are signed in: either choose one, or send a login_hint.")
		}
		return nil, signIn{}, reject(50058, "A silent sign-in request was sent but no user is signed in.")
	}
	return nil, signIn{}, nil
}

// isHinted reports whether a login_hint matches the user.
func (u *User) isHinted(hint string) bool {
	return hint == "" || strings.EqualFold(hint, u.UserPrincipalName) || u.Email != "" && strings.EqualFold(hint, u.Email)
}

// audience returns the tenants whose users may complete the errand.
func (t *Tenant) audience(f *flow, job *errand) []*Tenant {
	if !f.Shared {
		return []*Tenant{t}
	}
	var all []*Tenant
	for _, other := range t.all() {
		if _, r := other.knownClient(job.client.ClientID); r == nil {
			all = append(all, other)
		}
	}
	return all
}

// serveLogin handles a submitted page.
func (t *Tenant) serveLogin(e *exchange) {
	var f flow
	form := e.request.PostForm
	if e.request.Method != http.MethodPost || !t.sealer.open("flow", form.Get("flow"), &f) {
		e.refusePage(reject(9002313, "Invalid request. Begin again at the application."))
		return
	}
	if f.Browser != e.browser() || t.now().Unix() > f.Expires {
		e.refusePage(reject(50089, "The page is too old, or belongs to another browser. Begin again at the application."))
		return
	}
	switch action := form.Get("action"); action {
	case "account":
		user := t.chosen(&f, form)
		if user == nil {
			e.refusePage(reject(50034, fmt.Sprintf("The user account '%s' does not exist in the directory.", clip(form.Get("name")))))
			return
		}
		f.Tenant, f.User, f.Fresh = user.tenant.id, user.ObjectID, true
	case "approve":
		f.MFA = true
	case "consent":
		f.Consented, f.Everyone = true, form.Get("everyone") == "yes"
	case "cancel", "request":
		t.cancel(e, &f, action)
		return
	default:
		e.refusePage(reject(9002313, "Invalid request. Begin again at the application."))
		return
	}
	t.proceed(e, &f)
}

// chosen returns the user who was picked or typed.
func (t *Tenant) chosen(f *flow, form url.Values) *User {
	tenants := []*Tenant{t}
	if f.Shared {
		tenants = t.all()
	}
	for _, owner := range tenants {
		if user := owner.userByID(form.Get("user")); user != nil {
			return user
		}
		if user := owner.userByName(strings.TrimSpace(form.Get("name"))); user != nil {
			return user
		}
	}
	return nil
}

// cancel sends the user back to the client with an error.
func (t *Tenant) cancel(e *exchange, f *flow, action string) {
	owner := t
	if other := t.tenant(f.Tenant); other != nil {
		owner = other
	}
	job, r := owner.errand(e, f)
	switch {
	case job == nil:
		e.refusePage(r)
	case action == "request":
		e.refusePage(needsAdmin(90095, job.client))
	case f.User == "":
		job.fail(refusal(50126, "The user canceled the sign-in."))
	default:
		job.fail(refusal(65004, fmt.Sprintf("User declined to consent to access the app '%s'.", job.client.ClientID)))
	}
}

// refusal returns the error that a client gets if the user declined.
func refusal(code int, message string) *rejection {
	r := reject(code, message)
	r.kind, r.subcode = "access_denied", "cancel"
	return r
}

// form returns the data that every page with a flow needs.
func (t *Tenant) form(e *exchange, f *flow, job *errand, title string, user *User) formPage {
	next := *f
	next.Browser = e.browser()
	next.Expires = t.now().Unix() + flowLifetime
	page := formPage{Title: title, Action: "/" + t.id + "/login", Flow: t.sealer.seal("flow", next), App: job.client.name()}
	if user != nil {
		page.UPN = user.UserPrincipalName
	}
	return page
}

// maxTiles is how many accounts the picker shows; others can be typed.
const maxTiles = 50

func (t *Tenant) showPicker(e *exchange, f *flow, job *errand) {
	page := pickerPage{formPage: t.form(e, f, job, "Pick an account", nil), Hint: job.hint}
	for _, owner := range t.audience(f, job) {
		owner.mu.Lock()
		users := slices.Clone(owner.users[:min(len(owner.users), maxTiles)])
		owner.mu.Unlock()
		for _, user := range users {
			if len(page.Accounts) == maxTiles || !user.isHinted(job.hint) || user.agent != nil {
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
			line := wantedScope{Scope: scope, Resource: w.resource.name()}
			if w.client != job.client {
				line.For = w.client.name()
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
