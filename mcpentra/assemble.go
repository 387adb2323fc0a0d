package mcpentra

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/resourceuri"
	"github.com/mcpentra/mcp-entra-go/internal/toolset"
)

// An inventory is what a server has at one moment of its assembly, by list method.
type inventory map[string]items

func (c *catalog) inventory(ctx context.Context, cause mcp.Request) inventory {
	inv := inventory{}
	for _, method := range []string{listTools, listPrompts, listResources, listTemplates} {
		inv[method], _ = c.listAll(ctx, cause, method) // the middleware of a set may need a caller; what is listed without is enough
	}
	return inv
}

// added returns the names of what was registered or replaced since before.
func (inv inventory) added(before inventory, method string) (names []string) {
	for name, thing := range inv[method] {
		if before[method][name] != thing {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// assemble registers the tool sets, and returns all faults of the sets and of the
// policies for them.
func (c *config) assemble(v *entraauth.Verifier, server *mcp.Server, registry *registry, registered *catalog) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	here, there := mcp.NewInMemoryTransports()
	conn, err := here.Connect(ctx)
	if err != nil {
		return err
	}
	ss, err := server.Connect(ctx, there, nil) // without a session there are no requests
	if err != nil {
		return err
	}
	// Lists need a session, but not an open one. To an open one the SDK would send an
	// announcement of the tools 10 ms later.
	_, _ = conn.Close(), ss.Close()
	start := &mcp.ListToolsRequest{Session: ss}

	var faults []error
	before := registered.inventory(ctx, start)
	var unguarded []func() error
	for i, set := range c.tools {
		name := fmt.Sprintf("WithTools: tool set %d (%T)", i, set)
		registry.registering(name)
		err := attempt(name, func() { set.Register(server) })
		earlier, after := before, registered.inventory(ctx, start)
		faults = append(append(faults, err), replaced(earlier, after)...)
		says, unseen := ownersIn(set)
		if err == nil {
			c.access.standsFor = append(c.access.standsFor, says...)
		}
		if _, ok := set.(ResourceOwner); !ok {
			unguarded = append(unguarded, func() error { return c.access.unguarded(name, unseen, earlier, after) })
		}
		before = after
	}
	for _, name := range registry.built() {
		faults = append(faults, twice("tool", name))
	}
	for _, check := range unguarded { // with everything that the sets bring
		faults = append(faults, check())
	}
	// Without a caller, a set whose lists depend on the caller shows nothing.
	ctx = &rpcMessage{Context: ctx, server: &nobody{}}
	shown := &catalog{}
	server.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler { shown.next = next; return next })
	has := holdings{before, shown.inventory(ctx, start)}
	c.names = has.names()
	faults = append(faults, c.checkPatterns(has), c.checkAgentIDs(v))
	faults = append(faults, c.checkActing(v, registry.acting))
	return distinct(faults)
}

// asks reports whether the set gets its credential from [Credential].
func (set *actingSet) asks() bool {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // the set's own credential must send nothing
	var host nobody
	_ = attempt(set.name, func() { _ = set.credential(&rpcMessage{Context: ctx, server: &host}) }) //nolint:contextcheck // a message is a context
	return host.asked
}

// nobody is the host of messages without a caller. The assembly uses it to ask sets what
// they list, and whether they use [Credential].
type nobody struct{ asked bool }

func (n *nobody) credential(*rpcMessage) (azcore.TokenCredential, error) {
	n.asked = true
	return nil, ErrNoExchanger
}

func (*nobody) logger() *slog.Logger                          { return nil }
func (*nobody) mayUse(*rpcMessage, string) bool               { return false }
func (*nobody) resources(*rpcMessage) *toolset.ResourcePolicy { return nil }

// checkActing returns a fault for each tool set that gets its credential from
// [Credential] where the exchanger can't get it a token. Applications alone need none.
func (c *config) checkActing(v *entraauth.Verifier, sets []actingSet) error {
	x := c.exchanger
	if x == nil && c.serverCred != nil && v != nil && !letsUsersIn(v.Policy()) {
		return nil
	}
	orApplications := ""
	if c.serverCred != nil {
		orApplications = ", or let in applications alone, by a policy of the verifier's that has AppRoles and nothing for users"
	}
	var faults []error
	for _, set := range sets {
		if !set.asks() {
			continue
		}
		if x == nil {
			faults = append(faults, fmt.Errorf("%s: the set acts on behalf of its callers (mcpentra.Credential), but the server has no exchanger; add WithExchanger(…)%s", set.name, orApplications))
			continue
		}
		allowed := x.Registration().Resources
		same := func(resource string) bool { return canonicalAPI(resource) == canonicalAPI(set.resource) }
		if set.resource != "" && !slices.ContainsFunc(allowed, same) {
			faults = append(faults, fmt.Errorf("%s: the set acts on behalf of its callers at %s, and the exchanger of WithExchanger only at %s; add %q to obo.Options.Resources",
				set.name, set.resource, strings.Join(allowed, ", "), set.resource))
		}
	}
	return errors.Join(faults...)
}

// letsUsersIn reports whether users may pass the verifier's policy: one that has only AppRoles is
// for applications.
func letsUsersIn(p entraauth.Policy) bool {
	return len(p.AppRoles) == 0 || len(p.Scopes)+len(p.AnyScope)+len(p.UserRoles)+len(p.Groups) > 0
}

// distinct joins the faults, each once: two tools with one name are found in two ways.
func distinct(faults []error) error {
	seen := map[string]bool{}
	return errors.Join(slices.DeleteFunc(faults, func(err error) bool {
		if err == nil || seen[err.Error()] {
			return true
		}
		seen[err.Error()] = true
		return false
	})...)
}

// replaced returns a fault for each tool and prompt that took the place of another,
// or has no name.
func replaced(before, after inventory) (faults []error) {
	if before[listTools][""] == nil && after[listTools][""] != nil {
		faults = append(faults, errors.New("WithTools: a tool has no name"))
	}
	for method, what := range map[string]string{listTools: "tool", listPrompts: "prompt"} {
		for _, name := range after.added(before, method) {
			if before[method][name] != nil {
				faults = append(faults, twice(what, name))
			}
		}
	}
	return faults
}

func twice(what, name string) error {
	return fmt.Errorf("WithTools: there are two %ss named %q, and one would replace the other; rename one, or leave it out", what, name)
}

// unguarded returns a fault if a tool set has tools under a policy, and resources for
// which no method says whether the policy applies: most likely the set is a wrapper that
// hides the method. If unseen is a type with the method, that is certain, and tools of
// other sets count too.
func (a *access) unguarded(set string, unseen reflect.Type, before, after inventory) error {
	underPolicy := ""
	names := after.added(before, listTools)
	if unseen != nil {
		names = slices.Collect(maps.Keys(after[listTools]))
	}
	for _, name := range names {
		a.visit(target{tool, name}, func(*entraauth.Policy) { underPolicy = name })
	}
	if underPolicy == "" {
		return nil
	}
	free := func(t target) bool {
		guarded := len(a.toolsFor(t.name)) > 0
		a.visit(t, func(*entraauth.Policy) { guarded = true })
		return !guarded
	}
	for method, k := range map[string]kind{listResources: resource, listTemplates: template} {
		for _, name := range after.added(before, method) {
			if free(target{k, name}) {
				return fmt.Errorf("%s: the tool %q is under a policy, and nothing says whether the policy applies to the resource %q of the set. "+
					"If the set wraps another, pass the other to WithTools directly; otherwise add a method ToolForResource(uri string) string that returns the tool, or \"\" if the resource is free; or cover it with WithResourcePolicy",
					set, underPolicy, name)
			}
		}
	}
	return nil
}

// maxNesting is how deep ownersIn looks into wrappers.
const maxNesting = 8

var (
	toolSetType       = reflect.TypeFor[ToolSet]()
	resourceOwnerType = reflect.TypeFor[interface {
		ToolSet
		ResourceOwner
	}]()
)

// ownersIn returns the ToolForResource methods of the set and of the sets that it wraps
// and may hide: its fields, its elements and their elements. unseen is the type of a set
// whose method can't be called because its field is not exported. Sets inside functions
// can't be found. Only tool sets are inspected, because other values may be in use.
func ownersIn(set ToolSet) (says []func(uri string) string, unseen reflect.Type) {
	var look func(v reflect.Value, depth int)
	look = func(v reflect.Value, depth int) {
		t := v.Type()
		isNil := (t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface) && v.IsNil()
		if t.Kind() != reflect.Interface && !t.Implements(resourceOwnerType) && reflect.PointerTo(t).Implements(resourceOwnerType) {
			if !v.CanAddr() {
				unseen = t
				return
			}
			v, t = v.Addr(), reflect.PointerTo(t)
		}
		switch {
		case depth == 0, isNil:
		case t.Kind() != reflect.Interface && t.Implements(resourceOwnerType):
			if v.CanInterface() {
				says = append(says, v.Interface().(ResourceOwner).ToolForResource)
			} else {
				unseen = t
			}
		case holdsSets(t):
			for _, element := range v.Seq2() {
				look(element, depth-1)
			}
		case !t.Implements(toolSetType) && !reflect.PointerTo(t).Implements(toolSetType):
		case t.Kind() == reflect.Interface, t.Kind() == reflect.Pointer:
			look(v.Elem(), depth-1)
		case t.Kind() == reflect.Struct:
			for _, field := range v.Fields() {
				look(field, depth-1)
			}
		}
	}
	look(reflect.ValueOf(set), 2*maxNesting) // a pointer or an interface is a step too
	return says, unseen
}

// holdsSets reports whether values of the type have tool sets as elements.
func holdsSets(t reflect.Type) bool {
	k := t.Kind()
	return (k == reflect.Slice || k == reflect.Array || k == reflect.Map) && t.Elem().Implements(toolSetType)
}

// holdings are what a server has when it is made: what is registered, and what the middleware of
// tool sets shows.
type holdings struct{ registered, shown inventory }

// names returns what is listed, whether registered or only shown.
func (h holdings) names() inventory {
	all := inventory{}
	for _, part := range []inventory{h.shown, h.registered} {
		for method, list := range part {
			if all[method] == nil {
				all[method] = items{}
			}
			maps.Copy(all[method], list)
		}
	}
	return all
}

// any reports whether the list has a name that matches.
func (h holdings) any(method string, matches func(name string) bool) bool {
	for _, list := range []items{h.registered[method], h.shown[method]} {
		for name := range list {
			if matches(name) {
				return true
			}
		}
	}
	return false
}

// has reports whether something of that kind matches the pattern.
func (h holdings) has(k kind, p *resourceuri.Pattern) bool {
	switch {
	case p.String() == "*":
		return true
	case k == tool:
		return h.any(listTools, func(name string) bool { return p.Matches(name) })
	case k == prompt:
		return h.any(listPrompts, func(name string) bool { return p.Matches(name) })
	case h.any(listResources, p.MatchesURI):
		return true
	case !p.IsPrefix() && strings.HasSuffix(p.String(), "/"):
		return false // in a template it would match one odd resource, not those below
	}
	return h.any(listTemplates, p.MatchesSome)
}

// policyOptions are the options that set policies, by what for.
var policyOptions = []struct {
	option string
	kind   kind
}{{"WithToolPolicy", tool}, {"WithPromptPolicy", prompt}, {"WithResourcePolicy", resource}}

// checkPatterns returns a fault for each pattern that matches nothing the server has: a
// policy with a misspelled name protects nothing.
func (c *config) checkPatterns(has holdings) error {
	var faults []error
	check := func(option string, k kind, p *resourceuri.Pattern) {
		if !has.has(k, p) {
			faults = append(faults, fmt.Errorf("%s(%q): there is no such %s when the server is made; "+
				"check the spelling, and register the %[3]s in a set of WithTools, not later on srv.MCP()", option, p, kindNames[k]))
		}
	}
	for _, of := range policyOptions {
		rules := *c.access.rules(of.kind)
		for i := range rules {
			check(of.option, of.kind, &rules[i].Pattern)
		}
	}
	if s := c.serverCred; s != nil {
		for i := range s.tools {
			check(serverCredentialOption, tool, &s.tools[i])
		}
		for i := range s.resources {
			check(serverCredentialOption, resource, &s.resources[i])
		}
	}
	return errors.Join(faults...)
}

// checkAgentIDs returns a fault for each policy that names a tenant or the API itself as an agent or an
// agent user, as the verifier does for its own: no agent meets it, ever.
func (c *config) checkAgentIDs(v *entraauth.Verifier) error {
	if v == nil {
		return nil
	}
	app := v.Registration()
	var faults []error
	check := func(r *rule, option string) {
		fault := func(field, id, problem string) {
			faults = append(faults, fmt.Errorf("%s(%q): %s: %s %s", option, &r.Pattern, field, id, problem))
		}
		for _, id := range r.policy.Agents {
			switch id = strings.ToLower(id); {
			case slices.Contains(app.Tenants, id):
				fault("Agents", id, "is a tenant ID; list application IDs of agent identities")
			case id == app.ClientID:
				fault("Agents", id, "is the API's client ID, and a blueprint's ID names no agent; list application IDs of agent identities")
			}
		}
		for _, id := range r.policy.AgentUsers {
			if id = strings.ToLower(id); id == app.ClientID || slices.Contains(app.Tenants, id) {
				fault("AgentUsers", id, "is a tenant's or the application's id; list object IDs of agent users")
			}
		}
	}
	for _, of := range policyOptions {
		rules := *c.access.rules(of.kind)
		for i := range rules {
			check(&rules[i], of.option)
		}
	}
	brought := c.access.broughtNow().tools
	for i := range brought {
		check(&brought[i], "WithTools: policy of the tool ")
	}
	return errors.Join(faults...)
}
