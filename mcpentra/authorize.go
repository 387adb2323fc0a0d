package mcpentra

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

// authorize is receiving middleware: it decides once more, by what the SDK has
// read, which is what will be done; and takes out of listings what the caller may
// not use.
func (s *Server) authorize(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		id := entraauth.FromContext(ctx)
		if uses(method) {
			a := askedBy(req)
			if d := s.access.decide(id, a.targets(method)); d != nil {
				s.refuseLate(ctx, d)
				return nil, d
			}
		}
		result, err := next(ctx, method, req)
		if err == nil && !s.access.isFree() {
			s.access.filter(id, result)
		}
		return result, err
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
		data, _ := json.Marshal(map[string]string{"reason": d.refusal.Reason}) // a text: it encodes
		return &jsonrpc.Error{Code: codeRefused, Message: d.Error(), Data: data}
	}
	if text := callerText(err); text != "" {
		return &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: text}
	}
	return err
}
