package blobtool

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// mostCompletions is how many values a completion may have (MCP, completion).
const mostCompletions = 100

// Configure lets clients complete the variables of the template of the set's
// resources. Completions for anything else go on to the handler that is already
// there. It must be called before the server is made; without it there are no
// completions, and all else works.
func (s *Set) Configure(o *mcp.ServerOptions) {
	if !s.offers("read_blob") {
		return
	}
	next := o.CompletionHandler
	o.CompletionHandler = func(ctx context.Context, req *mcp.CompleteRequest) (*mcp.CompleteResult, error) {
		switch ref := req.Params.Ref; {
		case ref != nil && ref.Type == "ref/resource" && ref.URI == s.uriTemplate():
			return s.complete(ctx, req)
		case next != nil:
			return next(ctx, req)
		}
		return &mcp.CompleteResult{Completion: mcp.CompletionResultDetails{Values: []string{}}}, nil
	}
}

// complete returns the values of a variable that begin as the client's does.
func (s *Set) complete(_ context.Context, req *mcp.CompleteRequest) (*mcp.CompleteResult, error) {
	values := []string{}
	if req.Params.Argument.Name == "container" {
		for _, name := range slices.Sorted(maps.Keys(s.allow)) {
			if strings.HasPrefix(name, req.Params.Argument.Value) {
				values = append(values, name)
			}
		}
	}
	total := len(values)
	values = values[:min(total, mostCompletions)]
	return &mcp.CompleteResult{Completion: mcp.CompletionResultDetails{Values: values, Total: total, HasMore: total > len(values)}}, nil
}
