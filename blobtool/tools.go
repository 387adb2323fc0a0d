package blobtool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/internal/toolset"
)

// tool is one of the tools of a set.
type tool struct {
	name     string
	register func(*Set, *mcp.Server)
}

// tools returns all tools that a set of this kind can have.
func (s *Set) tools() []tool {
	all := []tool{
		{"list_blobs", (*Set).registerListBlobs},
		{"search_blobs", (*Set).registerSearch},
		{"stat_blob", (*Set).registerStatBlob},
		{"read_blob", (*Set).registerReadBlob},
	}
	if s.container == "" {
		return append([]tool{{"list_containers", (*Set).registerListContainers}}, all...)
	}
	return append(all, tool{"read_blob_with_token", (*Set).registerReadWithToken})
}

// offers reports whether the set has that tool.
func (s *Set) offers(name string) bool {
	return slices.ContainsFunc(s.offered, func(t tool) bool { return t.name == name })
}

// tellsBlobs reports whether the caller may learn the names of blobs: by a tool that
// lists them, so by other ways too.
func (s *Set) tellsBlobs(ctx context.Context) bool {
	return s.mayUseOne(ctx, "list_blobs", "search_blobs")
}

// tellsContainers is the same for the containers of an account.
func (s *Set) tellsContainers(ctx context.Context) bool { return s.mayUseOne(ctx, "list_containers") }

// mayUseOne reports whether the caller may use one of those tools which the set
// offers. If it offers none, nothing is closed.
func (s *Set) mayUseOne(ctx context.Context, names ...string) bool {
	offered := slices.DeleteFunc(names, func(name string) bool { return !s.offers(name) })
	return len(offered) == 0 || slices.ContainsFunc(offered, func(name string) bool { return toolset.MayUse(ctx, name) })
}

// choose returns the tools of those names, or all if there are none, and an error
// for each name that no tool has.
func (s *Set) choose(names []string) ([]tool, []error) {
	all := s.tools()
	if len(names) == 0 {
		return all, nil
	}
	var errs []error
	known := make([]string, len(all))
	for i, t := range all {
		known[i] = t.name
	}
	for i, name := range names {
		if !slices.Contains(known, name) {
			errs = append(errs, configurationError(fmt.Sprintf("Options.Tools[%d]", i),
				errors.New("is "+quote(name)+"; the tools of this set are "+strings.Join(known, ", "))))
		}
	}
	return slices.DeleteFunc(all, func(t tool) bool { return !slices.Contains(names, t.name) }), errs
}
