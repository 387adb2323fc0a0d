package authproxy_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// A clientFault is what clients do that Entra refuses, with the error that public reports show. Each change
// is "name=value" of a request that would do; an empty value removes the parameter.
type clientFault struct {
	code   int
	name   string
	self   bool // the client's app is the API's, and so is the proxy's
	api    func(*entratest.App)
	tenant func(w *world, client *entratest.App)

	authorize, redeem, refresh []string
}

var clientFaults = []clientFault{
	{code: 9010010, name: "the server's URL as resource", authorize: []string{"resource=" + resource}, redeem: []string{"resource=" + resource}, refresh: []string{"resource=" + resource}},
	{code: 900144, name: "no scope", authorize: []string{"scope="}},
	{code: 650053, name: "a bare scope", authorize: []string{"scope=openid profile access_as_user"}},
	{code: 90009, name: "a refresh without scope", refresh: []string{"scope="}},
	{code: 90009, name: "a token of an app for itself", self: true, api: func(api *entratest.App) {
		api.AppIDURIs = []string{"api://" + api.ClientID, "https://mcp.example.com/mcp"}
	}},
	{code: 90095, name: "prompt=consent where users may not consent", authorize: []string{"prompt=consent"}, tenant: func(w *world, client *entratest.App) {
		w.tenant.SetConsentPolicy(entratest.ConsentPolicyAdminsOnRequest)
		w.tenant.Consent(client, w.api) // an administrator has consented
		w.tenant.Consent(w.app, w.api)
	}},
	{
		code: 28000, name: "scopes of two resources, for one token",
		authorize: []string{"scope={api}/access_as_user https://storage.azure.com/user_impersonation"},
		redeem:    []string{"scope={api}/access_as_user https://storage.azure.com/user_impersonation"},
	},
	{
		code: 28003, name: "scopes of two resources, and none for the token",
		authorize: []string{"scope={api}/access_as_user https://storage.azure.com/user_impersonation"},
		redeem:    []string{"scope="},
	},
	{code: 90015, name: "a long query", authorize: []string{"state=" + strings.Repeat("s", 1024), "resource=" + resource, "login_hint=" + strings.Repeat("h", 500) + "@contoso.com"}},
	{code: 50011, name: "a port that the system chose", authorize: []string{"redirect_uri=http://127.0.0.1:49152/callback"}, redeem: []string{"redirect_uri=http://127.0.0.1:49152/callback"}},
}

// What Entra refuses of clients does not happen through the proxy: the same parameters get a token
// there and refresh it, and Entra refuses nothing.
func TestClientsFaults(t *testing.T) {
	t.Parallel()
	for _, f := range clientFaults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			t.Run("at Entra", func(t *testing.T) {
				w := newWorld(t, setup{self: f.self, api: f.api})
				if got := w.atEntra(t, f); got != f.code {
					t.Errorf("AADSTS%d, want AADSTS%d", got, f.code)
				}
			})
			t.Run("at the proxy", func(t *testing.T) {
				w := newWorld(t, setup{self: f.self, api: f.api})
				w.atProxy(t, f)
				for _, r := range w.tenant.Requests() {
					if r.AADSTS != 0 {
						t.Errorf("%s %s: AADSTS%d %s", r.Method, r.Path, r.AADSTS, r.Refusal)
					}
				}
			})
		})
	}
}

// fill fills the API's App ID URI in.
func (w *world) fill(changes []string) []string {
	var filled []string
	for _, change := range changes {
		filled = append(filled, strings.ReplaceAll(change, "{api}", w.api.AppIDURI()))
	}
	return filled
}

// refusal returns the code of the first error at Entra, or 0.
func (w *world) refusal() int {
	requests := w.tenant.Requests()
	i := slices.IndexFunc(requests, func(r entratest.Request) bool { return r.AADSTS != 0 })
	if i < 0 {
		return 0
	}
	return requests[i].AADSTS
}

// atEntra is a client that signs in at Entra itself. It returns the code of Entra's error.
func (w *world) atEntra(t *testing.T, f clientFault) int {
	t.Helper()
	client, secret := w.tenant.AddClient("A client"), ""
	platform := entratest.PlatformDesktop
	if f.self {
		client, secret, platform = w.api, w.secret, entratest.PlatformWeb
	}
	client.AddRedirectURI(platform, clientBack, loopback)
	if f.tenant != nil {
		f.tenant(w, client)
	}
	scope := w.api.AppIDURI() + "/access_as_user offline_access"
	base := w.tenant.AuthorityHost() + "/" + w.tenant.ID() + "/oauth2/v2.0/"
	q := changed(request("client_id="+client.ClientID, "scope="+scope), w.fill(f.authorize)...)
	back, err := w.tenant.Browser(w.alice).Open(t.Context(), base+"authorize?"+q.Encode())
	if code := w.refusal(); code != 0 {
		return code
	}
	if err != nil {
		return w.lastPage(t, base+"authorize?"+q.Encode())
	}
	post := func(form url.Values) (token struct {
		RefreshToken string `json:"refresh_token"`
	}) {
		if form.Set("client_id", client.ClientID); secret != "" {
			form.Set("client_secret", secret)
		}
		answer, err := w.tenant.HTTPClient().PostForm(base+"token", form)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		if err := json.NewDecoder(answer.Body).Decode(&token); err != nil {
			t.Fatal(err)
		}
		return token
	}
	token := post(changed(url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {clientBack}, "code_verifier": {verifier}, "scope": {scope},
	}, w.fill(f.redeem)...))
	if code := w.refusal(); code != 0 {
		return code
	}
	post(changed(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token.RefreshToken}, "scope": {scope}}, w.fill(f.refresh)...))
	return w.refusal()
}

var pageCode = regexp.MustCompile(`AADSTS(\d+)`)

// lastPage returns the code on the page that a sign-in at Entra ends at, after the choice of an
// account, or 0.
func (w *world) lastPage(t *testing.T, address string) int {
	t.Helper()
	b := w.browser(w.alice)
	b.client.Transport = w.tenant.HTTPClient().Transport
	action, fields := b.get(address).form()
	fields.Set("action", "account")
	fields.Set("user", w.alice.ObjectID)
	found := pageCode.FindStringSubmatch(b.do(http.MethodPost, w.tenant.AuthorityHost()+action, fields).body)
	if found == nil {
		return 0
	}
	code, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// atProxy is the same client at the proxy.
func (w *world) atProxy(t *testing.T, f clientFault) {
	t.Helper()
	if f.tenant != nil {
		f.tenant(w, w.app)
	}
	scope := "scope=" + w.api.AppIDURI() + "/access_as_user offline_access"
	code := changed(w.codeForm(append([]string{scope}, w.fill(f.authorize)...)...), scope)
	token := w.good("code", w.post("/token", changed(code, w.fill(f.redeem)...), nil))
	refresh := changed(refreshForm(token.get("refresh_token")), scope)
	w.good("refresh", w.post("/token", changed(refresh, w.fill(f.refresh)...), nil))
}
