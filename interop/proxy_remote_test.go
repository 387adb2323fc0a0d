//go:build unix

package interop_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/authproxy"
)

// mcp-remote, for clients that know local servers alone: it registers itself, opens a browser, and
// keeps and renews the tokens.
func TestProxyRemote(t *testing.T) {
	w := newProxyWorld(t, authproxy.Options{})
	session := w.connectRemote(t)
	call := func(tool string) string { return remoteCall(w.ctx, t, session, tool) }
	checkPing(t, decode(t, []byte(call("secure_ping"))))
	w.later()
	checkPing(t, decode(t, []byte(call("secure_ping"))))
	if got := call("write_note"); got != "written" {
		t.Errorf("write_note = %q, want %q", got, "written")
	}
	var info struct {
		Claims struct{ UPN string } `json:"user_claims"`
	}
	must(t, json.Unmarshal([]byte(call("get_user_info")), &info))
	if want := "alice@contoso.example"; info.Claims.UPN != want {
		t.Errorf("the server's user is %q, want %q", info.Claims.UPN, want)
	}
	must(t, session.Close())
	if grants, want := w.entra(t), refreshesAndStepsUp; grants != want {
		t.Errorf("tokens by %s, want %s", grants, want)
	}
	w.checkLog(t)
}

// connectRemote starts mcp-remote with a client in front of it.
func (w *proxyWorld) connectRemote(t *testing.T) *mcp.ClientSession {
	t.Helper()
	remote := command(w.ctx, t.TempDir(), map[string]string{
		"NODE_EXTRA_CA_CERTS": w.trust, "DESK_URL": w.startDesk(t), "BROWSER": script(t, "node", "browser.mjs"),
	}, node(t), script(t, "node", "node_modules", "mcp-remote", "dist", "proxy.js"), w.url, freePort(t))
	stderr := newOutput()
	remote.Stderr = stderr
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("mcp-remote wrote:\n%s", stderr)
		}
	})
	session, err := mcp.NewClient(&mcp.Implementation{Name: "local", Version: "1"}, nil).
		Connect(w.ctx, &mcp.CommandTransport{Command: remote, TerminateDuration: time.Second}, nil)
	must(t, err)
	return session
}

// remoteCall calls a tool and returns the text of its result.
func remoteCall(ctx context.Context, t *testing.T, session *mcp.ClientSession, tool string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: tool})
	must(t, err)
	return result.Content[0].(*mcp.TextContent).Text
}
