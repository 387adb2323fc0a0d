package obo

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
)

// maxScopes bounds the scopes of one request.
const maxScopes = 32

// checkResource checks that a configured resource identifies an API (App ID URI or
// application ID) and is not one of its scopes.
func checkResource(r string) error {
	if authority.IsGUID(r) {
		return nil
	}
	u, err := url.Parse(r)
	switch {
	case r == "":
		return errors.New("is empty")
	case strings.ContainsFunc(r, notPrintable):
		return fmt.Errorf("%q has whitespace or non-ASCII characters", r)
	case strings.Contains(r, "*"):
		return fmt.Errorf("%q has a wildcard; name each resource", r)
	case isScopeOfSomething(r):
		return fmt.Errorf("%q is a scope; the resource is %q", r, withoutScope(r))
	case err != nil || u.Opaque != "" || (u.Scheme != "https" && u.Scheme != "api"):
		return fmt.Errorf("%q must be a resource's URI, https://… or api://…, or an application ID", r)
	case u.Host == "" || u.User != nil || strings.ContainsAny(r, "?#"):
		return fmt.Errorf("%q must be a resource's URI without user, query and fragment", r)
	case strings.HasSuffix(r, "//") || strings.HasSuffix(r, "/") && u.Scheme == "api":
		// Some https:// ones end with a slash, such as https://management.core.windows.net/; api:// ones can't.
		return fmt.Errorf("%q must not end with a slash; use %q", r, strings.TrimRight(r, "/"))
	}
	return nil
}

// checkDuplicate checks that resources[i] is not among the resources before it.
func checkDuplicate(resources []string, i int) error {
	for j, other := range resources[:i] {
		if canonical(other) == canonical(resources[i]) {
			return fmt.Errorf("%q is the same as Options.Resources[%d]", resources[i], j)
		}
	}
	return nil
}

// isScopeOfSomething reports whether the last segment of r's path is a scope.
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
// App ID URIs, but not a slash at the end. What we send is spelled as configured.
func canonical(resource string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, resource)
}

// resourceOf returns the configured resource that all the scopes belong to. A
// scope is <resource>/<name>. If a resource ends with a slash, which Entra takes
// literally, a scope with only that slash is allowed, too: most Azure SDK clients
// write it so.
func resourceOf(scopes, resources []string) (string, *Error) {
	if len(scopes) == 0 || len(scopes) > maxScopes {
		return "", refuse(ErrScopeNotAllowed, fmt.Sprintf("%d scopes were requested; between 1 and %d are allowed", len(scopes), maxScopes), "")
	}
	for _, r := range resources {
		if !slices.ContainsFunc(scopes, func(s string) bool { return !isScopeOf(s, r) }) {
			return r, nil
		}
	}
	e := refuse(ErrScopeNotAllowed,
		fmt.Sprintf("the requested scopes are not of one allowed resource; this server acts on behalf of users only at %s",
			strings.Join(resources, ", ")),
		askOperator+"add the resource to the configured ones, if it can be trusted")
	e.cause = fmt.Errorf("requested scopes: %s", quoteScopes(scopes))
	return "", e
}

// spell joins the scopes of the resource, with the resource spelled as configured.
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

// isScopeName reports whether s can be the last part of a scope. A slash would name
// another resource, and a space would start another scope.
func isScopeName(s string) bool {
	return s != "" && len(s) <= 256 && !strings.ContainsFunc(s, func(r rune) bool {
		return r == '/' || r == '\\' || r == '?' || r == '#' || r == '%' || notPrintable(r)
	})
}

func notPrintable(r rune) bool { return r <= ' ' || r >= 0x7f }

// quoteScopes quotes and shortens scopes for the log: they may be an attacker's.
func quoteScopes(scopes []string) string {
	s := strings.Join(scopes, " ")
	if len(s) > 200 {
		s = s[:200] + "…"
	}
	return fmt.Sprintf("%q", s)
}
