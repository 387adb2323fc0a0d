package entratest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// userInfoPath is the path of the UserInfo endpoint in the metadata.
const userInfoPath = "/oidc/userinfo"

// A graphError has the format of Microsoft Graph's errors.
type graphError struct {
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// A graphUser has the relevant members of Graph's response at /me, in the same order.
type graphUser struct {
	Context           string  `json:"@odata.context"`
	DisplayName       string  `json:"displayName"`
	Mail              *string `json:"mail"`
	UserPrincipalName string  `json:"userPrincipalName"`
	ID                string  `json:"id"`
}

// A userInfo is a response of the UserInfo endpoint (OpenID Connect Core section 5.3), which Graph
// serves.
type userInfo struct {
	Subject string `json:"sub"`
	Name    string `json:"name"`
	Email   string `json:"email,omitempty"`
}

// serveGraph tells callers who they are: at /v1.0/me for tokens with User.Read, at /oidc/userinfo
// for tokens with openid.
func (h *host) serveGraph(e *exchange) {
	token, ok := strings.CutPrefix(e.request.Header.Get("Authorization"), "Bearer ")
	if !ok {
		e.failGraph(http.StatusUnauthorized, "InvalidAuthenticationToken", "Access token is empty.")
		return
	}
	t, claims, err := h.readGraphToken(token)
	if err != nil {
		e.failGraph(http.StatusUnauthorized, "InvalidAuthenticationToken", err.Error())
		return
	}
	scopes, _ := claims["scp"].(string)
	objectID, _ := claims["oid"].(string)
	user := t.userByID(objectID)
	needed := "User.Read"
	if e.request.URL.Path == userInfoPath {
		needed = "openid"
	}
	switch {
	case !slices.Contains(strings.Fields(scopes), needed):
		e.failGraph(http.StatusForbidden, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
	case user == nil:
		e.failGraph(http.StatusNotFound, "Request_ResourceNotFound", "The user of the token does not exist.")
	case needed == "openid":
		subject, _ := claims["sub"].(string)
		info := userInfo{Subject: subject, Name: user.DisplayName}
		if slices.Contains(strings.Fields(scopes), "email") {
			info.Email = user.Email
		}
		e.answer(http.StatusOK, info)
	default:
		answer := graphUser{
			Context:     t.authorityHost + "/v1.0/$metadata#users/$entity",
			DisplayName: user.DisplayName, UserPrincipalName: user.UserPrincipalName, ID: user.ObjectID,
		}
		if user.Email != "" {
			answer.Mail = &user.Email
		}
		e.answer(http.StatusOK, answer)
	}
}

func (e *exchange) failGraph(status int, code, message string) {
	var body graphError
	body.Error.Code, body.Error.Message = code, message
	if status == http.StatusUnauthorized {
		e.response.Header().Set("WWW-Authenticate", `Bearer realm="", error="invalid_token"`)
	}
	e.answer(status, body)
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
	if audience, _ := claims["aud"].(string); !t.graph.isNamed(audience) {
		return nil, nil, errors.New("access token validation failure: invalid audience")
	}
	return t, claims, nil
}
