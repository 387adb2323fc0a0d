package entratest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mcpentra/mcp-entra-go/entratest/internal/odata"
)

// userInfoPath is the path of the UserInfo endpoint in the metadata.
const userInfoPath = "/oidc/userinfo"

// A userInfo is a response of the UserInfo endpoint (OpenID Connect Core section 5.3), which Graph
// serves.
type userInfo struct {
	Subject string `json:"sub"`
	Name    string `json:"name"`
	Email   string `json:"email,omitempty"`
}

// serveGraph serves Microsoft Graph: the directory at /v1.0 and the UserInfo endpoint.
func (h *host) serveGraph(e *exchange) {
	token, ok := strings.CutPrefix(e.request.Header.Get("Authorization"), "Bearer ")
	if !ok {
		e.failGraph(&graphFault{status: http.StatusUnauthorized, code: "InvalidAuthenticationToken", message: "Access token is empty."})
		return
	}
	t, claims, err := h.readGraphToken(token)
	if err != nil {
		e.failGraph(&graphFault{status: http.StatusUnauthorized, code: "InvalidAuthenticationToken", message: err.Error()})
		return
	}
	e.response.Header().Set("request-id", e.traceID)
	if e.request.URL.Path == userInfoPath {
		t.serveUserInfo(e, claims)
		return
	}
	result, f := h.serveDirectory(e, t, claims)
	switch {
	case f != nil:
		e.failGraph(f)
	case result.body == nil:
		e.response.WriteHeader(result.status)
	default:
		e.answer(result.status, result.body)
	}
}

// serveUserInfo serves the UserInfo endpoint, for tokens with openid.
func (t *Tenant) serveUserInfo(e *exchange, claims jwt.MapClaims) {
	scopes, _ := claims["scp"].(string)
	objectID, _ := claims["oid"].(string)
	user := t.userByID(objectID)
	switch {
	case !slices.Contains(strings.Fields(scopes), "openid"):
		e.failGraph(denied("Insufficient privileges to complete the operation."))
	case user == nil:
		e.failGraph(notFound(objectID))
	default:
		subject, _ := claims["sub"].(string)
		info := userInfo{Subject: subject, Name: user.DisplayName}
		if slices.Contains(strings.Fields(scopes), "email") {
			info.Email = user.Email
		}
		e.answer(http.StatusOK, info)
	}
}

// graphRoutes returns all routes.
func graphRoutes() []graphRoute {
	return slices.Concat(agentRoutes, inheritanceRoutes, applicationRoutes, credentialRoutes, principalRoutes, grantRoutes, assignmentRoutes, deletedRoutes, tenantRoutes)
}

// serveDirectory serves a request to the directory of the token's tenant.
func (h *host) serveDirectory(e *exchange, t *Tenant, claims jwt.MapClaims) (graphResult, *graphFault) {
	path, err := odata.ParsePath(strings.TrimPrefix(e.request.URL.EscapedPath(), "/v1.0/"))
	if err != nil {
		return graphResult{}, refused("BadRequest", "Invalid request path: %v.", err)
	}
	route, keys, f := routeOf(e.request.Method, path)
	if f != nil {
		return graphResult{}, f
	}
	c := &graphCall{exchange: e, t: t, d: t.directory, keys: keys, query: e.request.URL.Query()}
	if f := c.readBody(); f != nil {
		return graphResult{}, f
	}
	h.graphMu.Lock() // a call may need another tenant's lock too
	defer h.graphMu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.caller = t.callerOf(claims); c.caller.lacksAll(route.needs) {
		return graphResult{}, denied("Insufficient privileges to complete the operation.")
	}
	c.d.expire()
	return route.serve(c)
}

// routeOf returns the route of a request and the keys in its path.
func routeOf(method string, path []odata.Segment) (graphRoute, []odata.Segment, *graphFault) {
	known := false
	for _, route := range graphRoutes() {
		keys, ok := match(strings.Split(route.pattern, "/"), path)
		if ok && route.method == method {
			return route, keys, nil
		}
		known = known || ok
	}
	if known {
		return graphRoute{}, nil, &graphFault{
			status: http.StatusMethodNotAllowed, code: "Request_BadRequest",
			message: "Specified HTTP method is not allowed for the request target.",
		}
	}
	return graphRoute{}, nil, refused("BadRequest", "Resource not found for the segment '%s', or it is not supported here.", clip(path[len(path)-1].Text))
}

func match(pattern []string, path []odata.Segment) (keys []odata.Segment, ok bool) {
	if len(pattern) != len(path) {
		return nil, false
	}
	for i, name := range pattern {
		switch {
		case name == "{}":
			keys = append(keys, path[i])
		case path[i].Key || path[i].Text != name:
			return nil, false
		}
	}
	return keys, true
}

// readGraphToken verifies a token as Graph does, and returns its tenant.
func (h *host) readGraphToken(token string) (*Tenant, jwt.MapClaims, error) {
	first, rest, _ := strings.Cut(token, ".")
	var header map[string]any
	decoded, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil || json.Unmarshal(decoded, &header) != nil {
		return nil, nil, errors.New("CompactToken parsing failed")
	}
	if nonce, ok := header["nonce"].(string); ok {
		header["nonce"] = hashed(nonce)
		token = encodeSegment(header) + "." + rest
	}
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(token, claims); err != nil {
		return nil, nil, errors.New("CompactToken parsing failed")
	}
	tenantID, _ := claims["tid"].(string)
	t := h.tenant(tenantID)
	if t == nil {
		return nil, nil, errors.New("the token's tenant is unknown")
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithTimeFunc(t.now), jwt.WithExpirationRequired(), jwt.WithIssuer(t.V1Issuer()))
	_, err = parser.ParseWithClaims(token, claims, func(parsed *jwt.Token) (any, error) {
		kid, _ := parsed.Header["kid"].(string)
		if key, ok := t.PublicKey(kid); ok {
			return key, nil
		}
		return nil, errors.New("unknown key")
	})
	if err != nil {
		return nil, nil, errors.New("access token validation failure")
	}
	if audience, _ := claims["aud"].(string); !t.graph.answersTo(audience) {
		return nil, nil, errors.New("access token validation failure: invalid audience")
	}
	return t, claims, nil
}
