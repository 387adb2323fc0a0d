package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/graph"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// authProxy checks that clients find the server's authorization proxy, that Entra sends users back to
// it, and that it takes the proof of the proxy's app.
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
	findings = append(findings, x.proxyRedirect(ctx)...)
	return judged(append(findings, x.proxyProof(ctx)...), "at %s", address)
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

// proxyRedirect checks the redirect URI of the proxy's app: in the registration, where it can be read,
// and else by a request to sign in.
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
	switch {
	case app == nil:
		return x.refusedRedirect(ctx, callback)
	case slices.Contains(app.Web.RedirectURIs, callback):
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

// refusalCode is the code in a page with which Entra refuses a request to sign in.
var refusalCode = regexp.MustCompile(`AADSTS[0-9]{4,8}\b`)

// refusedRedirect asks Entra for a sign-in without a user and without a page. It redirects with
// login_required; if it can't, because it does not know the app or its redirect URI, it answers with a
// page that names the fault. A page without such a code says nothing.
func (x *exam) refusedRedirect(ctx context.Context, callback string) []Finding {
	address := x.host.Tenant(strings.ToLower(x.TenantID)) + "/oauth2/v2.0/authorize?" + url.Values{
		"client_id": {x.ProxyClientID}, "response_type": {"code"}, "redirect_uri": {callback}, "scope": {"openid"}, "prompt": {"none"},
		"code_challenge": {strings.Repeat("A", 43)}, "code_challenge_method": {"S256"},
	}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil // the URL was made here
	}
	p := x.do(x.client, req)
	code := refusalCode.FindString(string(p.body))
	f := Finding{Expected: callback + " on the platform Web", Came: code}
	switch {
	case p.header.Get("Location") != "":
		return nil
	case code == "AADSTS50011" || code == "AADSTS500113":
		f.Problem = "Entra doesn't send users back to the proxy: its URL is no redirect URI of the proxy's app " + x.ProxyClientID
		f.Remedy = "Add it under Authentication, Add a platform, Web"
	case code == "AADSTS700016":
		f.Problem, f.Expected = "the tenant has no application "+x.ProxyClientID+", with which the proxy signs users in", "an application of the tenant "+x.TenantID
		f.Remedy = proxyAppRemedy
	default:
		return nil
	}
	return []Finding{f}
}

const proxyAppRemedy = "Compare AUTH_PROXY_CLIENT_ID and TENANT_ID with the overview of the proxy's app registration (Application ID, Directory ID)"

// proxyProof checks that Entra takes the proof of the proxy's app, if it isn't that of the API, which
// has a check of its own. An app that Entra doesn't know is proxyRedirect's finding.
func (x *exam) proxyProof(ctx context.Context) []Finding {
	kind := x.ProxyMethod.String()
	if kind == (clientauth.Method{}).String() {
		return nil
	}
	f := Finding{Problem: "the proxy's app can't prove itself", Expected: "a " + kind, Remedy: "Correct AUTH_PROXY_CLIENT_SECRET, or the variable that names the " + kind}
	sources, err := x.openProof(x.ProxyMethod, x.ProxyClientID)
	if err == nil {
		x.proxyForm, err = x.proofFrom(ctx, sources[0])
	}
	if err != nil {
		f.Came = err.Error()
		return []Finding{f}
	}
	a := x.askForItself(ctx, x.ProxyClientID, x.ProxyClientID, x.proxyForm)
	known := proofCodes[a.code]
	if known.problem == "" { // accepted, refused for another reason than the proof, or unknown to Entra
		return nil
	}
	f.Problem, f.Expected, f.Came = "the proxy's app "+x.ProxyClientID+": "+known.problem, "a token for the app itself", fmt.Sprintf("AADSTS%d", a.code)
	if f.Remedy = known.remedy; f.Remedy == "" {
		f.Remedy = "Add a federated credential for this identity to the proxy's app, under Certificates & secrets"
	}
	if kind == "client secret" {
		f.Remedy += ". The variable is AUTH_PROXY_CLIENT_SECRET"
	}
	return []Finding{f}
}
