package obo_test

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// agentSides are the same hit for the app itself and for an agent, with a credential that is kept and
// with one made for the request.
func agentSides(tb testing.TB) map[string]func() {
	tb.Helper()
	entra := &agentEntra{}
	discard := func(o *obo.Options) { o.Logger = nil }
	plain := entra.exchanger(tb, func(o *obo.Options) { discard(o); o.Agents = nil })
	agents := entra.exchanger(tb, discard)
	a := blueprintToken(1)
	get := func(c *obo.Credential) {
		if _, err := c.GetToken(tb.Context(), storageOptions); err != nil {
			tb.Fatal(err)
		}
	}
	keptPlain, keptAgent := plain.Credential(a), agents.AgentCredential(a, agentB)
	sides := map[string]func(){
		"as=app/credential=kept":   func() { get(keptPlain) },
		"as=agent/credential=kept": func() { get(keptAgent) },
		"as=app/credential=new":    func() { get(plain.Credential(a)) },
		"as=agent/credential=new":  func() { get(agents.AgentCredential(a, agentB)) },
	}
	for _, hit := range sides {
		hit()
	}
	return sides
}

func BenchmarkAgentHit(b *testing.B) {
	sides := agentSides(b)
	for _, name := range []string{"as=app/credential=kept", "as=agent/credential=kept", "as=app/credential=new", "as=agent/credential=new"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sides[name]()
			}
		})
	}
}

// BenchmarkAgentExchange is a user's first token, with a token endpoint in memory.
func BenchmarkAgentExchange(b *testing.B) {
	for name, agents := range map[string][]string{"app": nil, "agent": {agentA}} {
		b.Run("as="+name, func(b *testing.B) {
			entra := &memoryEntra{}
			x, err := obo.NewExchanger(someGUID, someAppID, clientauth.Secret("s"), &obo.Options{HTTPClient: &http.Client{Transport: entra}, Agents: agents, CacheBytes: 1 << 30})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				c := x.Credential(blueprintToken(i))
				if agents != nil {
					c = x.AgentCredential(blueprintToken(i), agentA)
				}
				if _, err := c.GetToken(b.Context(), storageOptions); err != nil {
					b.Fatal(strconv.Itoa(i), err)
				}
			}
		})
	}
}

// TestAgentHitAllocatesNothingMore than the app's own.
func TestAgentHitAllocatesNothingMore(t *testing.T) { //nolint:paralleltest // counts the process's allocations
	sides := agentSides(t)
	for _, credential := range []string{"kept", "new"} {
		app := testing.AllocsPerRun(100, sides["as=app/credential="+credential])
		agent := testing.AllocsPerRun(100, sides["as=agent/credential="+credential])
		if agent > app {
			t.Errorf("credential %s: %v allocations as an agent, %v as the app; want no more", credential, agent, app)
		}
	}
}
