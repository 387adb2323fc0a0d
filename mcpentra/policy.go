package mcpentra

import (
	"errors"
	"fmt"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

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
// A pattern that can't match what it seems to say, or that matches none of the tools
// of [WithTools], is a fault of [NewServer], and so is a policy that asks for
// nothing. Tools added later, by mcp.AddTool, are matched when they are called.
func WithToolPolicy(pattern string, p entraauth.Policy) Option {
	return withPolicy("WithToolPolicy", tool, pattern, p)
}

// WithResourcePolicy is [WithToolPolicy] for resources, by URI: "note://own", or
// "note://team/*". It holds for each URI that anybody could take for one of the
// pattern's: decoded once more or not, cleaned, in another case of scheme and host.
// Resources of a tool set follow the policies of its tools besides, if the set says
// which tool they stand for ([ToolSet]). The tools of blobtool follow the policies of
// the blobs that they show; a tool of your own asks [MayUseResource].
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
		err := checkPattern(k, pattern)
		if err != nil {
			err = fmt.Errorf("%s: %w", name, err)
		} else {
			rules := c.access.rules(k)
			*rules = append(*rules, newRule(k, pattern, p)) // though the policy be at fault: the pattern may be too
		}
		return errors.Join(err, checkPolicy(name, p))
	}
}

// checkPolicy returns what is wrong with a policy of something: one that asks for
// nothing, most likely because a variable was empty, opens what it seems to close.
func checkPolicy(prefix string, p entraauth.Policy) error {
	if p.IsEmpty() {
		return fmt.Errorf("%s: the policy asks for nothing, so it would let every caller in; name a scope, a role or another requirement, or leave the policy out", prefix)
	}
	return p.Validate(prefix)
}
