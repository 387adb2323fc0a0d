package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
)

// published is what the server tells clients before they sign in.
type published struct {
	answer      probe  // to a request without a token
	metadataURL string // of the challenge
	scope       string // of the challenge
	doc         resourceDocument
	read        bool // doc was read
	// wrongURL is the check that found the configured URL to be wrong: server or
	// resource-metadata.
	wrongURL string
}

var errUnresolved = errors.New("the host does not resolve")

// A resourceDocument is protected resource metadata (RFC 9728).
type resourceDocument struct {
	Resource             string   `json:"resource"`
	AuthorizationServers []string `json:"authorization_servers"`
	Scopes               []string `json:"scopes_supported"`
}

// wellKnown is where the metadata is; the resource's path follows it (RFC 9728 section 3.1).
const wellKnown = "/.well-known/oauth-protected-resource"

// metadataURL is where clients look for a resource's metadata.
func metadataURL(resource string) string {
	u, err := url.Parse(resource)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host + wellKnown + u.EscapedPath()
}

// parameter finds a parameter of a challenge.
func parameter(challenge, name string) string {
	m := regexp.MustCompile(`(?i)(?:^|[\s,])` + name + `\s*=\s*(?:"([^"]*)"|([^\s,"]+))`).FindStringSubmatch(challenge)
	if m == nil {
		return ""
	}
	return m[1] + m[2]
}

// intercepted reports whether something in front of the server refuses requests before they reach
// it. The check challenge reports that; what else is asked of the server shows nothing of it.
func (x *exam) intercepted() bool {
	p := x.published.answer
	reason, _ := p.refusal()
	return p.status == http.StatusUnauthorized && reason == "" &&
		parameter(strings.Join(p.header.Values("WWW-Authenticate"), ", "), "resource_metadata") == ""
}

// challenge checks the answer to a request without a token.
func (x *exam) challenge(context.Context) Result {
	p := x.published.answer
	if p.header == nil {
		return x.like("server")
	}
	if x.result("host").Status == Failed {
		return *x.blocked("host")
	}
	if p.status != http.StatusUnauthorized { // the keys are unavailable, say
		_, message := p.refusal()
		return notRun("the server answers %d: %s", p.status, message)
	}
	const wanted = `401 with WWW-Authenticate: Bearer … resource_metadata="…"`
	challenges := strings.Join(p.header.Values("WWW-Authenticate"), ", ")
	x.published.metadataURL, x.published.scope = parameter(challenges, "resource_metadata"), parameter(challenges, "scope")
	want := metadataURL(x.ResourceURL)
	f := Finding{Expected: wanted, Came: "WWW-Authenticate: " + printable(challenges)}
	switch got := x.published.metadataURL; {
	case challenges == "":
		f.Problem, f.Came = "the refusal has no challenge, so clients don't find the sign-in", "401 without WWW-Authenticate"
		f.Remedy = "Let the proxy forward WWW-Authenticate, and its status; some replace 401 by a page of their own"
	case !strings.Contains(strings.ToLower(challenges), "bearer"):
		f.Problem, f.Remedy = "something in front of the server asks for another sign-in", "Turn the authentication of the proxy or platform off for this path"
	case got == "":
		f.Problem, f.Remedy = "the challenge doesn't say where the metadata is", "Set BearerCheck.ResourceMetadata (mcpentra does), and see whether the platform's built-in authentication answers instead"
	case got != want && got == metadataURL(x.published.doc.Resource): // the server believes to have another URL
		return x.like("resource-metadata")
	case got != want:
		f.Problem, f.Expected, f.Came = "the challenge names metadata at another URL than the server's", want, printable(got)
		f.Remedy = "Set PUBLIC_URL to the origin that clients use, and give clients that URL, character for character"
		if hostOf(got) == hostOf(want) && strings.HasPrefix(got, "https://") == strings.HasPrefix(want, "https://") {
			return warning(f)
		}
	default:
		return ok("names %s", got)
	}
	return failed(f)
}

// resourceMetadata checks the server's metadata document.
func (x *exam) resourceMetadata(ctx context.Context) Result {
	if x.published.answer.header == nil {
		return x.like("server")
	}
	address := metadataURL(x.ResourceURL)
	p := x.get(ctx, address)
	if p.err != nil {
		return failed(x.unreachable(p, address))
	}
	if !x.readDocument(p) {
		f := Finding{Problem: "the metadata document is not where clients look for it (RFC 9728)", Expected: "HTTP status 200, application/json at\n" + address,
			Came: p.text(), Remedy: "Let the proxy forward " + wellKnown + "/ to the server as well: the path of the resource comes after it"}
		other := parameter(strings.Join(x.published.answer.header.Values("WWW-Authenticate"), ", "), "resource_metadata")
		if other == address || other == "" || !x.readDocument(x.get(ctx, other)) {
			return failed(f)
		}
	}
	doc := x.published.doc
	var findings []Finding
	if doc.Resource != x.ResourceURL {
		x.published.wrongURL = "resource-metadata"
		findings = append(findings, Finding{Problem: "the published resource is not the URL that clients use; they refuse it, or Entra does",
			Expected: x.ResourceURL, Came: printable(doc.Resource), Remedy: "Set PUBLIC_URL to the origin that clients use, and give clients the URL character for character"})
	}
	return judged(append(findings, x.judgeAuthorizationServers(doc.AuthorizationServers)...), "at %s", address)
}

// readDocument keeps the document, if the answer is one.
func (x *exam) readDocument(p probe) bool {
	var doc resourceDocument
	kind, _, _ := mime.ParseMediaType(p.header.Get("Content-Type"))
	if p.err != nil || kind != "application/json" || p.status != http.StatusOK || json.Unmarshal(p.body, &doc) != nil {
		return false
	}
	x.published.doc, x.published.read = doc, true
	return true
}

// judgeAuthorizationServers checks that clients are sent to this tenant.
func (x *exam) judgeAuthorizationServers(servers []string) []Finding {
	if x.TenantID == "" {
		return nil
	}
	want := x.host.Tenant(strings.ToLower(x.TenantID)) + "/v2.0"
	if x.Issuer != "" {
		want = x.Issuer
	}
	f := Finding{Problem: "the metadata sends clients to another sign-in", Expected: want, Came: printable(list(servers)),
		Remedy: "Publish the tenant's authorization server; restart the server if TENANT_ID was changed"}
	if x.Issuer != "" {
		f.Problem, f.Remedy = "the metadata sends clients elsewhere than to the server's own proxy", "Restart the server: its AUTH_PROXY or PUBLIC_URL was changed"
	}
	for _, s := range servers {
		u, err := url.Parse(s)
		if err != nil {
			continue
		}
		tenant, _, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
		if slices.Contains([]string{"common", "organizations", "consumers"}, tenant) {
			f.Problem = "the metadata names an authorization server of all tenants, which VS Code and others can't use"
			return []Finding{f}
		}
	}
	switch {
	case len(servers) == 0:
		f.Problem = "the metadata names no authorization server"
	case slices.Contains(servers, want), x.blocked("tenant", "app") != nil: // which is to blame
		return nil
	}
	return []Finding{f}
}

// advertisedScopes checks the scopes of the metadata and of the challenge.
func (x *exam) advertisedScopes(context.Context) Result {
	if !x.published.read {
		return x.like("resource-metadata")
	}
	scopes := x.published.doc.Scopes
	for s := range strings.FieldsSeq(x.published.scope) {
		if !slices.Contains(scopes, s) {
			scopes = append(slices.Clone(scopes), s)
		}
	}
	want := x.ResourceURL + "/" + x.Scope
	https := strings.HasPrefix(x.ResourceURL, "https://")
	if !https {
		want = "api://" + x.ClientID + "/" + x.Scope
	}
	if len(scopes) == 0 {
		return failed(Finding{Problem: "the metadata names no scope, and Entra requires one (AADSTS900144)", Expected: want, Came: "none", Remedy: "Publish scopes_supported; mcpentra does"})
	}
	var findings []Finding
	for _, s := range scopes {
		if f := x.judgeScope(s, https); f != nil {
			findings = append(findings, *f)
		}
	}
	return judged(findings, "%s", list(scopes))
}

// judgeScope says what Entra makes of a published scope beside the resource.
func (x *exam) judgeScope(scope string, https bool) *Finding {
	i := strings.LastIndexByte(scope, '/')
	prefix, name := scope[:max(i, 0)], scope[i+1:]
	if x.Issuer != "" && prefix != "" { // Entra gets no resource
		return nil
	}
	f := &Finding{Expected: x.ResourceURL + "/" + name, Came: printable(scope),
		Remedy: "Add the server's URL to APP_ID_URIS and to the registration (mcp-entra setup apply), and restart the server"}
	switch {
	case slices.Contains([]string{"openid", "profile", "email", "offline_access"}, scope), prefix == x.ResourceURL:
		return nil
	case i < 0:
		f.Problem = "a published scope is a bare name, which Entra looks for in Microsoft Graph (AADSTS650053) or refuses beside resource (AADSTS9010010)"
	case !https && prefix != "" && (strings.HasPrefix(prefix, "api://") || authority.IsGUID(prefix)): // no http URL is an App ID URI
		return nil
	default:
		f.Problem = "a published scope begins with another App ID URI than the resource: Entra refuses the two together (AADSTS9010010)"
	}
	return f
}

// originCheck sends a foreign web page's origin and the server's own.
func (x *exam) originCheck(ctx context.Context) Result {
	if x.published.answer.header == nil {
		return x.like("server")
	}
	var findings []Finding
	foreign := x.send(ctx, call{url: x.ResourceURL, origin: "https://" + foreignHost})
	if foreign.err == nil && foreign.status != http.StatusForbidden {
		findings = append(findings, Finding{Problem: "the server serves requests of foreign web pages", Expected: "403 origin_not_allowed", Came: foreign.text(),
			Remedy: "Serve it with mcpentra, whose origin check is always on; don't let a proxy remove or replace the Origin header"})
	}
	for _, origin := range append([]string{x.ownOrigin()}, x.AllowedOrigins...) {
		if origin == "" {
			continue
		}
		p := x.send(ctx, call{url: x.ResourceURL, origin: origin})
		if reason, _ := p.refusal(); reason == "origin_not_allowed" {
			findings = append(findings, Finding{Problem: "the server refuses web pages of " + origin, Expected: "an answer", Came: p.text(),
				Remedy: "Add the origin to ALLOWED_ORIGINS and restart the server; don't let a proxy change the Origin header"})
		}
	}
	return judged(findings, "a foreign web page is refused")
}

// judgePreflight checks what else a browser demands of the answer to a preflight, beside the origin.
func judgePreflight(p probe, remedy string) []Finding {
	var allowed []string
	for name := range strings.SplitSeq(strings.Join(p.header.Values("Access-Control-Allow-Headers"), ","), ",") {
		allowed = append(allowed, strings.ToLower(strings.TrimSpace(name)))
	}
	f := Finding{Problem: "browsers refuse the answer to a preflight", Expected: "HTTP status 204 or 200", Came: fmt.Sprintf("HTTP status %d", p.status), Remedy: remedy}
	switch { // the star does not cover Authorization
	case p.status < 200 || p.status > 299:
	case !slices.Contains(allowed, "authorization") || !slices.Contains(allowed, "content-type") && !slices.Contains(allowed, "*"):
		f.Expected = "Access-Control-Allow-Headers: Authorization, Content-Type, …"
		f.Came = orElse(printable(strings.Join(allowed, ", ")), "no such header")
	default:
		return nil
	}
	return []Finding{f}
}

// ownOrigin is the server's own origin, or "" if the server believes to have another: then
// resource-metadata failed, and what it answers to this one follows from it.
func (x *exam) ownOrigin() string {
	own := originOf(x.ResourceURL)
	if x.published.read && originOf(x.published.doc.Resource) != own {
		return ""
	}
	return own
}

func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Scheme + "://" + u.Host)
}

// cors checks that web pages that may call the server can read its answers.
func (x *exam) cors(ctx context.Context) Result {
	if x.published.answer.header == nil {
		return x.like("server")
	}
	remedy := "Let the proxy forward OPTIONS requests and the Access-Control headers of answers, and add none of its own"
	var findings []Finding
	expect := func(what string, p probe, origin string) {
		allowed := p.header.Values("Access-Control-Allow-Origin")
		if p.err == nil && len(allowed) == 1 && (allowed[0] == origin || allowed[0] == "*") {
			return
		}
		findings = append(findings, Finding{Problem: "web clients can't read the " + what, Expected: "one Access-Control-Allow-Origin: " + origin,
			Came: fmt.Sprintf("HTTP status %d, %s", p.status, orElse(printable(strings.Join(allowed, " and ")), "no such header")), Remedy: remedy})
	}
	own := x.ownOrigin()
	if own == "" {
		return x.like("resource-metadata")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodOptions, x.ResourceURL, nil)
	if err != nil {
		return notRun("%v", err)
	}
	req.Header.Set("Origin", own)
	req.Header.Set("Access-Control-Request-Method", http.MethodPost)
	req.Header.Set("Access-Control-Request-Headers", "authorization,content-type")
	preflight := x.do(x.client, req)
	expect("answer to a preflight", preflight, own)
	if len(findings) == 0 {
		findings = append(findings, judgePreflight(preflight, remedy)...)
	}
	challenge := x.send(ctx, call{url: x.ResourceURL, origin: own})
	expect("challenge", challenge, own)
	if len(findings) == 0 && !strings.Contains(strings.ToLower(challenge.header.Get("Access-Control-Expose-Headers")), "www-authenticate") {
		findings = append(findings, Finding{Problem: "web clients can't read the challenge", Expected: "Access-Control-Expose-Headers: WWW-Authenticate, …",
			Came: orElse(printable(challenge.header.Get("Access-Control-Expose-Headers")), "no such header"), Remedy: remedy})
	}
	if x.published.read {
		get, err := http.NewRequestWithContext(ctx, http.MethodGet, metadataURL(x.ResourceURL), nil)
		if err == nil {
			get.Header.Set("Origin", "https://"+foreignHost)
			expect("metadata document", x.do(x.client, get), "*")
		}
	}
	return judged(findings, "web clients can read the challenge and the metadata")
}
