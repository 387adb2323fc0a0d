package authority

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode"
)

// CheckAppIDURI accepts App ID URIs as Entra registers them ("Expose an API").
func CheckAppIDURI(uri string) error {
	u, err := url.Parse(uri)
	odd := func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune("\"\\*{}", r)
	}
	if err != nil || u.Scheme == "" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" ||
		strings.ContainsFunc(uri, odd) {
		return fmt.Errorf("%q is not an App ID URI such as api://12345678-1234-1234-1234-123456789abc", uri)
	}
	switch right := WithoutScope(uri); right {
	case uri:
		return nil
	case strings.TrimRight(uri, "/"):
		return fmt.Errorf("%q ends in a slash, which an App ID URI never does; set it to %q", uri, right)
	default:
		return fmt.Errorf("%q is a scope of the API, not its App ID URI; set it to %q", uri, right)
	}
}

// aScope matches a last segment that is a delegated permission and not a part of an App ID URI:
// the usual names, and names in the form that Microsoft's APIs use.
var aScope = regexp.MustCompile(`(?i)^(\.default|user_impersonation|access_as_user|offline_access|openid|` +
	`([a-z0-9_][\w-]*\.)+(read|readbasic|readwrite|write|send|manage|invoke|execute|delete|create|fullcontrol|accessasuser)(\.[a-z]+)?)$`)

// IsScope reports whether a last segment is certainly a scope name.
func IsScope(name string) bool { return aScope.MatchString(name) }

// WithoutScope returns the App ID URI or resource without a trailing scope and slashes: api://x
// for api://x/access_as_user. App ID URIs may have a path, so it removes only what is certainly a
// scope.
func WithoutScope(uri string) string {
	scheme, rest, ok := strings.Cut(uri, "://")
	if !ok {
		return uri
	}
	for {
		rest = strings.TrimRight(rest, "/")
		i := strings.LastIndexByte(rest, '/')
		if i < 0 || !aScope.MatchString(rest[i+1:]) {
			return scheme + "://" + rest
		}
		rest = rest[:i]
	}
}
