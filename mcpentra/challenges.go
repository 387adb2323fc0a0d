package mcpentra

import (
	"crypto/sha256"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/secret"
)

const (
	// maxChallenges and maxUses bound what is remembered, in entries. What comes
	// after that is not remembered: its caller has read what to do.
	maxChallenges = 1024
	maxUses       = 1024
	// challengeLife is how long a caller is asked for a new token.
	challengeLife = 10 * time.Minute
)

// challenges remembers which tokens Entra wants replaced, where that was found out
// too late to be the answer of the call: the next call with such a token, of a
// tool that uses that resource, is answered 401. It is a courtesy: a replica knows
// only what it saw itself, and a new token is judged anew.
type challenges struct {
	now   func() time.Time
	count atomic.Int64 // of open; spares everybody the lock, nearly always

	mu   sync.Mutex
	open map[challengeKey]challenge
	uses map[use]bool
}

type challengeKey struct {
	token    [sha256.Size]byte
	resource string
}

// A use is a tool's (or resource's) use of a downstream resource.
type use struct {
	target   target
	resource string
}

type challenge struct {
	claims string // empty: the token is revoked
	until  time.Time
}

func newChallenges() *challenges {
	return &challenges{now: time.Now, open: map[challengeKey]challenge{}, uses: map[use]bool{}}
}

func (c *challenges) isEmpty() bool { return c.count.Load() == 0 }

// used notes that the target gets tokens for that scope.
func (c *challenges) used(t target, scope string) {
	resource := scope
	if i := strings.LastIndexByte(scope, '/'); i > 0 {
		resource = scope[:i]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.uses) < maxUses {
		c.uses[use{t, resource}] = true
	}
}

// remember opens a challenge to the caller's token.
func (c *challenges) remember(id *entraauth.Identity, resource, claims string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	for key, old := range c.open {
		if !now.Before(old.until) {
			delete(c.open, key)
		}
	}
	if len(c.open) < maxChallenges {
		c.open[challengeKey{secret.Sum(id.Assertion()), resource}] = challenge{claims, now.Add(challengeLife)}
	}
	c.count.Store(int64(len(c.open)))
}

// due returns the challenge that a request for the targets is to be answered with,
// or nil.
func (c *challenges) due(id *entraauth.Identity, targets []target) *denial {
	if c.isEmpty() || id == nil {
		return nil
	}
	sum := secret.Sum(id.Assertion())
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, open := range c.open {
		if key.token != sum || !c.now().Before(open.until) {
			continue
		}
		for _, t := range targets {
			if c.uses[use{t, key.resource}] {
				return &denial{refusal: open.refusal(id), targets: targets}
			}
		}
	}
	return nil
}

func (c challenge) refusal(id *entraauth.Identity) *entraauth.Error {
	if c.claims == "" {
		return entraauth.Revoked(id)
	}
	return entraauth.ClaimsRequired(id, c.claims)
}
