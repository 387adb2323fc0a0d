package authproxy

import (
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/pages"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/redirecturi"
)

// responseURL is the client's redirect with an authorization response (RFC 6749, section 4.1.2;
// RFC 9207): the parameters follow the client's own query.
func (p *Proxy) responseURL(redirect, state string, answer url.Values) string {
	if state != "" {
		answer.Set("state", state)
	}
	answer.Set("iss", p.issuer)
	separator := "?"
	if strings.Contains(redirect, "?") {
		separator = "&"
		if strings.HasSuffix(redirect, "?") || strings.HasSuffix(redirect, "&") {
			separator = ""
		}
	}
	return redirect + separator + encodeQuery(answer)
}

func (p *Proxy) errorURL(redirect, state string, e *oauth.Error) string {
	answer := url.Values{"error": {e.Code}}
	if e.Description != "" {
		answer.Set("error_description", e.Description)
	}
	return p.responseURL(redirect, state, answer)
}

// redirectTo answers a GET with another address, which was checked. [http.Redirect] would change
// some private schemes.
func redirectTo(w http.ResponseWriter, to string) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Location", to)
	w.WriteHeader(http.StatusFound)
}

// answersDirectly reports whether a client learns by a redirect that it gets no code. Before the
// user has approved the client in this browser, one that nobody vouches for is told by a link on a
// page: it could have registered just to make this server lead people to it (RFC 9700, section
// 4.11.2).
func (p *Proxy) answersDirectly(r *http.Request, q *authorizeRequest) bool {
	return q.client.IsKnown() || redirecturi.Scheme(q.redirect) != "" || redirecturi.IsLoopback(q.redirect) ||
		p.consents(r).has(p.approvalOf(q.client.ConsentHash(), q.redirect))
}

// refuse tells the client why it gets no code.
func (p *Proxy) refuse(w http.ResponseWriter, r *http.Request, q *authorizeRequest, err error) {
	e, ok := errors.AsType[*oauth.Error](err)
	if !ok {
		p.log.ErrorContext(r.Context(), "an authorization request failed", slog.Any("error", err))
		e = &oauth.Error{Code: oauth.ServerError, Description: "internal error; see the log of the server"}
	}
	p.log.WarnContext(r.Context(), "refused an authorization request", append(clientAttrs(q), slog.String("error", e.Code), slog.String("reason", e.Description))...)
	back := p.errorURL(q.redirect, q.state, e)
	if p.answersDirectly(r, q) {
		redirectTo(w, back)
		return
	}
	status, problem := http.StatusBadRequest, pages.BadRequest
	if e.Code == oauth.ServerError {
		status, problem = http.StatusInternalServerError, pages.ServerProblem
	}
	p.pages.ShowError(w, r, status, &pages.ErrorPage{
		Problem: problem, Code: e.Code, Detail: e.Description,
		Back: template.URL(back), //nolint:gosec // the redirect was checked against the registration
	})
}

// clientAttrs describes the client to the log, without what a stranger chose at length.
func clientAttrs(q *authorizeRequest) []any {
	return []any{slog.String("client", q.client.Name), slog.String("host", redirecturi.Host(q.redirect))}
}

// showPage tells the user what went wrong.
func (p *Proxy) showPage(w http.ResponseWriter, r *http.Request, e *pageError) {
	attrs := []slog.Attr{slog.String("path", r.URL.Path), slog.String("problem", string(e.problem)), slog.String("reason", e.detail)}
	if e.cause != nil {
		attrs = append(attrs, slog.Any("cause", e.cause))
	}
	p.log.LogAttrs(r.Context(), slog.LevelWarn, "refused a request in a browser", attrs...)
	if e.retry > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(int64((e.retry+time.Second-1)/time.Second), 10))
	}
	p.pages.ShowError(w, r, e.status, &pages.ErrorPage{Problem: e.problem, Detail: e.detail})
}
