package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

// A watcher sends the token with each request and remembers the last error response, because the
// SDK's errors lack the status and the challenge.
type watcher struct {
	token string
	next  http.RoundTripper

	mu      sync.Mutex
	refusal *refusal
}

// A refusal is a response with status 400 or higher.
type refusal struct {
	status    string
	challenge string
	text      string
}

// maxRefusal limits how much of an error response is read, in bytes.
const maxRefusal = 64 << 10

// RoundTrip implements [http.RoundTripper].
func (w *watcher) RoundTrip(r *http.Request) (*http.Response, error) {
	if w.token != "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+w.token)
	}
	response, err := w.next.RoundTrip(r)
	if err != nil || response.StatusCode < 400 {
		w.remember(nil)
		return response, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxRefusal))
	_ = response.Body.Close()
	if err != nil {
		body = nil // the status is enough
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	w.remember(&refusal{response.Status, response.Header.Get("WWW-Authenticate"), refusalText(body)})
	return response, nil
}

// remember keeps the refusal until the next response.
func (w *watcher) remember(r *refusal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refusal = r
}

// refusalText returns the message of a JSON-RPC error, or else the whole body.
func refusalText(body []byte) string {
	var message struct{ Error struct{ Message string } }
	if json.Unmarshal(body, &message) == nil && message.Error.Message != "" {
		return message.Error.Message
	}
	return strings.TrimSpace(string(body))
}

// explain adds the server's response to an error.
func (w *watcher) explain(err error) error {
	if err == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refusal == nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "the server answered %s", w.refusal.status)
	if w.refusal.text != "" {
		fmt.Fprintf(&b, ": %s", w.refusal.text)
	}
	if w.refusal.challenge != "" {
		fmt.Fprintf(&b, "\nWWW-Authenticate: %s", w.refusal.challenge)
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
