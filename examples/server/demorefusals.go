package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A refused is the server's answer to a request that it refuses.
type refused struct {
	status    int
	challenge string
	message   string
}

// send sends a request with the client, and returns the refusal.
func (t *tour) send(ctx context.Context, client *http.Client, body string) (refused, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, strings.NewReader(body))
	if err != nil {
		return refused{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json, text/event-stream")
	response, err := client.Do(request)
	if err != nil {
		return refused{}, err
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct{ Error struct{ Message string } }
	if err := json.NewDecoder(io.LimitReader(response.Body, 64<<10)).Decode(&answer); err != nil {
		return refused{}, fmt.Errorf("the body is not JSON: %w", err)
	}
	return refused{response.StatusCode, response.Header.Get("WWW-Authenticate"), answer.Error.Message}, nil
}

// show adds the refusal to the notes.
func (r refused) show(n *notes) {
	n.add("status", fmt.Sprint(r.status, " ", http.StatusText(r.status)))
	n.add("challenge", strings.ReplaceAll(r.challenge, ", ", ",\n"))
	n.add("error", foldWords(r.message, 80))
}

func (t *tour) withoutToken(ctx context.Context, n *notes) error {
	r, err := t.send(ctx, t.world.tenant.HTTPClient(), `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
	if err != nil {
		return err
	}
	r.show(n)
	if !strings.HasPrefix(r.challenge, "Bearer ") {
		return errors.New("expected a Bearer challenge")
	}
	return expect("status", r.status, http.StatusUnauthorized)
}

// stepUp shows how a client learns that a tool needs more: from the challenge.
func (t *tour) stepUp(ctx context.Context, n *notes) error {
	r, err := t.send(ctx, t.world.clientOf(t.world.alice),
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_azure_blob_storage_token","arguments":{}}}`)
	if err != nil {
		return err
	}
	r.show(n)
	if !strings.Contains(r.challenge, `error="insufficient_scope"`) || !strings.Contains(r.challenge, "/"+tokenScope+`"`) {
		return errors.New("expected a challenge for " + tokenScope)
	}
	return expect("status", r.status, http.StatusForbidden)
}

func (t *tour) bobIsRefused(ctx context.Context, n *notes) error {
	var out blobOutput
	err := call(ctx, t.bob, "read_blob_with_token", map[string]any{"blob_path": reportBlob}, &out)
	if err == nil {
		return errors.New("it was not refused")
	}
	var refused toolError
	if !errors.As(err, &refused) {
		return err
	}
	n.add("error", foldWords(string(refused), 80))
	if !strings.Contains(string(refused), "AuthorizationPermissionMismatch") {
		return errors.New("expected Azure's code AuthorizationPermissionMismatch")
	}
	return nil
}

// consent shows how a user is asked for consent during a call: the client opens a page in the
// browser, and the call goes on.
func (t *tour) consent(ctx context.Context, n *notes) error {
	w, asked := t.world, 0
	session, err := connect(ctx, t.url, w.clientOf(w.carol), &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}},
		ElicitationHandler: func(ctx context.Context, request *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			asked++
			question, _, _ := strings.Cut(request.Params.Message, " If an administrator")
			n.add("asked", foldWords(question, 80))
			if err := t.consentAt(ctx, request.Params.URL); err != nil {
				return nil, err
			}
			n.add("then", "Carol opens the page at Entra, consents, and is sent to /consent/done")
			return &mcp.ElicitResult{Action: "accept"}, nil
		},
	})
	if err != nil {
		return err
	}
	defer func() { _ = session.Close() }()
	var out blobOutput
	if err := call(ctx, session, "read_blob_with_token", map[string]any{"blob_path": readmeBlob}, &out); err != nil {
		return err
	}
	n.add("text", out.Text)
	return expect("number of questions", asked, 1)
}

// consentAt is Carol at her browser.
func (t *tour) consentAt(ctx context.Context, page string) error {
	back, err := t.world.tenant.Browser(t.world.carol).Open(ctx, page)
	if err != nil {
		return err
	}
	origin, err := url.Parse(t.url)
	if err != nil {
		return err
	}
	back.Scheme, back.Host = origin.Scheme, origin.Host // where the server is, whatever it calls itself
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, back.String(), nil)
	if err != nil {
		return err
	}
	response, err := t.world.tenant.HTTPClient().Do(request)
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	return expect("status of the page after the consent", response.StatusCode, http.StatusOK)
}
