package tenantfile

import (
	"net/url"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/yamlfile"
)

// The optional claims that the tenant issues.
var optionalClaims = []string{"acrs", "email", "idtyp", "upn", "xms_act_fct", "xms_cc", "xms_par_app_azp", "xms_sub_fct"}

func (k *checker) app(c *yamlfile.Cursor, a *AppSpec) {
	k.id(c.Key("clientId"), a.ClientID)
	switch {
	case !a.isAgent():
		k.id(c.Key("objectId"), a.ObjectID)
	case !strings.EqualFold(a.ClientID, a.ObjectID):
		c.Key("objectId").Faultf("an agent identity's objectId is its clientId; leave it out")
	}
	k.kind(c, a)
	if a.TokenVersion < 0 || a.TokenVersion > 2 {
		c.Key("tokenVersion").Faultf("expected 1 or 2")
	}
	for i, uri := range a.AppIDURIs {
		k.appIDURI(c.Key("appIdUris").Item(i), uri)
	}
	k.offers(c, a)
	for i, claim := range a.OptionalClaims {
		refer(c.Key("optionalClaims").Item(i), "optional claim", claim, optionalClaims)
	}
	for i, client := range a.KnownClients {
		k.referApp(c.Key("knownClients").Item(i), client)
	}
	for i, p := range a.Permissions {
		at := c.Key("permissions").Item(i)
		if k.referResource(at.Key("resource"), p.Resource) {
			subset(at.Key("scopes"), "scope", p.Scopes, k.resources[p.Resource])
		}
	}
	k.assigned(c, a.AssignedRoles)
	checkRedirects(c.Key("redirects"), a)
	k.credentials(c, a)
}

// offers checks the scopes and roles that an app offers. They share a name space.
func (k *checker) offers(c *yamlfile.Cursor, a *AppSpec) {
	seen := map[string]bool{}
	for key, names := range map[string][]string{"scopes": a.Scopes, "roles": a.Roles} {
		for i, name := range names {
			at := c.Key(key).Item(i)
			switch {
			case !permission.MatchString(name):
				at.Faultf("expected a short name of letters, digits, dots, dashes, underscores and colons, without the App ID URI")
			case seen[key+name]:
				at.Faultf("it appears twice")
			case seen[name]:
				at.Faultf("the app has a scope and a role of this name; Entra allows one of them")
			}
			seen[name], seen[key+name] = true, true
		}
	}
	for i, name := range a.AdminScopes {
		if !slices.Contains(a.Scopes, name) {
			refer(c.Key("adminScopes").Item(i), "scope of this app", name, a.Scopes)
		}
	}
}

// appIDURI checks an App ID URI by Entra's rules, but not its domain
// (https://learn.microsoft.com/entra/identity-platform/identifier-uri-restrictions).
func (k *checker) appIDURI(c *yamlfile.Cursor, uri string) {
	u, err := url.Parse(uri)
	switch {
	case err != nil || u.Scheme == "" || u.Host == "" || u.Fragment != "" || u.User != nil:
		c.Faultf("expected a URI such as api://{client ID} or https://mcp.example.com/mcp")
	case strings.HasSuffix(uri, "/"):
		c.Faultf("Entra refuses an App ID URI that ends with a slash; remove it")
	case len(uri) > 255:
		c.Faultf("an App ID URI has at most 255 characters")
	case k.uris[uri]:
		c.Faultf("another app of the tenant, or an API of Microsoft, has this App ID URI, or it appears twice")
	}
	k.uris[uri] = true
}

func checkRedirects(c *yamlfile.Cursor, a *AppSpec) {
	for key, uris := range map[string][]string{"web": a.Redirects.Web, "spa": a.Redirects.SPA, "desktop": a.Redirects.Desktop} {
		for i, uri := range uris {
			if problem := redirectProblem(uri, key == "desktop"); problem != "" {
				c.Key(key).Item(i).Faultf("%s", problem)
			}
		}
	}
	if a.Public && len(a.Redirects.Web) > 0 {
		c.Key("web").Faultf("a public client has no web redirects, whose codes need a secret; use desktop or spa, or remove \"public: true\"")
	}
}

// redirectProblem says what Entra does not accept about a redirect URI
// (https://learn.microsoft.com/entra/identity-platform/reply-url), or "".
func redirectProblem(uri string, desktop bool) string {
	u, err := url.Parse(uri)
	switch {
	case err != nil || u.Scheme == "":
		return "expected an absolute URI such as http://localhost/callback"
	case strings.Contains(uri, "#"):
		return "a redirect URI has no fragment; remove the # and what follows"
	case strings.Contains(uri, "*"):
		return "wildcards are not supported; list each URI"
	case len(uri) > 256:
		return "a redirect URI has at most 256 characters"
	case u.Hostname() == "::1":
		return "Entra does not support [::1]; use localhost or 127.0.0.1"
	case u.Scheme == "https" && u.Host != "":
		return ""
	case u.Scheme == "http" && (u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1"):
		return ""
	case u.Scheme == "http":
		return "http is for localhost and 127.0.0.1 only; use https"
	case !desktop:
		return "expected https, or http on localhost; only desktop apps have schemes of their own"
	}
	return ""
}

// credentials checks how the app proves its identity.
func (k *checker) credentials(c *yamlfile.Cursor, a *AppSpec) {
	if a.Public && len(a.Secrets)+len(a.Certificates)+len(a.FederatedCredentials) > 0 {
		c.Key("public").Faultf("a public client proves nothing (AADSTS700025); remove \"public: true\", or its secrets, certificates and federated credentials")
	}
	for i, s := range a.Secrets {
		at := c.Key("secrets").Item(i)
		switch {
		case (s.Value == "") == (s.File == ""):
			at.Faultf("expected value or file: one of them")
		case s.Value != "" && len(s.Value) < 8:
			at.Key("value").Faultf("expected at least 8 characters")
		}
	}
	for i, path := range a.Certificates {
		if path == "" {
			c.Key("certificates").Item(i).Faultf("expected the path of a PEM file")
		}
	}
	if len(a.FederatedCredentials) > 20 {
		c.Key("federatedCredentials").Faultf("an app has at most 20 federated credentials")
	}
	for i := range a.FederatedCredentials {
		k.federated(c.Key("federatedCredentials").Item(i), &a.FederatedCredentials[i])
	}
}

func (k *checker) federated(c *yamlfile.Cursor, f *FederatedSpec) {
	kinds := 0
	for _, name := range []string{f.ManagedIdentity, f.Cluster, f.Issuer} {
		if name != "" {
			kinds++
		}
	}
	if kinds != 1 {
		c.Faultf("expected managedIdentity, cluster or issuer: one of them")
		return
	}
	switch {
	case f.ManagedIdentity != "":
		refer(c.Key("managedIdentity"), "managed identity", f.ManagedIdentity, namesOf(k.spec.ManagedIdentities, func(m IdentitySpec) string { return m.Name }))
		if f.Subject != "" {
			c.Key("subject").Faultf("the subject is the identity's object ID; leave it out")
		}
	case f.Subject == "":
		c.Key("subject").Faultf("expected a subject such as system:serviceaccount:NAMESPACE:NAME")
	case f.Cluster != "":
		refer(c.Key("cluster"), "cluster", f.Cluster, namesOf(k.spec.Clusters, func(c ClusterSpec) string { return c.Name }))
	}
	if (f.Issuer != "") != (f.PublicKey != "") || (f.Issuer != "") != (f.KeyID != "") {
		c.Faultf("issuer, publicKey (a PEM file) and keyId (the kid of its tokens) belong together")
	}
	if u, err := url.Parse(f.Issuer); f.Issuer != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
		c.Key("issuer").Faultf("expected an https URL, exactly as in the iss claim")
	}
}
