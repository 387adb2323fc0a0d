package entratest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// The grant types of the token endpoint.
const (
	grantOnBehalfOf        = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	grantClientCredentials = "client_credentials"
	grantCode              = "authorization_code"
	grantRefresh           = "refresh_token"
	grantDevice            = "urn:ietf:params:oauth:grant-type:device_code"
	grantDeviceOld         = "device_code" // the name in MSAL Go and others
)

// serveToken serves the token endpoint.
func (t *Tenant) serveToken(e *exchange) {
	if e.allowOrigin() {
		return
	}
	if e.request.Method != http.MethodPost {
		e.reject(reject(900561, fmt.Sprintf("The endpoint only accepts POST requests. Received a %s request.", clip(e.request.Method))))
		return
	}
	e.form = e.request.PostForm // ignore parameters in the URL
	response, r := t.issue(e)
	if r != nil {
		e.reject(r)
		return
	}
	e.answer(http.StatusOK, response)
}

func (t *Tenant) issue(e *exchange) (*tokenResponse, *rejection) {
	for name, values := range e.form {
		if len(values) > 1 {
			return nil, reject(9000411, fmt.Sprintf("The request is not properly formatted. The parameter '%s' is duplicated.", clip(name)))
		}
	}
	if e.clientID() == "" {
		return nil, missing("client_id")
	}
	grant := e.form.Get("grant_type")
	switch grant {
	case "":
		return nil, missing("grant_type")
	case grantCode:
		return t.authorizationCode(e)
	case grantRefresh:
		return t.refresh(e)
	case grantDevice, grantDeviceOld:
		return t.pollDevice(e)
	case grantOnBehalfOf, grantClientCredentials, grantUserFederated:
		if e.shared {
			return nil, reject(50059, "No tenant-identifying information found in either the request or implied by any provided credentials.")
		}
	default:
		return nil, reject(70003, fmt.Sprintf("The app requested an unsupported grant type '%s'.", clip(grant)))
	}
	client, acr, r := t.authenticate(e)
	if r != nil {
		return nil, r
	}
	if e.form.Get("scope") == "" {
		return nil, missing("scope")
	}
	switch grant {
	case grantClientCredentials:
		return t.clientCredentials(e, client, acr)
	case grantUserFederated:
		return t.userFederated(e, client, acr)
	default:
		return t.onBehalfOf(e, client, acr)
	}
}

// clientCredentials issues an app-only token: no user, no scopes.
func (t *Tenant) clientCredentials(e *exchange, client *App, acr string) (*tokenResponse, *rejection) {
	forAll := func(scope string) bool { return strings.HasSuffix(scope, "/"+defaultScope) }
	if !slices.ContainsFunc(strings.Fields(e.form.Get("scope")), forAll) {
		return nil, reject(1002012, fmt.Sprintf("The provided value for scope %s is not valid. Client credential flows must have a "+
			"scope value with /.default suffixed to the resource identifier (application ID URI).", clip(e.form.Get("scope"))))
	}
	scope, r := t.parseScope(e.form.Get("scope"))
	if r != nil && r.code == 28000 { // apps get a different error for two resources
		r = invalidScope(e.form.Get("scope"))
	}
	if r == nil {
		r = t.mayCallAlone(client, scope.resource)
	}
	if r != nil {
		return nil, r
	}
	lifetime := t.lifetime()
	if scope.resource.isTokenExchange() && t.options.TokenLifetime == 0 {
		lifetime = exchangeLifetime
	}
	access := t.appAccess(client.principal(), acr, scope.target(), t.rolesOf(client, scope.resource), lifetime)
	if r := t.impersonate(e, client, scope, access); r != nil {
		return nil, r
	}
	return t.respond(access), nil
}

// allowOrigin lets scripts of single-page applications read the responses of the token endpoint.
// It reports whether the request was a CORS preflight.
func (e *exchange) allowOrigin() bool {
	if e.request.Header.Get("Origin") == "" {
		return false
	}
	h := e.response.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Methods", "POST, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "content-type, client-request-id, return-client-request-id")
	if e.request.Method != http.MethodOptions {
		return false
	}
	e.response.WriteHeader(http.StatusOK)
	return true
}
