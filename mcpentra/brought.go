package mcpentra

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/resourceuri"
	"github.com/mcpentra/mcp-entra-go/internal/toolset"
)

var _ toolset.Host = (*brought)(nil)

// brought is what tool sets bring along and tell when they are registered, however
// they are wrapped (internal/toolset): also later than [NewServer], on its MCP
// server, while requests are served.
type brought struct {
	mu       sync.Mutex
	building bool
	set      string          // that is being registered
	names    map[string]bool // of the tools that were told about
	faults   []error
	acting   []actingSet

	now atomic.Pointer[broughtRules]
}

// An actingSet is a tool set that acts on behalf of its callers.
type actingSet struct {
	name       string
	credential func(context.Context) error
	resource   string // for which it acts
}

// asks reports whether the set gets its credential from [Credential].
func (set *actingSet) asks() bool {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // whatever else the set asks for its credential must not go anywhere
	var host nobody
	_ = attempt(set.name, func() { _ = set.credential(&message{Context: ctx, server: &host}) })
	return host.asked
}

// nobody is the host of messages of no caller, by which sets are asked at start for what
// they list, and whether their credential is ours.
type nobody struct{ asked bool }

func (n *nobody) credential(*message) (azcore.TokenCredential, error) {
	n.asked = true
	return nil, ErrNoExchanger
}

func (*nobody) logger() *slog.Logger                       { return nil }
func (*nobody) mayUse(*message, string) bool               { return false }
func (*nobody) resources(*message) *toolset.ResourcePolicy { return nil }

// broughtRules are replaced, never changed.
type broughtRules struct {
	tools     []rule
	standsFor []func(uri string) string
}

func newBrought() *brought {
	b := &brought{building: true, names: map[string]bool{}}
	b.now.Store(&broughtRules{})
	return b
}

// registering says which tool set is registered next.
func (b *brought) registering(set string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.set = set
}

// built ends the time in which there are faults to report, and returns them.
func (b *brought) built() []error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.building = false
	return b.faults
}

// Tool implements toolset.Host.
func (b *brought) Tool(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.building && b.names[name] {
		b.faults = append(b.faults, twice("tool", name))
	}
	b.names[name] = true
}

// policies takes those of a tool.
func (b *brought) policies(name string, policies []entraauth.Policy) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.now.Load()
	rules := slices.Clone(old.tools)
	for _, p := range policies {
		rules = append(rules, rule{resourceuri.Name(name), p.Clone()})
	}
	b.now.Store(&broughtRules{rules, old.standsFor})
}

// Resources implements toolset.Host.
func (b *brought) Resources(toolFor func(uri string) string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.now.Load()
	b.now.Store(&broughtRules{old.tools, append(slices.Clone(old.standsFor), toolFor)})
}

// Credential implements toolset.Host.
func (b *brought) Credential(get func(context.Context) error, resource string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.building {
		b.acting = append(b.acting, actingSet{b.set, get, resource})
	}
}

func twice(what, name string) error {
	return fmt.Errorf("WithTools: there are two %ss named %q, and one would replace the other; rename one, or leave it out", what, name)
}
