package login

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"github.com/mcpentra/mcp-entra-go/internal/explain"
	"github.com/mcpentra/mcp-entra-go/internal/secret"
)

// A proxied is the program as a client of a server's own authorization proxy. It registers itself
// (RFC 7591) unless a client ID is given.
type proxied struct {
	issuer   string
	metadata *oauthex.AuthServerMeta
	clientID string
}

// proxyOf returns the authorization proxy among a server's authorization servers: one of the
// server's own origin. A user is sent nowhere else without being asked.
func proxyOf(serverURL string, servers []string) string {
	if len(servers) > 0 && sameOrigin(serverURL, servers[0]) {
		return servers[0]
	}
	return ""
}

func sameOrigin(a, b string) bool {
	u, err := url.Parse(a)
	v, err2 := url.Parse(b)
	return err == nil && err2 == nil && u.Host != "" && u.Scheme == v.Scheme && strings.EqualFold(u.Host, v.Host)
}

// throughProxy signs the user in through the server's proxy, in a browser.
func (s *SignIn) throughProxy(ctx context.Context, d Demand) (Token, error) {
	if s.options.Device {
		return Token{}, fmt.Errorf("%s signs its users in itself, at %s, where there are no device codes: use -browser, or name -tenant and -scope to sign in at Entra", d.Server, d.Issuer)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	client := *s.options.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if s.proxy == nil || s.proxy.issuer != d.Issuer {
		proxy, err := enroll(ctx, &client, d.Issuer, s.options.ClientID)
		if err != nil {
			return Token{}, fmt.Errorf("%s signs its users in itself: %w", d.Server, err)
		}
		s.proxy = proxy
	}
	_, _ = fmt.Fprintf(s.options.Prompt, "%s asks you to sign in at %s for %s\n", d.Server, d.Issuer, strings.Join(d.Scopes, " "))
	code, verifier, redirect, err := s.askBrowser(ctx, d)
	if err != nil {
		return Token{}, err
	}
	return s.proxy.redeem(ctx, &client, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirect}, "code_verifier": {verifier}, "resource": {d.Server},
	})
}

// loopback is where the browser comes back to, on any port (RFC 8252, section 7.3).
const loopback = "http://127.0.0.1/callback"

// enroll reads the proxy's metadata and registers the program, unless it has an ID.
func enroll(ctx context.Context, client *http.Client, issuer, clientID string) (*proxied, error) {
	metadata, err := auth.GetAuthServerMetadata(ctx, issuer, client)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", issuer, err)
	case metadata == nil:
		return nil, fmt.Errorf("%s has no metadata (RFC 8414)", issuer)
	case !sameOrigin(issuer, metadata.AuthorizationEndpoint) || !sameOrigin(issuer, metadata.TokenEndpoint):
		return nil, fmt.Errorf("the endpoints of %s are elsewhere", issuer)
	}
	p := &proxied{issuer, metadata, clientID}
	if clientID != "" {
		return p, nil
	}
	if !sameOrigin(issuer, metadata.RegistrationEndpoint) {
		return nil, fmt.Errorf("%s registers no clients: name -client", issuer)
	}
	registered, err := oauthex.RegisterClient(ctx, metadata.RegistrationEndpoint, &oauthex.ClientRegistrationMetadata{
		ClientName: "mcp-entra", RedirectURIs: []string{loopback}, TokenEndpointAuthMethod: "none",
		GrantTypes: []string{"authorization_code"}, ResponseTypes: []string{"code"},
	}, client)
	if err != nil {
		return nil, fmt.Errorf("%s does not register this program: %w", issuer, err)
	}
	p.clientID = registered.ClientID
	return p, nil
}

// askBrowser sends the user to the proxy, and returns the code with which the browser comes back.
func (s *SignIn) askBrowser(ctx context.Context, d Demand) (code, verifier, redirect string, err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", "", err
	}
	redirect = strings.Replace(loopback, "127.0.0.1", l.Addr().String(), 1)
	state, answers := rand.Text(), make(chan url.Values, 1)
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.URL.Path != "/callback" || q.Get("state") != state {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "Done. You can close this window.\n")
		select {
		case answers <- q:
		default: // the page was opened again
		}
	})}
	go func() { _ = server.Serve(l) }()
	defer func() { _ = server.Shutdown(context.WithoutCancel(ctx)) }()

	verifier = rand.Text() + rand.Text()
	challenge := sha256.Sum256([]byte(verifier))
	claims, err := withCapability(d.Claims)
	if err != nil {
		return "", "", "", err
	}
	address := s.proxy.metadata.AuthorizationEndpoint + "?" + url.Values{
		"response_type": {"code"}, "client_id": {s.proxy.clientID}, "redirect_uri": {redirect}, "state": {state}, "scope": {strings.Join(d.Scopes, " ")},
		"resource": {d.Server}, "claims": {claims},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}.Encode()
	_, _ = fmt.Fprintf(s.options.Prompt, "Sign in with the browser. If none opens: %s\n", address)
	if err := s.options.OpenURL(address); err != nil {
		return "", "", "", err
	}
	select {
	case q := <-answers:
		switch {
		case q.Get("iss") != s.proxy.issuer: // RFC 9207
			return "", "", "", fmt.Errorf("the answer is not from %s: its iss is %q", s.proxy.issuer, short(q.Get("iss")))
		case q.Get("code") == "":
			return "", "", "", fmt.Errorf("the sign-in failed: %s: %s", shown(q.Get("error")), shown(q.Get("error_description")))
		}
		return q.Get("code"), verifier, redirect, nil
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return "", "", "", fmt.Errorf("nobody signed in within %s", timeout)
		}
		return "", "", "", ctx.Err()
	}
}

// withCapability returns a claims request that says that the program handles claims challenges.
func withCapability(challenge string) (string, error) {
	claims := map[string]map[string]any{}
	if challenge != "" {
		if err := json.Unmarshal([]byte(challenge), &claims); err != nil {
			return "", errors.New("the claims of the server's challenge are not a claims request")
		}
	}
	if claims["access_token"] == nil {
		claims["access_token"] = map[string]any{}
	}
	claims["access_token"]["xms_cc"] = map[string]any{"values": []string{"cp1"}}
	text, err := json.Marshal(claims)
	return string(text), err
}

// shown is what an authorization server wrote, bounded and in one line.
func shown(s string) string {
	const most = 300
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, s)
	return s[:min(len(s), most)]
}

// redeem gets the token for the code.
func (p *proxied) redeem(ctx context.Context, client *http.Client, form url.Values) (Token, error) {
	form.Set("client_id", p.clientID)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.metadata.TokenEndpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return Token{}, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	sent := time.Now()
	response, err := client.Do(r)
	if err != nil {
		return Token{}, err
	}
	defer func() { _ = response.Body.Close() }()
	var out struct {
		Access      string `json:"access_token"`
		Scope       string
		Expires     int64 `json:"expires_in"`
		Error       string
		Description string `json:"error_description"`
	}
	const most = 128 << 10
	if err := json.NewDecoder(io.LimitReader(response.Body, most)).Decode(&out); err != nil || out.Access == "" {
		return Token{}, fmt.Errorf("%s gives no token (%s): %s: %s", p.issuer, response.Status, shown(out.Error), shown(out.Description))
	}
	t := Token{Access: secret.New(out.Access), Scopes: strings.Fields(out.Scope), Expires: sent.Add(time.Duration(out.Expires) * time.Second)}
	if claims, err := explain.DecodeClaims(out.Access); err == nil { // for the user: nothing is decided by it
		for _, name := range []string{"preferred_username", "upn", "unique_name"} {
			if value, _ := claims[name].(string); t.Username == "" {
				t.Username = shown(value)
			}
		}
		tenant, _ := claims["tid"].(string)
		t.Tenant = shown(tenant)
	}
	return t, nil
}
