package entraauth

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
)

// checkAppIDURI wants an App ID URI as Entra registers it ("Expose an API").
func checkAppIDURI(uri string) error {
	u, err := url.Parse(uri)
	odd := func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune("\"\\*{}", r)
	}
	if err != nil || u.Scheme == "" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" ||
		strings.ContainsFunc(uri, odd) {
		return fmt.Errorf("%q is not an App ID URI such as api://12345678-1234-1234-1234-123456789abc", uri)
	}
	switch right := authority.WithoutScope(uri); right {
	case uri:
		return nil
	case strings.TrimRight(uri, "/"):
		return fmt.Errorf("%q ends in a slash, which no App ID URI does; set it to %q", uri, right)
	default:
		return fmt.Errorf("%q is a scope of the API, not its App ID URI; set it to %q", uri, right)
	}
}

// isAudience ignores case, as Entra's directory does: no two applications of a tenant
// have App ID URIs that differ only in case.
func (v *Verifier) isAudience(aud string) bool {
	aud = strings.TrimSuffix(aud, "/")
	return sameLetters(aud, v.clientID) || slices.ContainsFunc(v.appIDURIs, func(uri string) bool { return sameLetters(aud, uri) })
}

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
