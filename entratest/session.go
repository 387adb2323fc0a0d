package entratest

import (
	"net/http"
	"slices"
	"strings"
)

// The browser's cookies. A session holds the encrypted sign-ins. The browser ID binds a form to
// the browser that showed it.
const (
	sessionCookie = "entratest-session"
	browserCookie = "entratest-browser"
)

// A signIn is one user's session in one browser.
type signIn struct {
	Tenant   string   `json:"t"`
	User     string   `json:"u"` // object ID
	Time     int64    `json:"a"` // Unix time of the sign-in
	MFA      bool     `json:"m,omitempty"`
	Contexts []string `json:"c,omitempty"` // authentication contexts that are met
	Session  string   `json:"s"`           // the sid claim
	Epoch    int64    `json:"e,omitempty"` // of the user, see User.RevokeSessions
}

// methods returns the amr claim.
func (s signIn) methods() []any {
	if s.MFA {
		return []any{"pwd", "mfa"}
	}
	return []any{"pwd"}
}

// sessions returns the browser's sign-ins.
func (e *exchange) sessions() []signIn {
	cookie, err := e.request.Cookie(sessionCookie)
	if err != nil {
		return nil
	}
	var all []signIn
	if !e.tenant.sealer.open(sessionCookie, cookie.Value, &all) {
		return nil
	}
	return all
}

// remember adds the sign-in to the browser's sessions.
func (e *exchange) remember(s signIn) {
	all := slices.DeleteFunc(e.sessions(), func(other signIn) bool { return other.Tenant == s.Tenant && other.User == s.User })
	if len(all) >= 5 {
		all = all[1:]
	}
	e.setCookie(sessionCookie, e.tenant.sealer.seal(sessionCookie, append(all, s)))
}

// forget ends the browser's sessions.
func (e *exchange) forget() {
	http.SetCookie(e.response, &http.Cookie{Name: sessionCookie, Path: "/", MaxAge: -1, Secure: !e.tenant.plain, HttpOnly: true})
}

// browser returns the browser's ID, which is set with the first page.
func (e *exchange) browser() string {
	if cookie, err := e.request.Cookie(browserCookie); err == nil && len(cookie.Value) == 22 {
		return cookie.Value
	}
	id := opaque(16)
	e.setCookie(browserCookie, id)
	return id
}

func (e *exchange) setCookie(name, value string) {
	http.SetCookie(e.response, &http.Cookie{
		Name: name, Value: value, Path: "/", Secure: !e.tenant.plain, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// signedIn returns the user's session if it is still valid.
func (e *exchange) signedIn(user *User) (signIn, bool) {
	for _, s := range e.sessions() {
		if s.User == user.ObjectID && s.Tenant == user.tenant.id && s.Epoch == user.epoch.Load() {
			return s, true
		}
	}
	return signIn{}, false
}

// newSignIn returns the session of a user who has just signed in.
func (t *Tenant) newSignIn(user *User) signIn {
	return signIn{Tenant: t.id, User: user.ObjectID, Time: t.now().Unix(), Session: newGUID(), Epoch: user.epoch.Load()}
}

// serveLogout ends the browser's sessions, and redirects the user to the client's address if that
// is a registered redirect URI (https://openid.net/specs/openid-connect-rpinitiated-1_0.html).
func (t *Tenant) serveLogout(e *exchange) {
	e.forget()
	back := e.form.Get("post_logout_redirect_uri")
	if back != "" && t.mayReturnTo(back) {
		if state := e.form.Get("state"); state != "" {
			back = addQuery(back, "state", state)
		}
		http.Redirect(e.response, e.request, back, http.StatusFound)
		return
	}
	e.page(http.StatusOK, messagePage{Title: "You signed out of your account", Text: "It is safe to close this page."})
}

// mayReturnTo reports whether the address is a redirect URI of any app.
func (t *Tenant) mayReturnTo(address string) bool {
	t.mu.Lock()
	apps := slices.Clone(t.apps)
	t.mu.Unlock()
	return slices.ContainsFunc(apps, func(app *App) bool {
		_, r := app.redirectTo(address)
		return r == nil
	})
}

// userByName returns the user with that user principal name, or nil.
func (t *Tenant) userByName(name string) *User {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, user := range t.users {
		if strings.EqualFold(user.UserPrincipalName, name) {
			return user
		}
	}
	return nil
}
