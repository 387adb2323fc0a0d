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
	EndpointManagedIdentity                     // what the platform gives to code in Azure
	EndpointAuthorize                           // /oauth2/v2.0/authorize, /v2.0/adminconsent, and the answers to their pages
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
// Secrets and assertions are in it: look before you log one.
type Request struct {
	Time     time.Time // by the tenant's clock
	Endpoint Endpoint  // 0 for paths that are none of the tenant's endpoints
	Method   string
	Path     string
	Form     url.Values // query and body
	Header   http.Header
}

// A recorder keeps the last requests and counts all of them.
type recorder struct {
	mu       sync.Mutex
	keep     int
	requests []Request
	counts   map[Endpoint]int
}

func (rec *recorder) add(r Request) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.counts == nil {
		rec.counts = map[Endpoint]int{}
	}
	rec.counts[r.Endpoint]++
	if len(rec.requests) == 2*rec.keep { // so that dropping costs little per request
		n := copy(rec.requests, rec.requests[rec.keep:])
		clear(rec.requests[n:])
		rec.requests = rec.requests[:n]
	}
	rec.requests = append(rec.requests, r)
}

// Requests returns the last requests, oldest first, at most
// [Options.KeepRequests] of them. They are shared with later calls: don't change them.
func (t *Tenant) Requests() []Request {
	t.recorder.mu.Lock()
	defer t.recorder.mu.Unlock()
	return slices.Clone(t.recorder.requests[max(0, len(t.recorder.requests)-t.recorder.keep):])
}

// Count returns how many requests the endpoint has received, failed ones too.
func (t *Tenant) Count(endpoint Endpoint) int {
	t.recorder.mu.Lock()
	defer t.recorder.mu.Unlock()
	return t.recorder.counts[endpoint]
}
