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
	Discovery       Endpoint = iota + 1 // OpenID metadata, v1 and v2, and instance discovery
	Keys                                // the key sets, v1 and v2
	Token                               // /oauth2/v2.0/token
	ManagedIdentity                     // what the platform gives to code in Azure
	Authorize                           // /oauth2/v2.0/authorize, /v2.0/adminconsent, and the answers to their pages
	Device                              // /oauth2/v2.0/devicecode, and the page for its codes
	Logout                              // /oauth2/v2.0/logout
	Graph                               // /v1.0/me and /oidc/userinfo
)

// String returns the endpoint's name.
func (e Endpoint) String() string {
	switch e {
	case Discovery:
		return "Discovery"
	case Keys:
		return "Keys"
	case Token:
		return "Token"
	case ManagedIdentity:
		return "ManagedIdentity"
	case Authorize:
		return "Authorize"
	case Device:
		return "Device"
	case Logout:
		return "Logout"
	case Graph:
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
