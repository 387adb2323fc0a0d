package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
)

// A proxyClient is a client that signs in through the server: a program, and the browser of its
// user, who is Alice.
type proxyClient struct {
	*tour
	issuer  string
	program *http.Client
	browser *http.Client // keeps cookies, and shows where it is sent

	id             string
	access, second string // tokens
}

func newProxyClient(t *tour) *proxyClient {
	jar, _ := cookiejar.New(nil) // never fails
	issuer, _ := strings.CutSuffix(t.url, "/mcp")
	stop := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &proxyClient{
		tour: t, issuer: issuer, program: t.world.tenant.HTTPClient(),
		browser: &http.Client{Jar: jar, CheckRedirect: stop, Transport: t.world.tenant.HTTPClient().Transport},
	}
}

// demoRedirect is where the client would listen.
const demoRedirect = "http://127.0.0.1/callback"

// register shows RFC 7591: nobody has to type in a client ID.
func (c *proxyClient) register(ctx context.Context, n *notes) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.issuer+"/register", strings.NewReader(
		`{"client_name":"Demo client","redirect_uris":["`+demoRedirect+`"],"grant_types":["authorization_code","refresh_token"],"token_endpoint_auth_method":"none"}`))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	var out struct {
		ID string `json:"client_id"`
	}
	if err := c.send(request, &out); err != nil {
		return err
	}
	c.id = out.ID
	n.add("client_id", fmt.Sprintf("%s  (%d characters: the registration itself, sealed)", beginning(c.id), len(c.id)))
	return nil
}

// send sends the program's request and decodes the answer.
func (c *proxyClient) send(request *http.Request, out any) error {
	response, err := c.program.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return err
	}
	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s answers %s: %s", request.URL.Path, response.Status, body)
	}
	return json.Unmarshal(body, out)
}

// signIn is what Alice does in her browser, and what the client does with the code.
func (c *proxyClient) signIn(ctx context.Context, n *notes) error {
	verifier := rand.Text() + rand.Text()
	challenge := sha256.Sum256([]byte(verifier))
	query := url.Values{
		"response_type": {"code"}, "client_id": {c.id}, "redirect_uri": {demoRedirect}, "state": {rand.Text()}, "resource": {c.url},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
	page, _, err := c.open(ctx, c.issuer+"/authorize?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	n.add("page", title(page))
	action, form := formOf(page)
	if action == "" {
		return errors.New("the page has no form")
	}
	form.Set("decision", "approve")
	page, _, err = c.open(ctx, action, form)
	if err != nil {
		return err
	}
	n.add("then", "Alice approves, and signs in at "+c.world.tenant.AuthorityHost())
	back, err := c.world.tenant.Browser(c.world.alice).Open(ctx, leadsTo(page))
	if err != nil {
		return err
	}
	_, to, err := c.open(ctx, back.String(), nil)
	if err != nil {
		return err
	}
	answer, err := url.Parse(to)
	if err != nil {
		return err
	}
	got := answer.Query()
	n.add("iss", got.Get("iss"))
	return errors.Join(expect("state", got.Get("state"), query.Get("state")), expect("iss", got.Get("iss"), c.issuer),
		c.redeem(ctx, n, url.Values{"grant_type": {"authorization_code"}, "code": {got.Get("code")}, "redirect_uri": {demoRedirect}, "code_verifier": {verifier}}))
}

// open opens an address in the browser, with a form if there is one. It returns the page, or where
// the browser is sent.
func (c *proxyClient) open(ctx context.Context, address string, form url.Values) (page, to string, err error) {
	method, body := http.MethodGet, io.Reader(nil)
	if form != nil {
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	request, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return "", "", err
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Origin", c.issuer)
	}
	response, err := c.browser.Do(request)
	if err != nil {
		return "", "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return "", "", err
	}
	if response.StatusCode >= http.StatusBadRequest {
		return "", "", fmt.Errorf("%s answers %s: %s", request.URL.Path, response.Status, title(string(text)))
	}
	return string(text), response.Header.Get("Location"), nil
}

var (
	pageTitle   = regexp.MustCompile(`<title>([^<]*)</title>`)
	pageForm    = regexp.MustCompile(`<form [^>]*action="([^"]*)"`)
	pageHidden  = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`)
	pageRefresh = regexp.MustCompile(`<meta http-equiv="refresh" content="0; ?url=([^"]*)"`)
)

// first returns what the pattern finds in the page.
func first(pattern *regexp.Regexp, page string) string {
	if found := pattern.FindStringSubmatch(page); found != nil {
		return html.UnescapeString(found[1])
	}
	return ""
}

func title(page string) string { return first(pageTitle, page) }

// formOf returns where the page's form goes, and its hidden fields.
func formOf(page string) (action string, fields url.Values) {
	fields = url.Values{}
	for _, found := range pageHidden.FindAllStringSubmatch(page, -1) {
		fields.Set(found[1], html.UnescapeString(found[2]))
	}
	return first(pageForm, page), fields
}

// leadsTo returns where the page sends the browser by itself.
func leadsTo(page string) string { return strings.Trim(first(pageRefresh, page), "'") }

// redeem gets tokens.
func (c *proxyClient) redeem(ctx context.Context, n *notes, form url.Values) error {
	form.Set("client_id", c.id)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var out struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		Scope   string
		Expires int `json:"expires_in"`
	}
	if err := c.send(request, &out); err != nil {
		return err
	}
	c.access, c.second = out.Access, out.Refresh
	n.add("access_token", beginning(out.Access)+"  (Entra's own)")
	n.add("scope", out.Scope)
	n.add("expires_in", out.Expires)
	if out.Refresh == "" {
		return errors.New("there is no refresh token")
	}
	return nil
}

func (c *proxyClient) call(ctx context.Context, n *notes) error {
	session, err := connect(ctx, c.url, &http.Client{Transport: withToken{c.access, c.program.Transport}}, nil)
	if err != nil {
		return err
	}
	defer func() { _ = session.Close() }()
	var out struct{ Message string }
	if err := call(ctx, session, "secure_ping", nil, &out); err != nil {
		return err
	}
	n.add("message", out.Message)
	return expect("message", out.Message, "Authenticated ping successful")
}

// withToken sends a token with each request.
type withToken struct {
	token string
	next  http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (w withToken) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+w.token)
	return w.next.RoundTrip(r)
}

func (c *proxyClient) refresh(ctx context.Context, n *notes) error {
	before := c.access
	if err := c.redeem(ctx, n, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {c.second}}); err != nil {
		return err
	}
	if c.access == before {
		return errors.New("the token is the old one")
	}
	return c.call(ctx, n)
}
