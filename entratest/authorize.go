package entratest

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// maxQuery is the maximum length of the query of an authorization request or an administrator's
// consent, in bytes. Entra's limit is not documented, and reports of it differ: this is the least.
const maxQuery = 1800

// responseNone is the response_type of blueprints' requests for consent.
const responseNone = "none"

// An authorizeRequest is a request at the authorize endpoint
// (https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow).
type authorizeRequest struct {
	client   *App
	redirect redirect
	mode     string // response_mode: query, fragment or form_post
	state    string
	scope    string
	scopes   []scopeRequest
	openid   []string
	nonce    string
	method   string // code_challenge_method: S256, plain or none
	verifier string // the code_challenge
	prompt   string
	hint     string // login_hint
	claims   claimsRequest
	info     bool // client_info
	none     bool // only for consent: no code
}

// readAuthorize parses an authorization request. If it returns no request, the error goes on a
// page, because there is no redirect URI to trust.
func (t *Tenant) readAuthorize(query string) (*authorizeRequest, *rejection) {
	if len(query) > maxQuery {
		return nil, reject(90015, "Requested query string is too long.")
	}
	form, err := url.ParseQuery(query)
	if err != nil {
		return nil, reject(9002313, "Invalid request. Request is malformed or invalid.")
	}
	for name, values := range form {
		if len(values) > 1 {
			return nil, reject(9000411, fmt.Sprintf("The request is not properly formatted. The parameter '%s' is duplicated.", clip(name)))
		}
	}
	if form.Get("client_id") == "" {
		return nil, missing("client_id")
	}
	client, r := t.knownClient(form.Get("client_id"))
	if r == nil {
		r = client.maySignIn(form.Get("response_type"))
	}
	if r != nil {
		return nil, r
	}
	back, r := client.redirectTo(form.Get("redirect_uri"))
	if r != nil {
		return nil, r
	}
	q := &authorizeRequest{
		client: client, redirect: back, state: form.Get("state"), scope: form.Get("scope"), nonce: form.Get("nonce"),
		method: form.Get("code_challenge_method"), verifier: form.Get("code_challenge"),
		prompt: form.Get("prompt"), hint: form.Get("login_hint"), info: form.Get("client_info") == "1",
		none: form.Get("response_type") == responseNone,
	}
	if r := q.readMode(form.Get("response_mode")); r != nil {
		return nil, r
	}
	return q, q.check(t, form)
}

// knownClient returns the app with the client_id.
func (t *Tenant) knownClient(clientID string) (*App, *rejection) {
	if clientID == emptyGUID {
		return nil, reject(700038, clientID+" is not an application's identifier.")
	}
	t.mu.Lock()
	app := t.appByClientID(clientID)
	t.mu.Unlock()
	if app == nil || app.microsoft && !app.public {
		return nil, reject(700016, fmt.Sprintf("Application with identifier '%s' was not found in the directory '%s'. "+
			"It may not have been installed in the tenant, or the request went to the wrong tenant.", clip(clientID), t.id))
	}
	return app, nil
}

func (q *authorizeRequest) readMode(mode string) *rejection {
	switch mode {
	case "":
		q.mode = "query"
	case "query", "fragment", "form_post":
		q.mode = mode
	default:
		return reject(90023, "The response_mode is not supported: it must be 'query', 'fragment' or 'form_post'.")
	}
	return nil
}

var challenge = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`) // RFC 7636 section 4.2

// check checks the parameters whose errors are sent to the client.
func (q *authorizeRequest) check(t *Tenant, form url.Values) *rejection {
	switch kind := form.Get("response_type"); kind {
	case "code":
	case responseNone:
		if !q.client.blueprint {
			return reject(700054, "response_type 'none' is not enabled for the application.")
		}
	case "":
		return missing("response_type")
	default:
		return reject(700054, fmt.Sprintf("response_type '%s' is not enabled for the application.", clip(kind)))
	}
	if q.scope == "" {
		return missing("scope")
	}
	var r *rejection
	if r = t.checkResource(form, q.scope); r != nil {
		return r
	}
	if q.scopes, q.openid, r = t.parseScopes(q.scope); r != nil {
		return r
	}
	if r = q.client.checkSelf(q.scopes); r != nil {
		return r
	}
	if q.claims, r = parseClaims(form.Get("claims")); r != nil {
		return r
	}
	if !slices.Contains([]string{"", "none", "login", "select_account", "consent", "create"}, q.prompt) {
		return reject(90023, "Unsupported 'prompt' value.")
	}
	return q.checkChallenge()
}

func (q *authorizeRequest) checkChallenge() *rejection {
	if q.verifier == "" {
		if q.redirect.platform == PlatformSPA {
			return reject(9002325, "Proof Key for Code Exchange is required for cross-origin authorization code redemption.")
		}
		return nil
	}
	if q.method == "" {
		q.method = "plain"
	}
	if q.method != "S256" && q.method != "plain" {
		return reject(9002313, "Invalid request. The code_challenge_method must be 'S256' or 'plain'.")
	}
	if !challenge.MatchString(q.verifier) || q.method == "S256" && len(q.verifier) != 43 {
		return reject(501491, "Invalid size of Code_Challenge parameter.")
	}
	return nil
}

// serveAuthorize serves the authorize endpoint, GET or POST.
func (t *Tenant) serveAuthorize(e *exchange) {
	query := e.request.URL.RawQuery
	if e.request.Method == http.MethodPost && query == "" {
		query = e.request.PostForm.Encode()
	}
	t.proceed(e, &flow{Kind: flowAuthorize, Query: query, Shared: e.shared})
}

// respond redirects the user to the client with the parameters of a response.
func (q *authorizeRequest) respond(e *exchange, answer url.Values) {
	if q.state != "" {
		answer.Set("state", q.state)
	}
	switch q.mode {
	case "form_post":
		e.page(http.StatusOK, newFormPost(q.redirect.uri, answer))
	case "fragment":
		e.redirect(q.redirect.uri + "#" + answer.Encode())
	default:
		separator := "?"
		if strings.Contains(q.redirect.uri, "?") {
			separator = "&"
		}
		e.redirect(q.redirect.uri + separator + answer.Encode())
	}
}

// fail redirects the user to the client with an error.
func (q *authorizeRequest) fail(e *exchange, r *rejection) {
	e.recordRefusal(r.code, r.message)
	answer := url.Values{
		"error":             {r.redirectKind()},
		"error_description": {e.describe(r)},
	}
	if page := e.errorURI(r); page != "" {
		answer.Set("error_uri", page)
	}
	if r.subcode != "" {
		answer.Set("error_subcode", r.subcode)
	}
	q.respond(e, answer)
}

// redirect redirects the browser. The address may have a custom scheme.
func (e *exchange) redirect(to string) {
	e.response.Header().Set("Location", to)
	e.response.Header().Set("Cache-Control", "no-store, no-cache")
	e.response.Header().Set("Referrer-Policy", "strict-origin-when-cross-origin")
	e.response.WriteHeader(http.StatusFound)
}

func addQuery(address, name, value string) string {
	separator := "?"
	if strings.Contains(address, "?") {
		separator = "&"
	}
	return address + separator + url.Values{name: {value}}.Encode()
}
