//go:build unix

package interop_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// Four sites: the proxy, its client and an attacker have names of their own in the browser, Entra is
// the tenant's.
const (
	pagesIssuer   = "https://mcp.example.com"
	pagesClient   = "https://client.example/callback"
	pagesAttacker = "https://evil.example"
	pagesVerifier = "a-code-verifier-of-forty-three-characters-0123"
)

// A pagesWorld is an authorization proxy that only Chromium and this test can reach.
type pagesWorld struct {
	tenant *entratest.Tenant
	server *httptest.Server // all sites but the tenant's
	proxy  http.Handler
	log    *output
}

func newPagesWorld(t *testing.T) *pagesWorld {
	t.Helper()
	w := &pagesWorld{tenant: entratest.NewTenant(nil), log: newOutput()}
	t.Cleanup(w.tenant.Close)
	w.tenant.AddUser("alice@contoso.example", "Alice")
	api := w.tenant.AddApp("Contoso Files", "access_as_user", "files.read")
	api.AccessTokenVersion = 2
	app := w.tenant.AddApp("Sign-in of Contoso Files")
	app.AddRedirectURI(entratest.PlatformWeb, pagesIssuer+"/oauth/callback")
	log := slog.New(slog.NewTextHandler(w.log, nil))
	verifier, err := entraauth.NewVerifier(w.tenant.ID(), api.ClientID, &entraauth.Options{
		AuthorityHost: w.tenant.AuthorityHost(), HTTPClient: w.tenant.HTTPClient(), Logger: log,
	})
	must(t, err)
	t.Cleanup(func() { _ = verifier.Close() })
	w.proxy, err = authproxy.New(pagesIssuer, w.tenant.ID(), app.ClientID, clientauth.Secret(app.AddSecret()), [][]byte{randomKey()}, &authproxy.Options{
		Resources: []string{pagesIssuer + "/mcp"}, Scopes: []string{api.Scope("access_as_user"), api.Scope("files.read")}, Verifier: verifier,
		Name: "Contoso Files", AuthorityHost: w.tenant.AuthorityHost(), HTTPClient: w.tenant.HTTPClient(), Logger: log,
		PrivateSchemes: []string{authproxy.CursorRedirect},
	})
	must(t, err)
	w.server = httptest.NewUnstartedServer(http.HandlerFunc(w.serve))
	w.server.Config.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug) // browsers hang up on its certificate once
	w.server.StartTLS()
	t.Cleanup(w.server.Close)
	return w
}

func randomKey() []byte {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return key
}

// sites are the pages of the client and of the attacker.
var sites = template.Must(template.New("").Parse(`<!DOCTYPE html><title>a site</title><link rel="icon" href="data:,"><h1>{{.Path}}</h1>
{{- if eq .Path "/frame"}}<iframe src="{{.Query.Get "url"}}"></iframe>
{{- else if eq .Path "/post"}}<form method="post" action="{{.Query.Get "url"}}"><input type="hidden" name="form" value="{{.Query.Get "form"}}">
<button name="decision" value="approve">Win a prize</button></form>
{{- else if eq .Path "/control"}}<form method="post"><button>Post</button></form>
{{- else if eq .Path "/callback"}}<script>window.opener?.postMessage(location.search, location.origin)</script>
{{- else}}<script>addEventListener("message", (e) => { window.heard = e.data })</script>{{end}}`))

// serve answers for all sites.
func (w *pagesWorld) serve(rw http.ResponseWriter, r *http.Request) {
	switch {
	case "https://"+r.Host == pagesIssuer:
		w.proxy.ServeHTTP(rw, r)
	case r.Method == http.MethodPost: // of the page /control
		http.Redirect(rw, r, pagesIssuer+"/elsewhere", http.StatusSeeOther)
	default:
		if r.URL.Path == "/control" {
			rw.Header().Set("Content-Security-Policy", "form-action 'self'")
		}
		_ = sites.Execute(rw, map[string]any{"Path": r.URL.Path, "Query": r.URL.Query()}) // the browser may be gone
	}
}

// post sends a request to the proxy and decodes the answer.
func (w *pagesWorld) post(t *testing.T, path, kind, body string) map[string]any {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.server.URL+path, strings.NewReader(body))
	must(t, err)
	request.Host = strings.TrimPrefix(pagesIssuer, "https://")
	request.Header.Set("Content-Type", kind)
	response, err := w.server.Client().Do(request)
	must(t, err)
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	must(t, err)
	if response.StatusCode >= 300 {
		t.Fatalf("%s: %s %s", path, response.Status, data)
	}
	return decode(t, data)
}

// register returns the client ID of a client that registers itself.
func (w *pagesWorld) register(t *testing.T, name, redirect string) string {
	t.Helper()
	id, _ := w.post(t, "/register", "application/json", fmt.Sprintf(
		`{"client_name":%q,"redirect_uris":[%q],"token_endpoint_auth_method":"none"}`, name, redirect))["client_id"].(string)
	return id
}

// drive runs clients/node/proxypages.mjs.
func (w *pagesWorld) drive(t *testing.T, client, app string) (got pagesResults) {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("%v. Run: apt-get install --no-install-recommends chromium", err)
	}
	pictures := os.Getenv("SCREENSHOTS")
	if pictures == "" {
		pictures = t.TempDir()
	}
	challenge := sha256.Sum256([]byte(pagesVerifier))
	address := w.server.Listener.Addr().String()
	var resolve []string
	for _, site := range []string{pagesIssuer, pagesClient, pagesAttacker} {
		u, err := url.Parse(site)
		must(t, err)
		resolve = append(resolve, "MAP "+u.Host+" "+address)
	}
	config, err := json.Marshal(map[string]any{
		"issuer": pagesIssuer, "client": strings.TrimSuffix(pagesClient, "/callback"), "attacker": pagesAttacker, "authority": w.tenant.AuthorityHost(),
		"resolve": strings.Join(resolve, ","),
		"request": map[string]string{
			"response_type": "code", "client_id": client, "redirect_uri": pagesClient, "state": `s';"&<>`, "resource": pagesIssuer + "/mcp",
			"code_challenge": base64.RawURLEncoding.EncodeToString(challenge[:]), "code_challenge_method": "S256",
		},
		"app": map[string]string{"clientId": app, "redirect": authproxy.CursorRedirect},
	})
	must(t, err)
	path := filepath.Join(t.TempDir(), "config.json")
	must(t, os.WriteFile(path, config, 0o600))
	dir, err := filepath.Abs("clients/node")
	must(t, err)
	home, err := os.MkdirTemp("", "interop-chromium-")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(home) }) // Chromium's last words may still be under way
	p := start(t, "proxypages.mjs", command(deadline(t, 3*time.Minute), dir,
		map[string]string{"HOME": home, "TMPDIR": home, "CONFIG": path, "CHROMIUM": chromium, "SCREENSHOTS": pictures}, node(t), "proxypages.mjs"))
	if code := p.wait(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, w.log)
	}
	must(t, json.NewDecoder(bytes.NewReader([]byte(p.stdout.String()))).Decode(&got))
	return got
}

// pagesResults is what the script prints: titles of pages, addresses at which the browser arrived,
// and what went wrong.
type pagesResults struct {
	Consent, Finished, Problem, Foreign            string
	SignedIn, Remembered, Denied, Told, App, Popup string
	Frame, Control                                 string
	Console, Violations, Referrers                 []string
	Lang                                           map[string]string
}

// The proxy's pages in Chromium, with real sites around them: whoever has a keyboard alone signs in,
// denies, and tells the client of an error, without scripts; the redirects that form-action would stop
// work; and other sites can neither frame the page nor send its form. SCREENSHOTS names a folder for
// pictures.
func TestProxyPagesInChromium(t *testing.T) {
	t.Parallel()
	w := newPagesWorld(t)
	client := w.register(t, "Acme <b>Notes</b>", pagesClient)
	got := w.drive(t, client, w.register(t, "Cursor", authproxy.CursorRedirect))
	for name, title := range map[string][2]string{
		"consent":  {got.Consent, "Allow “Acme <b>Notes</b>” to use Contoso Files?"},
		"finished": {got.Finished, "This sign-in is already finished"},
		"problem":  {got.Problem, "The app’s sign-in request isn’t valid"},
		"foreign":  {got.Foreign, "That answer didn’t come from our page"},
	} {
		if title[0] != title[1] {
			t.Errorf("%s: %q, want %q", name, title[0], title[1])
		}
	}
	code := checkAnswer(t, "signed in", got.SignedIn, "")
	checkAnswer(t, "remembered", got.Remembered, "")
	checkAnswer(t, "denied", got.Denied, "access_denied")
	checkAnswer(t, "told", got.Told, "invalid_request")
	checkAnswer(t, "pop-up", pagesClient+got.Popup, "")
	if app, ok := strings.CutPrefix(got.App, "metaTagRefresh "+authproxy.CursorRedirect+"?"); !ok || !strings.Contains(app, "error=access_denied") {
		t.Errorf("the app's page leads to %q, want the app by a refresh, with access_denied", got.App)
	}
	if !strings.HasPrefix(got.Frame, "chrome-error:") {
		t.Errorf("a frame shows %s, want an error", got.Frame)
	}
	if got.Control != pagesAttacker+"/control" {
		t.Errorf("where form-action is 'self', a form's redirect leads to %s: Chromium no longer stops it", got.Control)
	}
	for _, violation := range got.Violations {
		t.Errorf("axe: %s", violation)
	}
	for _, referrer := range got.Referrers {
		t.Errorf("another site was told where the browser came from: %s", referrer)
	}
	for _, line := range got.Console {
		if !expectedOfConsole(line) {
			t.Errorf("the console says: %s", line)
		}
	}
	for page, lang := range got.Lang {
		if want := map[bool]string{true: "ja", false: "en"}[strings.Contains(page, "-ja-")]; lang != want {
			t.Errorf("%s: language %q, want %q", page, lang, want)
		}
	}
	token := w.post(t, "/token", "application/x-www-form-urlencoded", url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {pagesClient}, "client_id": {client}, "code_verifier": {pagesVerifier},
	}.Encode())
	if text, _ := token["access_token"].(string); strings.Count(text, ".") != 2 {
		t.Errorf("the code of the first sign-in gets %v, want a token", token)
	}
}

// checkAnswer checks what the client got: a code, or the error. It returns the code.
func checkAnswer(t *testing.T, name, got, wantError string) string {
	t.Helper()
	u, err := url.Parse(got)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return ""
	}
	q := u.Query()
	if !strings.HasPrefix(got, pagesClient+"?") || q.Get("error") != wantError || (q.Get("code") != "") != (wantError == "") ||
		q.Get("state") != `s';"&<>` || q.Get("iss") != pagesIssuer {
		t.Errorf("%s: the browser arrived at %s, want the client with its state, iss and error %q", name, got, wantError)
	}
	return q.Get("code")
}

// expectedOfConsole reports whether Chromium is right to complain: about an error's status, and about
// what other sites tried.
func expectedOfConsole(line string) bool {
	return strings.Contains(line, "the server responded with a status of 400") || strings.Contains(line, "the server responded with a status of 403") ||
		strings.HasPrefix(line, "/frame: Framing ") || strings.HasPrefix(line, "/control: ") && strings.Contains(line, "form-action")
}
