package mcpentra

import (
	"context"
	"slices"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

// sessions bounds what users have in a stateful server beyond their requests:
// sessions, which live on when a client leaves without a word, and calls, which
// go on when it hangs up, for it may resume their stream.
type sessions struct {
	limits Limits

	mu    sync.Mutex
	open  map[string][]*mcp.ServerSession // by user, oldest first
	calls map[string]int                  // by user
}

func newSessions(l Limits) *sessions {
	return &sessions{limits: l, open: map[string][]*mcp.ServerSession{}, calls: map[string]int{}}
}

// bound is receiving middleware, inside that which knows the caller.
func (t *sessions) bound(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		id := entraauth.FromContext(ctx)
		if id == nil {
			return next(ctx, method, req)
		}
		user := id.UserID()
		if session, ok := req.GetSession().(*mcp.ServerSession); ok && method == "initialize" {
			t.begin(user, session)
		}
		if !t.beginCall(user) {
			return nil, &jsonrpc.Error{Code: codeBusy, Message: t.limits.busy()}
		}
		defer t.endCall(user)
		return next(ctx, method, req)
	}
}

// begin notes a new session. The user's oldest ends when it is one too many: its
// client is answered 404 and begins another.
func (t *sessions) begin(user string, session *mcp.ServerSession) {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.open[user]
	if slices.Contains(all, session) {
		return
	}
	if len(all) >= t.limits.Sessions {
		oldest := all[0]
		all = slices.Delete(all, 0, 1)
		go func() { _ = oldest.Close() }() // it waits for calls that are under way
	}
	t.open[user] = append(all, session)
	go func() {
		_ = session.Wait()
		t.ended(user, session)
	}()
}

func (t *sessions) ended(user string, session *mcp.ServerSession) {
	t.mu.Lock()
	defer t.mu.Unlock()
	left := slices.DeleteFunc(t.open[user], func(s *mcp.ServerSession) bool { return s == session })
	if t.open[user] = left; len(left) == 0 {
		delete(t.open, user)
	}
}

func (t *sessions) beginCall(user string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.calls[user] >= t.limits.Concurrent {
		return false
	}
	t.calls[user]++
	return true
}

func (t *sessions) endCall(user string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.calls[user]--; t.calls[user] == 0 {
		delete(t.calls, user)
	}
}
