package authproxy_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/mcpentra/mcp-entra-go/authproxy"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// An MCP server lets any client sign in. The tenant is an offline one, so the example can play
// both the client, which nobody has registered anywhere, and its user.
func Example() {
	// The tenant has the API's app, and an app with which the proxy signs users in.
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	alice := tenant.AddUser("alice@contoso.com", "Alice")
	api := tenant.AddApp("Greeter", "access_as_user")
	app := tenant.AddApp("Greeter's sign-in")

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	site := "http://" + listener.Addr().String() // in production https://mcp.example.com
	app.AddRedirectURI(entratest.PlatformWeb, site+"/oauth/callback")

	// The server: without the options for the offline tenant, this is all of it.
	verifier, err := entraauth.NewVerifier(tenant.ID(), api.ClientID, &entraauth.Options{
		AuthorityHost: tenant.AuthorityHost(), HTTPClient: tenant.HTTPClient(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = verifier.Close() }()
	key := make([]byte, 32) // in production from a vault, the same for all replicas
	_, _ = rand.Read(key)
	proxy, err := authproxy.New(site, tenant.ID(), app.ClientID, clientauth.Secret(app.AddSecret()), [][]byte{key},
		&authproxy.Options{HTTPClient: tenant.HTTPClient()})
	if err != nil {
		fmt.Println(err)
		return
	}
	server, err := mcpentra.NewServer(site+"/mcp", verifier, mcpentra.WithAuthProxy(proxy))
	if err != nil {
		fmt.Println(err)
		return
	}
	web := &http.Server{Handler: server}
	go func() { _ = web.Serve(listener) }()
	defer func() { _ = web.Close() }()

	// The client reads the metadata, registers itself, and sends its user to the proxy.
	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	var metadata struct {
		Authorize string `json:"authorization_endpoint"`
		Token     string `json:"token_endpoint"`
		Register  string `json:"registration_endpoint"`
	}
	visit(browser, site+"/.well-known/oauth-authorization-server", "", "").decode(&metadata)
	var registered struct {
		ClientID string `json:"client_id"`
	}
	visit(browser, metadata.Register, "application/json",
		`{"client_name":"Chat","redirect_uris":["http://127.0.0.1/done"],"token_endpoint_auth_method":"none"}`).decode(&registered)
	consent := visit(browser, metadata.Authorize+"?"+url.Values{
		"response_type": {"code"}, "client_id": {registered.ClientID}, "redirect_uri": {"http://127.0.0.1:4711/done"}, "resource": {site + "/mcp"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"}, // RFC 7636, appendix B
	}.Encode(), "", "")

	// The user approves the client, and signs in at Entra.
	fmt.Println("asked for consent:", strings.Contains(consent.body, "Chat"))
	action, form := consent.form()
	form.Set("decision", "approve")
	callback, err := tenant.Browser(alice).Open(context.Background(), visit(browser, action, formType, form.Encode()).next())
	if err != nil {
		fmt.Println(err)
		return
	}
	back := visit(browser, callback.String(), "", "").location
	fmt.Println("back at the client:", back.Host, back.Query().Get("iss") == site)

	// The client gets Entra's token.
	var tokens struct {
		AccessToken string `json:"access_token"`
	}
	visit(browser, metadata.Token, formType, url.Values{
		"grant_type": {"authorization_code"}, "client_id": {registered.ClientID}, "code": {back.Query().Get("code")},
		"redirect_uri": {"http://127.0.0.1:4711/done"}, "code_verifier": {"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"},
	}.Encode()).decode(&tokens)
	user, err := verifier.Verify(context.Background(), tokens.AccessToken)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("signed in:", user.DisplayName())
	// Output:
	// asked for consent: true
	// back at the client: 127.0.0.1:4711 true
	// signed in: Alice
}

const formType = "application/x-www-form-urlencoded"

// visit sends a request: a POST if it has a body of a type. If there is no answer, the page is
// empty.
func visit(browser *http.Client, address, contentType, body string) *page {
	method := http.MethodGet
	if contentType != "" {
		method = http.MethodPost
	}
	r, err := http.NewRequestWithContext(context.Background(), method, address, strings.NewReader(body))
	if err != nil {
		return &page{}
	}
	r.Header.Set("Content-Type", contentType)
	answer, err := browser.Do(r)
	if err != nil {
		return &page{}
	}
	defer func() { _ = answer.Body.Close() }()
	text, _ := io.ReadAll(answer.Body)
	location, _ := answer.Location()
	return &page{status: answer.StatusCode, header: answer.Header, body: string(text), location: location}
}

func (p *page) decode(v any) { _ = json.Unmarshal([]byte(p.body), v) }

// In front of any net/http server, without package mcpentra.
func ExampleNew() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	api, app := tenant.AddApp("Greeter", "access_as_user"), tenant.AddApp("Greeter's sign-in")
	method, keys := clientauth.Secret(app.AddSecret()), [][]byte{[]byte("32 random bytes, kept as a secret")}
	verifier, err := entraauth.NewVerifier(tenant.ID(), api.ClientID, &entraauth.Options{AuthorityHost: tenant.AuthorityHost(), HTTPClient: tenant.HTTPClient()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = verifier.Close() }()

	assemble := func(tenantID, clientID string, hello http.Handler) (http.Handler, error) {
		const site, resource = "https://api.example.com", "https://api.example.com/hello"
		proxy, err := authproxy.New(site, tenantID, clientID, method, keys, &authproxy.Options{
			Resources: []string{resource}, Scopes: verifier.ScopesFor(resource), Verifier: verifier,
		})
		if err != nil {
			return nil, err
		}
		metadata, err := verifier.ResourceMetadata(resource, "Hello", proxy.Issuer())
		if err != nil {
			return nil, err
		}
		check := &entraauth.BearerCheck{ResourceMetadata: metadata.URL(), AuthorizationEndpoint: proxy.AuthorizationEndpoint()}
		mux := http.NewServeMux()
		mux.Handle("/hello", verifier.Middleware(check)(hello))
		mux.Handle(metadata.Path(), metadata)
		mux.Handle("/", proxy)
		return mux, nil
	}
	handler, err := assemble(tenant.ID(), app.ClientID, http.NotFoundHandler())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, path := range []string{"/hello", "/.well-known/oauth-protected-resource/hello", "/.well-known/oauth-authorization-server", "/nothing"} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "https://api.example.com"+path, nil))
		fmt.Println(w.Code, path)
	}
	// Output:
	// 401 /hello
	// 200 /.well-known/oauth-protected-resource/hello
	// 200 /.well-known/oauth-authorization-server
	// 404 /nothing
}
