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

func TestMayUse(t *testing.T) {
	t.Parallel()
	if !toolset.MayUse(t.Context(), "x") {
		t.Error("without policies nobody may")
	}
	ctx := toolset.WithPermission(t.Context(), func(tool string) bool { return tool == "x" })
	if !toolset.MayUse(ctx, "x") || toolset.MayUse(ctx, "y") {
		t.Error("the permission is not asked")
	}
}

func TestResources(t *testing.T) {
	t.Parallel()
	if toolset.Resources(t.Context()) != nil {
		t.Error("without policies something is closed")
	}
	asked := 0
	ctx := toolset.WithResources(t.Context(), func() *toolset.ResourcePolicy { asked++; return &toolset.ResourcePolicy{} })
	for range 2 {
		if toolset.Resources(ctx) == nil {
			t.Error("the policy is not found")
		}
	}
	if asked != 1 {
		t.Errorf("the policy was made %d times, want once", asked)
	}
}
