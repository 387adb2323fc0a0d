package mcpentra

import (
	"slices"
	"sync"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

// A usage is what the answer to a request depends on: the policies that admitted its
// caller to what it uses or lists. Whatever is sent for the request, now or when its
// stream is resumed, goes only to callers who meet them. There are never more of them
// than the server has. A nil usage notes nothing.
type usage struct {
	mu       sync.Mutex
	policies []*entraauth.Policy
}

// note adds a policy that the caller meets.
func (u *usage) note(p *entraauth.Policy) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !slices.Contains(u.policies, p) {
		u.policies = append(u.policies, p)
	}
}

// noteMet adds the policies of the rules that the caller meets.
func (u *usage) noteMet(id *entraauth.Identity, rules []rule) {
	for i := range rules {
		if rules[i].policy.Check(id) == nil {
			u.note(&rules[i].policy)
		}
	}
}

// decide returns nil if the caller may have what is sent for the request.
func (u *usage) decide(id *entraauth.Identity) *denial {
	u.mu.Lock()
	policies := slices.Clone(u.policies)
	u.mu.Unlock()
	return deny(id, nil, func(show func(*entraauth.Policy)) {
		for _, p := range policies {
			show(p)
		}
	})
}

// noteUse notes that the caller may use the targets.
func (a *access) noteUse(u *usage, targets ...target) {
	if u == nil {
		return
	}
	for _, t := range targets {
		a.visit(t, u.note)
	}
}

// noteView notes that the answer is what this caller is shown of a list, which depends on
// all policies.
func (a *access) noteView(u *usage, id *entraauth.Identity) {
	if u == nil {
		return
	}
	for _, rules := range [][]rule{a.tools, a.resources, a.prompts, a.broughtNow().tools} {
		u.noteMet(id, rules)
	}
}

// noteResources notes that the answer has what this caller may use of the resources,
// whatever tool shows them.
func (a *access) noteResources(u *usage, id *entraauth.Identity) {
	if u != nil {
		u.noteMet(id, a.resources)
	}
}
