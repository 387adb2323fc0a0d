package setup

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/yamlfile"
	"github.com/mcpentra/mcp-entra-go/internal/authority"
	"github.com/mcpentra/mcp-entra-go/internal/knownclients"
)

// Checks of single values. Their errors complete "server ...". What may be a secret is not shown.

// Shown quotes a value for an error, unless it may be a secret in the wrong place.
func Shown(s string) string { return shown(s) }

func shown(s string) string {
	if !authority.IsGUID(s) && (len(s) > 100 || strings.Contains(s, "~") || len(s) >= 32 && !strings.ContainsAny(s, ":/. ")) {
		return fmt.Sprintf("a value of %d characters (not shown: it may be a secret)", len(s))
	}
	return quoted(s)
}

// oneLine returns the text without what moves a terminal's cursor or ends a line.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, text)
}

func quoted(s string) string { return fmt.Sprintf("%q", s) }

// checkID wants a GUID. Anything else is never shown: people paste secrets where ids belong.
func checkID(s string) error {
	switch {
	case authority.IsGUID(s):
		return authority.CheckGUID(s)
	case s == "":
		return authority.CheckGUID(s)
	default:
		return fmt.Errorf("is not a GUID such as 12345678-1234-1234-1234-123456789abc (its %d characters are not shown: they may be a secret; if so, it is in a file now, so make a new one)", len(s))
	}
}

var (
	nameForm  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{1,63}$`)
	scopeForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,119}$`)
	k8sForm   = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)
)

func checkName(s string) error {
	if !nameForm.MatchString(s) {
		return fmt.Errorf("is %s; use 2 to 64 letters, digits, dots, hyphens and underscores: it is the application's key in the tenant for good", shown(s))
	}
	return nil
}

func checkText(s string) error {
	switch {
	case s == "" || utf8.RuneCountInString(s) > 120 || !utf8.ValidString(s):
		return fmt.Errorf("has %d characters; use 1 to 120", utf8.RuneCountInString(s))
	case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return errors.New("has control characters")
	case strings.Contains(s, "${"):
		return errors.New("has ${, which stands for an id in plans")
	}
	return nil
}

// checkPath wants a file's name, which may be long.
func checkPath(s string) error {
	if s == "" || len(s) > 4096 || strings.Contains(s, "${") || s != oneLine(s) {
		return errors.New("is no file's name, or has control characters or ${, which stands for an id in plans")
	}
	return nil
}

func checkScope(s string) error {
	if !scopeForm.MatchString(s) {
		return fmt.Errorf("is %s; write a permission's value as in the API's registration, such as user_impersonation or Mail.Read", shown(s))
	}
	return nil
}

// checkServer wants the URL of an MCP endpoint that can be an App ID URI, which is compared
// character for character.
func checkServer(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.Opaque != "":
		return fmt.Errorf("is %s; write the endpoint's URL as clients use it, such as https://mcp.example.com/mcp", shown(s))
	case u.User != nil:
		return errors.New("has a user name in it (not shown); leave it out")
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(s, "#"):
		return fmt.Errorf("is %s; a query or fragment can't be part of an App ID URI", shown(s))
	case strings.Contains(s, ","):
		return fmt.Errorf("is %s; a comma separates App ID URIs in the server's variables", shown(s))
	case strings.HasSuffix(s, "/"):
		return fmt.Errorf("is %s; Entra takes no App ID URI with a slash at its end: write it without, and give it to clients so", shown(s))
	case !authority.IsSite(u):
		return fmt.Errorf("is %s; its host must be one host's name, without wildcards", shown(s))
	case u.Host != strings.ToLower(u.Host):
		return fmt.Errorf("is %s; write the host in lower case, as clients send it", shown(s))
	case u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80":
		return fmt.Errorf("is %s; leave the port out, as clients do", shown(s))
	case len(s) > 255:
		return fmt.Errorf("has %d characters; an App ID URI has at most 255", len(s))
	}
	return checkPlain(s)
}

// checkPlain wants a URI of printable ASCII without what plans and OData reserve.
func checkPlain(s string) error {
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"'\<>{}^|*`+"`", r) }) {
		return errors.New("has characters that a URI can't have (or a wildcard)")
	}
	return nil
}

// checkRedirect wants a redirect URI that Entra takes on the platform.
func checkRedirect(s string, platform knownclients.Platform) error {
	if err := checkPlain(s); err != nil {
		return err
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme == "" || u.Opaque != "" || strings.Contains(s, "#"):
		return fmt.Errorf("is %s; write a URI such as https://client.example.com/callback, without a fragment", shown(s))
	case u.User != nil:
		return errors.New("has a user name in it (not shown); leave it out")
	case len(s) > 256:
		return fmt.Errorf("has %d characters; a redirect URI has at most 256", len(s))
	case u.Scheme == "https" && u.Host != "":
		return nil
	case u.Scheme == "http" && u.Hostname() == "::1":
		return errors.New("is on [::1], which Entra refuses; use http://localhost or http://127.0.0.1")
	case u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	case u.Scheme == "http":
		return fmt.Errorf("is %s; http is for localhost only", shown(s))
	case platform != knownclients.Public:
		return fmt.Errorf("is %s; only platform public takes a scheme of its own", shown(s))
	}
	return nil
}

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// checkIssuer wants a cluster's OIDC issuer. It is compared as it is, with or without a slash at
// its end.
func checkIssuer(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return fmt.Errorf("is %s; copy the cluster's OIDC issuer URL: az aks show --query oidcIssuerProfile.issuerUrl", shown(s))
	}
	return checkPlain(s)
}

func checkKubernetes(s string) error {
	if !k8sForm.MatchString(s) {
		return fmt.Errorf("is %s; write the name as in Kubernetes: lower-case letters, digits, hyphens", shown(s))
	}
	return nil
}

func checkCloud(s string) error {
	if _, ok := authority.CloudNamed(s); !ok {
		return fmt.Errorf("is %s; use public, usgov, dod or china", shown(s))
	}
	return nil
}

// checkResource wants the name of a resource: a known one, or an App ID URI.
func checkResource(s string) error {
	if _, ok := knownResources[s]; ok {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.User != nil || (u.Host == "" && u.Opaque == "") {
		return fmt.Errorf("is %s; use %s, or an App ID URI such as https://database.windows.net/%s",
			shown(s), strings.Join(resourceNames(), ", "), nearestOf(s, resourceNames()))
	}
	return checkPlain(s)
}

// knownResources are resources by their short names, with their client IDs (the same in all clouds)
// and default permissions.
var knownResources = map[string]Resource{
	"storage":  {Name: "storage", AppID: "e406a681-f3d4-42a8-90b6-c2b029497af1", Scopes: []string{"user_impersonation"}},
	"keyvault": {Name: "keyvault", AppID: "cfa8b339-82a2-471a-a3c9-0fc0be7a4093", Scopes: []string{"user_impersonation"}},
	"arm":      {Name: "arm", AppID: "797f4846-ba00-4fd7-ba43-dac1f8f63013", Scopes: []string{"user_impersonation"}},
	"graph":    {Name: "graph", AppID: "00000003-0000-0000-c000-000000000000"},
}

func resourceNames() []string { return []string{"storage", "keyvault", "arm", "graph"} }

// resource returns the resource with these scopes, or its default ones.
func resource(name string, scopes []string) (Resource, error) {
	r, known := knownResources[name]
	if !known {
		r = Resource{Name: name, Scopes: []string{"user_impersonation"}}
	}
	if len(scopes) > 0 {
		r.Scopes = scopes
	}
	if len(r.Scopes) == 0 {
		return r, fmt.Errorf("%s needs the permissions: %s: User.Read", name, name)
	}
	return r, nil
}

// known returns a known client. redirects are those that it shows to its user, besides its own.
func known(id string, redirects []string) (Client, error) {
	c, ok := knownclients.ByID(id)
	if !ok {
		return Client{}, fmt.Errorf("%s is no known client%s; for one of your own write name, platform and redirects", shown(id), nearestOf(id, knownclients.IDs()))
	}
	client := Client{ID: c.ID, Platform: c.Platform, Redirects: union(c.Redirects, redirects), AppID: c.AppID}
	if !c.Registered() && len(redirects) > 0 {
		return client, fmt.Errorf("%s has an application of its maker's, so no redirects of yours", c.ID)
	}
	for _, r := range redirects {
		if err := checkRedirect(r, c.Platform); err != nil {
			return client, fmt.Errorf("the redirect of %s %w", c.ID, err)
		}
	}
	return client, nil
}

// nearestOf completes an error with the nearest of the names, or with all of a few.
func nearestOf(s string, all []string) string {
	if near, ok := yamlfile.Nearest(s, all); ok {
		return "; did you mean " + near + "?"
	}
	if len(all) == 0 {
		return ""
	}
	all = slices.Clone(all)
	slices.Sort(all)
	if len(all) > 20 {
		return "; it has " + strings.Join(all[:20], ", ") + ", ..."
	}
	return "; there are " + strings.Join(all, ", ")
}
