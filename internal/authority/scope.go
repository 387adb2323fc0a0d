package authority

import (
	"regexp"
	"strings"
)

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
