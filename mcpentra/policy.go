package mcpentra

import (
	"errors"
	"fmt"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/resourceuri"
)

// WithToolPolicy says what callers of some tools need beyond the verifier's own
// policy: of the tool with that name, of all tools whose names have the prefix
// ("blob_*"), or of all tools ("*"). Policies add up: every one that matches must hold, and so must the one
// that a tool brings along ([Tool]).
//
// A caller who lacks a scope is answered 403 insufficient_scope with all scopes
// that the tool needs, and can come back with them; one who lacks a role, a group
// or an allowed client is not shown the tool in tools/list and is answered 403
// when calling it all the same. The metadata advertises the verifier's scopes
// alone: clients ask for whatever is advertised.
//
// [NewServer] returns an error for a pattern that can't match what it seems to say or
// that matches none of the tools of [WithTools], and for a policy that asks for nothing. Tools added later, by mcp.AddTool, are matched when they are called.
func WithToolPolicy(pattern string, p entraauth.Policy) Option {
	return withPolicy("WithToolPolicy", tool, pattern, p)
}

// WithResourcePolicy is [WithToolPolicy] for resources, by URI: "note://own", or
// "note://team/*". It holds for each URI that a handler could read as one that
// matches: decoded once more or not, cleaned, with scheme and host in another case.
// Resources of a tool set also follow the policies of its tools, if the set says which
// tool they stand for ([ToolSet]). The tools of blobtool follow the policies of
// the blobs that they show; a tool of your own must call [MayUseResource].
func WithResourcePolicy(pattern string, p entraauth.Policy) Option {
	return withPolicy("WithResourcePolicy", resource, pattern, p)
}

// WithPromptPolicy is [WithToolPolicy] for prompts.
func WithPromptPolicy(pattern string, p entraauth.Policy) Option {
	return withPolicy("WithPromptPolicy", prompt, pattern, p)
}

func withPolicy(option string, k kind, pattern string, p entraauth.Policy) Option {
	return func(c *config) error {
		name := fmt.Sprintf("%s(%q)", option, pattern)
		parse := resourceuri.ParseNamePattern
		if k == resource {
			parse = resourceuri.ParseURIPattern
		}
		of, err := parse(pattern)
		if err != nil {
			err = fmt.Errorf("%s: %w", name, err)
		} else {
			rules := c.access.rules(k)
			*rules = append(*rules, rule{of, p.Clone()}) // even if the policy is invalid: the pattern may be too
		}
		return errors.Join(err, checkPolicy(name, p))
	}
}
