package obo

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/cache"
	"github.com/mcpentra/mcp-entra-go/internal/clientcred"
	"github.com/mcpentra/mcp-entra-go/internal/entrawire"
	"github.com/mcpentra/mcp-entra-go/internal/secret"
)

const (
	// agentTimeout is shorter than an exchange's, which waits for it.
	agentTimeout = 20 * time.Second
	// agentMargin is how long before it expires an agent's assertion is no longer sent,
	// because it might expire on the way; a quarter of its life if that is shorter.
	agentMargin = time.Minute
	// replacePause is the time between two replacements of an agent's assertion because Entra
	// rejected it: if it rejects the new one, too, another one doesn't help.
	replacePause = 30 * time.Second
)

// agentAssertions exchanges tokens as agents. In the first step, the app, as their blueprint,
// gets an assertion from Entra that proves one agent (microsoft.com/entra/agent-id, "On behalf of
// flow"); in the second, the agent exchanges users' tokens with it. The assertions are cached in
// memory only: whoever has one can act as the agent.
type agentAssertions struct {
	sender   *sender
	now      func() time.Time
	log      *eventLog
	refusals *refusals
	// The exchanger has one authority, one tenant for agents and one blueprint, so the key is the
	// agent's ID.
	tokens *cache.Cache[string, secret.Text]

	mu       sync.Mutex
	rejected map[string]rejected // by the agent's ID
}

// rejected is an agent's assertion that Entra has rejected.
type rejected struct {
	sum [sha256.Size]byte
	at  time.Time
}

func newAgentAssertions(s *sender, now func() time.Time, log *eventLog, r *refusals) *agentAssertions {
	return &agentAssertions{
		sender: s, now: now, log: log, refusals: r,
		tokens: cache.New[string, secret.Text](cache.Options{
			MaxBytes: uint64(len(s.app.agents)+1) * 2 * entrawire.MaxToken, LoadTimeout: agentTimeout, Now: now,
		}),
		rejected: map[string]rejected{},
	}
}

// redeem exchanges a user's token as the request's agent. If Entra rejects the agent's assertion,
// it is replaced once.
func (v *agentAssertions) redeem(ctx context.Context, a attempt) (*entrawire.Success, *Error) {
	for again := false; ; again = true {
		assertion, e := v.get(ctx, a.request.agent)
		if e != nil {
			return nil, e
		}
		a.proof = clientcred.Assertion(assertion)
		got, e := v.sender.insist(ctx, a)
		if e == nil || again || !clientcred.Blames(e.AADSTS) || !v.replace(a.request.agent, assertion) {
			return got, e
		}
	}
}

// get returns the agent's assertion. However many exchanges want it, it is requested once.
func (v *agentAssertions) get(ctx context.Context, g *agent) (secret.Text, *Error) {
	assertion, err := v.tokens.Get(ctx, g.id, func(ctx context.Context) (cache.Item[secret.Text], error) {
		item, e := v.load(ctx, g)
		if e != nil {
			return item, e
		}
		return item, nil
	})
	if err == nil {
		return assertion, nil
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return secret.Text{}, v.log.unexpected(ctx, err)
	}
	own := *e // each exchange completes its own
	return secret.Text{}, &own
}

// replace drops the rejected assertion and reports whether the next one may be better.
func (v *agentAssertions) replace(g *agent, assertion secret.Text) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	last, sum, now := v.rejected[g.id], secret.Sum(assertion), v.now()
	switch {
	case last.sum == sum: // another exchange has already dropped it
		return true
	case lasts(last.at, replacePause, now):
		return false
	}
	v.rejected[g.id] = rejected{sum, now}
	v.tokens.Forget(g.id)
	return true
}

// load is the first step. It is paced like a user's exchanges, with the agent as the user: all users'
// exchanges wait for it, and each of them would otherwise repeat what Entra has just refused.
func (v *agentAssertions) load(ctx context.Context, g *agent) (cache.Item[secret.Text], *Error) {
	who, key, home := "agent "+g.id, cacheKey{agent: g.number}, v.sender.app.home
	begun, e := v.refusals.admit(who, key)
	if e != nil {
		return cache.Item[secret.Text]{}, e // it was logged the first time
	}
	started := v.now()
	got, e := v.sender.prove(ctx, attempt{tenant: home, caller: who, request: request{agent: g}, first: true})
	if e != nil {
		e.agent, e.first = g.id, true
	}
	v.refusals.settle(who, key, begun, e)
	if e != nil {
		if errors.Is(e, ErrMisconfigured) { // else the exchanges that wait say it
			v.log.failed(ctx, home, "", e)
		}
		return cache.Item[secret.Text]{}, e
	}
	v.log.fixed(fault{tenant: home.id, agent: g.id, first: true}, "")
	return assertionItem(got, started), nil
}

// assertionItem decides how long an agent's assertion is used, by this host's clock.
func assertionItem(s *entrawire.Success, started time.Time) cache.Item[secret.Text] {
	refresh := max(s.Lifetime-refreshAhead, s.Lifetime/2)
	if s.RefreshIn > 0 {
		refresh = min(refresh, s.RefreshIn)
	}
	return cache.Item[secret.Text]{
		Value:     secret.New(s.AccessToken),
		ExpiresAt: started.Add(s.Lifetime - min(agentMargin, s.Lifetime/4)),
		RefreshAt: started.Add(refresh),
		Size:      len(s.AccessToken),
	}
}
