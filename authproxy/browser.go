package authproxy

import (
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/pages"
)

// maxQuery bounds the query of a browser's request, in bytes.
const maxQuery = 16 << 10

// A pageError is an error that the user sees on a page, because there is no safe redirect.
type pageError struct {
	status  int
	problem pages.Problem
	detail  string        // for the client's developer
	retry   time.Duration // 0 for none
	cause   error         // for the log; or nil
}

func badRequest(problem pages.Problem, detail string) *pageError {
	return &pageError{status: http.StatusBadRequest, problem: problem, detail: detail}
}

// showPage shows the error to the user.
func (p *Proxy) showPage(w http.ResponseWriter, r *http.Request, e *pageError) {
	attrs := []slog.Attr{slog.String("path", r.URL.Path), slog.String("problem", string(e.problem)), slog.String("reason", e.detail)}
	if e.cause != nil {
		attrs = append(attrs, slog.Any("cause", e.cause))
	}
	p.log.LogAttrs(r.Context(), slog.LevelWarn, "refused a browser's request", attrs...)
	noteRefusal(r, string(e.problem))
	if e.retry > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(int64((e.retry+time.Second-1)/time.Second), 10))
	}
	p.pages.ShowError(w, r, e.status, &pages.ErrorPage{Problem: e.problem, Detail: e.detail})
}

// readQuery returns the parameters of a browser's request, without empty ones.
func readQuery(r *http.Request) (url.Values, *pageError) {
	if len(r.URL.RawQuery) > maxQuery {
		return nil, badRequest(pages.BadRequest, "the query is too long")
	}
	form, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest(pages.BadRequest, "the query is malformed; percent-encode each name and value")
	}
	for name, values := range form {
		if values = slices.DeleteFunc(values, func(s string) bool { return s == "" }); len(values) == 0 {
			delete(form, name)
		} else {
			form[name] = values
		}
	}
	return form, nil
}

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

// encodeQuery is url.Values.Encode with %20 for spaces, which every server decodes alike.
func encodeQuery(q url.Values) string { return strings.ReplaceAll(q.Encode(), "+", "%20") }

// redirectTo redirects a GET to the URL, which was checked. [http.Redirect] would change the
// spelling of some private schemes.
func redirectTo(w http.ResponseWriter, to string) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Location", to)
	w.WriteHeader(http.StatusFound)
}
