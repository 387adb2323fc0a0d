package entratest

import (
	"bytes"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// The pages are plain HTML forms. They work without scripts, and only allow this server's own
// style.
const pageStyle = `body{font:16px/1.5 "Segoe UI",system-ui,sans-serif;background:#f2f2f2;color:#1b1b1b;margin:0}
header{background:#7a3e00;color:#fff;padding:.5rem 1rem;text-align:center}
main{background:#fff;max-width:27rem;margin:2rem auto;padding:2rem 2.5rem;box-shadow:0 2px 6px #0003}
h1{font-size:1.5rem;font-weight:600;margin:0 0 1rem}
ul{padding-left:1.2rem}small{color:#555;overflow-wrap:anywhere}
button{font:inherit;padding:.4rem 1rem;border:1px solid #8a8a8a;background:#e6e6e6;cursor:pointer}
button.main{background:#0067b8;border-color:#0067b8;color:#fff}
button.tile{display:block;width:100%;text-align:left;background:#fff;border:0;border-bottom:1px solid #ddd;padding:.7rem .3rem}
button.tile:hover,button.tile:focus{background:#f2f2f2}button.tile small{display:block}
input[type=text]{font:inherit;width:100%;box-sizing:border-box;padding:.35rem;margin:.3rem 0 .8rem;border:0;border-bottom:1px solid #666}
p.buttons{display:flex;gap:.5rem;justify-content:flex-end;margin:1.5rem 0 0}`

var pages = template.Must(template.New("").Parse(`
{{define "top"}}<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}} – entratest</title><style>` + pageStyle + `</style></head>
<body><header><b>entratest</b>: a test double, not Microsoft Entra ID. Anyone may be anyone here.</header><main>
<h1>{{.Title}}</h1>
{{end}}
{{define "end"}}</main></body></html>
{{end}}
{{define "flow"}}<form method="post" action="{{.Action}}"><input type="hidden" name="flow" value="{{.Flow}}">{{end}}

{{define "message"}}{{template "top" .}}<p>{{.Text}}</p>
{{if .Detail}}<p><small>{{.Detail}}</small></p>{{end}}
{{template "end"}}{{end}}

{{define "picker"}}{{template "top" .}}<p>to continue to <b>{{.App}}</b></p>
{{template "flow" .}}<input type="hidden" name="action" value="account">
{{range .Accounts}}<button class="tile" name="user" value="{{.ID}}">{{.Name}}<small>{{.UPN}}{{if .SignedIn}} · signed in{{end}}</small></button>
{{end}}</form>
{{template "flow" .}}<p><label>Another account<input type="text" name="name" value="{{.Hint}}" autocomplete="off"></label></p>
<p class="buttons"><button name="action" value="cancel">Cancel</button><button class="main" name="action" value="account">Next</button></p></form>
{{template "end"}}{{end}}

{{define "approval"}}{{template "top" .}}<p><small>{{.UPN}}</small></p>
<p>Your organization wants more proof that it is you before you use <b>{{.App}}</b>.</p>
{{template "flow" .}}<p class="buttons"><button name="action" value="cancel">Cancel</button><button class="main" name="action" value="approve">Approve</button></p></form>
{{template "end"}}{{end}}

{{define "consent"}}{{template "top" .}}<p><small>{{.UPN}}</small></p>
<p><b>{{.App}}</b> would like to:</p>
<ul>{{range .Wanted}}<li>{{.Scope}} <small>of {{.Resource}}{{if .For}}, for {{.For}}{{end}}</small></li>
{{end}}</ul>
{{template "flow" .}}{{if .MayForAll}}<p><label><input type="checkbox" name="everyone" value="yes"> Consent on behalf of your organization</label></p>{{end}}
{{if .ForAll}}<p>If you accept, this app will get access for all users in your organization. No one else will be asked.</p>{{end}}
<p class="buttons"><button name="action" value="cancel">Cancel</button><button class="main" name="action" value="consent">Accept</button></p></form>
{{template "end"}}{{end}}

{{define "admin"}}{{template "top" .}}<p><small>{{.UPN}}</small></p>
<p><b>{{.App}}</b> needs permission to access resources in your organization that only an administrator can grant.</p>
<p><small>AADSTS{{.Code}}</small></p>
{{template "flow" .}}<p class="buttons"><button name="action" value="cancel">Return to the application</button>{{if .MayRequest}}<button class="main" name="action" value="request">Request approval</button>{{end}}</p></form>
{{template "end"}}{{end}}

{{define "device"}}{{template "top" .}}<p>Enter the code displayed on your app or device.</p>
<form method="post" action="{{.Action}}"><input type="hidden" name="check" value="{{.Check}}">
<p><label>Code<input type="text" name="otc" value="{{.Code}}" autocomplete="off" maxlength="20"></label></p>
<p class="buttons"><button class="main">Next</button></p></form>
{{template "end"}}{{end}}

{{define "formpost"}}<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Working... – entratest</title></head>
<body><form method="post" name="hiddenform" action="{{.To}}">
{{range .Fields}}<input type="hidden" name="{{.Name}}" value="{{.Value}}">
{{end}}<p>entratest, not Microsoft Entra ID. Press Continue to go on.</p><button>Continue</button></form>
<script nonce="{{.Nonce}}">document.forms[0].submit()</script></body></html>
{{end}}`))

// A pageData is the data of one template.
type pageData interface{ template() string }

type messagePage struct{ Title, Text, Detail string }

func (messagePage) template() string { return "message" }

// A formPage is what pages with a flow share.
type formPage struct{ Title, Action, Flow, App, UPN string }

type account struct {
	ID, Name, UPN string
	SignedIn      bool
}

type pickerPage struct {
	formPage
	Accounts []account
	Hint     string
}

func (pickerPage) template() string { return "picker" }

type approvalPage struct{ formPage }

func (approvalPage) template() string { return "approval" }

type wantedScope struct{ Scope, Resource, For string }

type consentPage struct {
	formPage
	Wanted            []wantedScope
	MayForAll, ForAll bool
}

func (consentPage) template() string { return "consent" }

type adminPage struct {
	formPage
	Code       int
	MayRequest bool
}

func (adminPage) template() string { return "admin" }

type devicePage struct{ Title, Action, Check, Code string }

func (devicePage) template() string { return "device" }

type formField struct{ Name, Value string }

// A formPostPage is the response for response_mode=form_post. It submits itself if scripts run,
// and has a button if they don't.
type formPostPage struct {
	To     template.URL // a registered redirect URI, of whatever scheme
	Fields []formField
	Nonce  string
}

func (formPostPage) template() string { return "formpost" }

func newFormPost(to string, answer url.Values) formPostPage {
	page := formPostPage{To: template.URL(to), Nonce: opaque(16)} // it is registered
	for name := range answer {
		page.Fields = append(page.Fields, formField{name, answer.Get(name)})
	}
	slices.SortFunc(page.Fields, func(a, b formField) int { return strings.Compare(a.Name, b.Name) })
	return page
}

// page sends a page.
func (e *exchange) page(status int, data pageData) {
	var buffer bytes.Buffer
	must(pages.ExecuteTemplate(&buffer, data.template(), data))
	h := e.response.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store, no-cache")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "strict-origin-when-cross-origin")
	policy := "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"
	if post, ok := data.(formPostPage); ok {
		policy += "; script-src 'nonce-" + post.Nonce + "'"
	}
	h.Set("Content-Security-Policy", policy)
	e.response.WriteHeader(status)
	_, _ = e.response.Write(buffer.Bytes()) // an error means that the client has disconnected
}

// refusePage shows an error to the user, because there is no client to redirect to.
func (e *exchange) refusePage(r *rejection) {
	e.recordRefusal(r.code, r.message)
	e.page(http.StatusBadRequest, messagePage{Title: "Sorry, but we’re having trouble signing you in.", Text: r.Error(), Detail: e.ids()})
}
