package blobtool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/copies"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/work"
	"github.com/mcpentra/mcp-entra-go/internal/arguments"
	"github.com/mcpentra/mcp-entra-go/internal/toolset"
)

// Defaults of [Options].
const (
	DefaultMaxFileBytes  = 256 << 20 // 256 MiB
	DefaultMaxUserBytes  = 1 << 30   // 1 GiB
	DefaultMaxTotalBytes = 16 << 30  // 16 GiB
	DefaultMaxAge        = 7 * 24 * time.Hour
	DefaultTimeout       = 2 * time.Minute
)

// Options configures a [Set]. The zero value is useful.
type Options struct {
	// HTTPClient sends all requests to Azure Storage, with its own TLS
	// configuration. Its redirect policy and cookie jar are ignored: redirects
	// are not followed and cookies not kept. Defaults to a client with its own
	// connections and with timeouts for connecting and for response headers.
	HTTPClient *http.Client

	// Logger receives one record for each failed call, with its cause, and for
	// each copy that could not be saved. Defaults to no logging.
	Logger *slog.Logger

	// TracerProvider gets a span for each search and for each request to Azure Storage, with
	// the operation, the status and Azure's error code, and nothing that names an account, a
	// container or a blob. Each try of a request has its own span. The Azure SDK's own tracing,
	// which shows URLs, stays off. Requests carry no trace context. Defaults to none.
	TracerProvider trace.TracerProvider

	// MeterProvider gets the duration of requests to Azure Storage by operation and class of
	// status, the bytes read, and the saved copies by outcome and their bytes. Defaults to none.
	MeterProvider metric.MeterProvider

	// Now is the clock for the dates and the expiry of saved blobs, for removing the
	// unfinished files of a crashed process, and for the rate of writes. Defaults to
	// [time.Now].
	Now func() time.Time

	// DownloadDir is the folder in which read_blob_with_token saves blobs, in one folder
	// for each user: DownloadDir/{user}/{blob path}. It is created, accessible only to its
	// owner, when the first blob is saved. Copies are removed as MaxTotalBytes and MaxAge
	// say. Use a folder that nothing else writes to, and a different one for each process.
	// Sets of one process that save in the same folder share its limits, and blobs of any
	// container except the one saved first are at
	// DownloadDir/{user}/.container-{container}@{account}/{blob path}. If empty, nothing
	// is saved.
	DownloadDir string

	// MaxFileBytes is the size of the largest blob that is saved; of larger ones,
	// only what the text needs is fetched. Defaults to 256 MiB.
	MaxFileBytes int64

	// MaxUserBytes limits the space for one user's saved blobs; each file and
	// folder counts as at least 4 KiB. Blobs that do not fit are not saved.
	// Defaults to 1 GiB.
	MaxUserBytes int64

	// MaxTotalBytes limits the space for all users' saved blobs. To make room for a new
	// copy, the oldest ones are removed, except those saved within the last 10 minutes.
	// It must not be less than MaxUserBytes. Defaults to 16 GiB, or MaxUserBytes if that
	// is more.
	MaxTotalBytes int64

	// MaxAge is how long a saved blob is kept. Each call that saves one removes those
	// that are older. Defaults to 7 days.
	MaxAge time.Duration

	// Timeout bounds each call, all its requests included. Defaults to 2
	// minutes.
	Timeout time.Duration

	// Allow restricts callers to part of what they have permission for. An entry is a
	// container, or a container followed by a slash and one of these:
	//
	//   - a blob or a folder, as in "docs/reports": the blob of that name and all blobs
	//     below it, such as docs/reports/a.txt, but not docs/reports-2026/a.txt
	//   - a folder, as in "docs/reports/": all blobs below it
	//   - the beginning of names and an asterisk, as in "docs/reports-*"
	//
	// Every tool and resource checks it. An invalid entry, such as one with an asterisk
	// elsewhere or an empty folder name, is an error. In a set made with [New], all
	// entries must name its container. Empty allows the whole account or container.
	Allow []string

	// Write turns on the tools that write. Defaults to nil: the set only reads.
	Write *WriteOptions

	// Subscriptions lets callers subscribe to blobs (subscriptions/listen, and resources/subscribe
	// in a session), if the server is made with [Set.Configure]. Defaults to nil: nobody can.
	Subscriptions *SubscriptionOptions

	// Tools are the names of the tools to offer. An unknown name is an error. Resources
	// are offered together with read_blob. Defaults to all tools.
	Tools []string
}

// New returns the tools for one container of the storage account at serviceURL, such as
// https://account.blob.core.windows.net or, for the Azurite emulator,
// https://127.0.0.1:10000/devstoreaccount1. The URL must be https and have no SAS. New
// sends no requests. opts may be nil. The error joins one *[Error] of kind
// [ErrConfiguration] for each problem.
func New(serviceURL, container string, cred CredentialFunc, opts *Options) (*Set, error) {
	return newSet(serviceURL, container, cred, opts, func(*Options) error {
		if err := names.CheckContainer(container); err != nil {
			return configurationError("container", err)
		}
		return nil
	})
}

// NewAccount is like [New], but returns the tools for all containers of a storage account,
// or for those in [Options.Allow]. Each call names its container, and callers may list
// them. read_blob_with_token is not among these tools, so nothing can be saved.
func NewAccount(serviceURL string, cred CredentialFunc, opts *Options) (*Set, error) {
	return newSet(serviceURL, "", cred, opts, func(o *Options) error {
		if o.DownloadDir != "" {
			return configurationError("Options.DownloadDir", errors.New("is only for read_blob_with_token, which a set for an account does not have; use New"))
		}
		return nil
	})
}

// newSet makes either kind of set. check validates what only that kind has.
func newSet(serviceURL, container string, cred CredentialFunc, opts *Options, check func(*Options) error) (*Set, error) {
	o, errs := withDefaults(opts)
	base, err := names.ParseServiceURL(serviceURL, container)
	if err != nil {
		errs = append(errs, configurationError("serviceURL", err))
	}
	if err := check(&o); err != nil {
		errs = append(errs, err)
	}
	if cred == nil {
		errs = append(errs, configurationError("cred", errors.New("is nil; set a function that returns the credential of the call's user")))
	}
	tell := newSetTelemetry(&o)
	s := &Set{
		tell:       tell,
		serviceURL: base,
		container:  container,
		credential: cred,
		transport:  newTransport(o.HTTPClient, tell),
		log:        o.Logger,
		timeout:    o.Timeout,
		retryDelay: 200 * time.Millisecond,
		shares:     work.Process(),
		overlap:    maxOverlap,
	}
	var faults []error
	s.allow, faults = parseAllow("Options.Allow", container, o.Allow)
	errs = append(errs, faults...)
	if o.Write != nil {
		s.writing, faults = newWriting(container, *o.Write, o.Now)
		s.writing.asker.states.place = s.serviceURL + "/" + container
		s.writing.uploads.place = s.serviceURL
		errs = append(errs, faults...)
	}
	s.offered, faults = s.choose(o.Tools)
	if o.Subscriptions != nil {
		var more []error
		s.subscriptions, more = newSubscriptions(s, *o.Subscriptions, o.Now)
		if faults = append(faults, more...); len(s.offered) > 0 && !s.offers("read_blob") {
			faults = append(faults, configurationError("Options.Subscriptions", errors.New("is for resources, which are offered together with read_blob; add that to Options.Tools")))
		}
	}
	if errs = append(errs, faults...); len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if o.DownloadDir != "" {
		s.store = copies.NewStore(copies.Options{
			Dir: o.DownloadDir, ContainerURL: s.serviceURL + "/" + container, Now: o.Now,
			MaxFileBytes: o.MaxFileBytes, MaxUserBytes: o.MaxUserBytes, MaxAllBytes: o.MaxTotalBytes, MaxAge: o.MaxAge,
		})
	}
	return s, nil
}

// withDefaults returns a copy of the options with defaults for zero fields, and what is
// invalid.
func withDefaults(opts *Options) (Options, []error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	var errs []error
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	number := func(field string, v *int64, byDefault int64) {
		if *v < 0 {
			errs = append(errs, configurationError("Options."+field, fmt.Errorf("is %d; it must be positive, or 0 for the default", *v)))
		}
		if *v == 0 {
			*v = byDefault
		}
	}
	number("MaxFileBytes", &o.MaxFileBytes, DefaultMaxFileBytes)
	number("MaxUserBytes", &o.MaxUserBytes, DefaultMaxUserBytes)
	number("MaxTotalBytes", &o.MaxTotalBytes, max(DefaultMaxTotalBytes, o.MaxUserBytes))
	if o.MaxTotalBytes > 0 && o.MaxTotalBytes < o.MaxUserBytes {
		errs = append(errs, configurationError("Options.MaxTotalBytes", fmt.Errorf("is %d, less than the %d that one user may take (MaxUserBytes)", o.MaxTotalBytes, o.MaxUserBytes)))
	}
	number("MaxAge", (*int64)(&o.MaxAge), int64(DefaultMaxAge))
	number("Timeout", (*int64)(&o.Timeout), int64(DefaultTimeout))
	return o, errs
}

// tools returns all tools that a set of this kind can have.
func (s *Set) tools() []tool {
	all := []tool{
		{"list_blobs", (*Set).registerListBlobs},
		{"search_blobs", (*Set).registerSearch},
		{"stat_blob", (*Set).registerStatBlob},
		{"read_blob", (*Set).registerReadBlob},
	}
	if s.writing != nil {
		all = append(all, tool{"write_blob", (*Set).registerWriteBlob}, tool{"edit_blob", (*Set).registerEditBlob}, tool{"delete_blob", (*Set).registerDeleteBlob},
			tool{"copy_blob", (*Set).registerCopyBlob}, tool{undeleteName, (*Set).registerUndeleteBlob})
		all = append(all, tool{"append_blob", (*Set).registerAppendBlob}, tool{"set_metadata", (*Set).registerSetMetadata}, tool{"set_tags", (*Set).registerSetTags})
	}
	if s.container == "" {
		return append([]tool{{"list_containers", (*Set).registerListContainers}}, all...)
	}
	return append(all, tool{"read_blob_with_token", (*Set).registerReadWithToken})
}

// choose returns the tools with those names, or all tools if there are no names, and an
// error for each unknown name.
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

// Register adds the tools, replacing any of the same name, and the resources to the server.
// Add middleware that identifies callers, such as mcpauth.Receive, after it: middleware
// that is added last runs first, and listing blobs depends on the caller.
func (s *Set) Register(srv *mcp.Server) {
	if host := toolset.HostOf(srv); host != nil {
		for _, t := range s.offered {
			host.Tool(t.name)
		}
		host.Resources(s.ToolForResource)
		host.Credential(func(ctx context.Context) error { _, err := s.credential(ctx); return err }, storageResource)
	}
	for _, t := range s.offered {
		t.register(s, srv)
	}
	srv.AddReceivingMiddleware(arguments.WithoutNulls(s.offers)) // on any server
	if s.offers("read_blob") {
		s.registerResources(srv)
		if s.subscriptions != nil {
			s.subscriptions.register(srv)
		}
		srv.AddReceivingMiddleware(s.resourceLister)
	}
}
