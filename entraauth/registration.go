package entraauth

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
)

// A tenancy says whose tokens are accepted, and where their keys are.
type tenancy struct {
	listed  []string              // the home tenant first
	sources map[string]*keySource // of the listed ones
	any     *keySource            // of every other organization; nil unless asked for
}

// newTenancy checks the tenants of a configuration. The key sources come later.
func newTenancy(home string, others []string, fault func(field string, err error)) tenancy {
	t := tenancy{sources: make(map[string]*keySource)}
	fault("tenant ID", checkTenantID(home))
	for i, id := range append([]string{home}, others...) {
		if i > 0 {
			fault("OtherTenants", checkTenantID(id))
		}
		if id = strings.ToLower(id); !slices.Contains(t.listed, id) {
			t.listed = append(t.listed, id)
		}
	}
	return t
}

// consumers is the tenant of personal Microsoft accounts. Anybody can create one.
const consumers = "9188040d-6c67-4c5b-b112-36a304b66dad"

func checkTenantID(id string) error {
	switch strings.ToLower(id) {
	case "common", organizations:
		return fmt.Errorf("%q is every tenant in the world; give the id of your own, and see AcceptAnyOrganization", id)
	case "consumers":
		return errors.New(`"consumers" is the tenant ` + consumers + `, of personal accounts`)
	}
	return authority.CheckGUID(id)
}

// accepts reports whether tokens of the tenant are accepted.
func (t *tenancy) accepts(id string) bool {
	return t.sources[id] != nil || t.any != nil && authority.IsGUID(id) && !strings.EqualFold(id, consumers)
}

// source returns the keys of the tenant. For a tenant that is not accepted it returns the
// home tenant's, whose issuer then is the expected one.
func (t *tenancy) source(id string) *keySource {
	switch {
	case t.sources[id] != nil:
		return t.sources[id]
	case t.accepts(id):
		return t.any
	}
	return t.sources[t.listed[0]]
}

func (t *tenancy) each(f func(*keySource)) {
	for _, id := range t.listed {
		f(t.sources[id])
	}
	if t.any != nil {
		f(t.any)
	}
}

// String names the tenants for the text of an error.
func (t *tenancy) String() string {
	if t.any != nil {
		return "any organization's tenant"
	}
	return "tenant " + strings.Join(t.listed, " or ")
}

// An application is the API that tokens must be for.
type application struct {
	clientID string   // in lower case
	uris     []string // its App ID URIs, at least one
}

// newApplication checks the ids of a configuration.
func newApplication(clientID string, uris []string, fault func(field string, err error)) application {
	fault("client ID", authority.CheckGUID(clientID))
	for _, uri := range uris {
		fault("AppIDURIs", authority.CheckAppIDURI(uri))
	}
	a := application{strings.ToLower(clientID), slices.Clone(uris)}
	if len(uris) == 0 {
		a.uris = []string{"api://" + a.clientID}
	}
	return a
}

// isAudience reports whether a token of that version with the audience is for the API.
//
// A v1 token has the audience in the form that was requested: the client ID or an App ID
// URI, in whatever case and with or without trailing slash. Entra's directory ignores
// case too: no two applications of a tenant have App ID URIs that differ only in case.
// A v2 token always has the client ID.
func (a *application) isAudience(version, aud string) bool {
	if aud == a.clientID || version != "1.0" {
		return aud == a.clientID
	}
	aud = strings.TrimSuffix(aud, "/")
	return sameLetters(aud, a.clientID) || slices.ContainsFunc(a.uris, func(uri string) bool { return sameLetters(aud, uri) })
}

// audiences names those that a token of the version may have.
func (a *application) audiences(version string) string {
	if version == "1.0" {
		return strings.Join(append(slices.Clone(a.uris), a.clientID), " or ")
	}
	return a.clientID + " (a v2 token)"
}

// scopePrefix returns what stands before a scope's name when a client requests it for the
// resource: its URL, where that is an App ID URI exactly; otherwise an api:// URI, or the
// first, as for an unknown resource (""). Entra takes a bare scope for one of Microsoft
// Graph.
func (a *application) scopePrefix(resourceURL string) string {
	prefix := a.uris[0]
	if slices.Contains(a.uris, resourceURL) {
		prefix = resourceURL
	} else if i := slices.IndexFunc(a.uris, isAPIScheme); resourceURL != "" && i >= 0 {
		prefix = a.uris[i]
	}
	return prefix + "/"
}

func isAPIScheme(uri string) bool { return strings.HasPrefix(uri, "api://") }

// sameLetters ignores the case of ASCII letters only. [strings.EqualFold] would take
// the Kelvin sign for a k.
func sameLetters(a, b string) bool {
	lower := func(c byte) byte {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		return c
	}
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}
