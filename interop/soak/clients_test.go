//go:build unix

package soak_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// A kind is a kind of calls: a tool, and what of it belongs to the caller.
type kind struct {
	name, tool string
	arguments  func(*user) string // JSON
	want       func(*call) error
}

// acting are the kinds of calls for which the server may need a token from Entra.
var acting = []string{"who", "read", "search", "save", "peek", "session"}

// others are the kinds of calls for which it needs no more than Entra's keys.
var others = []string{"ping", "vault", "initialize", "end", "signed in"}

// signing are the kinds of what the authorization proxy does.
var signing = []string{"sign-in", "refresh"}

func noArguments(*user) string { return "{}" }

func note(u *user) string { return fmt.Sprintf(`{"blob_path":%q}`, u.note()) }

// The calls of clients of 2026-07-28, without sessions. Peek reads what its caller may not.
func (s *soak) kinds() []kind {
	return []kind{
		{"ping", "secure_ping", noArguments, func(c *call) error { return c.result("successful") }},
		{"who", "who", noArguments, (*call).isWho},
		{"read", "read_blob", note, func(c *call) error { return c.result("owner=" + c.user.ObjectID) }},
		{"save", "read_blob_with_token", note, func(c *call) error { return c.result("owner="+c.user.ObjectID, "."+c.user.ObjectID+"/") }},
		{"search", "search_blobs", func(u *user) string { return fmt.Sprintf(`{"prefix":%q,"text":"owner="}`, u.folder) },
			func(c *call) error { return c.result("owner=" + c.user.ObjectID) }},
		{"peek", "read_blob", func(*user) string { return note(s.users[0]) }, func(c *call) error { return c.has(200, `"isError":true`, "may not read") }},
		{"vault", "vault", noArguments, func(c *call) error {
			if c.user.vault {
				return c.result("caller=" + c.user.ObjectID)
			}
			return c.has(http.StatusForbidden)
		}},
	}
}

func (c *call) isWho() error {
	return c.result("caller="+c.user.ObjectID, "subject="+c.user.ObjectID, "audience=https://storage.azure.com")
}

// callAll calls as one user after another, with each kind in turn, until the context ends.
func (s *soak) callAll(ctx context.Context, worker int) {
	kinds := s.kinds()
	for i := 0; wait(ctx, rand.N(10*time.Millisecond)); i++ {
		u := s.users[1+rand.IntN(users-1)]
		s.call(ctx, u, kinds[(worker+i)%len(kinds)])
	}
}

// call makes one call as a client does that gets a new token when its own is rejected, and reports
// whether it succeeded.
func (s *soak) call(ctx context.Context, u *user, k kind) bool {
	return s.try(&call{kind: k.name, user: u}, false, k.want, func(c *call, token string) {
		s.send(ctx, c, http.MethodPost, callsURL, http.Header{
			"Authorization": {"Bearer " + token}, "Mcp-Protocol-Version": {"2026-07-28"}, "Mcp-Method": {"tools/call"}, "Mcp-Name": {k.tool},
		}, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+k.tool+`","arguments":`+k.arguments(u)+`,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",`+
			`"io.modelcontextprotocol/clientInfo":{"name":"soak","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}`)
	})
}

// try sends a call, judges its answer and counts it. A token whose key has left is replaced.
func (s *soak) try(c *call, fresh bool, want func(*call) error, send func(c *call, token string)) bool {
	for {
		var token string
		token, c.key = s.bearer(c.user, fresh)
		s.gate.RLock()
		c.begun = time.Now()
		send(c, token)
		c.ended = time.Now()
		s.gate.RUnlock()
		s.ledger.mine(c)
		problem := want(c)
		switch {
		case problem == nil:
			s.ledger.succeeded(c)
			return true
		case c.key != s.tenant.KeyID():
			s.ledger.count(&s.ledger.renewed)
			fresh = true
		default:
			s.ledger.failed(c, problem)
			return false
		}
	}
}

// patience is how long a client waits for an answer: longer than a server works on one.
const patience = 3 * time.Minute

// send sends a request and puts the answer into the call. The end of the load cuts off nothing. It returns
// the answer's header.
func (s *soak) send(ctx context.Context, c *call, method, address string, header http.Header, body string) http.Header {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	c.status, c.body, c.err = 0, "", nil
	request, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		c.err = err
		return nil
	}
	request.Header = header.Clone()
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json, text/event-stream")
	response, err := s.balancer.RoundTrip(request)
	if err != nil {
		c.err = err
		return nil
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	c.status, c.body, c.err = response.StatusCode, string(text), err
	return response.Header
}
