//go:build unix

package mcpclients_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"github.com/mcpentra/mcp-entra-go/interop/mcpclients/s256"
)

// The SDK's own client, with its own sign-in.
func TestSDK(t *testing.T) {
	for _, c := range []struct {
		protocol string
		sessions bool
	}{{"2026-07-28", false}, {"2025-11-25", true}} {
		t.Run(c.protocol, func(t *testing.T) {
			s := newStage(t, c.sessions)
			client := s.newSDKClient(t, c.protocol, s256.Transport{Next: s.tenant.HTTPClient().Transport})
			if got := client.session.InitializeResult().ProtocolVersion; got != c.protocol {
				t.Errorf("speaks %s", got)
			}
			if got := listed(t, client.session); got != s.tools {
				t.Errorf("list: %q, want %q", got, s.tools)
			}
			for _, step := range []string{"call", "consent", "count", "greet", "delete", "expiry", "write", "whoami"} {
				if got := client.do(t, step); got != allWell[step] {
					t.Errorf("%s: %q, want %q", step, got, allWell[step])
				}
			}
			if grants := s.grants(); grants != signsInAgain {
				t.Errorf("tokens by %s", grants)
			}
			s.checkLog(t)
		})
	}
}

// By itself the SDK's client refuses Entra, whose metadata don't say that it knows
// PKCE, as the authorization specification wants of clients (Authorization Code
// Protection). An application gives it an HTTP client that adds what is missing,
// as package s256 does. If this fails, say so in the docs.
func TestSDKRefusesEntraAsItIs(t *testing.T) {
	s := newStage(t, false)
	_, err := s.connectSDK(t, "2026-07-28", s.tenant.HTTPClient().Transport, &mcp.ClientOptions{})
	if err == nil || !strings.Contains(err.Error(), "does not implement PKCE") {
		t.Errorf("connected: %v", err)
	}
}

type sdkClient struct {
	stage    *stage
	session  *mcp.ClientSession
	progress chan float64
	done     chan string // ids of elicitations that the server says are done
}

func (s *stage) newSDKClient(t *testing.T, protocol string, entra http.RoundTripper) *sdkClient {
	t.Helper()
	c := &sdkClient{stage: s, progress: make(chan float64, 10), done: make(chan string, 10)}
	session, err := s.connectSDK(t, protocol, entra, &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{
			Form: &mcp.FormElicitationCapabilities{}, URL: &mcp.URLElicitationCapabilities{},
		}},
		ElicitationHandler: c.answer,
		ElicitationCompleteHandler: func(_ context.Context, r *mcp.ElicitationCompleteNotificationRequest) {
			c.done <- r.Params.ElicitationID
		},
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
			c.progress <- r.Params.Progress
		},
	})
	must(t, err)
	c.session = session
	return c
}

func (s *stage) connectSDK(t *testing.T, protocol string, entra http.RoundTripper, options *mcp.ClientOptions) (*mcp.ClientSession, error) {
	t.Helper()
	handler, err := auth.NewAuthorizationCodeHandler(&auth.AuthorizationCodeHandlerConfig{
		PreregisteredClient: &oauthex.ClientCredentials{ClientID: s.client.ClientID},
		RedirectURL:         "http://localhost:33418/callback",
		Client:              &http.Client{Transport: entra},
		AuthorizationCodeFetcher: func(ctx context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
			back, err := s.open(ctx, args.URL)
			if err != nil {
				return nil, err
			}
			q := back.Query()
			return &auth.AuthorizationResult{Code: q.Get("code"), State: q.Get("state"), Iss: q.Get("iss")}, nil
		},
	})
	must(t, err)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	session, err := mcp.NewClient(&mcp.Implementation{Name: "sdk", Version: "1"}, options).Connect(t.Context(),
		&mcp.StreamableClientTransport{Endpoint: s.url, HTTPClient: &http.Client{Transport: transport}, OAuthHandler: handler, MaxRetries: -1},
		&mcp.ClientSessionOptions{ProtocolVersion: protocol})
	if err == nil {
		t.Cleanup(func() { _ = session.Close() })
	}
	return session, err
}

// answer does what the server asks of the user.
func (c *sdkClient) answer(ctx context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
	if r.Params.Mode == "url" {
		return &mcp.ElicitResult{Action: "accept"}, c.stage.visit(ctx, r.Params.URL)
	}
	if strings.Contains(r.Params.Message, "delete_blob") {
		return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"confirm": strings.Contains(r.Params.Message, "yes.txt")}}, nil
	}
	return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"name": "Alice"}}, nil
}

// do does one step, as the scripts do.
func (c *sdkClient) do(t *testing.T, step string) string {
	t.Helper()
	switch step {
	case "consent":
		return member(t, c.call(t, "read_blob_with_token", map[string]any{"blob_path": "hello.txt"}), "text")
	case "count":
		text := c.call(t, "count", nil)
		return fmt.Sprint(next(t, c.progress), " ", next(t, c.progress), " ", next(t, c.progress), " ", text)
	case "greet":
		return c.call(t, "greet", nil)
	case "delete":
		var ends []string
		for _, path := range []string{"yes.txt", "no.txt"} {
			etag := member(t, c.call(t, "stat_blob", map[string]any{"blob_path": path}), "etag")
			result := c.call(t, "delete_blob", map[string]any{"blob_path": path, "if_match": etag})
			ends = append(ends, strings.TrimSpace(member(t, result, "outcome")+" "+member(t, result, "reason")))
		}
		return strings.Join(ends, ", ")
	case "expiry":
		c.stage.later()
		return member(t, c.call(t, "secure_ping", nil), "message")
	case "write":
		return c.call(t, "write_note", nil)
	case "whoami":
		var info struct {
			Claims struct{ UPN string } `json:"user_claims"`
		}
		must(t, json.Unmarshal([]byte(c.call(t, "get_user_info", nil)), &info))
		return info.Claims.UPN
	}
	return member(t, c.call(t, "secure_ping", nil), "message")
}

func member(t *testing.T, object, name string) string {
	t.Helper()
	var m map[string]any
	must(t, json.Unmarshal([]byte(object), &m))
	text, _ := m[name].(string)
	return text
}

// next waits for the server's next word.
func next[T any](t *testing.T, words <-chan T) T {
	t.Helper()
	select {
	case word := <-words:
		return word
	case <-time.After(time.Minute):
		t.Fatal("the server has told nothing")
		panic("unreachable")
	}
}

// call calls a tool. Where the server first wants the user to open a page, and has
// no result for that, it opens it, and waits until the server says that it is done.
func (c *sdkClient) call(t *testing.T, tool string, args map[string]any) string {
	t.Helper()
	params := &mcp.CallToolParams{Name: tool, Arguments: args}
	params.SetProgressToken(tool)
	result, err := c.session.CallTool(t.Context(), params)
	if rpc, ok := errors.AsType[*jsonrpc.Error](err); ok && rpc.Code == mcp.CodeURLElicitationRequired {
		var data struct{ Elicitations []mcp.ElicitParams }
		must(t, json.Unmarshal(rpc.Data, &data))
		for _, e := range data.Elicitations {
			must(t, c.stage.visit(t.Context(), e.URL))
			if done := next(t, c.done); done != e.ElicitationID {
				t.Errorf("elicitation %s is done, want %s", done, e.ElicitationID)
			}
		}
		result, err = c.session.CallTool(t.Context(), params)
	}
	must(t, err)
	return result.Content[0].(*mcp.TextContent).Text
}
