package mcpentra

import (
	"context"
	"errors"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/toolset"
)

// Tool is a tool of your own as a set for [WithTools], with the policies that it
// brings along. It does what mcp.AddTool does.
//
// The policies hold wherever the set is registered: within sets of your own, and also
// on a plain server of the SDK, where nobody may call the tool unless mcpauth.Receive
// identifies the caller. Register panics, as mcp.AddTool does, if the tool is invalid;
// [NewServer] returns an error instead.
func Tool[In, Out any](t *mcp.Tool, h mcp.ToolHandlerFor[In, Out], policies ...entraauth.Policy) ToolSet {
	own := &ownTool{tool: t, hasHandler: h != nil}
	for _, p := range policies {
		own.policies = append(own.policies, p.Clone())
	}
	own.register = func(s *mcp.Server) {
		mcp.AddTool(s, t, func(ctx context.Context, req *mcp.CallToolRequest, in In) (*mcp.CallToolResult, Out, error) {
			if err := own.refuse(ctx); err != nil {
				return nil, *new(Out), err
			}
			return h(ctx, req, in)
		})
	}
	return own
}

type ownTool struct {
	tool       *mcp.Tool
	hasHandler bool
	policies   []entraauth.Policy
	register   func(*mcp.Server)
}

// Register adds the tool, and tells the server about its policies.
func (t *ownTool) Register(s *mcp.Server) {
	if err := t.fault(); err != nil {
		panic(err)
	}
	if b, ok := toolset.HostOf(s).(*brought); ok {
		b.Tool(t.tool.Name)
		b.policies(t.tool.Name, t.policies)
	}
	t.register(s)
}

// fault says what is wrong with the tool, all of it.
func (t *ownTool) fault() error {
	if t.tool == nil {
		return errors.New("mcpentra.Tool: the tool is nil")
	}
	var faults []error
	if t.tool.Name == "" {
		faults = append(faults, errors.New("mcpentra.Tool: the tool has no name"))
	}
	if !t.hasHandler {
		faults = append(faults, fmt.Errorf("mcpentra.Tool(%q): the handler is nil", t.tool.Name))
	}
	for _, p := range t.policies {
		faults = append(faults, checkPolicy(fmt.Sprintf("mcpentra.Tool(%q)", t.tool.Name), p))
	}
	return errors.Join(faults...)
}

// refuse returns the refusal of a caller whom the policies do not let in. The server
// has decided by the same before; whoever gets here all the same, on a server that
// knows nothing of policies, is stopped here.
func (t *ownTool) refuse(ctx context.Context) error {
	for _, p := range t.policies {
		if e, ok := errors.AsType[*entraauth.Error](p.Check(entraauth.FromContext(ctx))); ok {
			return &jsonrpc.Error{Code: codeRefused, Message: e.Error(), Data: refusalData(e)}
		}
	}
	return nil
}
