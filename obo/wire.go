package obo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

const (
	maxAnswer  = 1 << 20
	maxRequest = 1 << 20

	// The only request that may leave an exchanger (On-Behalf-Of, RFC 7523).
	grantJWT     = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	useOnBehalf  = "on_behalf_of"
	contentTypes = "application/json"
)

// answerError is an answer that can't be used. Its text holds nothing of the body.
type answerError struct {
	err     error
	passing bool // a new request may get a better one
}

func (e *answerError) Error() string { return e.err.Error() }
func (e *answerError) Unwrap() error { return e.err }

// notSentError is a request that an exchanger doesn't send.
type notSentError struct{ reason string }

func (e *notSentError) Error() string { return e.reason }

// wire is the HTTP client that MSAL gets for one exchange. It answers the
// discovery document from memory, lets exactly one kind of request out, and
// reads the answer itself: MSAL reads without bound, drops headers, puts whole
// bodies and the request, secret included, into its errors, and refuses tokens
// that live for less than five minutes. What it must not see, it doesn't get.
type wire struct {
	x       *Exchanger
	tenant  *tenant
	outcome outcome
}

// outcome is what came of the exchange: one of the three.
type outcome struct {
	success *success
	refusal *refusal
	err     error
}

// Do is the client's side of MSAL's interface.
func (w *wire) Do(req *http.Request) (*http.Response, error) {
	switch target := bareURL(req.URL); {
	case req.Method == http.MethodGet && target == w.x.host.MetadataV2(w.tenant.id):
		return jsonResponse(req, http.StatusOK, w.tenant.discovery), nil
	case req.Method == http.MethodPost && target == w.tenant.tokenURL:
		return w.exchange(req)
	default:
		w.outcome.err = &notSentError{fmt.Sprintf("a request to %s %s is not part of the exchange", req.Method, target)}
		return nil, w.outcome.err
	}
}

// CloseIdleConnections does nothing: the connections are shared.
func (w *wire) CloseIdleConnections() {}

func (w *wire) exchange(req *http.Request) (*http.Response, error) {
	if err := checkGrant(req); err != nil {
		w.outcome.err = &notSentError{err.Error()}
		return nil, err
	}
	req.Header.Set("Accept", contentTypes)
	resp, err := w.x.http.Do(req) // to the configured authority: Do has compared the URL
	if err != nil {
		w.outcome.err = err
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := readBounded(resp.Body)
	if err != nil {
		w.outcome.err = &answerError{err, errors.Is(err, errBrokeOff)}
		return nil, w.outcome.err
	}
	if resp.StatusCode != http.StatusOK || isRefusal(body) {
		f := parseRefusal(resp.StatusCode, resp.Header, body, w.x.now())
		if f.correlation == "" {
			f.correlation = req.Header.Get("client-request-id")
		}
		w.outcome.refusal = &f
		return jsonResponse(req, http.StatusBadRequest, []byte(`{}`)), nil
	}
	s, err := parseSuccess(body)
	if err != nil {
		w.outcome.err = &answerError{err, false}
		return nil, w.outcome.err
	}
	w.outcome.success = &s
	return jsonResponse(req, http.StatusOK, forMSAL(s)), nil
}

// forMSAL is the token response in the one form that MSAL accepts. Its cache
// lives as long as the exchange, and the lifetime that counts is in outcome.
func forMSAL(s success) []byte {
	b, _ := json.Marshal(map[string]any{ // strings and a number: no error possible
		"token_type":   "Bearer",
		"access_token": s.accessToken,
		"expires_in":   3600,
	})
	return b
}

// checkGrant is the last look at a request before it leaves: whatever MSAL does
// in this or a later version, an exchanger never asks for a token of the app's
// own (client_credentials), nor redeems a refresh token.
func checkGrant(req *http.Request) error {
	if req.GetBody == nil {
		return errors.New("the token request can't be inspected")
	}
	body, err := req.GetBody()
	if err != nil {
		return errors.New("the token request can't be inspected")
	}
	defer func() { _ = body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(body, maxRequest+1))
	if err != nil || len(raw) > maxRequest {
		return errors.New("the token request can't be inspected")
	}
	form, err := url.ParseQuery(string(raw))
	if err != nil {
		return errors.New("the token request can't be inspected")
	}
	for name, want := range map[string]string{"grant_type": grantJWT, "requested_token_use": useOnBehalf} {
		if got := form[name]; len(got) != 1 || got[0] != want {
			return fmt.Errorf("a token request whose %s is not %s is not sent", name, want)
		}
	}
	if len(form["assertion"]) != 1 || form.Get("assertion") == "" {
		return errors.New("a token request without the user's assertion is not sent")
	}
	return nil
}

// isRefusal finds an OAuth error under status 200.
func isRefusal(body []byte) bool {
	m, ok := decodeMembers(body)
	return ok && m.isSet("error") && (m.isText("error") || m.text("access_token") == "")
}

var errBrokeOff = errors.New("the answer broke off")

func readBounded(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBrokeOff, err)
	}
	if len(b) > maxAnswer {
		return nil, fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	}
	return b, nil
}

func bareURL(u *url.URL) string { return strings.ToLower(u.Scheme+"://"+u.Host) + u.EscapedPath() }

func jsonResponse(req *http.Request, status int, body []byte) *http.Response {
	return &http.Response{
		Status:        http.StatusText(status),
		StatusCode:    status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        http.Header{"Content-Type": {contentTypes}},
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)),
		Request:       req,
	}
}
