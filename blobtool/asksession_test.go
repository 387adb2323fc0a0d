package blobtool_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
)

// waits is a person who answers nothing until the question is withdrawn, or release is closed: then
// yes.
func waits(asked chan<- struct{}, release <-chan struct{}) *person {
	return &person{answer: func(ctx context.Context, _ *mcp.ElicitParams) (*mcp.ElicitResult, error) {
		asked <- struct{}{}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-release:
			return ticked, nil
		}
	}}
}

// In a session a question has its own time, and the call's own does not run out meanwhile.
func TestSessionQuestionTime(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 1)
	w := newAskWorld(t, true, func(o *blobtool.Options) { o.Timeout = 2 * time.Second })
	var first context.Context
	w.credential = func(ctx context.Context) (azcore.TokenCredential, error) {
		if first == nil {
			first = ctx
		}
		return tokenFunc(func(policy.TokenRequestOptions) (string, error) { return w.storageToken(w.alice), nil }), nil
	}
	withdrawn := make(chan struct{})
	defer close(withdrawn) // the client need not hear of it
	p := waits(asked, withdrawn)
	late := p.answer
	p.answer = func(context.Context, *mcp.ElicitParams) (*mcp.ElicitResult, error) {
		<-first.Done() // longer than the call may take
		return ticked, nil
	}
	session := w.connectWith(t, "alice", p.options())
	if out := w.write(t, session, "edit_blob", args{"blob_path": "a.txt", "old_text": "old", "new_text": "new"}); out.Outcome != "done" || !errors.Is(first.Err(), context.DeadlineExceeded) {
		t.Errorf("an answer after the call's own time: got %+v, %v, want it done", out, first.Err())
	}
	w.set.SetAsking(time.Millisecond, time.Hour)
	p.answer = late
	if out := w.write(t, session, "edit_blob", args{"blob_path": "a.txt", "old_text": "new", "new_text": "newer"}); out.Reason != "not_confirmed" || !strings.Contains(out.Message, "did not answer within 1ms") {
		t.Errorf("no answer: got %+v, want not_confirmed and the time", out)
	}
}

// While a user thinks, the client hears of the call.
func TestSessionQuestionKeepsAwake(t *testing.T) {
	t.Parallel()
	for _, withToken := range []bool{true, false} {
		w := newAskWorld(t, true, nil)
		w.set.SetAsking(time.Minute, time.Millisecond)
		asked, release := make(chan struct{}, 1), make(chan struct{})
		o := waits(asked, release).options()
		var once sync.Once
		heard := func() { once.Do(func() { close(release) }) }
		o.ProgressNotificationHandler = func(context.Context, *mcp.ProgressNotificationClientRequest) { heard() }
		session := w.connectWith(t, "alice", o)
		params := &mcp.CallToolParams{Name: "delete_blob", Arguments: args{"blob_path": "a.txt", "if_match": etag(t, session, "a.txt")}}
		if withToken {
			params.SetProgressToken("p")
		} else {
			session = w.pinged(t, o, heard)
		}
		res, err := session.CallTool(t.Context(), params)
		if out := outputOf(t, res, err); out.Outcome != "done" {
			t.Errorf("with a token: %t: got %+v, want it done", withToken, out)
		}
	}
}

// pinged is Alice's session on a client that reports pings.
func (w *world) pinged(t testing.TB, o *mcp.ClientOptions, ping func()) *mcp.ClientSession {
	t.Helper()
	return w.connectClient(t, "alice", "", o, func(c *mcp.Client) {
		c.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
			return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
				if method == "ping" {
					ping()
				}
				return next(ctx, method, req)
			}
		})
	})
}

// What changed while the user was thinking is looked at again.
func TestChangedWhileAsked(t *testing.T) {
	t.Parallel()
	for _, protocol := range protocols {
		for tool, c := range map[string]struct {
			a            args
			reason, says string
		}{
			"delete_blob": {args{}, "changed", "etag"},
			"write_blob":  {args{"text": "x"}, "changed", "etag"},
			"edit_blob":   {args{"old_text": "old", "new_text": "new"}, "not_confirmed", "has changed since the user was asked"},
		} {
			w := newAskWorld(t, protocol.sessions, nil)
			p := agrees()
			yes := p.answer
			p.answer = func(ctx context.Context, q *mcp.ElicitParams) (*mcp.ElicitResult, error) {
				w.storage.Put("docs", "a.txt", []byte("another's old text"), "text/plain")
				return yes(ctx, q)
			}
			session := w.connectWith(t, "alice", p.options())
			if c.a["blob_path"] = "a.txt"; tool != "edit_blob" {
				c.a["if_match"] = etag(t, session, "a.txt")
			}
			out := w.write(t, session, tool, c.a)
			if out.Outcome != "refused" || out.Reason != c.reason || !strings.Contains(out.Message, c.says) || len(p.questions()) != 1 {
				t.Errorf("%s, %s: got %+v after %d questions, want %s with %q after 1", protocol.name, tool, out, len(p.questions()), c.reason, c.says)
			}
			if got := readText(t, session, "a.txt"); got != "another's old text" {
				t.Errorf("%s, %s: the blob is %q", protocol.name, tool, got)
			}
		}
	}
	for _, protocol := range protocols { // what is copied over a blob is what the user was asked about
		w := newAskWorld(t, protocol.sessions, nil)
		w.storage.Put("docs", "b.txt", []byte("one"), "text/plain")
		p := agrees()
		yes := p.answer
		p.answer = func(ctx context.Context, q *mcp.ElicitParams) (*mcp.ElicitResult, error) {
			w.storage.Put("docs", "b.txt", []byte("two"), "text/plain")
			return yes(ctx, q)
		}
		session := w.connectWith(t, "alice", p.options())
		out := w.write(t, session, "copy_blob", args{"source_path": "b.txt", "blob_path": "a.txt", "if_match": etag(t, session, "a.txt")})
		if out.Reason != "not_confirmed" {
			t.Errorf("%s: a source that changed: got %+v, want not_confirmed", protocol.name, out)
		}
	}
	// Snapshots that were made meanwhile are not in what the user agreed to.
	w := newAskWorld(t, true, nil)
	w.storage.Snapshot("docs", "a.txt")
	p := agrees()
	yes := p.answer
	p.answer = func(ctx context.Context, q *mcp.ElicitParams) (*mcp.ElicitResult, error) {
		w.storage.Snapshot("docs", "a.txt")
		return yes(ctx, q)
	}
	session := w.connectWith(t, "alice", p.options())
	if out := w.write(t, session, "delete_blob", args{"blob_path": "a.txt", "if_match": etag(t, session, "a.txt"), "delete_snapshots": true}); out.Reason != "not_confirmed" {
		t.Errorf("another snapshot: got %+v, want not_confirmed", out)
	}
}

// A user has a few questions at a time, and other users have theirs. A session that ends takes its
// questions along.
func TestSessionQuestionsAreBounded(t *testing.T) {
	t.Parallel()
	w := newAskWorld(t, true, nil)
	asked, release := make(chan struct{}, 16), make(chan struct{})
	p := waits(asked, release)
	session := w.connectWith(t, "alice", p.options())
	tag := etag(t, session, "a.txt")
	del := func(s *mcp.ClientSession) writeOutput {
		res, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "delete_blob", Arguments: args{"blob_path": "a.txt", "if_match": tag}})
		return outputOf(t, res, err)
	}
	outs := make(chan writeOutput, 4)
	for range 4 {
		go func() { outs <- del(session) }()
	}
	for range 4 {
		<-asked
	}
	if out := del(session); out.Reason != "throttled" {
		t.Errorf("a fifth question: got %+v, want throttled", out)
	}
	gone := make(chan error, 1)
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan struct{})
	bob := w.connectWith(t, "bob", waits(asked, left).options())
	go func() {
		_, err := bob.CallTool(ctx, &mcp.CallToolParams{Name: "delete_blob", Arguments: args{"blob_path": "a.txt", "if_match": tag}})
		gone <- err
	}()
	<-asked // another user's
	leave()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who leaves: got %v, want context.Canceled", err)
	}
	close(left) // his client does not hear that the question was withdrawn
	close(release)
	var reasons []string
	for range 4 {
		reasons = append(reasons, (<-outs).Reason)
	}
	slices.Sort(reasons)
	if want := []string{"", "not_found", "not_found", "not_found"}; reasons[0] != "" || slices.Contains(reasons[1:], "") {
		t.Errorf("the four calls: got %q, want %q or changed", reasons, want)
	}
	w.storage.Put("docs", "a.txt", []byte("old"), "text/plain")
	tag = etag(t, session, "a.txt")
	if out := del(session); out.Outcome != "done" {
		t.Errorf("later: got %+v, want it done", out)
	}
}

// A client's error is no yes.
func TestSessionAnswerThatFails(t *testing.T) {
	t.Parallel()
	w := newAskWorld(t, true, nil)
	p := &person{answer: func(context.Context, *mcp.ElicitParams) (*mcp.ElicitResult, error) {
		return nil, errors.New("no screen")
	}}
	session := w.connectWith(t, "alice", p.options())
	for _, answer := range []func(context.Context, *mcp.ElicitParams) (*mcp.ElicitResult, error){
		p.answer,
		says("accept", map[string]any{"confirm": "true"}).answer,
	} {
		p.answer = answer
		if out := w.write(t, session, "delete_blob", args{"blob_path": "a.txt", "if_match": etag(t, session, "a.txt")}); out.Reason != "not_confirmed" {
			t.Errorf("got %+v, want not_confirmed", out)
		}
	}
}
