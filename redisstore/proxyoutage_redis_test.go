//go:build redis && unix

package redisstore_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// TestRedisKilled: Redis is killed and comes back empty, while two replicas of the proxy take turns.
// Meanwhile the token endpoint answers 503 with Retry-After. A code that was used before is never
// taken again; one that got a 503 is good afterwards.
func TestRedisKilled(t *testing.T) {
	t.Parallel()
	cmd, rdb := startRedis(t)
	dir := t.TempDir()
	ca, err := entratest.OpenCA(filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	tenant := entratest.New(t, &entratest.Options{CA: ca})
	api, app := tenant.AddApp("My MCP server", "access_as_user"), tenant.AddApp("Sign-in")
	api.AccessTokenVersion = 2
	var turn atomic.Int64
	var targets []*url.URL
	balancer := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(targets[turn.Add(1)%2]) }})
	t.Cleanup(balancer.Close)
	app.AddRedirectURI(entratest.PlatformWeb, balancer.URL+"/oauth/callback")
	r := replica{balancer.URL, tenant.ID(), tenant.AuthorityHost(), filepath.Join(dir, "ca.pem"), app.ClientID, api.ClientID, app.AddSecret(), rdb.Options().Addr}
	targets = []*url.URL{r.start(t), r.start(t)}

	code := func(user string) url.Values {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		f := flow{t: t, issuer: balancer.URL, entra: tenant.Browser(tenant.AddUser(user+"@contoso.com", user)), client: &http.Client{
			Jar: jar, Transport: &http.Transport{DisableKeepAlives: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}}
		text, err := f.signIn()
		if err != nil {
			t.Fatal(err)
		}
		return url.Values{"grant_type": {"authorization_code"}, "client_id": {"desk"}, "code": {text}, "code_verifier": {verifier}}
	}
	plain := flow{t: t, issuer: balancer.URL, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	used, unused := code("alice"), code("bob")
	token, err := plain.token(used)
	if err != nil {
		t.Fatal(err)
	}
	refresh := url.Values{"grant_type": {"refresh_token"}, "client_id": {"desk"}, "refresh_token": {token}}

	_ = cmd.Process.Signal(syscall.SIGKILL)
	_ = cmd.Wait()
	during := code("carol") // signing in needs no store
	for what, form := range map[string]url.Values{"a used code": used, "an unused code": unused, "a code of the outage": during, "a refresh token": refresh} {
		for range 2 {
			plain.wantUnavailable(what, form)
		}
	}

	startRedisAt(t, rdb.Options().Addr)
	for range 2 { // the first replica, and the second
		if status, body, err := plain.insist(used); err != nil || status != http.StatusBadRequest || !strings.Contains(body, "invalid_grant") {
			t.Errorf("the code used before, after the outage: %d %s, %v; want 400 invalid_grant", status, body, err)
		}
	}
	for what, form := range map[string]url.Values{"an unused code": unused, "a code of the outage": during} {
		if status, body, err := plain.insist(form); err != nil || status != http.StatusOK {
			t.Errorf("%s, after the outage: %d %s, %v; want 200", what, status, body, err)
		}
		if status, body, err := plain.insist(form); err != nil || status != http.StatusBadRequest || !strings.Contains(body, "invalid_grant") {
			t.Errorf("%s, again: %d %s, %v; want 400 invalid_grant", what, status, body, err)
		}
	}
}

// insist sends a token request until its answer is not 503: go-redis tries a server that was down once
// a second.
func (f *flow) insist(form url.Values) (status int, body string, err error) {
	f.t.Helper()
	for range 50 {
		if status, body, err = f.post("/token", form); status != http.StatusServiceUnavailable {
			break
		}
		time.Sleep(200 * time.Millisecond) //nolint:forbidigo // other processes' clocks
	}
	return status, body, err
}

// wantUnavailable sends a token request, and wants 503.
func (f *flow) wantUnavailable(what string, form url.Values) {
	f.t.Helper()
	resp, err := f.client.PostForm(f.issuer+"/token", form)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); resp.StatusCode != http.StatusServiceUnavailable || err != nil || s < 1 {
		f.t.Errorf("%s in the outage: %d, Retry-After %q; want 503 and seconds", what, resp.StatusCode, resp.Header.Get("Retry-After"))
	}
}
