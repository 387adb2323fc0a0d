package blobtool

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/copies"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/work"
	"github.com/mcpentra/mcp-entra-go/internal/toolset"
)

// CredentialFunc returns the credential for the user of the call whose context it is
// given. It is called once for each call, and the credential is used only for that call,
// so that no token can serve another user; that of a subscription serves its user until the
// subscription ends or the session has a newer token. If an error in the chain of its error has a
// method UserText() string, the caller sees that text.
type CredentialFunc = func(context.Context) (azcore.TokenCredential, error)

// A Set is the tools for one container, or for the containers of an account. It is
// immutable and safe for concurrent use.
type Set struct {
	serviceURL string
	container  string // empty: an argument of each call
	credential CredentialFunc
	transport  *transport
	tell       *setTelemetry
	store      *copies.Store // nil if nothing is saved
	log        *slog.Logger
	timeout    time.Duration
	retryDelay time.Duration
	shares     *work.Shares
	overlap    int // blobs that a search reads at the same time
	allow      allowList
	writing    *writing // nil: the set only reads
	offered    []tool

	subscriptions *subscriptions // nil: there are none
}

// tool is one of the tools of a set.
type tool struct {
	name     string
	register func(*Set, *mcp.Server)
}

// offers reports whether the set has that tool.
func (s *Set) offers(name string) bool {
	return slices.ContainsFunc(s.offered, func(t tool) bool { return t.name == name })
}

// tellsBlobs reports whether the caller may see names of blobs outside of tools, because
// a tool would also show them.
func (s *Set) tellsBlobs(ctx context.Context) bool {
	return s.mayUseOne(ctx, "list_blobs", "search_blobs")
}

// tellsContainers is like tellsBlobs, for an account's containers.
func (s *Set) tellsContainers(ctx context.Context) bool { return s.mayUseOne(ctx, "list_containers") }

// mayUseOne reports whether the caller may use any of those tools that the set offers, or
// the set offers none of them.
func (s *Set) mayUseOne(ctx context.Context, names ...string) bool {
	offered := slices.DeleteFunc(names, func(name string) bool { return !s.offers(name) })
	return len(offered) == 0 || slices.ContainsFunc(offered, func(name string) bool { return toolset.MayUse(ctx, name) })
}

// where returns what the tools' descriptions call the container.
func (s *Set) where() string {
	if s.container != "" {
		return fmt.Sprintf("the Azure Blob Storage container %q", s.container)
	}
	return "an Azure Blob Storage container"
}

// uriTemplate returns the template (RFC 6570) of the set's resources.
func (s *Set) uriTemplate() string {
	if s.container != "" {
		return names.Scheme + names.Encode(s.container) + "/{+path}"
	}
	return names.Scheme + "{container}/{+path}"
}

// ToolForResource returns the name of the tool that is equivalent to reading the resource:
// read_blob for the URI of a blob of this set, otherwise an empty string. A policy for that
// tool must also apply to the resource.
func (s *Set) ToolForResource(uri string) string {
	at, err := names.ParseURI(uri)
	if err != nil || s.container != "" && at.Container != s.container {
		return ""
	}
	return "read_blob"
}

// worker returns a worker for a call of that user.
func (s *Set) worker(ctx context.Context, user string) *work.Worker {
	return work.New(ctx, s.shares, user)
}

// longestWrite limits how long memory stays reserved for an answer that the client does
// not read.
const longestWrite = 10 * time.Second

// bound limits the time of a call. The context ends when the answer has been sent, which is
// when the SDK cancels the request's: encoding an answer takes more memory than making it.
// Call returned when the handler returns.
func (s *Set) bound(request context.Context) (ctx context.Context, returned func()) {
	ctx, cancel := context.WithTimeout(request, s.timeout)
	if request.Done() == nil {
		return ctx, cancel
	}
	context.AfterFunc(request, cancel)
	return ctx, func() {
		t := time.AfterFunc(longestWrite, cancel)
		context.AfterFunc(ctx, func() { t.Stop() })
	}
}
