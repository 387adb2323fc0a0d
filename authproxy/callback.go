package authproxy

import (
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/grants"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/pages"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/redirecturi"
)

// maxCode bounds our codes, in characters: they travel in queries.
const maxCode = 2200

// serveCallback serves the redirect URI to which Entra sends the browser, and redirects it to the
// client.
func (p *Proxy) serveCallback(w http.ResponseWriter, r *http.Request) {
	q, fault := readQuery(r)
	if fault != nil {
		p.showPage(w, r, fault)
		return
	}
	if len(q["state"]) != 1 || len(q["code"])+len(q["error"]) != 1 {
		p.showPage(w, r, badRequest(pages.BadRequest, "the response must have one state, and either a code or an error"))
		return
	}
	t := p.transaction(r, transactionID(q.Get("state")))
	if t == nil || !t.approved {
		p.showPage(w, r, badRequest(pages.Finished, "this browser has no such sign-in: it is finished, it took longer than 10 minutes, or the browser keeps no cookies"))
		return
	}
	p.end(w, t.id)
	if e := p.upstreamError(r, q, t); e != nil {
		noteRefusal(r, e.Code)
		redirectTo(w, p.errorURL(t.redirect, t.state, e))
		return
	}
	code := t.code
	code.ID, code.Expires, code.EntraCode = grants.NewID(), p.now().Add(grants.CodeLifetime), []byte(q.Get("code"))
	sealed := p.seals.code.SealText(code.Marshal(), p.sealName())
	if len(sealed) > maxCode {
		noteRefusal(r, oauth.ServerError)
		p.log.ErrorContext(r.Context(), "Entra's authorization code is too long", slog.Int("length", len(code.EntraCode)))
		redirectTo(w, p.errorURL(t.redirect, t.state, oauth.Errorf(oauth.ServerError, "the authorization code is too long; see the log of the server")))
		return
	}
	p.log.InfoContext(r.Context(), "a user signed in", slog.String("host", redirecturi.Host(t.redirect)))
	redirectTo(w, p.responseURL(t.redirect, t.state, url.Values{"code": {sealed}}))
}

// passedErrors are Entra's errors that the client can act on. All others are the operator's or
// Entra's fault.
var passedErrors = []string{
	oauth.AccessDenied, oauth.LoginRequired, oauth.InteractionRequired, oauth.ConsentRequired, oauth.ServerError, oauth.TemporarilyUnavailable,
}

// What the client gets of an error's text, which may also contain names and addresses.
var (
	aadsts        = regexp.MustCompile(`^AADSTS[0-9]{4,8}\b`)
	correlationID = regexp.MustCompile(`(?i)\bCorrelation ID: ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b`)
)

// upstreamError returns Entra's error as the client gets it, or nil if there is none.
func (p *Proxy) upstreamError(r *http.Request, q url.Values, t *transaction) *oauth.Error {
	code := q.Get("error")
	if code == "" {
		return nil
	}
	text := q.Get("error_description")
	parts := []string{aadsts.FindString(text)}
	if parts[0] == "" {
		parts[0] = "an error without a code"
	}
	if found := correlationID.FindStringSubmatch(text); found != nil {
		parts = append(parts, "correlation ID "+strings.ToLower(found[1]))
	}
	e := oauth.Errorf(code, "Microsoft Entra ID answered: %s", strings.Join(parts, ", "))
	if slices.Contains(passedErrors, code) {
		p.log.WarnContext(r.Context(), "Entra refused a sign-in", slog.String("error", e.Code), slog.String("reason", e.Description))
		return e
	}
	e.Code, e.Description = oauth.ServerError, e.Description+"; ask the server's operator to look at its log"
	p.log.ErrorContext(r.Context(), "Entra refused a sign-in", slog.String("error", e.Code), slog.String("reason", strings.Join(parts, ", ")), slog.String("app", p.clientID),
		slog.String("scope", p.upstreamScope(t.code.Scopes, t.code.Refresh)), slog.String("remedy", "compare the app's registration and these scopes (Options.Scopes, Downstream) with the API's registration"))
	return e
}
