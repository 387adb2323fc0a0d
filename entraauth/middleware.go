package entraauth

import (
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
)

// A BearerCheck says how one endpoint is protected.
type BearerCheck struct {
	// Policy is needed besides the verifier's own. The zero value adds nothing.
	Policy Policy
	// ResourceMetadata is the URL of the protected resource metadata (RFC 9728)
	// that challenges name. Empty leaves it out.
	ResourceMetadata string
	// WriteBody writes the body of a refusal, after the headers are set; it must
	// call WriteHeader with the status. Only e.Error() may go to the caller.
	// Defaults to a JSON object with error, error_description and reason.
	WriteBody func(w http.ResponseWriter, r *http.Request, status int, e *Error)
	// OnRefusal is told of each refusal before it is answered, in place of the
	// verifier's line in the log.
	OnRefusal func(r *http.Request, status int, e *Error)
}

// Middleware lets requests with a good token through to the next handler, whose
// request context carries the caller ([FromContext]), and answers all others
// itself. A nil BearerCheck is the zero BearerCheck.
func (v *Verifier) Middleware(guard *BearerCheck) func(http.Handler) http.Handler {
	g := copyGuard(guard)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			id, err := v.FromRequest(r)
			if err == nil {
				err = g.Policy.Check(id)
			}
			if err != nil {
				v.refuse(w, r, g, err)
				return
			}
			next.ServeHTTP(w, r.WithContext(NewContext(r.Context(), id)))
		})
	}
}

// Refuse answers a request with the error: status, challenge, body and a line
// in the log. An error that is not an *[Error] is answered 500 without its text.
func (v *Verifier) Refuse(w http.ResponseWriter, r *http.Request, guard *BearerCheck, err error) {
	v.refuse(w, r, copyGuard(guard), err)
}

func copyGuard(guard *BearerCheck) *BearerCheck {
	var g BearerCheck
	if guard != nil {
		g = *guard
		g.Policy = g.Policy.clone()
	}
	if g.WriteBody == nil {
		g.WriteBody = writeJSON
	}
	return &g
}

func (v *Verifier) refuse(w http.ResponseWriter, r *http.Request, g *BearerCheck, err error) {
	var e *Error
	if !errors.As(err, &e) {
		v.log.LogAttrs(r.Context(), slog.LevelError, "request failed", slog.String("path", actual(r.URL.Path)), slog.Any("error", err))
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	status, _ := e.answer()
	if g.OnRefusal == nil {
		v.logRefusal(r, e)
	} else {
		g.OnRefusal(r, status, e)
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if c := v.challenge(g, e); c != "" {
		h.Set("WWW-Authenticate", c)
	}
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
	g.WriteBody(w, r, status, e)
}

// logRefusal writes the line of a refused request.
func (v *Verifier) logRefusal(r *http.Request, e *Error) {
	status, code := e.answer()
	level := slog.LevelWarn                              // also for 503: trouble with keys has its own line
	if status == http.StatusUnauthorized && code == "" { // how every client begins
		level = slog.LevelInfo
	}
	attrs := []slog.Attr{
		slog.String("method", actual(r.Method)), slog.String("path", actual(r.URL.Path)),
		slog.Int("status", status), slog.Any("refusal", e),
	}
	id := e.caller
	if id == nil {
		id = FromContext(r.Context())
	}
	if id != nil {
		attrs = append(attrs, slog.Any("caller", id))
	}
	v.log.LogAttrs(r.Context(), level, "request refused", attrs...)
}

// writeJSON is the body of refusals for servers that are not MCP servers.
func writeJSON(w http.ResponseWriter, _ *http.Request, status int, e *Error) {
	_, code := e.answer()
	switch {
	case code != "":
	case status == http.StatusServiceUnavailable:
		code = "temporarily_unavailable"
	default:
		code = "unauthorized"
	}
	body := struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
		Reason      string `json:"reason"`
	}{code, e.Error(), e.Reason}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // people read it
	_ = enc.Encode(body)     // the caller is gone; there is nobody to tell
}
