// Package entrawire is a client for Entra ID's token endpoint. It sends only requests of
// the grants that its user names, whoever builds the request. It bounds and checks
// responses; no error contains a response's text, a secret or a token.
//
//	client := entrawire.New(httpClient, time.Now, entrawire.OnBehalfOf)
//	tokens, err := client.Post(ctx, tokenURL, form)
//
// An error is a [*RefusalError] (Entra's own), an [*AnswerError] (an unusable response), a
// [*NotSentError], or the connection's.
package entrawire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// maxAnswer bounds a response, in bytes.
const maxAnswer = 1 << 20

// A Client sends token requests. It is safe for concurrent use.
type Client struct {
	http         *http.Client
	now          func() time.Time
	keepsRefresh bool
}

// New returns a client based on base, which may be nil (see [Bounded]), that sends only
// requests of the given grants. It returns refresh tokens only if all of them are for a user's
// sign-in: whoever exchanges tokens on behalf of users never holds one.
func New(base *http.Client, now func() time.Time, grants ...Grant) *Client {
	c := Bounded(base)
	c.Transport = gate{c.Transport, grants}
	without := slices.ContainsFunc(grants, func(g Grant) bool { return !g.refreshes })
	return &Client{c, now, len(grants) > 0 && !without}
}

// Post sends a form to a token endpoint.
func (c *Client) Post(ctx context.Context, tokenURL string, form url.Values) (*Success, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, tokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, &NotSentError{"the token endpoint's URL can't be used"}
	}
	req.Header.Set("Content-Type", contentType)
	return c.Send(req)
}

// Send sends a token request that somebody else has built.
func (c *Client) Send(req *http.Request) (*Success, error) {
	req.Header.Set("Accept", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		if unsent, ok := errors.AsType[*NotSentError](err); ok {
			return nil, unsent // without the URL that net/http adds
		}
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := readBounded(resp.Body)
	if err != nil {
		return nil, err
	}
	s, err := parse(resp.StatusCode, resp.Header, body, c.now(), c.keepsRefresh)
	if r, ok := errors.AsType[*RefusalError](err); ok {
		r.RequestID = req.Header.Get("client-request-id")
	}
	return s, err
}

// readBounded reads a response body.
func readBounded(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxAnswer+1))
	switch {
	case err != nil:
		return nil, &AnswerError{fmt.Errorf("the response broke off: %w", err), true}
	case len(b) > maxAnswer:
		return nil, &AnswerError{fmt.Errorf("the response has more than %d bytes", maxAnswer), false}
	}
	return b, nil
}

// An AnswerError is an unusable response. Its text contains nothing of the body.
type AnswerError struct {
	Err       error
	Transient bool // a retry may help
}

func (e *AnswerError) Error() string { return e.Err.Error() }

// Unwrap returns the reason.
func (e *AnswerError) Unwrap() error { return e.Err }

// A NotSentError is a request that was not sent.
type NotSentError struct{ Reason string }

func (e *NotSentError) Error() string { return e.Reason }
