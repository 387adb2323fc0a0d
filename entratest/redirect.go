package entratest

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
)

// A Platform is the kind of application behind a redirect URI. It decides how clients redeem codes
// sent to that URI.
type Platform int

// The platforms of an app registration.
const (
	PlatformWeb     Platform = iota + 1 // a server: proves itself with a secret, certificate or federated credential
	PlatformSPA                         // scripts in a browser: no secret, PKCE, requests with the header Origin
	PlatformDesktop                     // "mobile and desktop applications": no secret
)

type redirect struct {
	platform Platform
	uri      string
}

// AddRedirectURI registers redirect URIs. They must match exactly, except that http://localhost
// matches on any port (RFC 8252 section 7.3): at Entra, 127.0.0.1 does not.
func (a *App) AddRedirectURI(platform Platform, uris ...string) {
	a.mustTakeRedirects()
	if platform < PlatformWeb || platform > PlatformDesktop {
		panic(fmt.Sprintf("entratest: AddRedirectURI: no platform %d, want Web, SPA or Desktop", platform))
	}
	for _, uri := range uris {
		if u, err := url.Parse(uri); err != nil || u.Scheme == "" || u.Fragment != "" {
			panic(fmt.Sprintf("entratest: AddRedirectURI: %q is not an absolute URI without fragment", uri))
		}
	}
	a.tenant.mu.Lock()
	defer a.tenant.mu.Unlock()
	for _, uri := range uris {
		a.redirects = append(a.redirects, redirect{platform, uri})
	}
}

// redirectTo returns the registered redirect for a request's redirect_uri, with the requested
// address. Without a redirect_uri, it returns the first one.
func (a *App) redirectTo(asked string) (redirect, *rejection) {
	app := a.registration()
	app.tenant.mu.Lock()
	registered := slices.Clone(app.redirects)
	app.tenant.mu.Unlock()
	if len(registered) == 0 {
		return redirect{}, reject(500113, "No reply address is registered for the application.")
	}
	if asked == "" {
		return registered[0], nil
	}
	for _, r := range registered {
		if r.matches(asked) {
			return redirect{r.platform, asked}, nil
		}
	}
	return redirect{}, reject(50011, fmt.Sprintf("The redirect URI '%s' specified in the request does not match the redirect URIs configured "+
		"for the application '%s'.", clip(asked), a.ClientID))
}

func (r redirect) matches(asked string) bool {
	if r.uri == asked {
		return true
	}
	registered, err := url.Parse(r.uri)
	if err != nil || registered.Scheme != "http" || registered.Hostname() != "localhost" {
		return false
	}
	u, err := url.Parse(asked)
	if err != nil || u.Fragment != "" || u.User != nil || u.Hostname() != registered.Hostname() {
		return false
	}
	path := func(u *url.URL) string { // http://localhost and http://localhost/ are equal
		if u.EscapedPath() == "/" {
			return ""
		}
		return u.EscapedPath()
	}
	return u.Scheme == registered.Scheme && path(u) == path(registered) && u.RawQuery == registered.RawQuery
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
