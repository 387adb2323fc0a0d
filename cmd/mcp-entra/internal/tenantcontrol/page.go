package tenantcontrol

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/tenantfile"
)

// The page's cookie begins with its name on this machine. Cookies are shared by all ports.
const sessionCookie = "mcp-entra-tenant"

//go:embed page.html
var pageText string

var page = template.Must(template.New("").Funcs(template.FuncMap{
	"clock":   func(t time.Time) string { return t.UTC().Format("15:04:05") },
	"stamp":   func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") },
	"refused": func(r Request) bool { return r.AADSTS != 0 || r.Status >= 400 },
	"short":   func(r Request) string { return shortPath(r.Path) },
}).Parse(pageText))

// A pageData is what the page shows.
type pageData struct {
	Nonce   string
	Login   bool // ask for the key
	Problem string
	CSRF    string

	Info     Info
	Now      time.Time
	Current  TenantInfo
	Requests []Request
	Refused  bool // only refused requests
	Reload   bool
	Token    string
	Header   string
	Claims   string
	Asked    tenantfile.TokenRequest
}

// shownRequests is how many requests the page lists.
const shownRequests = 100

// showPage shows the page, or asks for the key. A link with the key begins a session.
func (s *server) showPage(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if key := query.Get("key"); key != "" {
		s.logIn(w, r, key)
		return
	}
	if !s.hasSession(r) {
		s.render(w, http.StatusUnauthorized, pageData{Login: true})
		return
	}
	data, err := s.data(query)
	if err != nil { // a link to a tenant of another run
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	s.render(w, http.StatusOK, data)
}

// data returns what the page shows for a query: tenant, refused, reload.
func (s *server) data(query url.Values) (pageData, error) {
	t, err := s.world.Tenant(query.Get("tenant"))
	if err != nil {
		return pageData{}, err
	}
	data := pageData{
		CSRF: s.derive("csrf"), Info: s.info, Now: s.world.Clock.Now(), Current: describe(t),
		Refused: query.Get("refused") == "true", Reload: query.Get("reload") == "true",
	}
	data.Info.Tenants = Describe(s.world).Tenants
	for _, app := range data.Current.Apps {
		if app.Public {
			data.Asked.Client = app.Name // the likeliest
			break
		}
	}
	data.Requests = list(t, shownRequests, data.Refused)
	slices.Reverse(data.Requests)
	return data, nil
}

func (s *server) beginSession(w http.ResponseWriter, r *http.Request) {
	s.logIn(w, r, r.PostFormValue("key"))
}

func (s *server) logIn(w http.ResponseWriter, r *http.Request, key string) {
	if !s.isKey(strings.TrimSpace(key)) {
		s.render(w, http.StatusUnauthorized, pageData{Login: true, Problem: "This is not the control key."})
		return
	}
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // plain HTTP on loopback: some browsers drop Secure cookies there
		Name: sessionCookie, Value: s.derive("session"), Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (s *server) hasSession(r *http.Request) bool {
	for _, cookie := range r.CookiesNamed(sessionCookie) {
		if s.isDerived("session", cookie.Value) {
			return true
		}
	}
	return false
}

// mintOnPage shows the page with a token.
func (s *server) mintOnPage(w http.ResponseWriter, r *http.Request) {
	if !s.hasSession(r) || !s.isDerived("csrf", r.PostFormValue("csrf")) {
		s.render(w, http.StatusForbidden, pageData{Login: true, Problem: "Begin again: the page is of another run."})
		return
	}
	q := tenantfile.TokenRequest{
		Tenant: r.PostFormValue("tenant"), User: r.PostFormValue("user"), Client: r.PostFormValue("client"), API: r.PostFormValue("api"),
		Scopes: strings.Fields(r.PostFormValue("scopes")),
	}
	data, err := s.data(url.Values{"tenant": {q.Tenant}})
	if err != nil {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	data.Asked = q
	status := http.StatusOK
	if data.Token, err = s.world.Token(q); err != nil {
		data.Problem, status = err.Error(), http.StatusBadRequest
	}
	data.Header, data.Claims = decoded(data.Token)
	s.render(w, status, data)
}

// decoded returns a token's header and claims, indented.
func decoded(token string) (header, claims string) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", ""
	}
	text := func(part string) string {
		var b bytes.Buffer
		if data, err := base64.RawURLEncoding.DecodeString(part); err != nil || json.Indent(&b, data, "", "  ") != nil {
			return ""
		}
		return b.String()
	}
	return text(parts[0]), text(parts[1])
}

// shortPath leaves the tenant's id out.
func shortPath(path string) string {
	if len(path) > 38 && path[0] == '/' && path[37] == '/' && strings.Count(path[1:37], "-") == 4 {
		return "/…" + path[37:]
	}
	return path
}

func (s *server) render(w http.ResponseWriter, status int, data pageData) {
	data.Nonce = NewKey()
	var b bytes.Buffer
	if err := page.Execute(&b, data); err != nil {
		http.Error(w, "the page failed: "+err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+data.Nonce+"'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Frame-Options", "DENY")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // an error means that the client has disconnected
}
