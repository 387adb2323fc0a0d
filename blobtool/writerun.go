package blobtool

import (
	"context"
	"errors"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
	"github.com/mcpentra/mcp-entra-go/internal/actions"
)

// A writeRun is what a call of a tool that writes has in its context. Its handler runs twice if the
// user is asked in between.
type writeRun struct {
	action *actions.Action // in the request's log line
	answer *answer         // of the user; nil if none was asked
	at     names.Location  // where the call may write, once that is known
}

type writeRunKey struct{}

// runOf returns the run of the context, or nil, of which all methods do nothing.
func runOf(ctx context.Context) *writeRun {
	r, _ := ctx.Value(writeRunKey{}).(*writeRun)
	return r
}

// begin notes where the call writes, and returns why the answer that it brings is not a yes: then
// nothing is sent to Azure.
func (r *writeRun) begin(at names.Location) error {
	if r == nil {
		return nil
	}
	r.at = at
	r.action.On(at.Container)
	if r.answer != nil {
		return r.answer.err
	}
	return nil
}

// does notes for the log what the call is about to do.
func (r *writeRun) does(action string) {
	if r != nil {
		r.action.Rename(action)
	}
}

// isAnswered reports whether the user was asked in this call.
func (r *writeRun) isAnswered() bool { return r != nil && r.answer != nil }

// write runs the handler of a call, and asks the user in between if it wants that. The result is
// nil, unless it is a question for the user.
func (s *Set) write(ctx context.Context, req *mcp.CallToolRequest, tool string, handle func(context.Context) (writeOutput, error)) (*mcp.CallToolResult, writeOutput, error) {
	run := &writeRun{action: actions.Begin(ctx, strings.TrimSuffix(tool, "_blob"), s.container)}
	ask := s.writing.asker
	run.answer = ask.states.received(req)
	out, err := s.writeOnce(ctx, run, handle)
	if q := questionIn(err); q != nil {
		if isModern(req.Session) {
			run.action.End(actions.Asked)
			return ask.states.request(req, q), out, nil
		}
		run.answer = ask.inSession(ctx, req, q)
		if err = run.answer.err; err == nil {
			out, err = s.writeOnce(ctx, run, handle)
		}
	}
	run.action.End(outcomeOf(err))
	if run.isAnswered() && run.answer.question != nil && errors.Is(run.answer.err, ErrNotConfirmed) {
		s.showNow(ctx, req, run.at, &out)
	}
	return nil, out, err
}

// showNow shows what stands at a blob's name after the user did not agree: the handler has not
// looked, or did so before the user was asked. It is one more request to Azure, and counts as a
// write: otherwise a state could be replayed for free ones.
func (s *Set) showNow(ctx context.Context, req *mcp.CallToolRequest, at names.Location, out *writeOutput) {
	out.Exists, out.ETag, out.VersionID, out.Size = nil, "", "", nil
	if at.Blob == "" || s.admitWrite(req) != nil {
		return
	}
	ctx, returned := s.bound(ctx)
	defer returned()
	if client, err := s.blobClient(ctx, at, ""); err == nil {
		if now, err := s.look(ctx, at, client); err == nil {
			out.show(&now)
		}
	}
}

// writeOnce runs the handler once, within the time of a call.
func (s *Set) writeOnce(ctx context.Context, run *writeRun, handle func(context.Context) (writeOutput, error)) (writeOutput, error) {
	ctx, returned := s.bound(context.WithValue(ctx, writeRunKey{}, run))
	defer returned()
	return handle(ctx)
}
