package entratest

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
)

// cloudInstanceName is the cloud's name in metadata and keys. It is Entra's: verifiers only
// compare the two.
const cloudInstanceName = "microsoftonline.com"

// servePage shows a page to people who follow a link.
func servePage(w http.ResponseWriter, r *http.Request, known bool) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'")
	text := "There is no page here. The endpoints are listed by the metadata at /{tenant ID}/v2.0/.well-known/openid-configuration."
	if code := r.URL.Query().Get("code"); known && code != "" {
		text = "Look up AADSTS" + clip(code) + " in Microsoft's list of Entra authentication error codes."
	}
	if !known {
		w.WriteHeader(http.StatusNotFound)
	}
	// An error means that the client has disconnected.
	_, _ = fmt.Fprintf(w, "<!doctype html>\n<title>%[1]s</title>\n<h1>%[1]s</h1>\n<p>%[2]s</p>\n", html.EscapeString(notice), html.EscapeString(text))
}

// A metadata is a tenant's OpenID metadata with Entra's members. It has some of Microsoft's own,
// but neither code_challenge_methods_supported (although S256 works) nor a registration endpoint.
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
	MTLSEndpoints         *aliases `json:"mtls_endpoint_aliases,omitempty"`                      // v2
	BoundTokens           bool     `json:"tls_client_certificate_bound_access_tokens,omitempty"` // v2
	CloudGraphHostName    string   `json:"cloud_graph_host_name"`
	GraphHost             string   `json:"msgraph_host"`
	RBACURL               string   `json:"rbac_url"`
}

// aliases are the endpoints for clients that authenticate with a TLS certificate (RFC 8705 section
// 5).
type aliases struct {
	Token string `json:"token_endpoint"`
}

// metadataV2 returns the metadata at {authority host}/{segment}/v2.0. The segment is a tenant's
// ID, or a name for all tenants, whose issuer is a template.
func (h *host) metadataV2(segment string) metadata {
	base := h.authorityHost + "/" + segment
	m := h.metadata(segment)
	m.Issuer = h.v2Issuer(issuerSegment(segment))
	m.TokenEndpoint = base + "/oauth2/v2.0/token"
	m.AuthorizationEndpoint = base + "/oauth2/v2.0/authorize"
	m.DeviceEndpoint = base + "/oauth2/v2.0/devicecode"
	m.EndSessionEndpoint = base + "/oauth2/v2.0/logout"
	m.JWKSURI = base + "/discovery/v2.0/keys"
	m.ResponseTypes = []string{"code", "id_token", "code id_token", "id_token token"}
	m.Scopes = []string{"openid", "profile", "email", "offline_access"}
	m.RequestURIParameter = new(bool)
	m.UserinfoEndpoint = h.authorityHost + userInfoPath
	// Entra offers mutual TLS on another host. Here the alias is the token endpoint itself, which
	// requests no certificate and rejects clients without another proof.
	m.TokenAuthMethods = append(m.TokenAuthMethods, "self_signed_tls_client_auth")
	m.MTLSEndpoints, m.BoundTokens = &aliases{m.TokenEndpoint}, true
	m.Claims = []string{
		"sub", "iss", "cloud_instance_name", "cloud_instance_host_name", "cloud_graph_host_name", "msgraph_host", "aud",
		"exp", "iat", "auth_time", "acr", "nonce", "preferred_username", "name", "tid", "ver", "at_hash", "c_hash", "email",
	}
	return m
}

func (h *host) metadataV1(segment string) metadata {
	base := h.authorityHost + "/" + segment
	m := h.metadata(segment)
	m.Issuer = v1Issuer(issuerSegment(segment))
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

// metadata returns the members that both versions share.
func (h *host) metadata(segment string) metadata {
	return metadata{
		TokenAuthMethods:   []string{"client_secret_post", "private_key_jwt", "client_secret_basic"},
		ResponseModes:      []string{"query", "fragment", "form_post"},
		SubjectTypes:       []string{"pairwise"},
		IDTokenAlgorithms:  []string{"RS256"},
		HTTPLogout:         true,
		FrontchannelLogout: true,
		KerberosEndpoint:   h.authorityHost + "/" + segment + "/kerberos",
		TenantRegionScope:  "WW",
		CloudInstanceName:  cloudInstanceName,
		CloudGraphHostName: "graph.windows.net",
		GraphHost:          "graph.microsoft.com",
		RBACURL:            "https://pas.windows.net",
	}
}

// forApp returns the metadata for requests with an app's ID, which point to the app's key set.
func (m metadata) forApp(appID string) metadata {
	if appID != "" {
		m.JWKSURI += "?appid=" + appID
	}
	return m
}

// appID returns the parameter appid of a request for metadata or keys if it is an app's ID. Only a
// tenant's own endpoints use the parameter; the shared ones ignore it.
func (e *exchange) appID() string {
	for name, values := range e.request.URL.Query() {
		if strings.EqualFold(name, "appid") && isGUID(values[0]) && !e.shared {
			return values[0]
		}
	}
	return ""
}

// issuerSegment returns the text in issuers for the first segment of a path.
func issuerSegment(segment string) string {
	if isShared(segment) {
		return "{tenantid}"
	}
	return segment
}

func (h *host) v2Issuer(tenantID string) string { return h.authorityHost + "/" + tenantID + "/v2.0" }

func v1Issuer(tenantID string) string { return "https://sts.windows.net/" + tenantID + "/" }

// An instanceMetadata says which hosts belong to one cloud, and where a tenant's metadata is.
type instanceMetadata struct {
	TenantDiscovery string          `json:"tenant_discovery_endpoint"`
	APIVersion      string          `json:"api-version"`
	Metadata        []instanceHosts `json:"metadata"`
}

type instanceHosts struct {
	PreferredNetwork string   `json:"preferred_network"`
	PreferredCache   string   `json:"preferred_cache"`
	Aliases          []string `json:"aliases"`
}

// serveInstance says whether an authority is known here. MSALs ask this before they trust one.
func (h *host) serveInstance(e *exchange) {
	e.form = e.request.Form
	asked, err := url.Parse(e.form.Get("authorization_endpoint"))
	if err != nil || asked.Scheme+"://"+asked.Host != h.authorityHost {
		e.reject(reject(50049, "Unknown or invalid instance."))
		return
	}
	segment, _, _ := strings.Cut(strings.TrimPrefix(asked.Path, "/"), "/")
	if !isShared(segment) && h.tenant(segment) == nil {
		e.reject(e.unknownTenant(segment))
		return
	}
	e.answer(http.StatusOK, instanceMetadata{
		TenantDiscovery: h.v2Issuer(segment) + "/.well-known/openid-configuration",
		APIVersion:      "1.1",
		Metadata:        []instanceHosts{{asked.Host, asked.Host, []string{asked.Host}}},
	})
}
