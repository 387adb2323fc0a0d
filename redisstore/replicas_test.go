//go:build redis && unix

package redisstore_test

import (
	"bufio"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mcpentra/mcp-entra-go/authproxy"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
	"github.com/mcpentra/mcp-entra-go/redisstore"
)

var (
	// replicaFlag makes this program a replica of the proxy: what it serves, as JSON.
	replicaFlag = flag.String("replica", "", "run as a replica of the proxy")
	flows       = flag.Int("flows", 100, "how many sign-ins TestTwoProcesses does")
)

// A replica is what a process needs to know.
type replica struct{ Issuer, Tenant, Authority, CA, App, API, Secret, Redis string }

const (
	server   = "https://mcp.example.com/mcp"
	back     = "https://client.example/callback"
	verifier = "a-code-verifier-of-forty-three-characters-0123"
)

// TestReplica is not a test, but the program that TestTwoProcesses starts twice.
func TestReplica(t *testing.T) {
	if *replicaFlag == "" {
		t.Skip("started by TestTwoProcesses")
	}
	var r replica
	if err := json.Unmarshal([]byte(*replicaFlag), &r); err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(r.CA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, MaxIdleConnsPerHost: 16}}
	v, err := entraauth.NewVerifier(r.Tenant, r.API, &entraauth.Options{AuthorityHost: r.Authority, HTTPClient: client})
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(&redis.Options{Addr: r.Redis})
	store, err := redisstore.NewProxyStore(rdb, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := authproxy.New(r.Issuer, r.Tenant, r.App, clientauth.Secret(r.Secret), [][]byte{[]byte("a key of at least 32 random bytes")}, &authproxy.Options{
		Resources: []string{server}, Scopes: []string{"api://" + r.API + "/access_as_user"}, Verifier: v, HTTPClient: client, Store: store,
		Clients: []authproxy.Client{{ID: "desk", Redirects: []string{back}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(p)
	fmt.Println("serving " + s.URL)
	_, _ = io.Copy(io.Discard, os.Stdin) // until the parent closes it
	s.Close()
	_, _ = v.Close(), rdb.Close()
	client.CloseIdleConnections()
}

// start starts a replica and returns its address.
func (r replica) start(t *testing.T) *url.URL {
	t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestReplica$", "-replica="+string(text))
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if address, ok := strings.CutPrefix(lines.Text(), "serving "); ok {
			u, err := url.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			return u
		}
	}
	t.Fatal("the replica ended")
	return nil
}

// TestTwoProcesses signs in, refreshes and revokes at two processes that take turns at every
// request, many flows at once.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	_, rdb := startRedis(t)
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
	balancer := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(targets[turn.Add(1)%2]) },
		Transport: &http.Transport{MaxIdleConnsPerHost: 16},
	})
	t.Cleanup(balancer.Close)
	app.AddRedirectURI(entratest.PlatformWeb, balancer.URL+"/oauth/callback")
	r := replica{balancer.URL, tenant.ID(), tenant.AuthorityHost(), filepath.Join(dir, "ca.pem"), app.ClientID, api.ClientID, app.AddSecret(), rdb.Options().Addr}
	targets = []*url.URL{r.start(t), r.start(t)}

	start := time.Now()
	var failed atomic.Int64
	var wg sync.WaitGroup
	slots := make(chan struct{}, 16)
	for i := range *flows {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			user := tenant.AddUser(fmt.Sprintf("user%d@contoso.com", i), "User")
			if err := (&flow{t: t, issuer: balancer.URL, entra: tenant.Browser(user)}).run(); err != nil {
				failed.Add(1)
				t.Errorf("flow %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	t.Logf("%d flows at two processes: %d failed, %v", *flows, failed.Load(), time.Since(start))
}

// A flow is a user's sign-in at a client, and what the client does with the tokens.
type flow struct {
	t      *testing.T
	issuer string
	entra  *entratest.Browser
	client *http.Client
}

var (
	hidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`)
	meta   = regexp.MustCompile(`<meta http-equiv="refresh" content="0; ?url=([^"]*)"`)
)

// run uses each refresh token twice, as clients do that race or lose answers; a stolen one ends
// the family, and so does a revocation.
func (f *flow) run() error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	f.client = &http.Client{
		Jar: jar, Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	code, err := f.signIn()
	if err != nil {
		return err
	}
	redeem := url.Values{"grant_type": {"authorization_code"}, "client_id": {"desk"}, "code": {code}, "code_verifier": {verifier}}
	token, err := f.token(redeem)
	if err != nil {
		return err
	}
	stolen := token
	for range 3 {
		refresh := url.Values{"grant_type": {"refresh_token"}, "client_id": {"desk"}, "refresh_token": {token}}
		var wg sync.WaitGroup
		var got [2]string
		var errs [2]error
		for i := range got {
			wg.Go(func() { got[i], errs[i] = f.token(refresh) })
		}
		wg.Wait()
		if errs[0] != nil || errs[1] != nil || got[0] != got[1] {
			return fmt.Errorf("two refreshes at once: same token %v, %w", got[0] == got[1], errors.Join(errs[:]...))
		}
		token = got[0]
	}
	_, _, err = f.post("/revoke", url.Values{"client_id": {"desk"}, "token": {token}})
	if err != nil {
		return err
	}
	for what, form := range map[string]url.Values{
		"replay of the code": redeem,
		"a revoked token":    {"grant_type": {"refresh_token"}, "client_id": {"desk"}, "refresh_token": {token}},
		"the first token":    {"grant_type": {"refresh_token"}, "client_id": {"desk"}, "refresh_token": {stolen}},
	} {
		if status, body, err := f.post("/token", form); err != nil || status != http.StatusBadRequest || !strings.Contains(body, "invalid_grant") {
			return fmt.Errorf("%s: %d %s, %w", what, status, body, err)
		}
	}
	return nil
}

// signIn approves the client at the proxy, signs in at Entra, and returns the code.
func (f *flow) signIn() (string, error) {
	challenge := sha256.Sum256([]byte(verifier))
	_, page, err := f.do(http.MethodGet, f.issuer+"/authorize?"+url.Values{
		"response_type": {"code"}, "client_id": {"desk"}, "redirect_uri": {back}, "state": {"s"}, "resource": {server},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}.Encode(), nil)
	if err != nil {
		return "", err
	}
	form := url.Values{"decision": {"approve"}}
	for _, found := range hidden.FindAllStringSubmatch(page, -1) {
		form.Set(found[1], html.UnescapeString(found[2]))
	}
	_, page, err = f.do(http.MethodPost, f.issuer+"/consent", form)
	if err != nil {
		return "", err
	}
	next := meta.FindStringSubmatch(page)
	if next == nil {
		return "", fmt.Errorf("approving leads nowhere: %s", page)
	}
	callback, err := f.entra.Open(f.t.Context(), strings.Trim(html.UnescapeString(next[1]), "'"))
	if err != nil {
		return "", err
	}
	_, location, err := f.do(http.MethodGet, callback.String(), nil)
	if err != nil {
		return "", err
	}
	to, err := url.Parse(location)
	if err != nil || !to.Query().Has("code") {
		return "", fmt.Errorf("the callback leads to %q, %w", location, err)
	}
	return to.Query().Get("code"), nil
}

// token returns the refresh token of a token response.
func (f *flow) token(form url.Values) (string, error) {
	status, body, err := f.post("/token", form)
	if err != nil {
		return "", err
	}
	var answer struct {
		RefreshToken string `json:"refresh_token"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusOK || answer.RefreshToken == "" {
		return "", fmt.Errorf("%s: %d %s", form.Get("grant_type"), status, body)
	}
	return answer.RefreshToken, nil
}

func (f *flow) post(path string, form url.Values) (int, string, error) {
	return f.do(http.MethodPost, f.issuer+path, form)
}

// do returns the status and the body, or where a redirect leads.
func (f *flow) do(method, address string, form url.Values) (int, string, error) {
	r, err := http.NewRequestWithContext(f.t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, "", err
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	answer, err := f.client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = answer.Body.Close() }()
	if to := answer.Header.Get("Location"); to != "" {
		return answer.StatusCode, to, nil
	}
	body, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(body), err
}
