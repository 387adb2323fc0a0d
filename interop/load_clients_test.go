//go:build unix

package interop_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/golang-jwt/jwt/v5"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

func (l *load) callers(t *testing.T, log *slog.Logger) (*entraauth.Verifier, *obo.Exchanger) {
	t.Helper()
	v, err := entraauth.NewVerifier(l.tenant.ID(), l.api.ClientID, &entraauth.Options{
		HTTPClient: l.tenant.HTTPClient(), AuthorityHost: l.tenant.AuthorityHost(), Logger: log, KeyRefetchInterval: time.Second,
		TokenCache: 200, // full by the end of the warm-up, as the other cache is
	})
	must(t, err)
	t.Cleanup(func() { _ = v.Close() })
	x, err := obo.NewExchanger(l.tenant.ID(), l.api.ClientID, clientauth.Secret(l.api.AddSecret()), &obo.Options{
		HTTPClient: l.tenant.HTTPClient(), AuthorityHost: l.tenant.AuthorityHost(), Logger: log, CacheBytes: 1 << 20,
	})
	must(t, err)
	return v, x
}

// whoTool says who calls, and whose token the caller's credential gets.
type whoTool struct {
	mu      sync.Mutex
	running map[string]int // calls, by user
	peak    int
}

func newWhoTool() *whoTool { return &whoTool{running: map[string]int{}} }

func (w *whoTool) Register(s *mcp.Server) {
	mcp.AddTool(s, &mcp.Tool{Name: "who", Description: "Says who calls."}, w.who)
}

func (w *whoTool) most() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.peak
}

func (w *whoTool) count(user string, by int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running[user] += by
	w.peak = max(w.peak, w.running[user])
}

func (w *whoTool) who(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
	id := entraauth.FromContext(ctx)
	w.count(id.UserID(), 1)
	defer w.count(id.UserID(), -1)
	wait(ctx, rand.N(3*time.Millisecond))
	cred, err := mcpentra.Credential(ctx)
	if err != nil {
		return nil, nil, err
	}
	token, err := cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com/.default"}})
	if err != nil {
		return nil, nil, err
	}
	var claims jwt.MapClaims
	if _, _, err := jwt.NewParser().ParseUnverified(token.Token, &claims); err != nil {
		return nil, nil, err
	}
	text := fmt.Sprintf("caller=%s token=%v.", id.ObjectID(), claims["oid"])
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
}

func modernCall(tool string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + tool + `","arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",` +
		`"io.modelcontextprotocol/clientInfo":{"name":"load","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}`
}

// judge fails the test if an answer speaks of anybody but the user.
func (l *load) judge(t *testing.T, user, status int, body string) {
	oid := l.users[user].ObjectID
	switch {
	case status == http.StatusOK && strings.Contains(body, "caller="):
		if !strings.Contains(body, "caller="+oid+" token="+oid+".") {
			t.Errorf("user %d is taken for another: %s", user, body)
		}
		l.counts.add(func(c *counts) { c.results++ })
	case status == http.StatusOK && strings.Contains(body, `"isError":true`):
		l.counts.add(func(c *counts) { c.results, c.failed = c.results+1, c.failed+1 })
	case status == http.StatusOK || strings.Contains(body, "caller="):
		t.Errorf("user %d: %d %s", user, status, body)
	}
}

// call calls as 2026-07-28 has it, and hangs up now and then.
func (l *load) call(ctx context.Context, t *testing.T, user int) {
	token := l.token(user)
	for wait(ctx, moment()) {
		request, cancel := ctx, context.CancelFunc(func() {})
		hangsUp := rand.IntN(10) == 0
		if hangsUp {
			request, cancel = context.WithTimeout(ctx, rand.N(4*time.Millisecond))
		}
		status, _, body := l.send(request, t, http.MethodPost, 0, map[string]string{
			"Authorization": "Bearer " + token, "Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "who",
		}, modernCall("who"))
		cancel()
		l.judge(t, user, status, body)
		switch status {
		case 0:
			if hangsUp {
				l.counts.add(func(c *counts) { c.hungUp++ })
			}
		case http.StatusUnauthorized: // the key has left
			token = l.token(user)
		case http.StatusOK, http.StatusServiceUnavailable, http.StatusTooManyRequests:
		default:
			t.Errorf("user %d: %d %s", user, status, body)
		}
	}
}

// hurry calls without a pause.
func (l *load) hurry(ctx context.Context, t *testing.T, user int) {
	token := l.token(user)
	for ctx.Err() == nil {
		status, header, body := l.send(ctx, t, http.MethodPost, 0, map[string]string{
			"Authorization": "Bearer " + token, "Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "who",
		}, modernCall("who"))
		l.judge(t, user, status, body)
		switch status {
		case http.StatusUnauthorized:
			token = l.token(user)
		case http.StatusTooManyRequests:
			if header.Get("Retry-After") == "" {
				t.Error("429 without Retry-After")
			}
			wait(ctx, moment())
		}
	}
}

// useSessions opens sessions, calls in them, tries those of others, and leaves
// them without a word.
func (l *load) useSessions(ctx context.Context, t *testing.T, user int) {
	const (
		open = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"load","version":"1"}}}`
		who  = `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"who","arguments":{}}}`
	)
	for wait(ctx, moment()) {
		as := map[string]string{"Authorization": "Bearer " + l.token(user)}
		status, header, _ := l.send(ctx, t, http.MethodPost, 1, as, open)
		session := header.Get("Mcp-Session-Id")
		if status != http.StatusOK || session == "" {
			continue
		}
		as["Mcp-Session-Id"], as["Mcp-Protocol-Version"] = session, "2025-11-25"
		for i := range 5 {
			if !wait(ctx, moment()) {
				return
			}
			status, _, body := l.send(ctx, t, http.MethodPost, 1, as, fmt.Sprintf(who, 2+i))
			if status == http.StatusOK && strings.Contains(body, "Too many requests") { // of its calls that were abandoned
				continue
			}
			l.judge(t, user, status, body)
		}
		l.steal(ctx, t, user, as, session)
		if rand.IntN(2) == 0 {
			l.send(ctx, t, http.MethodDelete, 1, as, "")
		}
	}
}

type heldSession struct {
	id   string
	user int
}

// steal calls in somebody's session, and puts the own one up for theft. Another's
// is refused, and one that is over is not found.
func (l *load) steal(ctx context.Context, t *testing.T, user int, as map[string]string, own string) {
	l.mu.Lock()
	if l.sessions = append(l.sessions, heldSession{own, user}); len(l.sessions) > 50 {
		l.sessions = l.sessions[1:]
	}
	prey := l.sessions[rand.IntN(len(l.sessions))]
	l.mu.Unlock()
	as["Mcp-Session-Id"] = prey.id
	defer func() { as["Mcp-Session-Id"] = own }()
	status, _, body := l.send(ctx, t, http.MethodPost, 1, as, `{"jsonrpc":"2.0","id":9,"method":"tools/list","params":{}}`)
	if prey.user == user {
		return
	}
	l.counts.add(func(c *counts) { c.thefts++ })
	switch status {
	case 0, http.StatusForbidden, http.StatusNotFound, http.StatusUnauthorized, http.StatusServiceUnavailable, http.StatusTooManyRequests:
	default:
		t.Errorf("user %d in a session of user %d: %d %s", user, prey.user, status, body)
	}
}
