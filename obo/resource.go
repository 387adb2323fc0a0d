package obo

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
)

// maxScopes bounds how many scopes one request may name.
const maxScopes = 32

// checkResource says what is wrong with a configured resource: it must be the
// identifier of an API (App ID URI or application id), not a scope of it.
func checkResource(r string) error {
	if authority.IsGUID(r) {
		return nil
	}
	u, err := url.Parse(r)
	switch {
	case r == "":
		return errors.New("is empty")
	case strings.ContainsFunc(r, notPrintable):
		return fmt.Errorf("%q has white space or characters outside ASCII", r)
	case strings.Contains(r, "*"):
		return fmt.Errorf("%q has a wildcard; name each resource", r)
	case isScopeOfSomething(r):
		return fmt.Errorf("%q is a scope; the resource is %q", r, withoutScope(r))
	case err != nil || u.Opaque != "" || (u.Scheme != "https" && u.Scheme != "api"):
		return fmt.Errorf("%q must be a resource's URI, https://… or api://…, or an application id", r)
	case u.Host == "" || u.User != nil || strings.ContainsAny(r, "?#"):
		return fmt.Errorf("%q must be a resource's URI without user, query and fragment", r)
	case strings.HasSuffix(r, "//") || strings.HasSuffix(r, "/") && u.Scheme == "api":
		// Some https ones end with a slash, such as https://management.core.windows.net/; api:// ones can't.
		return fmt.Errorf("%q ends with a slash, which no such App ID URI does: it is %q", r, strings.TrimRight(r, "/"))
	}
	return nil
}

// checkDuplicate says which resource before resources[i] is the same.
func checkDuplicate(resources []string, i int) error {
	for j, other := range resources[:i] {
		if canonical(other) == canonical(resources[i]) {
			return fmt.Errorf("%q is Options.Resources[%d] already", resources[i], j)
		}
	}
	return nil
}

// isScopeOfSomething reports whether the last segment of a path is a scope's name.
func isScopeOfSomething(r string) bool {
	trimmed := strings.TrimRight(r, "/")
	slash := strings.LastIndexByte(trimmed, '/')
	if slash < 0 || strings.HasSuffix(trimmed[:slash+1], "://") {
		return false // no path
	}
	name, err := url.PathUnescape(trimmed[slash+1:])
	return err == nil && authority.IsScope(name)
}

func withoutScope(r string) string {
	r = strings.TrimRight(r, "/")
	return r[:strings.LastIndexByte(r, '/')]
}

// canonical returns the form in which resources are compared. Entra ignores the case of
// App ID URIs, but not a slash at the end; what is sent is our spelling.
func canonical(resource string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, resource)
}

// resourceOf returns the configured resource that all the scopes belong to. A
// scope is <resource>/<name>; a resource that ends with a slash, which Entra
// takes literally, also admits the scope with a single one, since most clients
// of the Azure SDK write it so.
func resourceOf(scopes, resources []string) (string, *Error) {
	if len(scopes) == 0 || len(scopes) > maxScopes {
		return "", refuse(ErrScopeNotAllowed, fmt.Sprintf("%d scopes were asked for; between 1 and %d are allowed", len(scopes), maxScopes), "")
	}
	for _, r := range resources {
		if !slices.ContainsFunc(scopes, func(s string) bool { return !isScopeOf(s, r) }) {
			return r, nil
		}
	}
	e := refuse(ErrScopeNotAllowed,
		fmt.Sprintf("a token was asked for a resource that is not allowed, or for several at once; this server acts on behalf of users only at %s",
			strings.Join(resources, ", ")),
		askOperator+"add the resource to the configured ones, if it is to be trusted")
	e.cause = fmt.Errorf("asked for the scopes %s", quoteScopes(scopes))
	return "", e
}

// spell returns the scopes of the resource as one text, in the configured spelling.
func spell(scopes []string, resource string) string {
	own := make([]string, len(scopes))
	for i, s := range scopes {
		own[i] = resource + s[len(resource):]
	}
	return strings.Join(own, " ")
}

func isScopeOf(scope, resource string) bool {
	if len(scope) < len(resource) || canonical(scope[:len(resource)]) != canonical(resource) {
		return false
	}
	rest := scope[len(resource):]
	if name, ok := strings.CutPrefix(rest, "/"); ok {
		return isScopeName(name)
	}
	return strings.HasSuffix(resource, "/") && isScopeName(rest)
}

// isScopeName reports whether s can be the last part of a scope: no slash, which
// would name another resource, and no white space, which would begin another scope.
func isScopeName(s string) bool {
	return s != "" && len(s) <= 256 && !strings.ContainsFunc(s, func(r rune) bool {
		return r == '/' || r == '\\' || r == '?' || r == '#' || r == '%' || notPrintable(r)
	})
}

func notPrintable(r rune) bool { return r <= ' ' || r >= 0x7f }

// quoteScopes shows scopes that may be an attacker's, for the log: quoted, and
// not at length.
func quoteScopes(scopes []string) string {
	s := strings.Join(scopes, " ")
	if len(s) > 200 {
		s = s[:200] + "…"
	}
	return fmt.Sprintf("%q", s)
}
