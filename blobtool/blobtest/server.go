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
	// Key returns the public key for tokens with that kid: the PublicKey method of a
	// test tenant, for example. Required.
	Key func(kid string) (*rsa.PublicKey, bool)

	// Issuer is the exact iss of tokens, https://sts.windows.net/{tenant}/ for
	// Azure Storage, whose tokens are v1. Required.
	Issuer string

	// Audience is the aud of tokens, with or without a trailing slash. Defaults to
	// https://storage.azure.com.
	Audience string

	// TenantID is the tid of tokens. Defaults to the tenant in an Issuer of the form
	// https://sts.windows.net/{tenant}/; with another Issuer, it is not checked.
	TenantID string

	// Now is the clock for the lifetime of tokens and for Last-Modified.
	// Defaults to [time.Now].
	Now func() time.Time

	// Versioning keeps replaced and deleted blobs as versions, like the setting of
	// that name in Azure. Blobs then have version ids.
	Versioning bool

	// SoftDeleteDays, if positive, keeps deleted blobs, which are listed with
	// include=deleted: the retention period of soft delete for blobs. They stay when
	// it has passed.
	SoftDeleteDays int

	// HierarchicalNamespace makes the account one of Data Lake Storage Gen2.
	// Directories are entries without content, added with the first blob in them or
	// by [Server.AddDirectory]. A flat listing has them as blobs with the ResourceType
	// directory and, if requested, the metadata hdi_isfolder; a listing by hierarchy
	// has them as prefixes with properties; Get Blob of one is empty. There are no
	// tags: comp=tags and comp=blobs answer 400 InvalidQueryParameterValue,
	// x-ms-if-tags 400 UnsupportedHeader. It excludes Versioning, as in Azure.
	HierarchicalNamespace bool

	// Account is the name of an account that is the first path segment of its URL,
	// https://127.0.0.1:PORT/devstoreaccount1, as in the emulator. Defaults to none: the
	// account is the host, as in Azure.
	Account string

	// Addr is where the server listens: host and port. Defaults to 127.0.0.1:0, a
	// free port.
	Addr string

	// KeepRequests is how many requests [Server.Requests] returns; older ones are
	// dropped. Defaults to 2000.
	KeepRequests int

	// Logger gets a line for each answer, without tokens. In a test,
	// slog.New(slog.NewTextHandler(t.Output(), nil)) shows them when it fails. Defaults
	// to none.
	Logger *slog.Logger
}

// A Server is one storage account, served over https on loopback. All methods
// may be called at any time from any goroutine.
type Server struct {
	opts      Options
	listener  net.Listener
	http      *http.Server
	running   sync.WaitGroup // the accept loop and the handlers
	transport *http.Transport
	certPEM   []byte
	verifier  *tokenVerifier

	mu         sync.Mutex
	closed     bool // no more handlers start
	containers map[string]*container
	grants     []grant
	requests   []*Request
	counts     map[Operation]int
	faults     []*Fault
	serial     uint64    // makes ETags and request ids unique
	lastID     time.Time // of a version or snapshot
}

// NewServer starts a server. As httptest does, it panics if it can't listen, and
// it panics if a required option is missing. Close it when done; in tests,
// [New] does that.
func NewServer(opts *Options) *Server {
	o := withDefaults(opts)
	cert, certPEM, err := selfSigned()
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
		certPEM:    certPEM,
		transport:  transportTrusting(certPEM),
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
		ErrorLog:          log.New(io.Discard, "", 0), // broken connections are what a fault is for
	}
	// No ALPN: the real service speaks HTTP/1.1 only.
	tlsListener := tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
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

// TB is what [New] needs of a test: *testing.T, *testing.B and *testing.F have it.
// Programs that link this package thus don't link package testing.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// New starts a server for a test, and closes it when the test is done. Invalid options
// fail the test.
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

// URL returns the account's URL, https://127.0.0.1:PORT or, with
// [Options.Account], https://127.0.0.1:PORT/ACCOUNT, without trailing slash.
func (s *Server) URL() string {
	u := "https://" + s.listener.Addr().String()
	if s.opts.Account != "" {
		u += "/" + s.opts.Account
	}
	return u
}

// HTTPClient returns a client that trusts this server's certificate and no
// other. Each call returns a new one, for you to change; all share connections.
func (s *Server) HTTPClient() *http.Client { return &http.Client{Transport: s.transport} }

// CertificatePEM returns the server's TLS certificate, which is its own root: write it
// to a file for SSL_CERT_FILE, or add it to a pool. It is for localhost, 127.0.0.1 and
// ::1.
func (s *Server) CertificatePEM() []byte { return append([]byte(nil), s.certPEM...) }

// Close stops the server and waits until all of its goroutines have ended. Requests
// under way are cut off.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	_ = s.http.Close()
	s.running.Wait()
	s.transport.CloseIdleConnections()
}
