package doctor

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/graph"
)

// authProxy checks that clients find the server's authorization proxy, and that Entra sends users
// back to it.
func (x *exam) authProxy(ctx context.Context) Result {
	if x.Issuer == "" {
		return notRun("AUTH_PROXY is off: clients sign in to Entra themselves")
	}
	u, err := url.Parse(x.Issuer)
	if err != nil {
		return *misconfigured()
	}
	address := u.Scheme + "://" + u.Host + "/.well-known/oauth-authorization-server" + u.Path
	findings := x.proxyMetadata(ctx, address)
	return judged(append(findings, x.proxyRedirect(ctx)...), "at %s", address)
}

// proxyMetadata checks the authorization server's metadata (RFC 8414).
func (x *exam) proxyMetadata(ctx context.Context, address string) []Finding {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil // the URL was parsed
	}
	req.Header.Set("Origin", "https://"+foreignHost)
	p := x.do(x.client, req)
	f := Finding{Problem: "the proxy's metadata is not where clients look for it (RFC 8414)", Expected: "HTTP status 200, application/json at\n" + address,
		Came: p.text(), Remedy: "Let the gateway forward /.well-known/oauth-authorization-server, /.well-known/openid-configuration, /authorize, /consent, /oauth/callback, /token, /register and /revoke to the server"}
	var m struct {
		Issuer    string   `json:"issuer"`
		Authorize string   `json:"authorization_endpoint"`
		Token     string   `json:"token_endpoint"`
		Challenge []string `json:"code_challenge_methods_supported"`
	}
	switch {
	case p.err != nil || p.status != http.StatusOK || json.Unmarshal(p.body, &m) != nil:
		return []Finding{f}
	case m.Issuer != x.Issuer:
		f.Problem, f.Expected, f.Came = "the proxy believes to have another issuer, and clients refuse it", x.Issuer, printable(m.Issuer)
		f.Remedy = "Set PUBLIC_URL to the origin that clients use, and restart the server"
		return []Finding{f}
	case !strings.HasPrefix(m.Authorize, x.Issuer+"/") || !strings.HasPrefix(m.Token, x.Issuer+"/") || !slices.Contains(m.Challenge, "S256"):
		f.Problem, f.Remedy = "something else than the server's proxy answers there", "Check what the gateway sends to the server"
		f.Expected, f.Came = "endpoints below "+x.Issuer, printable(m.Authorize)
		return []Finding{f}
	case !slices.Contains([]string{"*", "https://" + foreignHost}, p.header.Get("Access-Control-Allow-Origin")):
		f.Problem, f.Expected = "web clients can't read the proxy's metadata", "Access-Control-Allow-Origin: *"
		f.Came = orElse(printable(p.header.Get("Access-Control-Allow-Origin")), "no such header")
		f.Remedy = "Let the gateway forward the Access-Control headers of answers, and add none of its own"
		return []Finding{f}
	}
	return nil
}

// proxyRedirect checks the redirect URI of the proxy's app, where the registration can be read.
func (x *exam) proxyRedirect(ctx context.Context) []Finding {
	app := x.app
	if !strings.EqualFold(x.ProxyClientID, x.ClientID) && x.options.Directory != nil {
		found, err := x.options.Directory.Application(ctx, graph.ApplicationByAppID(x.ProxyClientID))
		if err != nil {
			return []Finding{{Problem: "the tenant has no registration of the proxy's app, or this sign-in may not read it", Expected: x.ProxyClientID, Came: printable(err.Error()),
				Remedy: "Correct AUTH_PROXY_CLIENT_ID"}}
		}
		app = &found
	}
	callback := x.Issuer + "/oauth/callback"
	if app == nil || slices.Contains(app.Web.RedirectURIs, callback) {
		return nil
	}
	f := Finding{Problem: "Entra doesn't send users back to the proxy: its URL is no redirect URI of the proxy's app (AADSTS50011)", Expected: callback + " on the platform Web",
		Came: printable(orElse(nearest(callback, app.Web.RedirectURIs), list(app.Web.RedirectURIs))), Remedy: "Add it under Authentication, Add a platform, Web"}
	if slices.Contains(slices.Concat(app.SPA.RedirectURIs, app.PublicClient.RedirectURIs), callback) {
		f.Problem, f.Came = "the proxy's redirect URI is on another platform than Web, for which Entra wants no secret (AADSTS700025, AADSTS9002327)", callback
		f.Remedy = "Move it to the platform Web"
	}
	return []Finding{f}
}
