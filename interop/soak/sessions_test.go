//go:build unix

package soak_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// A session is one of a user's.
type session struct {
	user *user
	id   string
}

// useSessions opens sessions as clients of 2025-11-25 do, calls in them while a stream is open, comes back
// to them later, and ends them. They are fewer than a user may have, so none ends by itself.
func (s *soak) useSessions(ctx context.Context, worker int) {
	var open []session
	for i := 0; wait(ctx, rand.N(10*time.Millisecond)); i++ {
		begun := s.openSession(ctx, s.users[1+worker*sessionUsers+i%sessionUsers])
		if begun.id == "" || !s.useSession(ctx, begun) {
			continue
		}
		if open = append(open, begun); len(open) > sessionUsers {
			if s.useSession(ctx, open[0]) {
				s.endSession(ctx, open[0])
			}
			open = open[1:]
		}
	}
	for _, left := range open {
		s.endSession(ctx, left)
	}
}

// sessionUsers is how many users a worker has sessions of.
const sessionUsers = 5

// sender returns what sends a request in the session.
func (s *soak) sender(ctx context.Context, in session, method, body string) func(*call, string) {
	return func(c *call, token string) {
		s.send(ctx, c, method, sessionsURL, http.Header{"Authorization": {"Bearer " + token}, "Mcp-Session-Id": {in.id}, "Mcp-Protocol-Version": {"2025-11-25"}}, body)
	}
}

// openSession returns a new session of the user's, or none.
func (s *soak) openSession(ctx context.Context, u *user) session {
	opened := session{user: u}
	s.try(&call{kind: "initialize", user: u}, false, func(c *call) error { return c.result("protocolVersion") }, func(c *call, token string) {
		header := s.send(ctx, c, http.MethodPost, sessionsURL, http.Header{"Authorization": {"Bearer " + token}},
			`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"soak","version":"1"}}}`)
		opened.id = header.Get("Mcp-Session-Id")
	})
	return opened
}

// useSession calls in a session, and reports whether it is still there.
func (s *soak) useSession(ctx context.Context, in session) bool {
	streaming, hangUp := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { s.stream(streaming, in) })
	defer wg.Wait()
	defer hangUp()
	for i := range 5 {
		lost := false
		body := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"who","arguments":{}}}`, 2+i)
		s.try(&call{kind: "session", user: in.user}, false, func(c *call) error {
			if lost = c.err == nil && c.status == http.StatusNotFound && s.balancer.gone(in.id); lost {
				return nil
			}
			return c.isWho()
		}, s.sender(ctx, in, http.MethodPost, body))
		if lost {
			s.ledger.count(&s.ledger.lost)
			return false
		}
		if !wait(ctx, rand.N(10*time.Millisecond)) {
			break
		}
	}
	return true
}

// endSession ends a session. Where an injected fault refuses that, it tries again: a session that is
// left open keeps its goroutines until it has been idle for half an hour.
func (s *soak) endSession(ctx context.Context, ends session) {
	ctx = context.WithoutCancel(ctx)
	for range 20 {
		if s.try(&call{kind: "end", user: ends.user}, false, func(c *call) error {
			if c.err == nil && c.status == http.StatusNotFound && s.balancer.gone(ends.id) {
				return nil
			}
			return c.has(http.StatusNoContent)
		}, s.sender(ctx, ends, http.MethodDelete, "")) {
			break
		}
		wait(ctx, time.Second)
	}
	s.balancer.gone(ends.id)
}

// stream listens to what the server says in the session, until the context or the server ends it.
func (s *soak) stream(ctx context.Context, in session) {
	token, _ := s.bearer(in.user, false)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, sessionsURL, nil)
	if err != nil {
		return
	}
	request.Header = http.Header{"Authorization": {"Bearer " + token}, "Mcp-Session-Id": {in.id}, "Mcp-Protocol-Version": {"2025-11-25"}, "Accept": {"text/event-stream"}}
	response, err := s.balancer.RoundTrip(request)
	if err != nil {
		return // hung up before it was open
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode == http.StatusOK {
		s.ledger.count(&s.ledger.streams)
	}
	_, _ = io.Copy(io.Discard, response.Body)
}
