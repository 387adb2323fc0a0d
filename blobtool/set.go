package blobtool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/internal/arguments"
	"github.com/mcpentra/mcp-entra-go/internal/toolset"
)

// CredentialFunc returns the credential with which the call of that context
// reaches Azure Storage: the credential of its user. It is asked once for each
// call. A credential is used for that call alone, so that no token can serve
// somebody else. If its error has a method UserText() string, anywhere in its
// chain, the caller reads that text.
type CredentialFunc = func(context.Context) (azcore.TokenCredential, error)

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
	// HTTPClient carries all requests to Azure Storage; the TLS trust is its
	// own. Redirects are not followed and cookies not kept, whatever it says.
	// Defaults to a client with connections of its own and time-outs for
	// connecting and for response headers.
	HTTPClient *http.Client

	// Logger gets one record for each failed call, with its cause, and for
	// each copy that could not be saved. Defaults to none.
	Logger *slog.Logger

	// Now is the clock by which saved blobs are dated and expire, and the unfinished
	// files of a crashed process are removed. Defaults to [time.Now].
	Now func() time.Time

	// DownloadDir is the folder below which blobs that are read are saved, in
	// one folder for each user: DownloadDir/{user}/{blob path}. It is made,
	// for its owner alone, when the first blob is saved. Copies are removed again:
	// see MaxTotalBytes and MaxAge. Use a folder that nothing else writes to, and one
	// for each process. Several sets of a process that save in one folder share its
	// bounds, and blobs of any container except the one saved first are at
	// DownloadDir/{user}/.container-{container}@{account}/{blob path}. If empty,
	// nothing is saved.
	DownloadDir string

	// MaxFileBytes is the size up to which a blob is saved; of a larger one
	// only what the text needs is fetched. Defaults to 256 MiB.
	MaxFileBytes int64

	// MaxUserBytes is how much space the saved blobs of one user may take;
	// each file and each folder counts as at least 4 KiB. What does not fit is
	// not saved. Defaults to 1 GiB.
	MaxUserBytes int64

	// MaxTotalBytes is how much space the saved blobs of all users may take. To make
	// room for a new copy the oldest ones are removed, except those saved within the
	// last 10 minutes. It must not be less than MaxUserBytes. Defaults to 16 GiB, or
	// MaxUserBytes if that is more.
	MaxTotalBytes int64

	// MaxAge is how long a saved blob is kept. Each call that saves one removes those
	// that are older. Defaults to 7 days.
	MaxAge time.Duration

	// Timeout bounds each call, all its requests included. Defaults to 2
	// minutes.
	Timeout time.Duration

	// Allow is what callers may see of what they have permission for: each entry
	// is the name of a container, or a container and the beginning of its blobs'
	// names, as in "docs/reports/". Mind the last slash: "docs/reports" also
	// allows docs/reports-2026/a.txt. Every tool and resource checks it. Empty
	// means all of the account or, in a set made with [New], of the container,
	// which all entries must then name.
	Allow []string

	// Tools are the names of the tools to offer, of those that the package's
	// documentation describes. An unknown name is a fault. Resources are offered
	// along with read_blob. Defaults to all tools.
	Tools []string
}

// A Set is the tools for one container, or for the containers of an account. It is
// immutable and safe for concurrent use.
type Set struct {
	serviceURL string
	container  string // empty: the call says which
	credential CredentialFunc
	transport  *transport
	store      *store // nil if nothing is saved
	log        *slog.Logger
	timeout    time.Duration
	shares     *shares
	overlap    int // blobs that a search reads at the same time
	allow      allowList
	offered    []tool
}

// New returns the tools for one container of the storage account at serviceURL,
// such as https://account.blob.core.windows.net, or with the account in the path
// as the Azurite emulator has it: https://127.0.0.1:10000/devstoreaccount1. It
// must be https and carry no SAS. Nothing is contacted. opts may be nil. The
// error joins one *[Error] of kind [ErrConfiguration] for each fault.
func New(serviceURL, container string, cred CredentialFunc, opts *Options) (*Set, error) {
	return newSet(serviceURL, container, cred, opts, func(*Options) error {
		if err := checkContainer(container); err != nil {
			return configurationError("container", err)
		}
		return nil
	})
}

// NewAccount returns the tools for all containers of a storage account, or those
// that [Options.Allow] names: their callers say which, and may list them. It is
// else like [New]. Nothing can be saved: read_blob_with_token is not among these
// tools.
func NewAccount(serviceURL string, cred CredentialFunc, opts *Options) (*Set, error) {
	return newSet(serviceURL, "", cred, opts, func(o *Options) error {
		if o.DownloadDir != "" {
			return configurationError("Options.DownloadDir", errors.New("is for read_blob_with_token, which only a set for one container has (New)"))
		}
		return nil
	})
}

// newSet makes either kind of set. check looks at what is peculiar to it.
func newSet(serviceURL, container string, cred CredentialFunc, opts *Options, check func(*Options) error) (*Set, error) {
	o, errs := withDefaults(opts)
	base, err := parseServiceURL(serviceURL, container)
	if err != nil {
		errs = append(errs, configurationError("serviceURL", err))
	}
	if err := check(&o); err != nil {
		errs = append(errs, err)
	}
	if cred == nil {
		errs = append(errs, configurationError("cred", errors.New("is nil; it must return the credential of the call's user")))
	}
	s := &Set{
		serviceURL: base,
		container:  container,
		credential: cred,
		transport:  newTransport(o.HTTPClient),
		log:        o.Logger,
		timeout:    o.Timeout,
		shares:     processShares(),
		overlap:    maxOverlap,
	}
	var faults []error
	s.allow, faults = parseAllow(container, o.Allow)
	errs = append(errs, faults...)
	s.offered, faults = s.choose(o.Tools)
	if errs = append(errs, faults...); len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if o.DownloadDir != "" {
		s.store = newStore(o, s.serviceURL+"/"+container)
	}
	return s, nil
}

// withDefaults copies the options, fills in what is zero and returns what is
// wrong.
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

// Register adds the tools to the server, in the place of any of the same name, and
// the resources. Middleware that tells callers apart, such as mcpauth.Receive, must be
// added after it: what is added last runs first, and blobs are listed for their caller.
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
		srv.AddReceivingMiddleware(s.resourceLister)
	}
}
