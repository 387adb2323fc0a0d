package mcpauth_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth/mcpauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

// call sends a call of whoami as the holder of the authorization, in the session if
// there is one.
func call(t *testing.T, url, authorization, session string) (status int, body string) {
	t.Helper()
	status, _, body = send(t, http.MethodPost, url, authorization, session, callWhoami)
	return status, body
}

func TestBothHalves(t *testing.T) {
	t.Parallel()
	for _, stateless := range []bool{false, true} {
		f := newFixture(t)
		f.server.AddReceivingMiddleware(mcpauth.Receive)
		s := httptest.NewServer(f.guarded(mcpauth.Bridge(f.handler(stateless))))
		t.Cleanup(s.Close)
		id := ""
		if !stateless {
			id = session(t, s.URL, f.bearer(f.alice))
		}
		if status, body := call(t, s.URL, f.bearer(f.alice), id); status != 200 || !strings.Contains(body, f.alice.ObjectID+" Bearer verified") {
			t.Errorf("stateless %v: Alice's call: %d %s, want 200 and her object id", stateless, status, body)
		}
		status, body := call(t, s.URL, f.bearer(f.bob), id)
		if stateless {
			if status != 200 || !strings.Contains(body, f.bob.ObjectID) {
				t.Errorf("Bob's call: %d %s, want 200 and his object id", status, body)
			}
		} else if status != http.StatusForbidden { // the SDK binds the session to the UserID that Bridge sets
			t.Errorf("Bob's call in Alice's session: %d %s, want 403", status, body)
		}
	}
}

// Without Receive, no call has a caller, and a tool that asks says what is missing.
func TestReceiveMissing(t *testing.T) {
	t.Parallel()
	for _, stateless := range []bool{false, true} {
		f := newFixture(t)
		s := httptest.NewServer(f.guarded(mcpauth.Bridge(f.handler(stateless))))
		t.Cleanup(s.Close)
		id := ""
		if !stateless {
			id = session(t, s.URL, f.bearer(f.alice))
		}
		status, body := call(t, s.URL, f.bearer(f.alice), id)
		if status != 200 || !strings.Contains(body, `"isError":true`) || !strings.Contains(body, "add server.AddReceivingMiddleware(mcpauth.Receive)") {
			t.Errorf("stateless %v: %d %s, want an error that names Receive", stateless, status, body)
		}
		if strings.Contains(body, f.alice.ObjectID) {
			t.Errorf("stateless %v: the tool got a caller: %s", stateless, body)
		}
	}
}

// Without Bridge, every request over HTTP fails; the log says what is missing, once, and
// the client is told little.
func TestBridgeMissing(t *testing.T) { // not parallel: the default logger is the process's
	var log bytes.Buffer
	old := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	t.Cleanup(func() { slog.SetDefault(old) })
	for _, stateless := range []bool{false, true} {
		log.Reset()
		f := newFixture(t)
		f.server.AddReceivingMiddleware(mcpauth.Receive)
		s := httptest.NewServer(f.guarded(f.handler(stateless)))
		t.Cleanup(s.Close)
		for name, message := range map[string]string{"initialize": initialize, "tools/call": callWhoami} {
			if name == "tools/call" && !stateless {
				continue // there is no session to call in
			}
			status, _, body := send(t, http.MethodPost, s.URL, f.bearer(f.alice), "", message)
			if status != 200 || !strings.Contains(body, `"code":-32603`) || strings.Contains(body, "mcpauth") {
				t.Errorf("stateless %v: %s: %d %s, want 200, code -32603 and nothing of mcpauth", stateless, name, status, body)
			}
		}
		s.Close()
		if got := strings.Count(log.String(), "level=ERROR"); got != 1 || !strings.Contains(log.String(), "mcpauth.Bridge(mcp.NewStreamableHTTPHandler(") {
			t.Errorf("stateless %v: %d errors in the log, want 1 that names Bridge: %s", stateless, got, &log)
		}
	}
}

// Without Middleware there is nobody to hand on.
func TestMiddlewareMissing(t *testing.T) {
	t.Parallel()
	for _, stateless := range []bool{false, true} {
		f := newFixture(t)
		s := httptest.NewServer(mcpauth.Bridge(f.handler(stateless)))
		t.Cleanup(s.Close)
		status, _, body := send(t, http.MethodPost, s.URL, f.bearer(f.alice), "", initialize)
		if status != http.StatusUnauthorized || !strings.Contains(body, "Middleware") {
			t.Errorf("stateless %v: %d %s, want 401 and the name of what is missing", stateless, status, body)
		}
	}
}

// Without either half, a tool that asks for its caller gets an error, although its
// context may hold an identity: with sessions, that of the user who opened the session.
func TestBothHalvesMissing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for name, row := range map[string]struct {
		handler http.Handler
		session bool
	}{
		"unguarded":               {f.handler(true), false},
		"unguarded with sessions": {f.handler(false), true},
		"guarded":                 {f.guarded(f.handler(true)), false},
		"guarded with sessions":   {f.guarded(f.handler(false)), true},
	} {
		s := httptest.NewServer(row.handler)
		t.Cleanup(s.Close)
		id := ""
		if row.session {
			id = session(t, s.URL, f.bearer(f.alice))
		}
		for _, user := range []*entratest.User{f.alice, f.bob} {
			_, body := call(t, s.URL, f.bearer(user), id)
			if !strings.Contains(body, `"isError":true`) || !strings.Contains(body, "no verified caller") {
				t.Errorf("%s: %s's call: %s, want an error: no verified caller", name, user.ObjectID, body)
			}
		}
	}
}

// In memory there are no callers: tools that need none run, the others say so.
func TestInMemory(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.server.AddReceivingMiddleware(mcpauth.Receive)
	here, there := mcp.NewInMemoryTransports()
	server, err := f.server.Connect(t.Context(), there, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Wait() })
	client, err := mcp.NewClient(&mcp.Implementation{Name: "c", Version: "1"}, nil).Connect(t.Context(), here, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if tools, err := client.ListTools(t.Context(), nil); err != nil || len(tools.Tools) != 1 {
		t.Errorf("ListTools() = %v, %v, want one tool", tools, err)
	}
	result, err := client.CallTool(t.Context(), &mcp.CallToolParams{Name: "whoami"})
	if err != nil || !result.IsError || !strings.Contains(result.Content[0].(*mcp.TextContent).Text, "no verified caller") {
		t.Errorf("CallTool() = %+v, %v, want an error: no verified caller", result, err)
	}
}
