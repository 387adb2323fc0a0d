package entratest

import (
	"fmt"
	"html"
	"net/http"
	"strings"
)

// cloudInstanceName is the cloud's name in metadata and keys. It is the real one: a
// verifier compares the two and no other fact hangs on it.
const cloudInstanceName = "microsoftonline.com"

// serveAuthority answers everything below the authority host.
func (t *Tenant) serveAuthority(w http.ResponseWriter, r *http.Request) {
	tenant, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	endpoint := endpointOf(path)
	e := t.begin(w, r, endpoint)
	if e == nil {
		return // too large, or answered by a fault
	}
	switch {
	case endpoint == 0:
		servePage(w, r, path == "" && (tenant == "" || tenant == "error"))
	case !strings.EqualFold(tenant, t.id):
		e.reject(reject(90002, fmt.Sprintf("Tenant '%s' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud.", clip(tenant))))
	case endpoint == Discovery && strings.HasPrefix(path, "v2.0/"):
		e.answer(http.StatusOK, t.metadataV2())
	case endpoint == Discovery:
		e.answer(http.StatusOK, t.metadataV1())
	case endpoint == Keys && path == "discovery/v2.0/keys":
		e.answer(http.StatusOK, t.keySet(t.V2Issuer()))
	case endpoint == Keys:
		e.answer(http.StatusOK, t.keySet(t.V1Issuer()))
	default:
		t.serveToken(e)
	}
}

// endpointOf returns the endpoint at path, below the tenant, or 0.
func endpointOf(path string) Endpoint {
	switch path {
	case ".well-known/openid-configuration", "v2.0/.well-known/openid-configuration":
		return Discovery
	case "discovery/keys", "discovery/v2.0/keys":
		return Keys
	case "oauth2/v2.0/token":
		return Token
	default:
		return 0
	}
}

// servePage tells a person who followed a link where they are.
func servePage(w http.ResponseWriter, r *http.Request, known bool) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'")
	text := "There is no page here. The endpoints are listed by the metadata at /{tenant id}/v2.0/.well-known/openid-configuration."
	if code := r.URL.Query().Get("code"); known && code != "" {
		text = "Look up AADSTS" + clip(code) + " in Microsoft's list of Entra authentication error codes."
	}
	if !known {
		w.WriteHeader(http.StatusNotFound)
	}
	// An error here is the client's going away.
	_, _ = fmt.Fprintf(w, "<!doctype html>\n<title>%[1]s</title>\n<h1>%[1]s</h1>\n<p>%[2]s</p>\n", html.EscapeString(notice), html.EscapeString(text))
}

// clip bounds what a caller gets back of their own words.
func clip(s string) string {
	const limit = 200
	if len(s) > limit {
		return strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}

// A metadata is the OpenID metadata of a tenant with the members that Entra serves: with
// a few of Microsoft's own, and without code_challenge_methods_supported
// (although S256 works) and a registration endpoint.
type metadata struct {
	TokenEndpoint         string   `json:"token_endpoint"`
	TokenAuthMethods      []string `json:"token_endpoint_auth_methods_supported"`
	JWKSURI               string   `json:"jwks_uri"`
	ResponseModes         []string `json:"response_modes_supported"`
	SubjectTypes          []string `json:"subject_types_supported"`
	IDTokenAlgorithms     []string `json:"id_token_signing_alg_values_supported"`
	ResponseTypes         []string `json:"response_types_supported"`
	Scopes                []string `json:"scopes_supported"`
	Issuer                string   `json:"issuer"`
	MultiRefreshToken     *bool    `json:"microsoft_multi_refresh_token,omitempty"` // v1
	RequestURIParameter   *bool    `json:"request_uri_parameter_supported,omitempty"`
	UserinfoEndpoint      string   `json:"userinfo_endpoint"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	DeviceEndpoint        string   `json:"device_authorization_endpoint"`
	HTTPLogout            bool     `json:"http_logout_supported"`
	FrontchannelLogout    bool     `json:"frontchannel_logout_supported"`
	EndSessionEndpoint    string   `json:"end_session_endpoint"`
	CheckSessionIframe    string   `json:"check_session_iframe,omitempty"` // v1
	Claims                []string `json:"claims_supported"`
	KerberosEndpoint      string   `json:"kerberos_endpoint"`
	TenantRegionScope     string   `json:"tenant_region_scope"`
	CloudInstanceName     string   `json:"cloud_instance_name"`
	CloudGraphHostName    string   `json:"cloud_graph_host_name"`
	GraphHost             string   `json:"msgraph_host"`
	RBACURL               string   `json:"rbac_url"`
}

func (t *Tenant) metadataV2() metadata {
	base := t.authorityHost + "/" + t.id
	m := t.metadata()
	m.Issuer = t.V2Issuer()
	m.TokenEndpoint = base + "/oauth2/v2.0/token"
	m.AuthorizationEndpoint = base + "/oauth2/v2.0/authorize"
	m.DeviceEndpoint = base + "/oauth2/v2.0/devicecode"
	m.EndSessionEndpoint = base + "/oauth2/v2.0/logout"
	m.JWKSURI = base + "/discovery/v2.0/keys"
	m.ResponseTypes = []string{"code", "id_token", "code id_token", "id_token token"}
	m.Scopes = []string{"openid", "profile", "email", "offline_access"}
	m.RequestURIParameter = new(bool)
	m.UserinfoEndpoint = t.authorityHost + "/oidc/userinfo"
	m.Claims = []string{
		"sub", "iss", "cloud_instance_name", "cloud_instance_host_name", "cloud_graph_host_name", "msgraph_host", "aud",
		"exp", "iat", "auth_time", "acr", "nonce", "preferred_username", "name", "tid", "ver", "at_hash", "c_hash", "email",
	}
	return m
}

func (t *Tenant) metadataV1() metadata {
	base := t.authorityHost + "/" + t.id
	m := t.metadata()
	m.Issuer = t.V1Issuer()
	m.TokenEndpoint = base + "/oauth2/token"
	m.AuthorizationEndpoint = base + "/oauth2/authorize"
	m.DeviceEndpoint = base + "/oauth2/devicecode"
	m.EndSessionEndpoint = base + "/oauth2/logout"
	m.CheckSessionIframe = base + "/oauth2/checksession"
	m.JWKSURI = base + "/discovery/keys"
	m.ResponseTypes = []string{"code", "id_token", "code id_token", "token id_token", "token"}
	m.Scopes = []string{"openid"}
	m.MultiRefreshToken = new(bool)
	*m.MultiRefreshToken = true
	m.UserinfoEndpoint = base + "/openid/userinfo"
	m.Claims = []string{
		"sub", "iss", "cloud_instance_name", "cloud_instance_host_name", "cloud_graph_host_name", "msgraph_host", "aud",
		"exp", "iat", "auth_time", "acr", "amr", "nonce", "email", "given_name", "family_name", "nickname",
	}
	return m
}

// metadata returns what both versions have in common.
func (t *Tenant) metadata() metadata {
	return metadata{
		TokenAuthMethods:   []string{"client_secret_post", "private_key_jwt", "client_secret_basic"},
		ResponseModes:      []string{"query", "fragment", "form_post"},
		SubjectTypes:       []string{"pairwise"},
		IDTokenAlgorithms:  []string{"RS256"},
		HTTPLogout:         true,
		FrontchannelLogout: true,
		KerberosEndpoint:   t.authorityHost + "/" + t.id + "/kerberos",
		TenantRegionScope:  "WW",
		CloudInstanceName:  cloudInstanceName,
		CloudGraphHostName: "graph.windows.net",
		GraphHost:          "graph.microsoft.com",
		RBACURL:            "https://pas.windows.net",
	}
}
