// Package pages is what people see of the proxy: the consent page, and pages for what went
// wrong. They work without scripts, by keyboard and with a screen reader, in the language and
// the colors that the browser prefers.
package pages

import (
	"html/template"
	"net/http"
)

// A Consent is the page on which a user decides about a client.
type Consent struct {
	ClientName string // "" if it has none
	ClientHost string // of a client's document; "" if the client registered itself
	Preset     string // the name of the preset that vouches for the client; or ""
	Configured bool   // the operator configured the client
	// Redirect is the client's redirect URI, checked: the page shows its host, "this computer"
	// for loopback, or the app's scheme.
	Redirect string
	Server       string   // the name of the MCP server
	Scopes       []string // what the client will be able to do, by scope
	Days         int      // for how many days approval is remembered; 0 if it is not
	// The form posts these to Action.
	Action string
	Fields map[string]string
}

// Problem is a kind of error page.
type Problem string

// The problems.
const (
	BadRequest      Problem = "bad_request"    // the client's request can't be understood
	UnknownClient   Problem = "unknown_client" // register again
	BadRedirect     Problem = "bad_redirect"   // not one of the client's
	Unavailable     Problem = "unavailable"    // try again
	Expired         Problem = "expired"        // the sign-in took too long, or cookies are off
	Finished        Problem = "finished"       // the page was opened again
	Foreign         Problem = "foreign"        // the form came from another page
	ServerProblem   Problem = "server"         // ours or Entra's
	NotFromThisPage Problem = "method"         // a wrong method
)

// An ErrorPage is a page about a problem.
type ErrorPage struct {
	Problem Problem
	Detail  string // for the client's developer, in English: as in error_description; may be ""
	Code    string // the OAuth error, may be ""
	// Back is a link with which the user can tell the client. It was checked against the
	// client's registration. "" if there is none.
	Back template.URL
}

// A Renderer writes pages.
type Renderer struct{}

// New returns a renderer.
func New() *Renderer { return &Renderer{} }

// ShowConsent writes the consent page.
func (p *Renderer) ShowConsent(w http.ResponseWriter, r *http.Request, c *Consent) {
	write(w, http.StatusOK, template.Must(template.New("").Parse(`<!DOCTYPE html><title>consent</title><p>{{.ClientName}} {{.Redirect}}
<form method="post" action="{{.Action}}">{{range $n, $v := .Fields}}<input type="hidden" name="{{$n}}" value="{{$v}}">{{end}}
<button name="decision" value="approve">Approve</button><button name="decision" value="deny">Deny</button></form>`)), c)
}

// ShowError writes an error page.
func (p *Renderer) ShowError(w http.ResponseWriter, r *http.Request, status int, e *ErrorPage) {
	write(w, status, template.Must(template.New("").Parse(`<!DOCTYPE html><title>{{.Problem}}</title><p>{{.Detail}}{{if .Back}}<a href="{{.Back}}">back</a>{{end}}`)), e)
}

// ShowContinue writes the page that takes the browser to an address that was checked: browsers
// apply the form's policy to redirects after a POST, so that a redirect would not do.
func (p *Renderer) ShowContinue(w http.ResponseWriter, r *http.Request, to template.URL) {
	write(w, http.StatusOK, template.Must(template.New("").Parse(`<!DOCTYPE html><title>continue</title><meta http-equiv="refresh" content="0; url={{.}}"><a href="{{.}}">Continue</a>`)), to)
}

func write(w http.ResponseWriter, status int, t *template.Template, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_ = t.Execute(w, data)
}
