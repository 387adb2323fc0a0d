package pages_test

import (
	"html/template"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/pages"
)

// An answer is a page as a browser gets it.
type answer struct {
	status int
	header http.Header
	body   string
}

// get asks for a page in a language.
func get(lang string, show func(w http.ResponseWriter, r *http.Request)) answer {
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
	if lang != "" {
		r.Header.Set("Accept-Language", lang)
	}
	show(w, r)
	return answer{w.Code, w.Result().Header, w.Body.String()}
}

var renderer = pages.New()

func showConsent(c *pages.Consent) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) { renderer.ShowConsent(w, r, c) }
}

func showContinue(to string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) { renderer.ShowContinue(w, r, template.URL(to)) }
}

func showError(e *pages.ErrorPage) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) { renderer.ShowError(w, r, http.StatusBadRequest, e) }
}

func templateURL(address string) template.URL { return template.URL(address) }

// withRequestID shows the page as the server does, which names each answer.
func withRequestID(id string, show func(http.ResponseWriter, *http.Request)) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", id)
		show(w, r)
	}
}

const scope = "api://6f1c1a2b-0000-4000-8000-000000000001/access_as_user"

// consents are those of each kind of client and redirect.
func consents() map[string]*pages.Consent {
	all := map[string]*pages.Consent{
		"registered":   {ClientName: "Acme Notes", Redirect: "https://notes.example.com/callback", Days: 30},
		"local":        {ClientName: "MCP Inspector", Redirect: "http://localhost:6274/oauth/callback"},
		"document":     {ClientName: "Acme Code", ClientHost: "acme.example", Redirect: "https://app.acme.example/callback", Days: 30},
		"elsewhere":    {ClientName: "Acme Code", ClientHost: "acme.example", Redirect: "https://notacme.example/callback", Days: 1},
		"preset":       {ClientName: "What it says", Preset: "Claude", Redirect: "https://claude.ai/api/mcp/auth_callback", Days: 30},
		"preset-local": {ClientName: "Code", Preset: "Visual Studio Code", Redirect: "http://127.0.0.1:33418/"},
		"configured":   {ClientName: "Acme Desk", Configured: true, Redirect: "https://desk.example.com:8443/callback", Days: 30},
		"app":          {ClientName: "Cursor", Redirect: "cursor://anysphere.cursor-mcp/oauth/callback"},
		"nameless":     {Redirect: "https://notes.example.com/callback", Days: 30},
		"hostile": {
			ClientName: "\u202eevil</bdi><script>alert(1)</script>\u2066 \"'`{{.Server}} " + strings.Repeat("x", 200),
			ClientHost: "\u202e“x”.example", Redirect: "https://xn--pple-43d.com/?q='\"><script>",
		},
	}
	for _, c := range all {
		c.Server, c.Scopes, c.Action = "Contoso Files", []string{scope, "https://mcp.example.com/mcp/files.read"}, "https://mcp.example.com/consent"
		c.Fields = map[string]string{"form": "sealed", "csrf": `"><script>`}
	}
	return all
}

var problems = []pages.Problem{
	pages.BadRequest, pages.UnknownClient, pages.BadRedirect, pages.Unavailable, pages.Expired, pages.Finished,
	pages.Foreign, pages.ServerProblem, pages.NotFromThisPage, pages.Denied,
}

// everyPage returns all kinds of pages, by name.
func everyPage() map[string]func(http.ResponseWriter, *http.Request) {
	all := map[string]func(http.ResponseWriter, *http.Request){
		"continue-entra": showContinue("https://login.microsoftonline.com/t/oauth2/v2.0/authorize?client_id=c&state=s"),
		"continue-local": showContinue("http://127.0.0.1:33418/?error=access_denied&state=s"),
		"continue-app":   showContinue("cursor://anysphere.cursor-mcp/oauth/callback?error=access_denied"),
		"problem-back": showError(&pages.ErrorPage{
			Problem: pages.BadRequest, Code: "invalid_request", Detail: "code_challenge_method is plain; send S256",
			Back: "https://notes.example.com/callback?error=invalid_request&state=s",
		}),
	}
	for name, c := range consents() {
		all["consent-"+name] = showConsent(c)
	}
	for _, problem := range problems {
		all["problem-"+string(problem)] = showError(&pages.ErrorPage{Problem: problem})
	}
	return all
}

// eachPage checks all kinds of pages in both languages.
func eachPage(t *testing.T, check func(t *testing.T, name, lang string, a answer)) {
	t.Helper()
	for name, show := range everyPage() {
		for _, lang := range []string{"en", "ja"} {
			t.Run(name+"-"+lang, func(t *testing.T) {
				t.Parallel()
				check(t, name, lang, get(lang, show))
			})
		}
	}
}
