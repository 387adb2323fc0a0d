package authproxy

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/edge"
)

// parseIssuer checks an issuer URL (RFC 8414, section 2): https, or http on a literal loopback
// host; without trailing slash, query and fragment.
func parseIssuer(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, errors.New("is not a URL such as https://mcp.example.com")
	case u.User != nil: // don't quote it: it may be a password
		return nil, errors.New("must have no user")
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopbackLiteral(u.Hostname())):
		return nil, fmt.Errorf("%q must be https; http is for localhost, 127.0.0.1 and [::1]", s)
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(s, "#"):
		return nil, fmt.Errorf("%q must have no query or fragment (RFC 8414 section 2)", s)
	case strings.HasSuffix(s, "/"):
		return nil, fmt.Errorf("%q must have no trailing slash: clients compare it exactly", s)
	case u.EscapedPath() != u.Path || strings.ContainsAny(u.Path, "{} ;") || u.Path != "" && path.Clean(u.Path) != u.Path:
		return nil, fmt.Errorf("the path %q must be clean, without characters that need an escape", u.Path)
	}
	if _, err := edge.ParseOrigin(u.Scheme + "://" + u.Host); err != nil {
		return nil, err
	}
	if canonical := edge.OriginOf(u) + u.Path; canonical != s {
		return nil, fmt.Errorf("write %q as %q: clients compare it exactly", s, canonical)
	}
	return u, nil
}

// isLoopbackLiteral reports whether the host is one of those for which http is allowed: names
// and addresses that never leave the machine.
func isLoopbackLiteral(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}

// canonicalResource returns the form in which resources are compared: scheme and host in lower
// case, without default port and without one trailing slash.
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
