package mcpentra

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/internal/resourceuri"
)

// A catalog lists what a server has: everything registered, if it is the innermost
// middleware, otherwise what the middleware of tool sets shows of that.
type catalog struct {
	next mcp.MethodHandler
}

// items are the things of a list, by name, URI or URI template.
type items map[string]any

// The methods that list things.
const (
	listTools     = "tools/list"
	listPrompts   = "prompts/list"
	listResources = "resources/list"
	listTemplates = "resources/templates/list"
)

// listAll returns all pages of a list, on behalf of the request cause. With an error, it
// returns the items so far.
func (c *catalog) listAll(ctx context.Context, cause mcp.Request, method string) (items, error) {
	all := items{}
	for cursor := ""; ; {
		result, err := c.next(ctx, method, listRequest(cause, method, cursor))
		if err != nil {
			return all, fmt.Errorf("%s: %w", method, err)
		}
		cursor = ""
		switch r := result.(type) {
		case *mcp.ListToolsResult:
			cursor = r.NextCursor
			for _, t := range r.Tools {
				all[t.Name] = t
			}
		case *mcp.ListPromptsResult:
			cursor = r.NextCursor
			for _, p := range r.Prompts {
				all[p.Name] = p
			}
		case *mcp.ListResourcesResult:
			cursor = r.NextCursor
			for _, x := range r.Resources {
				all[x.URI] = x
			}
		case *mcp.ListResourceTemplatesResult:
			cursor = r.NextCursor
			for _, x := range r.ResourceTemplates {
				all[x.URITemplate] = x
			}
		}
		if cursor == "" {
			return all, nil
		}
	}
}

func listRequest(cause mcp.Request, method, cursor string) mcp.Request {
	ss, _ := cause.GetSession().(*mcp.ServerSession)
	extra := cause.GetExtra()
	switch method {
	case listTools:
		return &mcp.ListToolsRequest{Session: ss, Extra: extra, Params: &mcp.ListToolsParams{Cursor: cursor}}
	case listPrompts:
		return &mcp.ListPromptsRequest{Session: ss, Extra: extra, Params: &mcp.ListPromptsParams{Cursor: cursor}}
	case listTemplates:
		return &mcp.ListResourceTemplatesRequest{Session: ss, Extra: extra, Params: &mcp.ListResourceTemplatesParams{Cursor: cursor}}
	}
	return &mcp.ListResourcesRequest{Session: ss, Extra: extra, Params: &mcp.ListResourcesParams{Cursor: cursor}}
}

// respell replaces the URIs of a message with their canonical spelling, which tool sets
// and handlers see. It runs after the policy check, which needs what the client sent.
func respell(m *rpcMessage) error {
	one := func(uri *string) error {
		if len(*uri) > resourceuri.MaxBytes {
			return &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: fmt.Sprintf("the URI has %d bytes; the limit is %d", len(*uri), resourceuri.MaxBytes)}
		}
		m.sentURI = *uri
		if *uri = resourceuri.Spell(*uri); *uri != m.sentURI {
			m.respelled = true
		}
		return nil
	}
	switch p := m.req.GetParams().(type) {
	case *mcp.ReadResourceParams:
		if p != nil {
			return one(&p.URI)
		}
	case *mcp.SubscribeParams:
		if p != nil {
			return one(&p.URI)
		}
	case *mcp.UnsubscribeParams:
		if p != nil {
			return one(&p.URI)
		}
	case *mcp.SubscriptionsListenParams:
		if p == nil || p.Notifications == nil {
			return nil
		}
		all := p.Notifications.ResourceSubscriptions
		for i := range all {
			if err := one(&all[i]); err != nil {
				return err
			}
		}
		m.respelled = true // each once
		slices.Sort(all)
		p.Notifications.ResourceSubscriptions = slices.Compact(all)
	case *mcp.CompleteParams:
		if p != nil && p.Ref != nil && p.Ref.Type != "ref/prompt" && !strings.Contains(p.Ref.URI, "{") {
			return one(&p.Ref.URI)
		}
	}
	return nil
}

// resolve is the innermost middleware. It finds resources that are registered in another
// than the canonical spelling. The policy check covered all readings of the URI, so any
// spelling may be used.
func (c *catalog) resolve(next mcp.MethodHandler) mcp.MethodHandler {
	c.next = next
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		switch p := req.GetParams().(type) {
		case *mcp.ReadResourceParams:
			if p != nil {
				return c.read(ctx, method, req, p)
			}
		case *mcp.SubscribeParams:
			if p != nil {
				p.URI = c.registered(ctx, req, p.URI)
			}
		case *mcp.UnsubscribeParams:
			if p != nil {
				p.URI = c.registered(ctx, req, p.URI)
			}
		case *mcp.SubscriptionsListenParams:
			if p != nil && p.Notifications != nil {
				for i, uri := range p.Notifications.ResourceSubscriptions {
					p.Notifications.ResourceSubscriptions[i] = c.registered(ctx, req, uri)
				}
			}
		}
		return next(ctx, method, req)
	}
}

// read reads a resource by the first of its spellings that is known.
func (c *catalog) read(ctx context.Context, method string, req mcp.Request, p *mcp.ReadResourceParams) (mcp.Result, error) {
	uri := p.URI
	sent := ""
	if m := messageOf(ctx); m != nil {
		sent = m.sentURI
	}
	if sent != "" && sent != uri {
		p.URI = c.registered(ctx, req, uri)
	}
	result, err := c.next(ctx, method, req)
	for _, other := range []func() string{
		func() string { return c.registered(ctx, req, uri) },
		func() string { return resourceuri.FoldHost(uri) },
		func() string { return sent },
	} {
		if !isUnknownResource(err) {
			break
		}
		if again := other(); again != "" && again != p.URI {
			p.URI = again
			result, err = c.next(ctx, method, req)
		}
	}
	return result, err
}

// registered returns the spelling in which a resource is registered, or the given
// one if it is not.
func (c *catalog) registered(ctx context.Context, cause mcp.Request, uri string) string {
	all, _ := c.listAll(ctx, cause, listResources)
	if all[uri] != nil {
		return uri
	}
	want := resourceuri.FoldHost(uri)
	for known := range all {
		if resourceuri.Canonical(known) == want {
			return known
		}
	}
	return uri
}

// isUnknownResource reports whether err is the SDK's error for an unknown resource.
func isUnknownResource(err error) bool {
	var wire, unknown *jsonrpc.Error
	return errors.As(err, &wire) && errors.As(mcp.ResourceNotFoundError(""), &unknown) &&
		wire.Code == unknown.Code && wire.Message == unknown.Message
}
