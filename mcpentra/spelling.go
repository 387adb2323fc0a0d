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

// respell replaces the URIs of a message by their one spelling, which tool sets and
// handlers see. It comes after the decision, which looks at what the client sent.
func respell(m *message) error {
	one := func(uri *string) error {
		if len(*uri) > resourceuri.MaxBytes {
			return &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: fmt.Sprintf("the URI has %d bytes; at most %d are taken", len(*uri), resourceuri.MaxBytes)}
		}
		m.sentURI = *uri
		*uri = resourceuri.Spell(*uri)
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
		slices.Sort(all)
		p.Notifications.ResourceSubscriptions = slices.Compact(all)
	case *mcp.CompleteParams:
		if p != nil && p.Ref != nil && p.Ref.Type != "ref/prompt" && !strings.Contains(p.Ref.URI, "{") {
			return one(&p.Ref.URI)
		}
	}
	return nil
}

// resolve is the innermost middleware. It finds resources that are registered in
// another spelling than the one that all requests come in: rules have been judged
// by all readings, so whichever spelling leads there is as good.
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
	all, _ := c.list(ctx, cause, listResources)
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

// isUnknownResource reports whether the SDK, or a handler by its function, has said
// that there is no such resource.
func isUnknownResource(err error) bool {
	var wire, unknown *jsonrpc.Error
	return errors.As(err, &wire) && errors.As(mcp.ResourceNotFoundError(""), &unknown) &&
		wire.Code == unknown.Code && wire.Message == unknown.Message
}
