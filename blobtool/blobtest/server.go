package blobtest

import (
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Options configures a [Server].
type Options struct {
	// Key returns the public key with the kid, for example the PublicKey method of a test tenant.
	// Required.
	Key func(kid string) (*rsa.PublicKey, bool)

	// Issuer is the exact iss of tokens. Azure Storage uses v1 tokens, so it is
	// https://sts.windows.net/{tenant}/. Required.
	Issuer string

	// Audience is the aud of tokens, with or without a trailing slash. Defaults to
	// https://storage.azure.com.
	Audience string

	// TenantID is the tid of tokens. Defaults to the tenant in an Issuer like
	// https://sts.windows.net/{tenant}/; for any other Issuer, tid is not checked by default.
	TenantID string

	// Now is the clock for the lifetime of tokens and for Last-Modified.
	// Defaults to [time.Now].
	Now func() time.Time

	// Versioning keeps replaced and deleted blobs as versions, like Azure's setting. Blobs then
	// have version IDs.
	Versioning bool

	// SoftDeleteDays is the retention period of soft delete for blobs. If it is positive, deleted
	// blobs are kept for that long, listed with include=deleted, and brought back by Undelete Blob;
	// overwritten content is kept as a deleted snapshot.
	SoftDeleteDays int

	// HidesTagCount leaves the number of tags out of what a caller sees who may not read them.
	// Whether Azure does so is unknown: a client should be tried both ways.
	HidesTagCount bool

	// HierarchicalNamespace makes the account a Data Lake Storage Gen2 account. Directories are
	// entries without content, created with the first blob in them or by [Server.AddDirectory]. A
	// flat listing shows them as blobs with the ResourceType directory and, if requested, the
	// metadata hdi_isfolder; a listing by hierarchy shows them as prefixes with properties; Get
	// Blob of one is empty. There are no tags: comp=tags and comp=blobs get 400
	// InvalidQueryParameterValue, x-ms-tags and x-ms-if-tags get 400 UnsupportedHeader. Files from
	// [Server.PutFile] can be overwritten by Put Blob only. With SoftDeleteDays, deleted files are
	// listed with showonly=deleted, each with its DeletionId, for x-ms-undelete-source. As in
	// Azure, it excludes Versioning.
	HierarchicalNamespace bool

	// Account is the account's name as the first path segment of the URL,
	// https://127.0.0.1:PORT/devstoreaccount1, as in the emulator. Defaults to none: the host
	// identifies the account, as in Azure.
	Account string

	// Beside is a server with another account. The two share a certificate, so that one HTTP
	// client trusts both, and blobs can be copied from one to the other. Defaults to none.
	Beside *Server

	// Addr is where the server listens: host and port. Defaults to 127.0.0.1:0, a
	// free port.
	Addr string

	// KeepRequests is how many requests [Server.Requests] returns at most; older ones are dropped.
	// Defaults to 2000.
	KeepRequests int

	// Logger logs a line for each response, without tokens. In a test,
	// slog.New(slog.NewTextHandler(t.Output(), nil)) shows them if the test fails. Defaults to
	// none.
	Logger *slog.Logger
}

// A Server is a storage account, served over HTTPS on loopback. All methods are safe for
// concurrent use.
type Server struct {
	opts     Options
	listener net.Listener
	http     *http.Server
	running  sync.WaitGroup // the accept loop and the handlers
	accounts *group
	verifier *tokenVerifier

	mu         sync.Mutex
	closed     bool // no more handlers start
	containers map[string]*container
	grants     []grant
	requests   []*Request
	counts     map[Operation]int
	faults     []*Fault
	onRequest  func(Request)
	serial     uint64    // makes ETags and request IDs unique
	lastID     time.Time // of a version or snapshot
}

// NewServer starts a server. Like httptest, it panics if it can't listen. It also panics if a
// required option is missing. Close it when done; in tests, [New] does that.
func NewServer(opts *Options) *Server {
	o := withDefaults(opts)
	accounts, err := groupOf(o.Beside)
	if err != nil {
		panic(fmt.Sprintf("blobtest: making a certificate: %v", err))
	}
	l, err := listen(o.Addr)
	if err != nil {
		panic(fmt.Sprintf("blobtest: listening on %s: %v", o.Addr, err))
	}
	s := &Server{
		opts:       o,
		listener:   l,
		accounts:   accounts,
		verifier:   newTokenVerifier(o),
		containers: map[string]*container{},
		counts:     map[Operation]int{},
	}
	s.http = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if s.enter() {
				defer s.running.Done()
				s.serve(w, r)
			}
		}),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0), // faults break connections on purpose
	}
	// No ALPN: the real service only speaks HTTP/1.1.
	tlsListener := tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{accounts.cert}, MinVersion: tls.VersionTLS12})
	accounts.add(s)
	s.running.Go(func() {
		if err := s.http.Serve(tlsListener); !errors.Is(err, http.ErrServerClosed) {
			panic(fmt.Sprintf("blobtest: serving: %v", err))
		}
	})
	return s
}

func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.running.Add(1)
	return true
}

// TB is the part of *testing.T, *testing.B and *testing.F that [New] uses. It keeps package
// testing out of programs that link this package.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// New starts a server for a test and closes it when the test ends. Invalid options fail the test.
func New(t TB, opts *Options) *Server {
	t.Helper()
	defer failOnPanic(t)
	s := NewServer(opts)
	t.Cleanup(s.Close)
	return s
}

func failOnPanic(t TB) {
	t.Helper()
	if problem := recover(); problem != nil {
		t.Fatalf("%v", problem)
	}
}

func withDefaults(opts *Options) Options {
	if opts == nil || opts.Key == nil || opts.Issuer == "" {
		panic("blobtest: Options.Key and Options.Issuer are required: they say whose tokens are valid")
	}
	if opts.HierarchicalNamespace && opts.Versioning {
		panic("blobtest: an account with a hierarchical namespace has no versions")
	}
	o := *opts
	if o.Audience == "" {
		o.Audience = "https://storage.azure.com"
	}
	if o.TenantID == "" {
		o.TenantID = tenantOf(o.Issuer)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if o.KeepRequests <= 0 {
		o.KeepRequests = 2000
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// URL returns the account's URL without a trailing slash: https://127.0.0.1:PORT or, with
// [Options.Account], https://127.0.0.1:PORT/ACCOUNT.
func (s *Server) URL() string {
	u := "https://" + s.listener.Addr().String()
	if s.opts.Account != "" {
		u += "/" + s.opts.Account
	}
	return u
}

// HTTPClient returns a client that trusts only this server's certificate. Each call returns a new
// client that you may change; all share connections.
func (s *Server) HTTPClient() *http.Client { return &http.Client{Transport: s.accounts.transport} }

// CertificatePEM returns the server's self-signed TLS certificate for localhost, 127.0.0.1 and
// ::1. Write it to a file for SSL_CERT_FILE, or add it to a pool.
func (s *Server) CertificatePEM() []byte { return append([]byte(nil), s.accounts.certPEM...) }

// Close stops the server and waits for its goroutines to end. It aborts requests in progress.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	_ = s.http.Close()
	s.running.Wait()
	s.accounts.remove(s)
	s.accounts.transport.CloseIdleConnections()
}
