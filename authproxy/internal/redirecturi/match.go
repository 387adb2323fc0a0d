package redirecturi

import (
	"errors"
	"net/netip"
	"strings"
)

// Match reports whether a request may name the redirect, given one that was registered and
// passed [Check]: they are equal, or they are http on the same loopback literal with the same
// path and query, and one has another port, or none.
func Match(registered, requested string) bool {
	if registered == requested {
		return registered != ""
	}
	if len(requested) > MaxBytes {
		return false
	}
	host, _, rest, ok := cutLoopback(registered)
	host2, _, rest2, ok2 := cutLoopback(requested)
	return ok && ok2 && host == host2 && rest == rest2
}

// cutLoopback cuts an http URI on a loopback literal into its parts.
func cutLoopback(uri string) (host, port, rest string, ok bool) {
	after, ok := strings.CutPrefix(uri, "http://")
	if !ok {
		return "", "", "", false
	}
	authority, rest := cutAuthority(after)
	host, port = cutPort(authority)
	return host, port, rest, isLoopback(host) && isPort(port)
}

var (
	errUnregistered = errors.New("the redirect_uri is not one of the client's; it must equal a registered one, byte for byte (the port of http on loopback may differ)")
	errMissing      = errors.New("the redirect_uri is missing; it may be omitted only if one is registered, with a fixed port")
)

// Choose returns the redirect for an authorization request: the requested one, or, if that is
// "", the only registered one. All registered ones have passed [Check].
func Choose(registered []string, requested string) (string, error) {
	if requested == "" {
		if len(registered) != 1 || !hasFixedPort(registered[0]) {
			return "", errMissing
		}
		return registered[0], nil
	}
	for _, r := range registered {
		if Match(r, requested) {
			return requested, nil
		}
	}
	return "", errUnregistered
}

// hasFixedPort: a loopback entry without a port stands for any port.
func hasFixedPort(uri string) bool {
	_, port, _, loopback := cutLoopback(uri)
	return !loopback || port != ""
}

// Host returns the host of an https or http redirect as a page shows it, in lower case and
// without port, or "" for a private scheme.
func Host(uri string) string {
	scheme, after, ok := strings.Cut(uri, "://")
	if !ok || scheme != "https" && scheme != "http" {
		return ""
	}
	authority, _ := cutAuthority(after)
	host, _ := cutPort(authority)
	return strings.ToLower(host)
}

// Scheme returns the private scheme of a redirect, or "" for https and http.
func Scheme(uri string) string {
	scheme, _, _ := strings.Cut(uri, ":")
	if scheme == "https" || scheme == "http" {
		return ""
	}
	return scheme
}

// IsLoopback reports whether the redirect leads to the computer on which the browser runs, where
// any program can answer.
func IsLoopback(uri string) bool {
	host := Host(uri)
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.Unmap().IsLoopback()
}
