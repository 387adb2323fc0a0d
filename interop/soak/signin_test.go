//go:build unix

package soak_test

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
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	redirect = "http://127.0.0.1/callback"
	issuer   = "https://mcp.example.com"
)

// A signer is an MCP client that signs its user in through the authorization proxy: a program, and the
// user's browser.
type signer struct {
	*soak
	user    *user
	browser *http.Client // keeps cookies, and follows nothing

	id            string
	access, again string // tokens
}

// signIn signs in as one user after another, calls with the token, and refreshes it, until the context
// ends.
func (s *soak) signIn(ctx context.Context, worker int) {
	for i := 0; wait(ctx, time.Millisecond); i++ {
		jar, _ := cookiejar.New(nil) // never fails
		stop := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		c := &signer{soak: s, user: s.users[500+worker*100+i%100], browser: &http.Client{Jar: jar, CheckRedirect: stop, Transport: s.balancer}}
		if !c.do(ctx, "sign-in", c.enter) {
			continue
		}
		for range 5 {
			c.do(ctx, "signed in", c.call)
			if !wait(ctx, 20*time.Millisecond) {
				return
			}
			c.do(ctx, "refresh", c.refresh)
		}
	}
}

// do takes a step, and counts it as a call.
func (c *signer) do(ctx context.Context, kind string, step func(context.Context, *call) error) bool {
	for {
		c.gate.RLock()
		done := &call{kind: kind, user: c.user, key: c.tenant.KeyID(), begun: time.Now()}
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		problem := step(limited, done)
		cancel()
		done.ended = time.Now()
		c.gate.RUnlock()
		c.ledger.mine(done)
		switch {
		case problem == nil:
			c.ledger.succeeded(done)
			return true
		case done.key != c.tenant.KeyID() && kind != "signed in": // the key left during the step, and with it the token
			c.ledger.count(&c.ledger.renewed)
		case kind == "signed in" && keyOf(c.access) != c.tenant.KeyID():
			c.ledger.count(&c.ledger.renewed)
			return c.do(ctx, "refresh", c.refresh) && c.do(ctx, kind, step)
		default:
			c.ledger.failed(done, problem)
			return false
		}
	}
}

// keyOf returns the ID of the key that signed the token.
func keyOf(token string) string {
	parsed, _, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims{})
	if err != nil {
		return ""
	}
	id, _ := parsed.Header["kid"].(string)
	return id
}

// call calls with the token of the sign-in.
func (c *signer) call(ctx context.Context, done *call) error {
	c.send(ctx, done, http.MethodPost, callsURL, http.Header{
		"Authorization": {"Bearer " + c.access}, "Mcp-Protocol-Version": {"2025-11-25"},
	}, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"vault","arguments":{}}}`)
	if c.user.vault {
		return done.result("caller=" + c.user.ObjectID)
	}
	return done.has(http.StatusForbidden)
}

// enter registers the client and signs the user in: what the user does in the browser, and what the
// client does with the code.
func (c *signer) enter(ctx context.Context, _ *call) error {
	if err := c.register(ctx); err != nil {
		return err
	}
	verifier, state := rand.Text()+rand.Text(), rand.Text()
	challenge := sha256.Sum256([]byte(verifier))
	query := url.Values{
		"response_type": {"code"}, "client_id": {c.id}, "redirect_uri": {redirect}, "state": {state}, "resource": {callsURL},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
	page, _, err := c.open(ctx, issuer+"/authorize?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	form := url.Values{"decision": {"approve"}}
	for _, hidden := range pageHidden.FindAllStringSubmatch(page, -1) {
		form.Set(hidden[1], html.UnescapeString(hidden[2]))
	}
	if page, _, err = c.open(ctx, first(pageForm, page), form); err != nil {
		return err
	}
	back, err := c.tenant.Browser(c.user.User).Open(ctx, strings.Trim(first(pageRefresh, page), "'"))
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
	if got := answer.Query(); got.Get("state") != state || got.Get("iss") != issuer || got.Get("code") == "" {
		return fmt.Errorf("the browser is sent to %s, want a code, the state and the issuer", to)
	}
	return c.redeem(ctx, url.Values{"grant_type": {"authorization_code"}, "code": {answer.Query().Get("code")}, "redirect_uri": {redirect}, "code_verifier": {verifier}})
}

func (c *signer) register(ctx context.Context) error {
	var registered struct {
		ID string `json:"client_id"`
	}
	err := c.post(ctx, "/register", "application/json",
		`{"client_name":"Soak","redirect_uris":["`+redirect+`"],"grant_types":["authorization_code","refresh_token"],"token_endpoint_auth_method":"none"}`, &registered)
	c.id = registered.ID
	return err
}

func (c *signer) refresh(ctx context.Context, _ *call) error {
	return c.redeem(ctx, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {c.again}})
}

// redeem gets tokens, which must be the user's.
func (c *signer) redeem(ctx context.Context, form url.Values) error {
	form.Set("client_id", c.id)
	var out struct {
		Access string `json:"access_token"`
		Again  string `json:"refresh_token"`
	}
	if err := c.post(ctx, "/token", "application/x-www-form-urlencoded", form.Encode(), &out); err != nil {
		return err
	}
	var of jwt.MapClaims
	if _, _, err := jwt.NewParser().ParseUnverified(out.Access, &of); err != nil {
		return err
	}
	if of["oid"] != c.user.ObjectID {
		c.ledger.mine(&call{kind: form.Get("grant_type"), user: c.user, body: fmt.Sprintf("owner=%v", of["oid"])})
	}
	if out.Again == "" {
		return errors.New("there is no refresh token")
	}
	c.access, c.again = out.Access, out.Again
	return nil
}

// post sends the program's request and decodes the answer.
func (c *signer) post(ctx context.Context, path, contentType, body string, out any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, issuer+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", contentType)
	response, err := c.balancer.RoundTrip(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s: %s %s", path, response.Status, text)
	}
	return json.Unmarshal(text, out)
}

// open opens an address in the browser, with a form if there is one. It returns the page, and where the
// browser is sent.
func (c *signer) open(ctx context.Context, address string, form url.Values) (page, to string, err error) {
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
		request.Header.Set("Origin", issuer)
	}
	response, err := c.browser.Do(request)
	if err != nil {
		return "", "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode >= http.StatusBadRequest {
		err = fmt.Errorf("%s: %s %.600s", request.URL.Path, response.Status, text)
	}
	return string(text), response.Header.Get("Location"), err
}

var (
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
