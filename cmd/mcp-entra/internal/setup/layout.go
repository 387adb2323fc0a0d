package setup

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/knownclients"
)

// The key of the API's application. Those of the clients are public, web and spa, with a number
// from the second on.
const apiKey = "api"

// A clientApp is an application for clients of one platform.
type clientApp struct {
	key      string // also the end of its name: NAME-public
	platform knownclients.Platform
	clients  []Client
}

// layout says which application holds which clients. An application is for one platform, since the
// platform decides how a code is redeemed, and never the API's: one application for both is refused
// at sign-in (AADSTS90009). Entra ignores the port of localhost: redirects that differ in nothing
// else are never on one application.
func layout(clients []Client) []clientApp {
	var apps []clientApp
	for _, c := range clients {
		if c.Platform == "" {
			continue // pre-authorized only
		}
		i := slices.IndexFunc(apps, func(a clientApp) bool {
			return a.platform == c.Platform && !slices.ContainsFunc(a.clients, func(o Client) bool { return portClash(o.Redirects, c.Redirects) })
		})
		if i < 0 {
			apps = append(apps, clientApp{key: nextKey(apps, c.Platform), platform: c.Platform})
			i = len(apps) - 1
		}
		apps[i].clients = append(apps[i].clients, c)
	}
	return apps
}

func nextKey(apps []clientApp, p knownclients.Platform) string {
	key := string(p)
	if p == knownclients.Public {
		key = "public"
	}
	n := 1
	for _, a := range apps {
		if a.platform == p {
			n++
		}
	}
	if n > 1 {
		key += strconv.Itoa(n)
	}
	return key
}

// portClash reports whether two lists have redirects on localhost that differ in their port alone.
func portClash(a, b []string) bool {
	for _, x := range a {
		for _, y := range b {
			if x != y && withoutPort(x) != "" && withoutPort(x) == withoutPort(y) {
				return true
			}
		}
	}
	return false
}

// withoutPort returns a redirect on localhost without its port, or "" if it is another.
func withoutPort(redirect string) string {
	u, err := url.Parse(redirect)
	if err != nil || u.Hostname() != "localhost" {
		return ""
	}
	u.Host = "localhost"
	return u.String()
}

// redirects returns the redirect URIs of all of the application's clients.
func (a clientApp) redirects() []string {
	var all []string
	for _, c := range a.clients {
		all = union(all, c.Redirects)
	}
	return all
}

// deviceCode reports whether one of its clients signs in with a device code. The switch for it
// (isFallbackPublicClient) makes Entra refuse secrets, so it is on for public clients only.
func (a clientApp) deviceCode() bool {
	return slices.ContainsFunc(a.clients, func(c Client) bool { return c.DeviceCode })
}

// resourceKey names a resource in placeholders and step ids.
func resourceKey(spec Spec, i int) string {
	if name := spec.Resources[i].Name; !strings.Contains(name, ":") {
		return name
	}
	n := 0
	for _, r := range spec.Resources[:i+1] {
		if strings.Contains(r.Name, ":") {
			n++
		}
	}
	return "resource" + strconv.Itoa(n)
}

// union returns the items of a, and then those of b that a doesn't have.
func union[T comparable](a, b []T) []T {
	all := slices.Clone(a)
	for _, x := range b {
		if !slices.Contains(all, x) {
			all = append(all, x)
		}
	}
	return all
}

// minus returns the items of a that b doesn't have.
func minus[T comparable](a, b []T) []T {
	var rest []T
	for _, x := range a {
		if !slices.Contains(b, x) {
			rest = append(rest, x)
		}
	}
	return rest
}
