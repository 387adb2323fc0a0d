package toolset_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/internal/toolset"
)

type host struct{ collected chan struct{} }

func (host) Tool(string)                                    {}
func (host) Resources(func(string) string)                  {}
func (host) Credential(func(context.Context) error, string) {}

// A server has its own host for as long as it lives, and no longer.
func TestHostOf(t *testing.T) {
	t.Parallel()
	plain := mcp.NewServer(&mcp.Implementation{Name: "plain"}, nil)
	if toolset.HostOf(plain) != nil {
		t.Error("a plain server has a host")
	}
	collected := make(chan struct{})
	func() {
		server := mcp.NewServer(&mcp.Implementation{Name: "ours"}, nil)
		h := &host{collected}
		toolset.Attend(server, h)
		if toolset.HostOf(server) != h || toolset.HostOf(plain) != nil {
			t.Error("the server's host is not the one that it was given")
		}
		runtime.AddCleanup(h, func(done chan struct{}) { close(done) }, collected)
	}()
	for { // the test's deadline ends it
		runtime.GC()
		select {
		case <-collected:
			return
		default:
			runtime.Gosched()
		}
	}
}

type caller struct {
	tool   string
	policy *toolset.ResourcePolicy
}

func (c caller) MayUse(tool string) bool            { return tool == c.tool }
func (c caller) Resources() *toolset.ResourcePolicy { return c.policy }

func TestCaller(t *testing.T) {
	t.Parallel()
	if !toolset.MayUse(t.Context(), "x") || toolset.Resources(t.Context()) != nil {
		t.Error("without policies something is closed, want all open")
	}
	policy := &toolset.ResourcePolicy{}
	ctx := context.WithValue(t.Context(), toolset.CallerKey{}, caller{"x", policy})
	if !toolset.MayUse(ctx, "x") || toolset.MayUse(ctx, "y") {
		t.Error("MayUse does not ask the caller's policies")
	}
	if got := toolset.Resources(ctx); got != policy {
		t.Errorf("Resources = %v, want the caller's", got)
	}
}

// An update for some sessions says so until it is sent, and one for all is left alone.
func TestAddress(t *testing.T) {
	t.Parallel()
	one, other := &mcp.ServerSession{}, &mcp.ServerSession{}
	params := &mcp.ResourceUpdatedNotificationParams{URI: "note://a", Meta: toolset.Address([]*mcp.ServerSession{one})}
	params.Meta["subscription"] = 1 // as the SDK adds it
	to, ok := toolset.AddressOf(params)
	if !ok || !to.Reaches(one) || to.Reaches(other) || to.Reaches(nil) {
		t.Errorf("AddressOf: got %v, %v, want the one session", to, ok)
	}
	plain := to.Unaddressed(params)
	if _, ok := toolset.AddressOf(plain); ok || plain.URI != params.URI || len(plain.Meta) != 1 || plain.Meta["subscription"] != 1 {
		t.Errorf("Unaddressed: got %+v, want the rest", plain)
	}
	if _, ok := toolset.AddressOf(params); !ok {
		t.Error("Unaddressed changed what the other sessions get")
	}
	if _, ok := toolset.AddressOf(&mcp.ResourceUpdatedNotificationParams{}); ok {
		t.Error("an update for all is taken for one that is not")
	}
	forged := &mcp.ResourceUpdatedNotificationParams{Meta: mcp.Meta{}}
	for name := range toolset.Address(nil) {
		forged.Meta[name] = []any{"all"}
	}
	if _, ok := toolset.AddressOf(forged); ok {
		t.Error("what came as JSON is taken for an address")
	}
}
