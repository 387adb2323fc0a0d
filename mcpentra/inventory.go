package mcpentra

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// check returns a fault for each pattern that matches nothing the server has: a
// policy with a misspelt name protects nothing. It must be asked before the
// middleware is in place that lets nobody see anything.
func (a *access) check(server *mcp.Server) error {
	if a.isFree() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	clientEnd, serverEnd := mcp.NewInMemoryTransports()
	ss, err := server.Connect(ctx, serverEnd, nil)
	if err != nil {
		return err
	}
	defer func() { _ = ss.Close() }()
	client := mcp.NewClient(&mcp.Implementation{Name: "inventory", Version: Version}, nil)
	cs, err := client.Connect(ctx, clientEnd, nil)
	if err != nil {
		return err
	}
	defer func() { _ = cs.Close() }()

	var faults []error
	fault := func(option, what string, rules []rule, matches func(*rule) bool) {
		for i := range rules {
			if !matches(&rules[i]) {
				faults = append(faults, fmt.Errorf("%s(%q): there is no such %s among those that exist when the server is made", option, rules[i].pattern, what))
			}
		}
	}
	var tools, prompts, uris, templates []string
	for t, err := range cs.Tools(ctx, nil) {
		if err != nil {
			return fmt.Errorf("listing the tools: %w", err)
		}
		tools = append(tools, t.Name)
	}
	fault("WithToolPolicy", "tool", a.tools, func(r *rule) bool { return r.pattern == "*" || slices.ContainsFunc(tools, r.matches) })
	if len(a.prompts) > 0 {
		for p, err := range cs.Prompts(ctx, nil) {
			if err != nil {
				break // no prompts at all
			}
			prompts = append(prompts, p.Name)
		}
		fault("WithPromptPolicy", "prompt", a.prompts, func(r *rule) bool { return r.pattern == "*" || slices.ContainsFunc(prompts, r.matches) })
	}
	if len(a.resources) > 0 {
		for x, err := range cs.Resources(ctx, nil) {
			if err != nil {
				break // none, or a set's own that want a caller
			}
			uris = append(uris, x.URI)
		}
		for x, err := range cs.ResourceTemplates(ctx, nil) {
			if err != nil {
				break
			}
			templates = append(templates, x.URITemplate)
		}
		fault("WithResourcePolicy", "resource", a.resources, func(r *rule) bool {
			return r.pattern == "*" || slices.ContainsFunc(uris, r.matches) || slices.ContainsFunc(templates, r.matchesTemplate)
		})
	}
	return errors.Join(faults...)
}
