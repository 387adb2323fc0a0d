package mcpentra

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/toolset"
)

// authorize is receiving middleware: it decides once more, by what the SDK has
// read, which is what will be done; gives URIs their one spelling; and takes out of
// listings and completions what the caller may not use.
func (s *Server) authorize(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		id := entraauth.FromContext(ctx)
		var targets []target
		if uses(method) {
			a := askedBy(req)
			targets = a.targets(method)
			err := checkTargets(targets)
			if err != nil {
				return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: err.Error()}
			}
			if d := s.access.decide(id, targets); d != nil {
				s.refuseLate(ctx, d)
				return nil, d
			}
			s.access.noteUse(ctx, targets...)
			if ctx, err = respell(ctx, req); err != nil {
				return nil, err
			}
			if err := s.knownTemplate(ctx, next, req); err != nil {
				return nil, err
			}
		}
		if s.access.isFree() {
			return next(ctx, method, req)
		}
		ctx = toolset.WithPermission(ctx, func(name string) bool {
			t := target{tool, name}
			may := s.access.decide(id, []target{t}) == nil
			if may {
				s.access.noteUse(ctx, t)
			}
			return may
		})
		if len(s.access.resources) > 0 {
			inner := ctx
			ctx = toolset.WithResources(ctx, func() *toolset.ResourcePolicy {
				s.access.noteResources(inner, id)
				return s.resourcePolicy(id, method, targets)
			})
		}
		result, err := next(ctx, method, req)
		if err != nil {
			return result, err
		}
		if s.access.filter(id, result) {
			s.access.noteView(ctx, id)
		}
		if p, ok := req.GetParams().(*mcp.CompleteParams); ok {
			s.access.noteView(ctx, id)
			s.access.filterCompletion(id, p, result)
		}
		return result, nil
	}
}

// Error implements error: the text for the caller.
func (d *denial) Error() string { return d.refusal.Error() }

// Unwrap returns the refusal.
func (d *denial) Unwrap() error { return d.refusal }

// wireError is the error that the SDK sends for err, which is not a tool's: those
// come as results. A *jsonrpc.Error says what its maker wants the client to read.
func wireError(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*jsonrpc.Error](err); ok {
		return err
	}
	if d, ok := errors.AsType[*denial](err); ok {
		return &jsonrpc.Error{Code: codeRefused, Message: d.Error(), Data: refusalData(d.refusal)}
	}
	if text := callerText(err); text != "" {
		return &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: text}
	}
	return err
}

// refusalData is the data of a refusal's JSON-RPC error.
func refusalData(e *entraauth.Error) json.RawMessage {
	data, _ := json.Marshal(map[string]string{"reason": e.Reason}) // a text: it encodes
	return data
}
