package authproxy

import (
	"net/url"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/grants"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
)

// canonicalResource returns a resource in the form for comparison: scheme and host in lower case,
// without the default port and without one trailing slash.
func canonicalResource(s string) (string, bool) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(s, "#") {
		return "", false
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	switch u.Scheme {
	case "https":
		u.Host = strings.TrimSuffix(u.Host, ":443")
	case "http":
		u.Host = strings.TrimSuffix(u.Host, ":80")
	default:
		return "", false
	}
	return u.Scheme + "://" + u.Host + strings.TrimSuffix(u.EscapedPath(), "/"), true
}

// resourceOf returns the resource that a request names, in canonical form, or "" if it names none
// (RFC 8707, section 2).
func (p *Proxy) resourceOf(values []string) (string, error) {
	var named string
	for _, value := range values {
		if value == "" {
			continue
		}
		canonical, ok := canonicalResource(value)
		if !ok || !slices.Contains(p.resources, canonical) || named != "" && named != canonical {
			return "", oauth.Errorf(oauth.InvalidTarget, "resource must name one server behind this proxy: %s", strings.Join(p.resources, " or "))
		}
		named = canonical
	}
	return named, nil
}

// checkResource is resourceOf for a token request, which must name no other resource than the
// authorization request did.
func (p *Proxy) checkResource(g *grants.Grant, form url.Values) (string, error) {
	named, err := p.resourceOf(form["resource"])
	if err != nil {
		return "", err
	}
	if named != "" && g.Resource != "" && named != g.Resource {
		return "", oauth.Errorf(oauth.InvalidTarget, "resource must be that of the authorization request, %s", g.Resource)
	}
	return named, nil
}
