package entratest

import (
	"net/http"
	"strings"
)

// serveAuthority serves everything below the authority host.
func (h *host) serveAuthority(w http.ResponseWriter, r *http.Request) {
	segment, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	endpoint := endpointOf(segment, path)
	t := h.tenant(segment)
	known := t != nil || isShared(segment)
	if t == nil {
		t = h.all()[0] // records requests without a tenant
	}
	e := t.begin(w, r, endpoint)
	if e == nil {
		return // too large, or answered by a fault
	}
	e.shared = isShared(segment)
	switch {
	case endpoint == 0 && segment != clustersPath:
		servePage(e.response, r, path == "" && (segment == "" || segment == "error"))
	case segment == clustersPath:
		h.serveCluster(e, path)
	case endpoint == EndpointGraph:
		h.serveGraph(e)
	case endpoint == EndpointDevice && segment == devicePath:
		t.serveDevicePage(e)
	case !known && (endpoint == EndpointAuthorize || endpoint == EndpointLogout):
		e.refusePage(e.unknownTenant(segment))
	case !known:
		e.reject(e.unknownTenant(segment))
	default:
		t.serveEndpoint(e, strings.ToLower(segment), path)
	}
}

// serveEndpoint serves an endpoint below a tenant, or below the name of all tenants.
func (t *Tenant) serveEndpoint(e *exchange, segment, path string) {
	switch path {
	case "v2.0/.well-known/openid-configuration":
		e.answer(http.StatusOK, t.metadataV2(segment).forApp(e.appID()))
	case ".well-known/openid-configuration":
		e.answer(http.StatusOK, t.metadataV1(segment).forApp(e.appID()))
	case "discovery/instance":
		t.serveInstance(e)
	case "discovery/v2.0/keys":
		e.answer(http.StatusOK, newKeySet(t.v2Issuer(issuerSegment(segment)), t.publishedFor(e.appID())))
	case "discovery/keys":
		e.answer(http.StatusOK, newKeySet(v1Issuer(issuerSegment(segment)), t.publishedFor(e.appID())))
	case "oauth2/v2.0/authorize":
		t.serveAuthorize(e)
	case "v2.0/adminconsent":
		t.serveAdminConsent(e)
	case "login":
		t.serveLogin(e)
	case "oauth2/v2.0/logout":
		t.serveLogout(e)
	case "oauth2/v2.0/devicecode":
		t.serveDeviceCode(e)
	default:
		t.serveToken(e)
	}
}

// endpointOf returns the endpoint at a path, or 0.
func endpointOf(segment, path string) Endpoint {
	switch segment {
	case "v1.0", "oidc":
		if segment == "v1.0" && path != "" || segment == "oidc" && path == "userinfo" {
			return EndpointGraph
		}
		return 0
	case clustersPath:
		return 0
	case devicePath:
		if path == "" {
			return EndpointDevice
		}
		return 0
	}
	switch path {
	case ".well-known/openid-configuration", "v2.0/.well-known/openid-configuration", "discovery/instance":
		return EndpointDiscovery
	case "discovery/keys", "discovery/v2.0/keys":
		return EndpointKeys
	case "oauth2/v2.0/token":
		return EndpointToken
	case "oauth2/v2.0/authorize", "v2.0/adminconsent", "login":
		return EndpointAuthorize
	case "oauth2/v2.0/logout":
		return EndpointLogout
	case "oauth2/v2.0/devicecode":
		return EndpointDevice
	default:
		return 0
	}
}
