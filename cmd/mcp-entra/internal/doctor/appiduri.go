package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
)

// What a missing App ID URI leads to, and what to do.
const (
	refusedResource = "clients send it as resource, and Entra refuses it: AADSTS9010010"
	refusedScope    = "clients ask for scopes of it, and Entra doesn't find them: AADSTS500011"
	addURI          = "Add it, character for character, under Expose an API, or run mcp-entra setup apply"
)

// appIDURI checks that what clients use to name the API is one of its App ID URIs.
func (x *exam) appIDURI(ctx context.Context) Result {
	want, f := x.wantedURI()
	r := x.findURI(ctx, want, f)
	wrong := x.published.wrongURL
	if wrong == "" && x.result("server").Status == Failed && x.mayBeWrong(want) {
		wrong = "server"
	}
	if r.Status == Failed && wrong != "" { // no wonder
		return Result{Status: NotRun, Because: wrong, Note: wrong + " failed"}
	}
	return r
}

// mayBeWrong reports whether it may be the URL that is wrong and not the registration: another one
// of the same host is registered, or nobody can say.
func (x *exam) mayBeWrong(want string) bool {
	name := func(address string) string {
		host, _, _ := strings.Cut(strings.ToLower(hostOf(address)), ":")
		return host
	}
	return x.app == nil || slices.ContainsFunc(x.uris, func(uri string) bool { return uri != want && name(uri) == name(want) })
}

// wantedURI returns the App ID URI that clients need, and the finding if there is none: the
// server's URL, or for an http server, which sends no such resource, the prefix of its scopes.
func (x *exam) wantedURI() (string, Finding) {
	f := Finding{Problem: "the server's URL is not an App ID URI of the application; " + refusedResource, Expected: x.ResourceURL, Remedy: addURI}
	if x.Issuer != "" && strings.EqualFold(x.ProxyClientID, x.ClientID) { // the proxy names the API by its ID
		return "", f
	}
	if x.Issuer == "" && strings.HasPrefix(x.ResourceURL, "https://") {
		return x.ResourceURL, f
	}
	for _, scope := range x.published.doc.Scopes {
		i := strings.LastIndexByte(scope, '/')
		prefix := scope[:max(i, 0)]
		if prefix != "" && !authority.IsGUID(prefix) {
			f.Problem, f.Expected = "the prefix of the published scopes is not an App ID URI of the application; "+refusedScope, printable(prefix)
			return prefix, f
		}
	}
	return "", f
}

// findURI looks for the App ID URI in the registration.
func (x *exam) findURI(ctx context.Context, want string, f Finding) Result {
	if x.app == nil {
		return x.askForURI(ctx, want, f)
	}
	uris := x.app.IdentifierURIs
	x.uris = append([]string{}, uris...)
	near := nearest(want, uris)
	var findings []Finding
	for _, uri := range uris {
		if strings.HasSuffix(uri, "/") && uri != near {
			findings = append(findings, Finding{Problem: "an App ID URI ends in a slash", Expected: strings.TrimRight(uri, "/"), Came: uri,
				Remedy: "Remove the slash in the registration: Expose an API, Application ID URI"})
		}
	}
	if want != "" && !slices.Contains(uris, want) {
		f.Came = orElse(near, list(uris))
		findings = append(findings, f)
	}
	own := "api://" + strings.ToLower(x.ClientID)
	listed := func(uri string) bool { return uri == want || slices.Contains(uris, uri) }
	for _, uri := range x.AppIDURIs {
		if !listed(uri) && strings.ToLower(uri) != own && nearest(uri, uris) == "" {
			findings = append(findings, Finding{Problem: "APP_ID_URIS lists an App ID URI that the application lacks; " + refusedScope, Expected: printable(uri), Came: list(uris),
				Remedy: addURI + "; or remove it from APP_ID_URIS"})
		}
	}
	if len(findings) == 0 && slices.Contains(x.AppIDURIs, own) && !listed(own) {
		return warning(Finding{Problem: "the application lacks the App ID URI that many clients and tools are configured with; " + refusedScope, Expected: own, Came: list(uris),
			Remedy: addURI + ", unless no client uses it"})
	}
	return judged(findings, "%s", list(uris))
}

// askForURI asks Entra for a token for the app itself by the URI, where the registration can't be
// read. Entra finds the app only if that is one of its App ID URIs, but may not be as strict about
// slashes and case as at sign-in.
func (x *exam) askForURI(ctx context.Context, want string, f Finding) Result {
	if x.proof == nil || !x.proof.answer.accepted || want == "" {
		return x.like("registration")
	}
	a := x.askForItself(ctx, x.ClientID, want, x.proof.form)
	f.Came = fmt.Sprintf("no application has it (AADSTS%d)", a.code)
	switch {
	case a.accepted && a.issued.Audience != "" && a.issued.Audience != want && !strings.EqualFold(a.issued.Audience, x.ClientID):
		f.Came = "the application " + printable(a.issued.Audience) + " has it"
	case a.accepted:
		if want == x.ResourceURL {
			x.uris = []string{want}
		}
		return ok("%s, by a token for it", printable(want))
	case a.code != 500011 && a.code != 70011:
		return x.like("registration")
	}
	x.uris = []string{}
	return failed(f)
}

// nearest returns the URI that differs from want only in case, in slashes or in its scheme.
func nearest(want string, uris []string) string {
	key := func(s string) string {
		_, rest, _ := strings.Cut(strings.ToLower(strings.TrimRight(s, "/")), "://")
		return rest
	}
	for _, uri := range uris {
		if key(uri) == key(want) {
			return uri
		}
	}
	return ""
}
