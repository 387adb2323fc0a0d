package pages

import (
	"net/http"
	"strings"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/display"
)

// A Consent is the page on which a user decides about a client.
type Consent struct {
	ClientName string // what the client calls itself; "" if it has no name
	ClientHost string // of a client's document, in ASCII; "" if the client registered itself
	Preset     string // the name of the preset that vouches for the client; or ""
	Configured bool   // the operator configured the client
	// Redirect is the client's redirect URI, checked: the page shows its host, "this computer"
	// for loopback, or the app's scheme.
	Redirect string
	Server   string   // the name of the MCP server
	Scopes   []string // the tokens' scopes, whatever the client asked for
	Days     int      // for how many days approval is remembered; 0 if it is not
	// Action is where the form is posted: Fields, and decision, which is "approve" or "deny".
	Action string
	Fields map[string]string
}

// A consentView is a Consent as the template shows it.
type consentView struct {
	page
	Consent
	Name        string // under which the client is shown; "" if it has none
	Place       place  // where the sign-in goes
	Permissions []permission
	Unverified  bool // nobody vouches for the client
	Elsewhere   bool // the sign-in goes to another site than the one that describes the client
}

// Warn reports whether the page has a warning.
func (v *consentView) Warn() bool {
	return v.Unverified || v.Elsewhere || v.Place.Local || v.Place.App != ""
}

// A permission is a scope: its name, and before it what it is a scope of.
type permission struct{ Of, Name string }

// ShowConsent writes the consent page.
func (p *Renderer) ShowConsent(w http.ResponseWriter, r *http.Request, c *Consent) {
	v := &consentView{Consent: *c, Name: display.Name(c.ClientName), Place: placeOf(c.Redirect)}
	v.Server = display.Name(c.Server)
	v.ClientHost = ascii(c.ClientHost)
	if c.Preset != "" {
		v.Name = display.Name(c.Preset)
	}
	v.Unverified = c.Preset == "" && !c.Configured
	v.Elsewhere = v.Unverified && v.ClientHost != "" && v.Place.Host != "" && !within(v.Place.Host, v.ClientHost)
	for _, scope := range c.Scopes {
		scope = display.Text(scope, 300)
		end := strings.LastIndexByte(scope, '/') + 1
		v.Permissions = append(v.Permissions, permission{scope[:end], scope[end:]})
	}
	p.write(w, r, http.StatusOK, "consent", v)
}

// within reports whether a host is the site or one of its subdomains.
func within(host, site string) bool {
	return host == site || strings.HasSuffix(host, "."+site)
}
