package mcpentra_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

const agentC = "a9e00000-0000-4000-8000-00000000000c"

func noAgent(*entraauth.Identity) string { return "" }

// agentServer makes a server that acts as agentC for app A, and returns its faults.
func agentServer(t *testing.T, v *entraauth.Options, x *obo.Options, more ...mcpentra.Option) error {
	t.Helper()
	v.HTTPClient = &http.Client{Transport: offline{}}
	verifier, err := entraauth.NewVerifier(tenantA, appA, v)
	must(t, err)
	t.Cleanup(func() { _ = verifier.Close() })
	exchanger, err := obo.NewExchanger(tenantA, appA, clientauth.Secret("s"), x)
	must(t, err)
	_, err = mcpentra.NewServer(resourceURL, verifier, append(more, mcpentra.WithExchanger(exchanger))...)
	return err
}

// A blueprint signs nobody in, and neither does an agent: the proxy needs an app of its own.
func TestAgentsAndAuthProxy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		proxyApp string
		agents   bool
		want     string
	}{
		"an app of its own":            {appB, true, ""},
		"the blueprint":                {appA, true, "WithAuthProxy: the proxy's app is " + appA + ", the blueprint"},
		"the blueprint, in upper case": {strings.ToUpper(appA), true, "WithAuthProxy: the proxy's app is "},
		"the agent":                    {agentC, true, "WithAuthProxy: the proxy's app is " + agentC + ", an agent identity"},
		"the API, without agents":      {appA, false, ""},
	} {
		p := newFakeProxy()
		p.clientID = c.proxyApp
		x, options := &obo.Options{}, []mcpentra.Option{mcpentra.WithAuthProxy(p)}
		if c.agents {
			x.Agents, options = []string{agentC}, append(options, mcpentra.WithAgent(noAgent))
		}
		err := agentServer(t, &entraauth.Options{}, x, options...)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// Agents belong to one tenant, so nobody is told to list others for the exchanger, which refuses that.
func TestAgentsAndOtherTenants(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]*entraauth.Options{
		"another tenant":   {OtherTenants: []string{tenantB}},
		"any organization": {AcceptAnyOrganization: true},
	} {
		err := agentServer(t, v, &obo.Options{Agents: []string{agentC}}, mcpentra.WithAgent(noAgent))
		if err == nil || !strings.Contains(err.Error(), "agent identities belong to one tenant") || strings.Contains(err.Error(), "obo.Options.OtherTenants") {
			t.Errorf("%s: got %v, want that agents belong to one tenant, and not the option that doesn't go with agents", name, err)
		}
	}
}

// One call acts as one agent, however often its tool asks, and its line names that agent.
func TestAgentIsChosenOnceInACall(t *testing.T) {
	t.Parallel()
	x := newAgency(t)
	var asked atomic.Int32
	var sees sync.Map // callers that the function is asked about
	x.options = []mcpentra.Option{mcpentra.WithTools(twice{}), mcpentra.WithAgent(func(caller *entraauth.Identity) string {
		sees.Store(caller.ObjectID(), true)
		return []string{x.a.ClientID, x.b.ClientID}[asked.Add(1)%2] // it changes its mind
	})}
	x.rebuild(t)
	for range 2 {
		before, n := len(x.log.String()), asked.Load()
		_, _, body := x.post(t, callBody("twice"), bearerOf(x.token(x.alice)))
		as := x.a.ClientID
		if n%2 == 0 {
			as = x.b.ClientID
		}
		if got := strings.Count(body, "for "+x.alice.ObjectID+" as "+as); got != 3 || asked.Load() != n+1 {
			t.Errorf("asked %d times, got %s; want one time, and three tokens as %s", asked.Load()-n, body, as)
		}
		if log := x.log.String()[before:]; !strings.Contains(log, "acts_as="+as) {
			t.Errorf("the log lacks acts_as=%s:\n%s", as, log)
		}
	}
	sees.Range(func(id, _ any) bool {
		if id != x.alice.ObjectID {
			t.Errorf("the function was asked about %v, want Alice alone", id)
		}
		return true
	})
}

// twice is a tool that asks for its credential again and again, also at once.
type twice struct{}

func (twice) Register(s *mcp.Server) {
	mcp.AddTool(s, &mcp.Tool{Name: "twice", Description: "Acts three times."},
		func(ctx context.Context, _ *mcp.CallToolRequest, _ map[string]any) (*mcp.CallToolResult, any, error) {
			var texts [3]string
			var errs [3]error
			var wg sync.WaitGroup
			texts[0], errs[0] = actsFor(ctx)
			for i := 1; i < 3; i++ {
				wg.Go(func() { texts[i], errs[i] = actsFor(ctx) })
			}
			wg.Wait()
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: fmt.Sprint(texts)}}}, nil, errors.Join(errs[:]...)
		})
}
