package mcpentra

import (
	"errors"
	"fmt"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

// A rule is a policy for all names that match its pattern: a name, the beginning
// of names with a star ("blob_*"), or all ("*").
type rule struct {
	pattern string
	policy  entraauth.Policy
}

func (r *rule) matches(name string) bool {
	if prefix, ok := strings.CutSuffix(r.pattern, "*"); ok {
		return strings.HasPrefix(name, prefix)
	}
	return name == r.pattern
}

// matchesTemplate reports whether some URI of the template may match.
func (r *rule) matchesTemplate(template string) bool {
	fixed, _, _ := strings.Cut(template, "{")
	prefix, isPrefix := strings.CutSuffix(r.pattern, "*")
	return strings.HasPrefix(prefix, fixed) || isPrefix && strings.HasPrefix(fixed, prefix)
}

// WithToolPolicy says what callers of some tools need besides the verifier's own
// policy: the tool of that name, all tools whose names begin so ("blob_*"), or all
// ("*"). Policies add up: every one that matches must hold, and so must the one
// that a tool brings along ([Tool]).
//
// A caller who lacks a scope is answered 403 insufficient_scope with all scopes
// that the tool needs, and can come back with them; one who lacks a role, a group
// or an allowed client is not shown the tool in tools/list and is answered 403
// when calling it all the same. The metadata advertises the verifier's scopes
// alone: clients ask for whatever is advertised.
//
// A pattern that matches none of the tools of [WithTools] is a fault of
// [NewServer]. Those added later, by mcp.AddTool, are matched when they are called.
func WithToolPolicy(pattern string, p entraauth.Policy) Option {
	return withPolicy("WithToolPolicy", pattern, p, func(c *config) *[]rule { return &c.access.tools })
}

// WithResourcePolicy is [WithToolPolicy] for resources, by URI: "note://own", or
// "note://team/*". Resources of a tool set follow the policies of its tools
// besides, if the set says which tool they stand for ([ToolSet]).
func WithResourcePolicy(pattern string, p entraauth.Policy) Option {
	return withPolicy("WithResourcePolicy", pattern, p, func(c *config) *[]rule { return &c.access.resources })
}

// WithPromptPolicy is [WithToolPolicy] for prompts.
func WithPromptPolicy(pattern string, p entraauth.Policy) Option {
	return withPolicy("WithPromptPolicy", pattern, p, func(c *config) *[]rule { return &c.access.prompts })
}

func withPolicy(option, pattern string, p entraauth.Policy, list func(*config) *[]rule) Option {
	return func(c *config) error {
		if pattern == "" {
			return errors.New(option + `: the pattern is empty; "*" is all`)
		}
		if err := p.Validate(fmt.Sprintf("%s(%q)", option, pattern)); err != nil {
			return err
		}
		rules := list(c)
		*rules = append(*rules, rule{pattern, p.Clone()})
		return nil
	}
}

// Tool is a tool of your own as a set for [WithTools], with the policies that it
// brings along. It does what mcp.AddTool does.
func Tool[In, Out any](t *mcp.Tool, h mcp.ToolHandlerFor[In, Out], policies ...entraauth.Policy) ToolSet {
	return &ownTool{t, func(s *mcp.Server) { mcp.AddTool(s, t, h) }, policies}
}

type ownTool struct {
	tool     *mcp.Tool
	register func(*mcp.Server)
	policies []entraauth.Policy
}

func (t *ownTool) Register(s *mcp.Server) { t.register(s) }

// addPolicies adds the rules that the tool brings along.
func (t *ownTool) addPolicies(c *config) error {
	var faults []error
	for _, p := range t.policies {
		faults = append(faults, withPolicy("Tool", t.tool.Name, p, func(c *config) *[]rule { return &c.access.tools })(c))
	}
	return errors.Join(faults...)
}
