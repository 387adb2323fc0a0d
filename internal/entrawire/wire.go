// Package entrawire talks to Entra ID's token endpoint. Each user of it names the
// grants that it may send; nothing else leaves, whoever builds the request. Answers
// are read with bounds, and what a caller gets of them has been checked: no error
// holds an answer's text, a secret or a token.
//
//	client := entrawire.New(httpClient, time.Now, entrawire.OnBehalfOf)
//	tokens, err := client.Post(ctx, tokenURL, form)
//
// An error is a [*RefusalError], Entra's own; an [*AnswerError], an answer that can't be
// used; a [*NotSentError]; or that of the connection.
package entrawire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxAnswer bounds an answer, in bytes.
const maxAnswer = 1 << 20

// A Client sends token requests of its grants. It is safe for concurrent use.
type Client struct {
	http *http.Client
	now  func() time.Time
}

// New returns a client on base, which may be nil: see [Bounded]. It sends requests of
// the given grants alone.
func New(base *http.Client, now func() time.Time, grants ...Grant) *Client {
	c := Bounded(base)
	c.Transport = gate{c.Transport, grants}
	return &Client{c, now}
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
			return nil, unsent // without the URL, which is not why
		}
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := readBounded(resp.Body)
	if err != nil {
		return nil, err
	}
	s, err := Parse(resp.StatusCode, resp.Header, body, c.now())
	if r, ok := errors.AsType[*RefusalError](err); ok {
		r.RequestID = req.Header.Get("client-request-id")
	}
	return s, err
}

// readBounded returns an answer's body.
func readBounded(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxAnswer+1))
	switch {
	case err != nil:
		return nil, &AnswerError{fmt.Errorf("the answer broke off: %w", err), true}
	case len(b) > maxAnswer:
		return nil, &AnswerError{fmt.Errorf("the answer has more than %d bytes", maxAnswer), false}
	}
	return b, nil
}

// An AnswerError is an answer that can't be used. Its text holds nothing of the body.
type AnswerError struct {
	Err       error
	Transient bool // a new request may get a better one
}

func (e *AnswerError) Error() string { return e.Err.Error() }

// Unwrap returns why.
func (e *AnswerError) Unwrap() error { return e.Err }

// A NotSentError is a request that was not sent.
type NotSentError struct{ Reason string }

func (e *NotSentError) Error() string { return e.Reason }
