package entratest

import (
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// An Endpoint is a kind of endpoint that the tenant serves.
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
	EndpointGraph                               // /v1.0 and /oidc/userinfo
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

// A Request is a request as the tenant received it. It contains secrets and assertions: take care
// when you log one.
type Request struct {
	Time     time.Time // by the tenant's clock
	Endpoint Endpoint  // 0 for other paths
	Method   string
	Path     string
	Form     url.Values // query and body
	Header   http.Header
	Status   int // 0 until it is answered

	// AADSTS and Refusal are the code and the text of Entra's error, if the answer is one. Errors of
	// Microsoft Graph have the text alone.
	AADSTS  int
	Refusal string
}

// A recorder keeps the last requests and counts all.
type recorder struct {
	mu       sync.Mutex
	keep     int
	requests []*Request
	counts   map[Endpoint]int
	logger   *slog.Logger
}

// add records a request and returns the writer that completes the record.
func (rec *recorder) add(r *Request, w http.ResponseWriter) http.ResponseWriter {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.counts == nil {
		rec.counts = map[Endpoint]int{}
	}
	rec.counts[r.Endpoint]++
	if len(rec.requests) >= 2*rec.keep { // drop many at once, which costs little per request
		rec.requests = slices.Delete(rec.requests, 0, len(rec.requests)-rec.keep)
	}
	rec.requests = append(rec.requests, r)
	return &statusWriter{ResponseWriter: w, recorder: rec, entry: r}
}

// A statusWriter records and logs the status of a response before the client can read it.
type statusWriter struct {
	http.ResponseWriter
	recorder *recorder // guards entry
	entry    *Request
	written  bool
}

// Unwrap supports [http.ResponseController].
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader records the status.
func (w *statusWriter) WriteHeader(status int) {
	w.written = true
	w.recorder.mu.Lock()
	w.entry.Status = status
	w.recorder.mu.Unlock()
	w.recorder.logger.Info("request", "endpoint", w.entry.Endpoint, "method", w.entry.Method, "path", w.entry.Path, "status", status)
	w.ResponseWriter.WriteHeader(status)
}

// Write records the status and writes p.
func (w *statusWriter) Write(p []byte) (int, error) {
	if !w.written {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}

// Requests returns the last requests, oldest first, at most [Options.KeepRequests] of them. When a
// client has its response, its request is complete here. Don't change forms and headers: later
// calls return the same ones.
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

// Count returns how many requests the endpoint has received, including failed ones, since the
// tenant started or [Tenant.ForgetRequests] was called.
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
