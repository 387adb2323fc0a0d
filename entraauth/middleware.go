package entraauth

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/bridge"
)

// A BearerCheck says how one endpoint is protected.
type BearerCheck struct {
	// Policy is needed besides the verifier's own. The zero value adds nothing.
	Policy Policy
	// ResourceMetadata is the URL of the protected resource metadata (RFC 9728) that
	// challenges name, as [ResourceMetadata.URL] returns it. Empty leaves it out. Its
	// resource decides the form of the challenge's scopes ([Verifier.ScopesFor]).
	ResourceMetadata string
	// Scopes are what challenges ask for, as [Verifier.ScopesFor] returns them. Defaults to
	// those for the policy. They are for [Verifier.Refuse], where a request is under several
	// policies: one challenge must ask for all that the request needs.
	Scopes []string
	// AuthorizationEndpoint is the URL at which users sign in, for authorization_uri of
	// claims challenges. Defaults to Entra's for the home tenant.
	AuthorizationEndpoint string
	// WriteBody writes the body of a refusal, after the headers are set; it must
	// call WriteHeader with the status. Only e.Error() may go to the caller.
	// Defaults to a JSON object with error, error_description and reason.
	WriteBody func(w http.ResponseWriter, r *http.Request, status int, e *Error)
	// OnRefusal is called before each refusal is answered, in place of the
	// verifier's line in the log.
	OnRefusal func(r *http.Request, status int, e *Error)
}

// Middleware lets requests with a good token through to the next handler, whose
// request context carries the caller ([FromContext]), and answers all others
// itself. A nil BearerCheck is the zero BearerCheck.
func (v *Verifier) Middleware(check *BearerCheck) func(http.Handler) http.Handler {
	check = check.complete()
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			id, err := v.FromRequest(r)
			if err == nil {
				err = check.Policy.Check(id)
			}
			if err != nil {
				v.refuse(w, r, check, err)
				return
			}
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), bridge.CallerKey{}, (*arrived)(id))))
		})
	}
}

// Refuse answers a request with the error: status, challenge, body and a line
// in the log. An error that is not an *[Error] is answered 500 without its text.
func (v *Verifier) Refuse(w http.ResponseWriter, r *http.Request, check *BearerCheck, err error) {
	v.refuse(w, r, check.complete(), err)
}

// complete returns a copy that shares nothing with check and has all defaults.
func (check *BearerCheck) complete() *BearerCheck {
	var c BearerCheck
	if check != nil {
		c = *check
		c.Policy, c.Scopes = c.Policy.clone(), slices.Clone(c.Scopes)
	}
	if c.WriteBody == nil {
		c.WriteBody = writeJSON
	}
	return &c
}

// FromRequest takes the bearer token from the Authorization header of r and
// verifies it. It never reads a token from anywhere else, such as the body, and rejects
// one in the query string, because URLs end up in logs (RFC 6750 section 2.3,
// RFC 9700 section 4.3.2). The error is an *[Error].
func (v *Verifier) FromRequest(r *http.Request) (*Identity, error) {
	token, err := bearer(r)
	if err != nil {
		return nil, err
	}
	return v.Verify(r.Context(), token)
}

// bearer returns the token of the request's only Authorization header. Its errors
// describe any other header by the name of a known scheme or by its length: every
// other part of the value may be a credential.
func bearer(r *http.Request) (string, error) {
	if r.URL != nil && hasAccessToken(r.URL.RawQuery) {
		return "", invalidRequest(tokenInQuery, "it in the Authorization header alone", "")
	}
	headers := r.Header.Values("Authorization")
	switch len(headers) {
	case 0:
		return "", noToken("")
	case 1:
	default:
		return "", invalidRequest(severalHeaders, "one", fmt.Sprintf("%d headers", len(headers)))
	}
	scheme, token, spaced := strings.Cut(headers[0], " ")
	token = strings.Trim(token, " \t")
	has := func(c byte) bool { return strings.IndexByte(token, c) >= 0 } // much faster than ContainsAny on 2 KB
	switch {
	case !strings.EqualFold(scheme, "Bearer"):
		return "", noToken(describeHeader(headers[0]))
	case !spaced || token == "":
		return "", noToken("an empty token")
	case has(' ') || has('\t') || has(','):
		return "", invalidRequest(severalValues, "one token", "")
	}
	return token, nil
}

// hasAccessToken reports whether a query string has the parameter access_token,
// in any spelling that some reader of it may accept.
func hasAccessToken(query string) bool {
	for query != "" {
		var parameter string
		if i := strings.IndexAny(query, "&;"); i >= 0 {
			parameter, query = query[:i], query[i+1:]
		} else {
			parameter, query = query, ""
		}
		name, _, _ := strings.Cut(parameter, "=")
		if decoded, err := url.QueryUnescape(name); err == nil {
			name = decoded
		}
		if strings.EqualFold(strings.TrimSpace(name), "access_token") {
			return true
		}
	}
	return false
}

func (v *Verifier) refuse(w http.ResponseWriter, r *http.Request, check *BearerCheck, err error) {
	var e *Error
	if !errors.As(err, &e) {
		v.log.LogAttrs(r.Context(), slog.LevelError, "request failed", slog.String("path", actual(r.URL.Path)), slog.Any("error", err))
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	resource := resourceOf(check.ResourceMetadata)
	e = v.forResource(e, resource)
	status, _ := e.answer()
	if check.OnRefusal == nil {
		v.logRefusal(r, e)
	} else {
		check.OnRefusal(r, status, e)
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if c := v.challenge(check, resource, e); c != "" {
		h.Set("WWW-Authenticate", c)
	}
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
	check.WriteBody(w, r, status, e)
}

// maxDescription bounds error_description, in bytes.
const maxDescription = 256

// challenge returns the value of WWW-Authenticate for the error (RFC 6750
// section 3, RFC 9728 section 5.1), or "" if no token would help.
func (v *Verifier) challenge(check *BearerCheck, resource string, e *Error) string {
	status, code := e.answer()
	if status == http.StatusServiceUnavailable {
		return ""
	}
	var params []string
	add := func(name, value string) {
		if value != "" {
			params = append(params, name+`="`+quotable(value)+`"`)
		}
	}
	if e.Claims != "" {
		// Microsoft's form of a claims challenge, with the names that its clients look for.
		params = append(params, `realm=""`)
		add("authorization_uri", cmp.Or(check.AuthorizationEndpoint, v.authorizeURL()))
		add("claims", base64.StdEncoding.EncodeToString([]byte(e.Claims)))
	}
	if code != "" {
		add("error", code)
		add("error_description", describe(e.Error()))
	}
	if code != "access_denied" && code != "invalid_request" { // no scope helps there
		scopes := check.Scopes
		if scopes == nil {
			scopes = v.ScopesFor(resource, check.Policy)
		}
		add("scope", strings.Join(scopes, " "))
	}
	add("resource_metadata", check.ResourceMetadata)
	return "Bearer " + strings.Join(params, ", ")
}

// describe cuts a text to what error_description may hold, at a word's end.
func describe(s string) string {
	s = quotable(s)
	if len(s) <= maxDescription {
		return s
	}
	s = s[:maxDescription]
	if i := strings.LastIndexByte(s, ' '); i > 0 {
		s = s[:i]
	}
	return s
}

// quotable keeps the characters that RFC 6750 section 3 allows in a quoted
// parameter, and replaces the others so that the text stays readable.
func quotable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r == '\\':
			return '/'
		case r < 0x20 || r > 0x7e:
			return '?'
		}
		return r
	}, s)
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
	_ = enc.Encode(body)     // an error means that the client is gone
}
