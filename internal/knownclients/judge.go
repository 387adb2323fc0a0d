package knownclients

import (
	"fmt"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
)

// A Server is what is known of an MCP server: what it publishes, and what its API's registration
// says. A nil slice was not read.
type Server struct {
	URL                  string   // as its clients use it; "" for Resource
	Resource             string   // "resource" of its metadata document (RFC 9728)
	Scopes               []string // "scopes_supported"
	AuthorizationServers []string // "authorization_servers"
	AuthProxy            bool     // the authorization server is a proxy of package authproxy

	CodeChallengeMethods []string // "code_challenge_methods_supported" of the authorization server
	ClientID             string   // the API's application ID; "" if unknown
	AppIDURIs            []string // identifierUris
	PreAuthorized        []string // appId of preAuthorizedApplications
	TokenVersion         int      // requestedAccessTokenVersion; 0 if unknown
}

// An Outcome says whether a client can sign in.
type Outcome string

// The outcomes.
const (
	Works         Outcome = "works"
	WorksWithID   Outcome = "works with a client ID typed in"
	Refused       Outcome = "will be refused"
	OtherProvider Outcome = "not judged" // sign-in is not at Entra
)

// A Verdict says what will happen to one client, and why.
type Verdict struct {
	Client  Client
	Outcome Outcome

	Code    string // of a refusal by Entra: "AADSTS9010010"; "" if the client gives up by itself
	Because string
	Fix     string
	// Sent and Expected are the two strings that must be the same, character for character, where
	// that is the reason.
	Sent, Expected string

	Provided []string // what the verdict assumes, because it was not read
}

// String returns the verdict as one line, and the two strings one under the other where they differ.
func (v Verdict) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", v.Client.Name, v.Outcome)
	if v.Code != "" {
		b.WriteString(", " + v.Code)
	}
	if v.Because != "" {
		b.WriteString(", because " + v.Because)
	}
	if len(v.Provided) > 0 {
		b.WriteString(", provided that " + strings.Join(v.Provided, ", and "))
	}
	if v.Sent != "" {
		fmt.Fprintf(&b, "\n    sent:     %s\n    expected: %s", v.Sent, v.Expected)
	}
	if v.Fix != "" {
		b.WriteString("\n    fix: " + v.Fix)
	}
	return b.String()
}

// Judge says whether the client can sign in to the server. It reports the first obstacle.
func Judge(c Client, s Server) Verdict {
	if s.URL == "" {
		s.URL = s.Resource
	}
	v := Verdict{Client: c, Outcome: WorksWithID}
	if !c.Registered() {
		v.Outcome = Works
	}
	rules := rulesOfEntra
	if s.AuthProxy && c.SendsResource {
		rules = rulesOfProxy
	}
	for _, rule := range rules {
		if rule(c, s, &v); v.Outcome == Refused || v.Outcome == OtherProvider {
			v.Provided = nil
			return v
		}
	}
	return v
}

// LockedOut returns the verdicts on all known clients that the server locks out.
func LockedOut(s Server) []Verdict {
	var out []Verdict
	for _, c := range clients {
		if v := Judge(c, s); v.Outcome == Refused {
			out = append(out, v)
		}
	}
	return out
}

// A Cause is one reason for which several clients get the same verdict.
type Cause struct {
	Clients []string // names
	Verdict          // of each, without Client and its name
}

// Causes puts verdicts that differ in nothing but the client together, in their order.
func Causes(verdicts []Verdict) []Cause {
	var causes []Cause
	for _, v := range verdicts {
		name := v.Client.Name
		v.Client = Client{}
		v.Because = strings.TrimPrefix(v.Because, name+" ")
		i := slices.IndexFunc(causes, func(c Cause) bool { return reflect.DeepEqual(c.Verdict, v) })
		if i < 0 {
			i, causes = len(causes), append(causes, Cause{Verdict: v})
		}
		causes[i].Clients = append(causes[i].Clients, name)
	}
	return causes
}

// String returns what Verdict's method does, with the clients' names.
func (c Cause) String() string {
	c.Client.Name = strings.Join(c.Clients, ", ")
	return c.Verdict.String()
}

func (v *Verdict) refuse(code, because, fix string) {
	v.Outcome, v.Code, v.Because, v.Fix = Refused, code, because, fix
}

// rulesOfEntra are in the order in which a client meets them. A rule changes the verdict or leaves
// it.
var rulesOfEntra = []func(Client, Server, *Verdict){
	reachable, findsSignIn, signInAtEntra, knowsPKCE, resourceIsServer, resourceIsAppIDURI, scopesFitResource, mayUseAPI,
}

// rulesOfProxy are for clients that sign in through the server's proxy, where they register by
// themselves. Clients in which a scope is typed in are pointed at Entra.
var rulesOfProxy = []func(Client, Server, *Verdict){reachable, findsSignIn, resourceIsServer, registersItself}

// reachable: a client in its maker's cloud needs a public https URL.
func reachable(c Client, s Server, v *Verdict) {
	u, err := url.Parse(s.URL)
	if c.Hosted && (err != nil || u.Scheme != "https" || isLocal(u.Hostname())) {
		v.refuse("", c.Name+" runs in its maker's cloud and can't reach "+s.URL, "Serve the endpoint by https on a public host.")
	}
}

// findsSignIn: what a client asks for is published.
func findsSignIn(c Client, s Server, v *Verdict) {
	switch {
	case !c.SendsResource:
	case len(s.AuthorizationServers) == 0:
		v.refuse("", "the metadata document names no authorization server", "Publish authorization_servers (mcpentra does).")
	case len(s.Scopes) == 0:
		v.refuse("AADSTS900144", "the metadata document names no scope, and Entra requires one", "Publish "+s.Resource+"/access_as_user in scopes_supported.")
	}
}

// signInAtEntra: the rest is about Entra's authorization endpoint, and one tenant's.
func signInAtEntra(c Client, s Server, v *Verdict) {
	if len(s.AuthorizationServers) == 0 {
		return
	}
	switch tenant := tenantOf(s.AuthorizationServers[0]); {
	case tenant == "":
		v.Outcome = OtherProvider
		v.Because = "sign-in goes through " + s.AuthorizationServers[0] + ", which is not a tenant of Entra"
	case c.NeedsTenant && !authority.IsGUID(tenant):
		v.refuse("AADSTS500011", "the authorization server is "+tenant+", and this client needs one tenant's", "Publish the tenant's own authorization server, by its id.")
	}
}

func knowsPKCE(c Client, s Server, v *Verdict) {
	switch {
	case !c.NeedsS256 || slices.Contains(s.CodeChallengeMethods, "S256"):
	case s.CodeChallengeMethods == nil:
		v.Provided = append(v.Provided, "its HTTP client adds code_challenge_methods_supported to Entra's metadata, which lacks it")
	default:
		v.refuse("", "Entra's metadata has no code_challenge_methods_supported, which this client requires", "Give it an HTTP client that adds [\"S256\"] to the metadata: Entra supports it.")
	}
}

// resourceIsServer: clients compare the published resource with the URL that they were given.
func resourceIsServer(c Client, s Server, v *Verdict) {
	if c.SendsResource && !covers(s.Resource, s.URL) {
		v.refuse("", "the published resource is not the URL that clients are given", "Publish the URL that clients use, as it is, as resource.")
		v.Sent, v.Expected = s.URL, s.Resource
	}
}

// resourceIsAppIDURI: Entra takes a resource only if it is an App ID URI, character for character.
func resourceIsAppIDURI(c Client, s Server, v *Verdict) {
	switch {
	case !c.SendsResource || slices.Contains(s.AppIDURIs, s.Resource):
		return
	case s.AppIDURIs == nil:
		v.Provided = append(v.Provided, s.Resource+" is an App ID URI of the API")
		return
	}
	v.refuse("AADSTS9010010", "it sends the server's URL as resource, which is not an App ID URI of the API", remedyForURI(c, s))
	v.Sent, v.Expected = s.Resource, nearest(s.Resource, s.AppIDURIs)
}

func remedyForURI(c Client, s Server) string {
	var fix string
	switch {
	case strings.HasSuffix(s.Resource, "/"):
		fix = "Publish the URL without its last slash (no App ID URI may end in one) and add it to the App ID URIs."
	case !strings.HasPrefix(s.Resource, "https://"):
		fix = "Serve https: Entra can't be relied on to take an http URL as App ID URI."
	case s.TokenVersion == 1:
		fix = "Set requestedAccessTokenVersion to 2, then add the URL to the App ID URIs: mcp-entra setup apply."
	default:
		fix = "Add the URL to the App ID URIs: mcp-entra setup apply."
	}
	if c.ResourceOff != "" {
		fix += " Or leave resource out: " + c.ResourceOff + "."
	}
	return fix
}

// scopesFitResource: with a resource, each scope begins with that same string.
func scopesFitResource(c Client, s Server, v *Verdict) {
	if !c.SendsResource {
		return
	}
	for _, scope := range s.Scopes {
		if slices.Contains([]string{"openid", "profile", "email", "offline_access"}, scope) || strings.HasPrefix(scope, s.Resource+"/") {
			continue
		}
		name := scope[strings.LastIndexByte(scope, '/')+1:]
		because := "the published scope begins with another App ID URI than the resource"
		if name == scope {
			because = "the published scope is a bare name, which does not say of which API"
		}
		v.refuse("AADSTS9010010", because, "Publish the scope as "+s.Resource+"/"+name+".")
		v.Sent, v.Expected = scope, s.Resource+"/"+name
		return
	}
}

// mayUseAPI: Microsoft's own clients show no consent page for another's API.
func mayUseAPI(c Client, s Server, v *Verdict) {
	switch {
	case c.Registered() || slices.ContainsFunc(s.PreAuthorized, func(id string) bool { return strings.EqualFold(id, c.AppID) }):
	case s.PreAuthorized == nil:
		v.Provided = append(v.Provided, "the API pre-authorizes "+c.AppID)
	default:
		v.refuse("AADSTS65001", "the API does not pre-authorize it, and it shows no consent page", "Add "+c.AppID+" to preAuthorizedApplications: mcp-entra setup apply.")
	}
}

// registersItself: a redirect with a scheme of its own has to be listed.
func registersItself(c Client, _ Server, v *Verdict) {
	v.Outcome = Works
	for _, redirect := range c.Redirects {
		if !strings.HasPrefix(redirect, "https://") && !strings.HasPrefix(redirect, "http://") {
			v.Provided = append(v.Provided, "AUTH_PROXY_PRIVATE_SCHEMES (authproxy.Options.PrivateSchemes) has "+redirect)
		}
	}
}

// tenantOf returns the tenant of an Entra authorization server, {host}/{tenant}/v2.0 or
// {host}/{tenant}, or "" if it is not one.
func tenantOf(server string) string {
	u, err := url.Parse(server)
	if err != nil {
		return ""
	}
	tenant, version, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
	many := slices.Contains([]string{"common", "organizations", "consumers"}, tenant)
	if !many && !authority.IsGUID(tenant) || version != "" && version != "v2.0" {
		return ""
	}
	return tenant
}

// covers reports whether the resource is the URL or a parent of it.
func covers(resource, server string) bool {
	a, err := url.Parse(resource)
	b, err2 := url.Parse(server)
	if err != nil || err2 != nil || a.Scheme != b.Scheme || !strings.EqualFold(a.Host, b.Host) {
		return false
	}
	return strings.HasPrefix(strings.TrimSuffix(b.Path, "/")+"/", strings.TrimSuffix(a.Path, "/")+"/")
}

// nearest returns the App ID URI that the resource was probably meant to be: one that differs in
// case or slashes only, else the first.
func nearest(resource string, uris []string) string {
	key := func(s string) string { return strings.ToLower(strings.TrimRight(s, "/")) }
	for _, uri := range uris {
		if key(uri) == key(resource) {
			return uri
		}
	}
	if len(uris) == 0 {
		return "(the API has no App ID URI)"
	}
	return uris[0]
}

func isLocal(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && (ip.IsLoopback() || ip.IsPrivate())
}
