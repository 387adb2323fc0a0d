// Package oauth reads the requests of OAuth 2.1's endpoints and writes their errors
// (RFC 6749, section 5.2).
package oauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// Error codes.
const (
	InvalidRequest         = "invalid_request"
	InvalidClient          = "invalid_client"
	InvalidGrant           = "invalid_grant"
	InvalidScope           = "invalid_scope"
	InvalidTarget          = "invalid_target" // RFC 8707
	InvalidRedirectURI     = "invalid_redirect_uri"
	InvalidClientMetadata  = "invalid_client_metadata" // RFC 7591
	UnsupportedGrantType   = "unsupported_grant_type"
	UnsupportedTokenType   = "unsupported_token_type" // RFC 7009
	UnsupportedResponse    = "unsupported_response_type"
	AccessDenied           = "access_denied"
	ServerError            = "server_error"
	TemporarilyUnavailable = "temporarily_unavailable"
	LoginRequired          = "login_required"
	InteractionRequired    = "interaction_required"
	ConsentRequired        = "consent_required"
)

// An Error is an error response to a client. Its text is for the client's developer: it says what
// was expected, what came, and what to do, and contains no part of a secret, a code or a token.
type Error struct {
	Code        string
	Description string        // ASCII, without quotation marks and backslashes (RFC 6749, section 5.2)
	Status      int           // 0 means 400
	RetryAfter  time.Duration // 0 means none
	Basic       bool          // the client used HTTP Basic, so the answer has a challenge for it
	Cause       error         // for the log
}

// Error returns the code and the description.
func (e *Error) Error() string { return e.Code + ": " + e.Description }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Errorf returns an error with status 400.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Description: fmt.Sprintf(format, args...)}
}

// Write answers with the error as JSON. An error of another type is answered as server_error,
// without its text.
func Write(w http.ResponseWriter, err error) {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		e = &Error{Code: ServerError, Description: "internal error", Status: http.StatusInternalServerError}
	}
	status := e.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	h := w.Header()
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64((e.RetryAfter+time.Second-1)/time.Second), 10))
	}
	if e.Basic && status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Basic realm="token"`)
	}
	WriteJSON(w, status, struct {
		Error       string `json:"error"`
		Description string `json:"error_description,omitempty"`
	}{e.Code, e.Description})
}

// WriteJSON answers with the value as JSON that must not be cached.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // fails only if the client is gone
}

// MaxForm bounds a form, in bytes.
const MaxForm = 64 << 10

// ReadForm reads the known parameters of the body of a POST, a form. Others, and those of the URL,
// are ignored. An empty parameter is none, and only "resource" (RFC 8707) may occur twice
// (RFC 6749, section 3.2).
func ReadForm(w http.ResponseWriter, r *http.Request, known ...string) (url.Values, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, Errorf(InvalidRequest, "the Content-Type must be application/x-www-form-urlencoded")
	}
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	query := r.URL.RawQuery
	defer func() { r.URL.RawQuery = query }()
	r.URL.RawQuery = "" // ParseForm would add it
	if err := r.ParseForm(); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, &Error{Code: InvalidRequest, Description: fmt.Sprintf("the body is larger than %d bytes", MaxForm), Status: http.StatusRequestEntityTooLarge}
		}
		return nil, Errorf(InvalidRequest, "the body must be a form: names and values percent-encoded")
	}
	form := make(url.Values, len(known))
	for _, name := range known {
		values := slices.DeleteFunc(r.PostForm[name], func(s string) bool { return s == "" })
		if len(values) > 1 && name != "resource" {
			return nil, Errorf(InvalidRequest, "%s occurs twice; send it once", name)
		}
		if len(values) > 0 {
			form[name] = values
		}
	}
	return form, nil
}
