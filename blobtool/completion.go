package blobtool

import (
	"context"
	"errors"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/walk"
)

// mostCompletions is the maximum number of values in a completion (MCP, completion).
const mostCompletions = 100

// Configure lets clients complete the variables in the resource template: the containers and paths
// that the caller may see, and subscribe to blobs if [Options.Subscriptions] says so. It passes
// everything else to the existing handlers. Call it before creating the server. Without it there are
// no completions and subscriptions; everything else works.
func (s *Set) Configure(o *mcp.ServerOptions) {
	if !s.offers("read_blob") {
		return
	}
	if s.subscriptions != nil {
		s.subscriptions.configure(o)
	}
	next := o.CompletionHandler
	o.CompletionHandler = func(ctx context.Context, req *mcp.CompleteRequest) (*mcp.CompleteResult, error) {
		switch ref := req.Params.Ref; {
		case ref != nil && ref.Type == "ref/resource" && ref.URI == s.uriTemplate():
			return s.complete(ctx, req)
		case next != nil:
			return next(ctx, req)
		}
		return completed(nil, false), nil
	}
}

// complete returns a variable's values that begin with the client's text.
func (s *Set) complete(ctx context.Context, req *mcp.CompleteRequest) (*mcp.CompleteResult, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var values []string
	var more bool
	var err error
	switch begun := req.Params.Argument.Value; {
	case req.Params.Argument.Name == "container" && s.tellsContainers(ctx):
		values, more, err = s.completeContainer(ctx, begun)
	case req.Params.Argument.Name == "path" && s.tellsBlobs(ctx):
		containerName := s.container
		if c := req.Params.Context; containerName == "" && c != nil {
			containerName = c.Arguments["container"]
		}
		if containerName != "" {
			values, more, err = s.completePath(ctx, userOf(req.Extra), containerName, begun)
		}
	}
	if err != nil {
		return nil, s.resourceFailed(ctx, "blob resource could not be completed", err)
	}
	return completed(values, more), nil
}

// completeContainer returns the matching containers from the configuration, or else from the
// account.
func (s *Set) completeContainer(ctx context.Context, begun string) (values []string, more bool, err error) {
	if checkContainerPrefix(begun) != nil {
		return nil, false, nil //nolint:nilerr // no name begins like this
	}
	src, err := s.resourceContainers(ctx, begun)
	if err != nil {
		return nil, false, err
	}
	w := walk.New(src, walk.Place{}, mostCompletions, nil)
	for len(values) < mostCompletions {
		c, ok, err := w.Next(ctx)
		if err != nil {
			return nil, false, s.containersFailure(ctx, err)
		}
		if !ok {
			break
		}
		if strings.HasPrefix(c.Name, begun) {
			values = append(values, c.Name)
		}
	}
	return values, !w.Done(), nil
}

// completePath returns the matching blobs and folders, one level at a time.
func (s *Set) completePath(ctx context.Context, user, name, begun string) (values []string, more bool, err error) {
	containerName, roots, err := s.narrow(ctx, name, begun)
	if errors.Is(err, ErrNotAllowed) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	client, err := s.containerClient(ctx, containerName)
	if err != nil {
		return nil, false, err
	}
	listing := blobListing{set: s, user: user, container: containerName, client: client, roots: roots, folders: true}
	w := walk.New(listing.source(), walk.Place{}, mostCompletions, nil)
	for len(values) < mostCompletions {
		e, ok, err := w.Next(ctx)
		if err != nil {
			return nil, false, listFailure(ctx, names.Location{Container: containerName, Blob: begun}, false, err)
		}
		if !ok {
			break
		}
		values = append(values, e.name)
	}
	return values, !w.Done(), nil
}

// completed returns a completion result. It does not count the total number of values.
func completed(values []string, more bool) *mcp.CompleteResult {
	if values == nil {
		values = []string{}
	}
	return &mcp.CompleteResult{Completion: mcp.CompletionResultDetails{Values: values, HasMore: more}}
}
