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

// CredentialFunc returns the credential with which the call of that context
// reaches Azure Storage: the credential of its user. It is asked once for each
// call. A credential is used for that call alone, so that no token can serve
// somebody else. If its error has a method UserText() string, anywhere in its
// chain, the caller reads that text.
type CredentialFunc = func(context.Context) (azcore.TokenCredential, error)

// A Set is the tools for one container, or for the containers of an account. It is
// immutable and safe for concurrent use.
type Set struct {
	serviceURL string
	container  string // empty: the call says which
	credential CredentialFunc
	transport  *transport
	store      *copies.Store // nil if nothing is saved
	log        *slog.Logger
	timeout    time.Duration
	retryDelay time.Duration
	shares     *work.Shares
	overlap    int // blobs that a search reads at the same time
	allow      allowList
	offered    []tool
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

// where names what the tools of this set are for.
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

// ToolForResource returns the name of the tool that does the same as reading the
// resource: read_blob for the URI of a blob of this set, and otherwise an empty string.
// What a policy demands for that tool it must demand for the resource.
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

// longestWrite is how long memory is reserved for an answer that its client does not read.
const longestWrite = 10 * time.Second

// bound bounds the time of a call. What it returns for a context ends when the answer has
// been sent, which is when the SDK ends that of the request: encoding the answer takes
// more memory than making it. returned says that the call has returned.
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
