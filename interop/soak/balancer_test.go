//go:build unix

package soak_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"time"
)

// A balancer sends the clients' requests to the replicas that are ready, in turn, and those of a session
// to its replica as long as that is ready. It stands in the clients' transport: the replicas see the
// connections and headers of a balancer. It retries only requests whose connection was refused, which no
// server can have begun.
type balancer struct {
	transport *http.Transport

	mu       sync.Mutex
	replicas []*replica
	turn     int
	sessions map[string]*replica
	refused  int // connections
}

func newBalancer() *balancer {
	return &balancer{
		transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second},
		sessions:  map[string]*replica{},
	}
}

// follow asks the replicas whether they are ready, until the context ends.
func (b *balancer) follow(ctx context.Context) {
	for wait(ctx, 100*time.Millisecond) {
		b.mu.Lock()
		replicas := b.replicas
		b.mu.Unlock()
		for _, r := range replicas {
			r.ready.Store(b.isReady(ctx, r))
		}
	}
}

func (b *balancer) isReady(ctx context.Context, r *replica) bool {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.addresses.Calls+"/ready", nil)
	if err != nil {
		return false
	}
	response, err := b.transport.RoundTrip(request)
	if err != nil {
		return false
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode == http.StatusOK
}

// add adds a replica, and waits until it is ready.
func (b *balancer) add(ctx context.Context, r *replica) error {
	for !b.isReady(ctx, r) {
		if !wait(ctx, 50*time.Millisecond) {
			return ctx.Err()
		}
	}
	r.ready.Store(true)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.replicas = append(slices.Clip(b.replicas), r) // follow reads the old list
	return nil
}

// remove forgets a replica that has ended.
func (b *balancer) remove(r *replica) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.replicas = slices.DeleteFunc(slices.Clone(b.replicas), func(other *replica) bool { return other == r })
}

// gone forgets the session, and reports whether its replica is being deployed, or has been.
func (b *balancer) gone(session string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.sessions[session]
	delete(b.sessions, session)
	return r == nil || !r.ready.Load()
}

// choose returns the replica for a request, or nil.
func (b *balancer) choose(session string) *replica {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := b.sessions[session]; r != nil && r.ready.Load() {
		return r
	}
	for range b.replicas {
		b.turn++
		if r := b.replicas[b.turn%len(b.replicas)]; r.ready.Load() {
			return r
		}
	}
	return nil
}

var errNoReplica = errors.New("no replica is ready")

// RoundTrip implements [http.RoundTripper].
func (b *balancer) RoundTrip(request *http.Request) (*http.Response, error) {
	var body []byte
	if request.Body != nil {
		var err error
		body, err = io.ReadAll(request.Body)
		_ = request.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	session := request.Header.Get("Mcp-Session-Id")
	for {
		r := b.choose(session)
		if r == nil {
			return nil, errNoReplica
		}
		response, err := b.send(r, request, body)
		if errors.Is(err, syscall.ECONNREFUSED) {
			r.ready.Store(false)
			b.mu.Lock()
			b.refused++
			b.mu.Unlock()
			continue
		}
		if err != nil {
			return nil, err
		}
		r.calls.Add(1)
		if begun := response.Header.Get("Mcp-Session-Id"); begun != "" && session == "" {
			b.mu.Lock()
			b.sessions[begun] = r
			b.mu.Unlock()
		}
		return response, nil
	}
}

// send sends the request to the replica, with the client's Host.
func (b *balancer) send(r *replica, request *http.Request, body []byte) (*http.Response, error) {
	out := request.Clone(request.Context())
	address := r.addresses.Calls
	if request.URL.Host == sessionsHost {
		address = r.addresses.Sessions
	}
	out.Host, out.URL.Scheme, out.URL.Host = request.URL.Host, "http", address
	if request.Body != nil {
		out.Body = io.NopCloser(bytes.NewReader(body))
	}
	return b.transport.RoundTrip(out)
}

// wait reports whether the time has passed before the context ended.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
