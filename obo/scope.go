package obo

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
)

const (
	// storageResource is the resource of Azure Storage, the default.
	storageResource = "https://storage.azure.com"

	defaultScope = ".default"
	// maxScopes bounds how many scopes one request may name.
	maxScopes = 32
)

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
	case err != nil || u.Opaque != "" || (u.Scheme != "https" && u.Scheme != "api"):
		return fmt.Errorf("%q must be a resource's URI, https://… or api://…, or an application id", r)
	case u.Host == "" || u.User != nil || strings.ContainsAny(r, "?#"):
		return fmt.Errorf("%q must be a resource's URI without user, query and fragment", r)
	case strings.HasSuffix(r, "/"+defaultScope):
		return fmt.Errorf("%q is a scope; leave /%s away", r, defaultScope)
	}
	return nil
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

func isScopeOf(scope, resource string) bool {
	rest, ok := strings.CutPrefix(scope, resource)
	if !ok {
		return false
	}
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
