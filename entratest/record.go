package entratest

import (
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// An Endpoint is one of the kinds of endpoint that the tenant serves.
type Endpoint int

// The endpoints of a tenant.
const (
	EndpointDiscovery       Endpoint = iota + 1 // OpenID metadata, v1 and v2, and instance discovery
	EndpointKeys                                // the key sets, v1 and v2
	EndpointToken                               // /oauth2/v2.0/token
	EndpointManagedIdentity                     // the endpoint for code in Azure
	EndpointAuthorize                           // /oauth2/v2.0/authorize, /v2.0/adminconsent, and the forms of their pages
	EndpointDevice                              // /oauth2/v2.0/devicecode, and the page for its codes
	EndpointLogout                              // /oauth2/v2.0/logout
	EndpointGraph                               // /v1.0/me and /oidc/userinfo
)

// String returns the endpoint's name.
func (e Endpoint) String() string {
	switch e {
	case EndpointDiscovery:
		return "Discovery"
	case EndpointKeys:
		return "Keys"
	case EndpointToken:
		return "Token"
	case EndpointManagedIdentity:
		return "ManagedIdentity"
	case EndpointAuthorize:
		return "Authorize"
	case EndpointDevice:
		return "Device"
	case EndpointLogout:
		return "Logout"
	case EndpointGraph:
		return "Graph"
	default:
		return "none"
	}
}

// A Request is a request that the tenant received, as it was when it came in.
// It holds secrets and assertions: take care when you log one.
type Request struct {
	Time     time.Time // by the tenant's clock
	Endpoint Endpoint  // 0 for other paths
	Method   string
	Path     string
	Form     url.Values // query and body
	Header   http.Header
	Status   int // 0 as long as there is no answer
}

// A recorder keeps the last requests and counts all of them.
type recorder struct {
	mu       sync.Mutex
	keep     int
	requests []*Request
	counts   map[Endpoint]int
}

// add records a request and returns the writer that completes the record.
func (rec *recorder) add(r *Request, w http.ResponseWriter) http.ResponseWriter {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.counts == nil {
		rec.counts = map[Endpoint]int{}
	}
	rec.counts[r.Endpoint]++
	if len(rec.requests) >= 2*rec.keep { // so that dropping costs little per request
		rec.requests = slices.Delete(rec.requests, 0, len(rec.requests)-rec.keep)
	}
	rec.requests = append(rec.requests, r)
	return &statusWriter{ResponseWriter: w, mu: &rec.mu, entry: r}
}

// A statusWriter records the status of an answer before the client can have read it.
type statusWriter struct {
	http.ResponseWriter
	mu    *sync.Mutex // guards entry
	entry *Request
}

// Unwrap is for [http.ResponseController].
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader records the status.
func (w *statusWriter) WriteHeader(status int) {
	w.mu.Lock()
	w.entry.Status = status
	w.mu.Unlock()
	w.ResponseWriter.WriteHeader(status)
}

// Requests returns the last requests, oldest first, at most
// [Options.KeepRequests] of them. A client that has its answer finds its request
// here, complete. Forms and headers are shared with later calls: don't change them.
func (t *Tenant) Requests() []Request {
	rec := &t.recorder
	rec.mu.Lock()
	defer rec.mu.Unlock()
	kept := rec.requests[max(0, len(rec.requests)-rec.keep):]
	out := make([]Request, len(kept))
	for i, r := range kept {
		out[i] = *r
	}
	return out
}

// Count returns how many requests the endpoint has received, failed ones too,
// since the tenant started or [Tenant.ForgetRequests] was called.
func (t *Tenant) Count(endpoint Endpoint) int {
	t.recorder.mu.Lock()
	defer t.recorder.mu.Unlock()
	return t.recorder.counts[endpoint]
}

// ForgetRequests forgets the requests that the tenant has received so far.
func (t *Tenant) ForgetRequests() {
	t.recorder.mu.Lock()
	defer t.recorder.mu.Unlock()
	t.recorder.requests, t.recorder.counts = nil, nil
}
