package entratest

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The paths of the two kinds of managed identity endpoint.
const (
	appServicePath = "/MSI/token"
	imdsPath       = "/metadata/identity/oauth2/token"
)

// identityLifetime is how long a managed identity's tokens are valid.
const identityLifetime = 24 * time.Hour

// A UserAssignedIdentity is a user-assigned managed identity. Any code that reaches the tenant can
// use it.
type UserAssignedIdentity struct {
	ClientID   string // selects the identity: AZURE_CLIENT_ID, UMI_CLIENT_ID
	ObjectID   string // the sub and oid of its tokens; the subject of a federated credential
	ResourceID string // its Azure resource id
	Name       string
}

func (m *UserAssignedIdentity) principalID() string { return m.ObjectID }

// An identityEndpoint is the plain HTTP server that issues managed identity tokens to code that
// runs in Azure.
type identityEndpoint struct {
	server *server
	header string
}

// AddManagedIdentity adds a user-assigned managed identity.
func (t *Tenant) AddManagedIdentity(name string) *UserAssignedIdentity {
	identity := &UserAssignedIdentity{
		ClientID: newGUID(), ObjectID: newGUID(), Name: name,
		ResourceID: "/subscriptions/" + newGUID() + "/resourcegroups/entratest/providers/Microsoft.ManagedIdentity/userAssignedIdentities/" + name,
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.identities = append(t.identities, identity)
	return identity
}

// ManagedIdentityEndpoint returns the values that App Service and Container Apps set as
// IDENTITY_ENDPOINT and IDENTITY_HEADER. Like theirs, the endpoint is plain HTTP on a local
// address. It also answers like IMDS at /metadata/identity/oauth2/token. The first call starts the
// listener, and panics if that fails.
func (t *Tenant) ManagedIdentityEndpoint() (endpoint, header string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.identity == nil {
		if t.identityClosed {
			panic("entratest: ManagedIdentityEndpoint after Close")
		}
		host, _, err := net.SplitHostPort(t.https.address())
		must(err)
		t.identity = &identityEndpoint{header: newGUID()}
		t.identity.server = listenAt(net.JoinHostPort(host, "0"))
		t.identity.server.serve(nil, http.HandlerFunc(t.serveIdentity))
	}
	return "http://" + t.identity.server.address() + appServicePath, t.identity.header
}

func (t *Tenant) serveIdentity(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimSuffix(r.URL.Path, "/")
	endpoint := EndpointManagedIdentity
	if path != appServicePath && path != imdsPath {
		endpoint = 0
	}
	e := t.begin(w, r, endpoint)
	switch {
	case e == nil:
	case endpoint == 0:
		servePage(e.response, r, false)
	case path == imdsPath:
		t.serveIMDS(e)
	default:
		t.serveAppService(e)
	}
}

// An appServiceToken is a response of api-version 2019-08-01. Times are text.
type appServiceToken struct {
	AccessToken string `json:"access_token"`
	ExpiresOn   string `json:"expires_on"` // Unix time
	Resource    string `json:"resource"`
	TokenType   string `json:"token_type"`
	ClientID    string `json:"client_id"`
}

// An appServiceError is an error of App Service.
type appServiceError struct {
	StatusCode    int    `json:"statusCode"`
	Message       string `json:"message"`
	CorrelationID string `json:"correlationId"`
}

func (t *Tenant) serveAppService(e *exchange) {
	fail := func(status int, message string) {
		e.answer(status, appServiceError{StatusCode: status, Message: message, CorrelationID: e.correlationID})
	}
	query := e.request.URL.Query()
	t.mu.Lock()
	header := t.identity.header
	t.mu.Unlock()
	if e.request.Header.Get("X-IDENTITY-HEADER") != header {
		fail(http.StatusUnauthorized, "The header X-IDENTITY-HEADER is missing or is not the value of IDENTITY_HEADER.")
		return
	}
	if e.request.Method != http.MethodGet || query.Get("api-version") != "2019-08-01" {
		fail(http.StatusBadRequest, "Send a GET request with api-version=2019-08-01.")
		return
	}
	// There is no system-assigned identity here, and App Service never picks another one.
	identity := t.selectedIdentity(query.Get("client_id"), query.Get("mi_res_id"), query.Get("object_id")+query.Get("principal_id"))
	if identity == nil {
		fail(http.StatusBadRequest, "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.")
		return
	}
	access, r := t.identityToken(identity, query.Get("resource"))
	if r != nil {
		fail(http.StatusBadRequest, r.Error())
		return
	}
	e.answer(http.StatusOK, appServiceToken{
		AccessToken: t.sign(access),
		ExpiresOn:   strconv.FormatInt(access.expires.Unix(), 10),
		Resource:    query.Get("resource"),
		TokenType:   "Bearer",
		ClientID:    identity.ClientID,
	})
}

// An imdsToken is a response of api-version 2018-02-01. All numbers are text.
type imdsToken struct {
	AccessToken  string `json:"access_token"`
	ClientID     string `json:"client_id"`
	ExpiresIn    string `json:"expires_in"` // seconds
	ExpiresOn    string `json:"expires_on"` // Unix time
	ExtExpiresIn string `json:"ext_expires_in"`
	NotBefore    string `json:"not_before"`
	Resource     string `json:"resource"`
	TokenType    string `json:"token_type"`
}

// An imdsError is an error of IMDS.
type imdsError struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

func (t *Tenant) serveIMDS(e *exchange) {
	fail := func(kind, description string) {
		e.answer(http.StatusBadRequest, imdsError{Error: kind, Description: description})
	}
	query := e.request.URL.Query()
	if e.request.Header.Get("Metadata") != "true" {
		fail("invalid_request", "Required metadata header not specified")
		return
	}
	identity := t.selectedIdentity(query.Get("client_id"), query.Get("msi_res_id")+query.Get("mi_res_id"), query.Get("object_id")+query.Get("principal_id"))
	if identity == nil {
		identity = t.onlyIdentity(query.Has("client_id") || query.Has("msi_res_id") || query.Has("mi_res_id") || query.Has("object_id"))
	}
	if identity == nil {
		fail("invalid_request", "Identity not found")
		return
	}
	access, r := t.identityToken(identity, query.Get("resource"))
	if r != nil {
		fail(r.kind, r.Error())
		return
	}
	now := t.now()
	lifetime := strconv.FormatInt(access.expires.Unix()-now.Unix(), 10)
	e.answer(http.StatusOK, imdsToken{
		AccessToken: t.sign(access), ClientID: identity.ClientID, Resource: query.Get("resource"), TokenType: "Bearer",
		ExpiresIn: lifetime, ExtExpiresIn: lifetime, ExpiresOn: strconv.FormatInt(access.expires.Unix(), 10),
		NotBefore: strconv.FormatInt(now.Add(-clockSkew).Unix(), 10),
	})
}

// selectedIdentity returns the identity that a request names, or nil.
func (t *Tenant) selectedIdentity(clientID, resourceID, objectID string) *UserAssignedIdentity {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, identity := range t.identities {
		if strings.EqualFold(identity.ClientID, clientID) ||
			strings.EqualFold(identity.ResourceID, resourceID) ||
			strings.EqualFold(identity.ObjectID, objectID) {
			return identity
		}
	}
	return nil
}

// onlyIdentity returns the machine's only identity, which IMDS uses if a request names none.
func (t *Tenant) onlyIdentity(named bool) *UserAssignedIdentity {
	t.mu.Lock()
	defer t.mu.Unlock()
	if named || len(t.identities) != 1 {
		return nil
	}
	return t.identities[0]
}

func (t *Tenant) identityToken(identity *UserAssignedIdentity, resource string) (issuedToken, *rejection) {
	t.mu.Lock()
	app := t.appByIdentifier(resource)
	t.mu.Unlock()
	if app == nil {
		return issuedToken{}, unknownResource(resource, t.id)
	}
	aim := target{app, resource, app.tokenVersion()}
	return t.appAccess(principal{identity.ClientID, identity.ObjectID, nil}, acrCertificate, aim, t.roles(identity.ObjectID, app), identityLifetime), nil
}

// String formats the identity for test output.
func (m *UserAssignedIdentity) String() string {
	return fmt.Sprintf("managed identity %s (client ID %s)", m.Name, m.ClientID)
}
