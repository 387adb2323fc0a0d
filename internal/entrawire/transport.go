package entrawire

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const (
	contentType = "application/x-www-form-urlencoded"
	// maxRequest bounds a request, in bytes.
	maxRequest = 1 << 20
)

// A Grant is a kind of token request.
type Grant struct {
	grantType string
	fixed     map[string]string // parameters that must have one value
	needs     string            // the parameter that must be present, with any value
	refreshes bool              // its user keeps the refresh tokens
}

// The grants that this module uses. There is none for a token for the app itself
// (client_credentials).
var (
	// OnBehalfOf exchanges a user's token (RFC 7523, with Entra's extension).
	OnBehalfOf = Grant{"urn:ietf:params:oauth:grant-type:jwt-bearer", map[string]string{"requested_token_use": "on_behalf_of"}, "assertion", false}
	// AuthorizationCode redeems a code (RFC 6749, section 4.1.3).
	AuthorizationCode = Grant{"authorization_code", nil, "code", true}
	// RefreshToken redeems a refresh token (RFC 6749, section 6).
	RefreshToken = Grant{"refresh_token", nil, "refresh_token", true}
)

// check says why a form, whose parameters stand once each, is not a request of the grant.
func (g Grant) check(form url.Values) error {
	want := maps.Clone(g.fixed)
	if want == nil {
		want = map[string]string{}
	}
	want["grant_type"] = g.grantType
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if form.Get(name) != want[name] {
			return fmt.Errorf("not sent: a token request must have the %s %s", name, want[name])
		}
	}
	if form.Get(g.needs) == "" {
		return fmt.Errorf("not sent: a token request must have a %s", g.needs)
	}
	return nil
}

// repeated reports whether a parameter appears twice (RFC 6749, section 3.2), also in
// another spelling that a server may take for the same: "GRANT_TYPE", "grant_type[]".
func repeated(form url.Values) bool {
	seen := make(map[string]bool)
	for name, values := range form {
		name = strings.Map(func(r rune) rune {
			if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' {
				return r
			}
			return -1
		}, strings.ToLower(strings.ToUpper(name)))
		if len(values) != 1 || seen[name] {
			return true
		}
		seen[name] = true
	}
	return false
}

// gate checks each request before it is sent. It sends exactly the bytes that it has
// checked, whatever GetBody returns.
type gate struct {
	next   http.RoundTripper
	grants []Grant
}

func (g gate) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := readForm(req)
	if err == nil {
		err = g.check(body)
	}
	if err != nil {
		return nil, err
	}
	req = req.Clone(req.Context())
	req.Body = io.NopCloser(bytes.NewReader(body))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	req.ContentLength, req.TransferEncoding = int64(len(body)), nil
	return g.next.RoundTrip(req)
}

// check returns why the request is of none of the grants: the error of the grant that it
// names, or else of the first.
func (g gate) check(body []byte) error {
	form, err := url.ParseQuery(string(body))
	switch {
	case err != nil:
		return errUnreadable
	case repeated(form):
		return &NotSentError{"not sent: a token request must not repeat a parameter"}
	}
	var fault error
	for _, grant := range g.grants {
		err := grant.check(form)
		if err == nil {
			return nil
		}
		if fault == nil || form.Get("grant_type") == grant.grantType {
			fault = err
		}
	}
	if fault == nil {
		return &NotSentError{"not sent: no grants are allowed"}
	}
	return &NotSentError{fault.Error()}
}

var errUnreadable = &NotSentError{"not sent: a token request must be a plain form POST"}

func readForm(req *http.Request) ([]byte, error) {
	if req.Body == nil {
		return nil, errUnreadable
	}
	defer func() { _ = req.Body.Close() }()
	kind, params, err := mime.ParseMediaType(strings.Join(req.Header.Values("Content-Type"), ", "))
	if err != nil || kind != contentType || !strings.EqualFold(cmp.Or(params["charset"], "utf-8"), "utf-8") ||
		req.Header.Get("Content-Encoding") != "" || req.Method != http.MethodPost || req.URL.RawQuery != "" {
		return nil, errUnreadable
	}
	body, err := io.ReadAll(io.LimitReader(req.Body, maxRequest+1))
	if err != nil || len(body) > maxRequest {
		return nil, errUnreadable
	}
	return body, nil
}

// Bounded returns a copy of the client, which may be nil, that follows no redirects, keeps
// no cookies and bounds responses. A redirect would send the app's secret and the user's
// token to another host, and cookies would link different users' requests.
func Bounded(c *http.Client) *http.Client {
	var own http.Client
	if c != nil {
		own = *c
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	own.Jar = nil
	if own.Transport == nil {
		own.Transport = http.DefaultTransport
	}
	own.Transport = bounded{own.Transport}
	return &own
}

// bounded bounds responses for azidentity and MSAL, which read without a limit.
type bounded struct{ next http.RoundTripper }

func (t bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	if err == nil {
		// One byte more, so that readBounded reports it with a better error.
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer+1)
	}
	return resp, err
}
