package entratest

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// checkURIs checks the App ID URIs that an application adds
// (https://learn.microsoft.com/entra/identity-platform/identifier-uri-restrictions).
func (c *graphCall) checkURIs(app *App, old application, doc *application) *graphFault {
	seen := map[string]bool{}
	for _, uri := range doc.IdentifierURIs {
		if seen[strings.ToLower(uri)] {
			return badRequest("Request contains a property with duplicate values.").with("DuplicateValue", "identifierUris")
		}
		seen[strings.ToLower(uri)] = true
		if !slices.Contains(old.IdentifierURIs, uri) {
			if f := c.checkURI(app, doc, uri); f != nil {
				return f
			}
			continue
		}
		// The exemption of version 2 is not for ever: going back is refused while such a URI stands.
		if old.exempt() && !doc.exempt() && c.hostFault(app, doc, uri) != nil {
			return c.hostFault(app, doc, uri)
		}
	}
	return nil
}

// checkURI checks a new App ID URI.
func (c *graphCall) checkURI(app *App, doc *application, uri string) *graphFault {
	const target = "identifierUris"
	u, err := url.Parse(uri)
	switch {
	case utf8.RuneCountInString(uri) > 255:
		return invalid(target, "a URI has more than 255 characters")
	case err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || strings.ContainsAny(uri, "* \t?#"):
		return invalid(target, "'%s' is no URI with a host and without user, query, fragment and wildcard", clip(uri))
	case strings.HasSuffix(uri, "/"):
		return invalid(target, "'%s' ends with a slash", clip(uri))
	case isLoopback(u.Hostname()) && c.d.policy.LoopbackURIs && doc.exempt():
	case u.Scheme != "https" && u.Scheme != "api" || isLoopback(u.Hostname()):
		return invalid(target, "'%s' must begin with https:// or api:// and a host that is not this machine's", clip(uri))
	}
	if f := c.hostFault(app, doc, uri); f != nil {
		return f
	}
	if f := c.policyFault(app, doc, uri); f != nil {
		return f
	}
	for _, other := range c.d.everyApp() {
		if other != app && slices.ContainsFunc(other.AppIDURIs, func(has string) bool { return strings.EqualFold(has, uri) }) {
			return taken(target)
		}
	}
	if doc.isMultitenant() && c.t.takenElsewhere(uri) {
		return taken(target)
	}
	return nil
}

// exempt reports whether the application may use any host: with tokens of version 2, or v1 tokens
// that have the client ID as audience, in one tenant.
func (doc *application) exempt() bool {
	version := doc.API.RequestedAccessTokenVersion
	byID := doc.OptionalClaims != nil && slices.ContainsFunc(doc.OptionalClaims.AccessToken, func(claim optionalClaim) bool {
		return claim.Name == "aud" && slices.Contains(claim.AdditionalProperties, "use_guid")
	})
	return !doc.isMultitenant() && (version != nil && *version == 2 || byID)
}

var guidInHost = regexp.MustCompile(`(?i)^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// hostFault returns the fault of a URI whose host the application may not use.
func (c *graphCall) hostFault(app *App, doc *application, uri string) *graphFault {
	u, err := url.Parse(uri)
	if err != nil {
		return nil // registered by other means
	}
	foreign := u.Scheme == "api" && guidInHost.MatchString(u.Host) && !strings.EqualFold(u.Host, app.ClientID) && !strings.EqualFold(u.Host, c.t.id)
	if !foreign && (doc.exempt() || c.d.hasIdentifier(app, u)) {
		return nil
	}
	return refused("HostNameNotOnVerifiedDomain",
		"Values of identifierUris property must use a verified domain of the organization or its subdomain: '%s'", clip(uri)).
		with("HostNameNotOnVerifiedDomain", "identifierUris")
}

// hasIdentifier reports whether a URI has a verified domain, the tenant's ID or the application's,
// where Entra looks for them.
func (d *Directory) hasIdentifier(app *App, u *url.URL) bool {
	if d.isVerified(u.Hostname()) {
		return true
	}
	last := u.Path[strings.LastIndexByte(u.Path, '/')+1:]
	return u.Scheme == "api" && (strings.EqualFold(u.Host, app.ClientID) || strings.EqualFold(u.Host, d.tenant.id) || strings.EqualFold(last, app.ClientID))
}

// policyFault returns the fault of a URI that the tenant's policy forbids.
func (c *graphCall) policyFault(app *App, doc *application, uri string) *graphFault {
	p := c.d.policy
	version := doc.API.RequestedAccessTokenVersion
	u, err := url.Parse(uri)
	if err != nil || p.ExcludeV2 && version != nil && *version == 2 {
		return nil
	}
	id := "api://" + app.ClientID
	isDefault := strings.EqualFold(uri, id) || strings.EqualFold(uri, "api://"+c.t.id+"/"+app.ClientID)
	if p.OnlyDefaultURIs && !isDefault {
		return refused("NonDefaultIdentifierUriAsPerAppPolicy",
			"The identifier URI '%s' is not one of the default forms, which the assigned policy '%s' requires.", clip(uri), emptyGUID).
			with("NonDefaultIdentifierUriAsPerAppPolicy", "identifierUris")
	}
	tail := u.Path[strings.LastIndexByte(u.Path, '/')+1:]
	unique := c.d.hasIdentifier(app, u) || strings.EqualFold(tail, c.t.id) || strings.EqualFold(tail, app.ClientID)
	if p.UniqueTenantIdentifier && !unique {
		return refused("InvalidUniqueTenantIdentifierAsPerAppPolicy",
			"The identifier URI '%s' must contain a verified domain, the tenant ID or the app ID, as the assigned policy '%s' requires.", clip(uri), emptyGUID).
			with("InvalidUniqueTenantIdentifierAsPerAppPolicy", "identifierUris")
	}
	return nil
}

// checkRedirects checks the redirect URIs that an application adds
// (https://learn.microsoft.com/entra/identity-platform/reply-url).
func checkRedirects(old application, doc *application) *graphFault {
	seen, total := map[string]bool{}, 0
	before := old.redirects()
	for i, list := range doc.redirects() {
		total += len(list.uris)
		for _, uri := range list.uris {
			if seen[uri] {
				return badRequest("Request contains a property with duplicate values.").with("DuplicateValue", list.target)
			}
			seen[uri] = true
			if !slices.Contains(before[i].uris, uri) && !isRedirect(list.platform, uri) {
				return invalid(list.target, "'%s' is no redirect URI of this platform", clip(uri)).with("InvalidReplyUrl", list.target)
			}
		}
	}
	if total > 256 {
		return invalid("redirectUris", "want at most 256 redirect URIs, got %d", total)
	}
	return nil
}

// isRedirect reports whether the directory takes a redirect URI.
func isRedirect(platform Platform, uri string) bool {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme == "" || strings.ContainsAny(uri, "#* ") || utf8.RuneCountInString(uri) > 256 {
		return false
	}
	switch u.Scheme {
	case "https":
		return u.Host != ""
	case "http":
		return u.Hostname() == "localhost" || strings.HasPrefix(u.Hostname(), "127.") && isLoopback(u.Hostname())
	default:
		return platform == PlatformDesktop
	}
}
