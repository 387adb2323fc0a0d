package entrawire

import (
	"bytes"
	"cmp"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

const (
	contentType = "application/x-www-form-urlencoded"
	// maxRequest bounds a request, in bytes.
	maxRequest = 1 << 20
)

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
