package pages

import (
	"html/template"
	"net/http"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/display"
)

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
	Denied          Problem = "denied"         // by the user
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

// maxDetail bounds what is shown to developers, in characters.
const maxDetail = 500

// A problemView is an ErrorPage as the template shows it.
type problemView struct {
	page
	ErrorPage
	Place     place  // where Back leads
	RequestID string // that the answer's X-Request-Id has, or ""
}

// Technical reports whether there is something to show to developers.
func (v *problemView) Technical() bool { return v.Code != "" || v.Detail != "" || v.RequestID != "" }

// ShowError writes an error page.
func (p *Renderer) ShowError(w http.ResponseWriter, r *http.Request, status int, e *ErrorPage) {
	v := &problemView{ErrorPage: *e, Place: placeOf(string(e.Back)), RequestID: display.Text(w.Header().Get("X-Request-Id"), display.MaxName)}
	v.Code, v.Detail = display.Text(e.Code, display.MaxName), display.Text(e.Detail, maxDetail)
	name := string(e.Problem)
	if p.pages[0][name] == nil {
		name = string(ServerProblem)
	}
	p.write(w, r, status, name, v)
}
