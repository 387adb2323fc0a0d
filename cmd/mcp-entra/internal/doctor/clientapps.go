package doctor

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/graph"
	"github.com/mcpentra/mcp-entra-go/internal/knownclients"
)

// clientApps checks the redirects and platforms of the applications that sign users in for the
// API, and that the API itself is none of them.
func (x *exam) clientApps(ctx context.Context) Result {
	if x.app == nil {
		return x.like("registration")
	}
	ids, note := x.clientIDs(ctx)
	findings := append(x.apiAsClient(), x.landingPage()...)
	for _, id := range ids {
		app, err := x.options.Directory.Application(ctx, graph.ApplicationByAppID(id))
		if err != nil {
			continue // another tenant's, such as Microsoft's own, or not readable
		}
		x.redirects = append(x.redirects, slices.Concat(app.PublicClient.RedirectURIs, app.Web.RedirectURIs, app.SPA.RedirectURIs)...)
		findings = append(findings, judgeRedirects(app, x.options.Now())...)
	}
	if len(findings) == 0 && note != "" {
		return notRun("%s", note)
	}
	return judged(findings, "client applications: %d", len(ids))
}

// clientIDs returns the applications that may get tokens for the API: the pre-authorized ones, and
// those that somebody consented to.
func (x *exam) clientIDs(ctx context.Context) (ids []string, note string) {
	add := func(id string) {
		known := slices.ContainsFunc(knownclients.All(), func(c knownclients.Client) bool { return strings.EqualFold(c.AppID, id) })
		if id != "" && !known && !strings.EqualFold(id, x.ClientID) && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	for _, p := range x.app.API.PreAuthorized {
		add(p.AppID)
	}
	if x.principal == nil {
		return ids, ""
	}
	grants, err := x.options.Directory.PermissionGrants(ctx, "resourceId", x.principal.ID)
	if err != nil {
		return ids, "this sign-in may not read who was granted the API's scopes"
	}
	const most = 20
	for _, g := range grants[:min(len(grants), most)] {
		var p graph.ServicePrincipal
		if x.options.Directory.Get(ctx, "/servicePrincipals/"+url.PathEscape(g.ClientID)+"?$select=id,appId", &p) == nil {
			add(p.AppID)
		}
	}
	return ids, ""
}

// apiAsClient reports clients' redirects on the API's own registration. One landing page for
// consent, on the web platform, belongs there.
func (x *exam) apiAsClient() []Finding {
	var found []string
	for _, r := range slices.Concat(x.app.PublicClient.RedirectURIs, x.app.SPA.RedirectURIs) {
		found = append(found, printable(r))
	}
	for _, r := range x.app.Web.RedirectURIs {
		if _, known := clientWith(r); known && !strings.HasPrefix(r, "http://localhost") {
			found = append(found, printable(r))
		}
	}
	if len(found) == 0 {
		return nil
	}
	return []Finding{{Problem: "the API's registration is used as a client too: with several App ID URIs, Entra refuses its sign-ins (AADSTS90009)",
		Expected: "clients' redirects on registrations of their own", Came: list(found),
		Remedy: "Move these redirects to a client registration, one for each kind of platform: mcp-entra setup apply"}}
}

// landingPage checks that Entra may send users back after a consent.
func (x *exam) landingPage() []Finding {
	if x.ConsentURL == "" || slices.Contains(x.app.Web.RedirectURIs, x.ConsentURL) {
		return nil
	}
	return []Finding{{Problem: "the page where a consent ends is no redirect of the API's registration (AADSTS50011)", Expected: x.ConsentURL,
		Came:   printable(orElse(nearest(x.ConsentURL, x.app.Web.RedirectURIs), list(x.app.Web.RedirectURIs))),
		Remedy: "Add it on the platform Web, or correct CONSENT_REDIRECT_URL"}}
}

// placed is a redirect with its platform.
type placed struct {
	uri      string
	platform knownclients.Platform
}

// judgeRedirects says what is wrong with a client application.
func judgeRedirects(app graph.Application, now time.Time) (findings []Finding) {
	name := fmt.Sprintf("client %s (%s)", printable(app.DisplayName), app.AppID)
	var all []placed
	for platform, redirects := range map[knownclients.Platform][]string{
		knownclients.Public: app.PublicClient.RedirectURIs, knownclients.Web: app.Web.RedirectURIs, knownclients.SPA: app.SPA.RedirectURIs,
	} {
		for _, uri := range redirects {
			all = append(all, placed{uri, platform})
		}
	}
	slices.SortFunc(all, func(a, b placed) int { return cmp.Compare(a.uri+string(a.platform), b.uri+string(b.platform)) })
	for i, r := range all {
		f := r.judge()
		if f == nil {
			f = clash(r, all[:i])
		}
		if f != nil {
			f.Problem = name + ": " + f.Problem
			findings = append(findings, *f)
		}
	}
	public := app.IsFallbackPublicClient != nil && *app.IsFallbackPublicClient
	if len(all) == 0 && !public && len(app.PasswordCredentials)+len(app.KeyCredentials) == 0 {
		findings = append(findings, Finding{Problem: name + ": nobody can sign in with it: it has no redirect (AADSTS500113), and no device code without public client flows (AADSTS7000218)",
			Expected: "a redirect, or Allow public client flows: Yes", Came: "neither", Remedy: "Add the client's redirect, or allow public client flows for device codes: App registrations, the client, Authentication"})
	}
	if len(app.Web.RedirectURIs) > 0 && !hasProof(app, now) {
		findings = append(findings, Finding{Problem: name + ": web clients prove themselves, and this one can't (AADSTS7000218, or 7000222 if the secret has expired)",
			Expected: "a secret or a certificate that is valid", Came: "none, with redirects on the web platform:\n" + list(app.Web.RedirectURIs),
			Remedy: "Add a secret for the client (Certificates & secrets), or move the redirects of programs without one to Mobile and desktop applications"})
	}
	if public && len(app.Web.RedirectURIs) > 0 {
		findings = append(findings, Finding{Problem: name + ": web clients send a secret, and a public client may not (AADSTS700025)",
			Expected: "Allow public client flows: No", Came: "Yes, with redirects on the web platform",
			Remedy: "Use one registration for web clients and another for public ones"})
	}
	return findings
}

// hasProof reports whether the application has a secret or certificate that has not expired.
func hasProof(app graph.Application, now time.Time) bool {
	return slices.ContainsFunc(app.PasswordCredentials, func(p graph.PasswordCredential) bool { return p.EndDateTime.IsZero() || p.EndDateTime.After(now) }) ||
		slices.ContainsFunc(app.KeyCredentials, func(k graph.KeyCredential) bool { return k.EndDateTime.After(now) })
}

// judge says what is wrong with one redirect.
func (r placed) judge() *Finding {
	u, err := url.Parse(r.uri)
	if err == nil && u.Scheme == "http" && !isLoopbackName(u.Hostname()) {
		return &Finding{Problem: "Entra takes http redirects for this machine only", Expected: "an https redirect", Came: printable(r.uri), Remedy: "Register the https URL that the client uses"}
	}
	if err == nil && u.Hostname() == "::1" {
		return &Finding{Problem: "Entra does not take [::1] for this machine", Expected: "http://localhost or http://127.0.0.1", Came: printable(r.uri), Remedy: "Register the redirect with localhost, and have the client use that"}
	}
	if c, known := clientWith(r.uri); known {
		confidential := strings.HasPrefix(r.uri, "http://localhost") && r.platform == knownclients.Web // a web app on its developer's machine
		if c.Platform != r.platform && !confidential {
			return &Finding{Problem: fmt.Sprintf("the redirect of %s is on the wrong platform, so it can't redeem its code (%s)", c.Name, platformCode(c.Platform, r.platform)),
				Expected: printable(r.uri) + " on " + string(c.Platform), Came: printable(r.uri) + " on " + string(r.platform),
				Remedy: "Move it: App registrations, the client, Authentication; or run mcp-entra setup apply"}
		}
		return nil
	}
	if want, c := nearRedirect(r.uri); want != "" {
		return &Finding{Problem: "the redirect is nearly that of " + c.Name + ", and Entra compares character for character (AADSTS50011)",
			Expected: want, Came: printable(r.uri), Remedy: "Correct it: App registrations, the client, Authentication"}
	}
	return nil
}

// platformCode is the refusal for a redirect on another platform than its client's.
func platformCode(want, is knownclients.Platform) string {
	switch {
	case is == knownclients.SPA:
		return "AADSTS9002327"
	case want == knownclients.SPA:
		return "AADSTS9002326"
	case is == knownclients.Web:
		return "AADSTS7000218"
	}
	return "AADSTS700025"
}

// clash reports a redirect that Entra can't tell from an earlier one.
func clash(r placed, earlier []placed) *Finding {
	for _, e := range earlier {
		if portless(r.uri) == portless(e.uri) && r.platform != e.platform {
			return &Finding{Problem: "Entra ignores the port of localhost, so it can't tell these two redirects apart", Expected: "one platform",
				Came:   printable(e.uri) + " on " + string(e.platform) + "\n" + printable(r.uri) + " on " + string(r.platform),
				Remedy: "Put one of them on another registration"}
		}
	}
	return nil
}

// portless removes the port of http://localhost.
func portless(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "http" || u.Hostname() != "localhost" {
		return uri
	}
	u.Host = "localhost"
	return u.String()
}

// clientWith returns the client whose redirect this is, or one of those that share it.
func clientWith(uri string) (knownclients.Client, bool) {
	for _, c := range knownclients.All() {
		if slices.Contains(c.Redirects, portless(uri)) {
			return c, true
		}
	}
	return knownclients.Client{}, false
}

// nearRedirect returns the known redirect that differs only in case or slashes.
func nearRedirect(uri string) (string, knownclients.Client) {
	for _, c := range knownclients.All() {
		if want := nearest(portless(uri), c.Redirects); want != "" {
			return want, c
		}
	}
	return "", knownclients.Client{}
}

func isLoopbackName(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
