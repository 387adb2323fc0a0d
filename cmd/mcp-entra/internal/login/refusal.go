package login

import (
	"errors"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/knownclients"
)

// entraRefusal is how Entra begins the text of a refusal, up to the ids of its log.
var entraRefusal = regexp.MustCompile(`(AADSTS[0-9]{4,8})(?::? [^\r\n]*)?`)

// remedies are for the refusals that sign-in meets: {client} and {scopes} are filled in.
var remedies = map[string]string{
	"AADSTS50011":   `the application {client} needs the redirect URI http://localhost under "Mobile and desktop applications" (publicClient)`,
	"AADSTS50020":   "sign in with an account of this tenant, or name another one with -tenant",
	"AADSTS500113":  `the application {client} has no redirect URI: add http://localhost under "Mobile and desktop applications" (publicClient)`,
	"AADSTS500011":  "no API of the tenant has the App ID URI of {scopes}: check the scope and the tenant, or register the URI (mcp-entra setup)",
	"AADSTS650053":  "the API does not have the scope of {scopes}: check its name under Expose an API",
	"AADSTS65001":   "nobody has consented that {client} gets {scopes}: sign in with -browser, which asks the user, or pre-authorize it (mcp-entra setup)",
	"AADSTS65002":   "the API must pre-authorize {client}, which is Microsoft's own: mcp-entra setup does; or name a client of your own with -client",
	"AADSTS65004":   "sign in again, and consent",
	"AADSTS70011":   "the scope {scopes} is not valid: name it in full, such as api://CLIENT_ID/access_as_user",
	"AADSTS700016":  "the tenant has no application {client}: check -client and -tenant",
	"AADSTS7000218": `the application {client} is not a public client: for -device, set "Allow public client flows" (isFallbackPublicClient); for the browser, move its redirect from Web to "Mobile and desktop applications"`,
	"AADSTS90002":   "there is no such tenant: check -tenant, and -authority for another cloud",
	"AADSTS90094":   "an administrator must consent for this tenant",
	"AADSTS90095":   "an administrator must consent for this tenant",
}

// explained returns Entra's refusal as its code and first line, with what to do. The errors of MSAL
// may have whole answers, so other texts are shown only where they are of the network.
func explained(err error, clientID string, d Demand) error {
	if network, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("%s can't be reached: %w", d.Authority, network.Err)
	}
	text := html.UnescapeString(err.Error())
	m := entraRefusal.FindStringSubmatch(text)
	if m == nil {
		text, _, _ = strings.Cut(text, "\n")
		return errors.New("the sign-in failed: " + short(text))
	}
	line, _, _ := strings.Cut(m[0], " Trace ID:")
	what := "Entra refused the sign-in: " + line
	if remedy := remedies[m[1]]; remedy != "" {
		what += "\nTo fix this: " + strings.NewReplacer("{client}", clientName(clientID), "{scopes}", strings.Join(d.Scopes, " ")).Replace(remedy)
	}
	return errors.New(what)
}

// clientName names a client by its id, and by name where that is known.
func clientName(id string) string {
	for _, c := range knownclients.All() {
		if strings.EqualFold(c.AppID, id) {
			return c.Name + " (" + id + ")"
		}
	}
	return id
}
