// Package clientdoc fetches and reads client ID metadata documents: a client's description at
// the https URL that is its client ID (draft-ietf-oauth-client-id-metadata-document-01), and
// the key sets that they name. Strangers choose the URLs, so it connects to public addresses
// alone, and bounds everything.
package clientdoc

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/cache"
)

// Bounds on what is kept.
const (
	maxDocuments = 1000
	documentSize = 16 << 10 // what each counts, whatever its size
	maxRenewals  = 1000
	maxProven    = 2000    // URLs
	maxKeyBytes  = 8 << 20 // of all key sets
	keySize      = 1 << 10 // what each key of a set counts, and the set itself
	entrySize    = 320     // what internal/cache adds to each
)

// provenFor is for how long a URL counts as one that was good before.
const provenFor = 30 * 24 * time.Hour

// Options configures a [Fetcher].
type Options struct {
	// UnsafeClient fetches instead of the guarded client, for servers behind an egress proxy,
	// which must then refuse addresses that are not public. It follows no redirects and keeps
	// no cookies.
	UnsafeClient *http.Client
	// UnsafeLoopback accepts URLs and addresses of this machine too, for demonstrations.
	UnsafeLoopback bool
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time

	// For tests, which replace the network and not the rules: each defaults to the real one.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	Dial    func(ctx context.Context, network, address string) (net.Conn, error)
	RootCAs *x509.CertPool
}

// A Fetcher fetches documents and key sets, and keeps them for a while: valid ones for the
// answer's max-age, from a minute to a day, or else for an hour. Each URL has one fetch at a
// time. It is safe for concurrent use.
type Fetcher struct {
	client   *http.Client
	loopback bool
	now      func() time.Time
	limits   *limiter

	documents *cache.Cache[string, *Document]
	keySets   *cache.Cache[string, *keySet]
	renewals  *cache.Cache[string, *keySet]  // of the last minute; nil for one that failed
	proven    *cache.Cache[string, struct{}] // URLs that were good before
}

// New returns a fetcher. opts may be nil.
func New(opts *Options) *Fetcher {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	f := &Fetcher{client: newClient(&o), loopback: o.UnsafeLoopback, now: o.Now, limits: newLimiter(o.Now)}
	options := cache.Options{LoadTimeout: fetchTimeout, Now: o.Now}
	options.MaxBytes = maxDocuments * (documentSize + entrySize)
	f.documents = cache.New[string, *Document](options)
	options.MaxBytes = maxKeyBytes
	f.keySets = cache.New[string, *keySet](options)
	options.MaxBytes = maxRenewals * entrySize
	f.renewals = cache.New[string, *keySet](options)
	options.MaxBytes = maxProven * (maxURL + entrySize)
	f.proven = cache.New[string, struct{}](options)
	return f
}

func newClient(o *Options) *http.Client {
	if o.UnsafeClient != nil {
		return withoutRedirects(o.UnsafeClient)
	}
	g := &guard{resolve: o.Resolve, dial: o.Dial, public: isPublic}
	if o.UnsafeLoopback {
		g.public = func(a netip.Addr) bool { return isPublic(a) || a.IsLoopback() && a.Zone() == "" }
	}
	if g.resolve == nil {
		g.resolve = lookup
	}
	if g.dial == nil {
		g.dial = new(net.Dialer).DialContext
	}
	return g.client(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs})
}

// Document returns the document at the URL. Its error is an [*oauth.Error] that wraps one of
// this package and says why, without what the document says: 401 invalid_client if the URL or
// the document is at fault, 503 temporarily_unavailable if it can't be fetched, and 503 or 429
// if that would be one fetch too many.
func (f *Fetcher) Document(ctx context.Context, id string) (*Document, error) {
	const what = "client ID metadata document"
	if d, ok := f.documents.Hit(id); ok {
		return d, nil
	}
	u, err := parseURL(id, f.loopback)
	if err != nil {
		return nil, answer(what, &fault{ErrURL, err.Error()})
	}
	d, err := f.documents.Get(ctx, id, func(ctx context.Context) (item cache.Item[*Document], err error) {
		body, expires, err := f.fetch(ctx, u, maxDocument)
		if err != nil {
			return item, err
		}
		d, err := parseDocument(id, u, body, f.loopback)
		if err == nil {
			f.prove(id)
		}
		return cache.Item[*Document]{Value: d, ExpiresAt: expires, Size: documentSize}, err
	})
	if err != nil {
		return nil, answer(what, err)
	}
	return d, nil
}

// Key returns the key at the client's jwks_uri that has the ID and is for the algorithm, one of
// RS256, PS256 and ES256. If the set that is kept lacks it, it is fetched again, at most once a
// minute. Errors are as those of [Fetcher.Document]; ErrNoKey is 401 invalid_client.
func (f *Fetcher) Key(ctx context.Context, uri, kid, alg string) (crypto.PublicKey, error) {
	const what = "key set at the client's jwks_uri"
	u, err := parseURL(uri, f.loopback)
	if err != nil {
		return nil, answer(what, &fault{ErrURL, err.Error()})
	}
	set, err := f.keySets.Get(ctx, uri, func(ctx context.Context) (cache.Item[*keySet], error) { return f.fetchKeys(ctx, u) })
	if err != nil {
		return nil, answer(what, err)
	}
	public, fault := set.find(kid, alg)
	if fault != nil && !f.now().Before(set.fetchedAt.Add(minLifetime)) {
		set, err = f.renewed(ctx, uri, u)
		if err != nil {
			return nil, answer(what, err)
		}
		if set == nil { // for a minute: unknown key IDs must not lead to many requests
			return nil, answer(what, ErrUnavailable)
		}
		public, fault = set.find(kid, alg)
	}
	if fault != nil {
		return nil, answer(what, fault)
	}
	return public, nil
}

// renewed returns the key set as it was fetched again in the last minute, or nil if it could
// not be fetched. Then the one that is kept stays.
func (f *Fetcher) renewed(ctx context.Context, uri string, u *url.URL) (*keySet, error) {
	return f.renewals.Get(ctx, uri, func(ctx context.Context) (cache.Item[*keySet], error) {
		item, err := f.fetchKeys(ctx, u)
		if err == nil {
			f.keySets.Put(uri, item)
		}
		return cache.Item[*keySet]{Value: item.Value, ExpiresAt: f.now().Add(minLifetime)}, nil
	})
}

func (f *Fetcher) fetchKeys(ctx context.Context, u *url.URL) (item cache.Item[*keySet], err error) {
	body, expires, err := f.fetch(ctx, u, maxKeySet)
	if err != nil {
		return item, err
	}
	set, err := parseKeySet(body, f.now())
	if err != nil {
		return item, err
	}
	f.prove(u.String())
	return cache.Item[*keySet]{Value: set, ExpiresAt: expires, Size: keySize * (1 + len(set.keys))}, nil
}

// prove remembers that the URL was good.
func (f *Fetcher) prove(url string) {
	f.proven.Put(url, cache.Item[struct{}]{ExpiresAt: f.now().Add(provenFor), Size: maxURL})
}

// fetch fetches a JSON document within the limits, and returns until when it may be kept.
func (f *Fetcher) fetch(ctx context.Context, u *url.URL, maxBytes int64) ([]byte, time.Time, error) {
	_, proven := f.proven.Hit(u.String())
	ctx, end, err := f.limits.begin(ctx, u, proven)
	if err != nil {
		return nil, time.Time{}, err
	}
	defer end()
	body, life, err := get(ctx, f.client, u, maxBytes)
	if busy, ok := errors.AsType[*busyError](context.Cause(ctx)); ok && err != nil {
		err = busy
	}
	return body, f.now().Add(life), err
}
