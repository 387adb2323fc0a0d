package mcpclient

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

// A SignIn returns a token for what a refused request's challenge demands.
type SignIn func(ctx context.Context, challenge http.Header) (token string, err error)

// A transport sends the token with each request, signs in where the server demands it, and
// remembers the last refusal, because the SDK's errors lack the status and the challenge.
type transport struct {
	next   http.RoundTripper
	signIn SignIn // nil if there is only the token

	mu      sync.Mutex
	token   string
	refusal *refusal
	failed  error // of the sign-in
}

// A refusal is a response with status 400 or higher.
type refusal struct {
	status    string
	challenge string
	text      string
}

// maxResponse limits a response, in bytes: it is read into memory.
const maxResponse = 64 << 20

// maxRefusal limits how much of an error response is read, in bytes.
const maxRefusal = 64 << 10

// RoundTrip implements [http.RoundTripper]. A request that is refused for its token is sent again
// after a sign-in: twice at most, for the first token and for one step up.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	const attempts = 3
	for attempt := 1; ; attempt++ {
		token := t.current()
		response, err := t.send(r, token)
		if err != nil || !isForToken(response) || t.signIn == nil || attempt == attempts || r.Body != nil && r.GetBody == nil {
			return response, err
		}
		if err := t.renew(r.Context(), token, response.Header); err != nil {
			return response, nil //nolint:nilerr // explain returns it with the refusal
		}
	}
}

// isForToken reports whether another token may help.
func isForToken(response *http.Response) bool {
	return response.StatusCode == http.StatusUnauthorized ||
		response.StatusCode == http.StatusForbidden && strings.Contains(response.Header.Get("WWW-Authenticate"), `error="insufficient_scope"`)
}

func (t *transport) current() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.token
}

// renew signs in, unless another request has done so since the token was sent. One user is asked
// at a time.
func (t *transport) renew(ctx context.Context, sent string, challenge http.Header) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token != sent {
		return nil
	}
	if t.failed == nil { // ask once: the user may have closed the page
		t.token, t.failed = t.signIn(ctx, challenge)
	}
	return t.failed
}

// send sends a copy of the request with the token.
func (t *transport) send(r *http.Request, token string) (*http.Response, error) {
	again := r.Clone(r.Context())
	if r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		again.Body = body
	}
	if token != "" {
		again.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := t.next.RoundTrip(again)
	if err == nil && response.StatusCode < http.StatusBadRequest {
		response.Body = http.MaxBytesReader(nil, response.Body, maxResponse)
	}
	if err != nil || response.StatusCode < http.StatusBadRequest {
		t.remember(nil)
		return response, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxRefusal))
	_ = response.Body.Close()
	if err != nil {
		body = nil // the status is enough
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	t.remember(&refusal{response.Status, response.Header.Get("WWW-Authenticate"), refusalText(body)})
	return response, nil
}

// remember keeps the refusal until the next response.
func (t *transport) remember(r *refusal) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refusal = r
}

// refusalText returns the message of a JSON-RPC error, or else the whole body.
func refusalText(body []byte) string {
	var message struct{ Error struct{ Message string } }
	if json.Unmarshal(body, &message) == nil && message.Error.Message != "" {
		return message.Error.Message
	}
	return strings.TrimSpace(string(body))
}

// explain adds the server's response to an error, or why nobody could sign in.
func (t *transport) explain(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err == nil:
		return nil
	case t.failed != nil:
		return t.failed
	case t.refusal == nil:
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "the server answered %s", t.refusal.status)
	if t.refusal.text != "" {
		fmt.Fprintf(&b, ": %s", t.refusal.text)
	}
	if t.refusal.challenge != "" {
		fmt.Fprintf(&b, "\nWWW-Authenticate: %s", t.refusal.challenge)
	}
	if t.token == "" && t.signIn == nil && t.refusal.challenge != "" {
		b.WriteString("\nNo token was given, and there is no terminal to ask at: add -browser or -device to sign in, or name a token with -token")
	}
	return &refusedError{b.String(), err}
}

// A refusedError is an error that prints the server's response.
type refusedError struct {
	text  string
	cause error
}

func (e *refusedError) Error() string { return e.text }
func (e *refusedError) Unwrap() error { return e.cause }
