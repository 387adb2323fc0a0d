package obo

import (
	"context"
	"errors"
	"log/slog"
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
	tell     *exchangerTelemetry
	// The exchanger has one authority, one tenant for agents and one blueprint, so the key is the
	// agent's ID.
	tokens *cache.Cache[string, agentAssertion]
	// A first step that fails delays its own agent only, so it has a circuit of its own, by the agent's ID.
	circuits map[string]*circuit
	waiting  turns // the lines of users' exchanges as an agent, which wait for its first step

	mu       sync.Mutex
	number   uint64              // of the latest assertion
	rejected map[string]rejected // by the agent's ID
	// proven is until when an agent's assertion is used; there is none once a failed renewal is logged.
	proven map[string]time.Time
}

// agentAssertion proves an agent. Two have different numbers, even if Entra issues the same text again.
type agentAssertion struct {
	text   secret.Text
	number uint64
}

// rejected is an agent's assertion that Entra has rejected.
type rejected struct {
	number uint64
	at     time.Time
}

func newAgentAssertions(s *sender, now func() time.Time, log *eventLog, r *refusals, tell *exchangerTelemetry) *agentAssertions {
	v := &agentAssertions{
		sender: s, now: now, log: log, refusals: r, tell: tell,
		tokens: cache.New[string, agentAssertion](cache.Options{
			MaxBytes: uint64(len(s.app.agents)+1) * 2 * entrawire.MaxToken, LoadTimeout: agentTimeout, Now: now,
		}),
		circuits: map[string]*circuit{},
		rejected: map[string]rejected{},
		proven:   map[string]time.Time{},
	}
	for id := range s.app.agents {
		v.circuits[id] = &circuit{now: now, logger: log.operator.With("agent", id), tenantID: s.app.home.id, says: ofAgent}
	}
	return v
}

// redeem exchanges a user's token as the request's agent. If Entra rejects the agent's assertion,
// it is replaced once. The second step is made in the user's turn, but no turn is taken to wait for the
// first, which is nobody's: the user's other requests go on.
func (v *agentAssertions) redeem(ctx context.Context, a attempt, inTurn func(context.Context, attempt, sendFunc) (*entrawire.Success, *Error)) (*entrawire.Success, *Error) {
	for again := false; ; again = true {
		assertion, e := v.wait(ctx, a)
		if e != nil {
			return nil, e
		}
		a.proof = clientcred.Assertion(assertion.text)
		got, e := inTurn(ctx, a, func(ctx context.Context, a attempt) (*entrawire.Success, *Error) {
			got, e := v.sender.insist(ctx, a)
			if e != nil && !again && rejectsAssertion(e) && v.replace(a.request.agent, assertion) {
				e.replaced = true
			}
			return got, e
		})
		if e == nil || !e.replaced {
			return got, e
		}
	}
}

// wait returns the agent's assertion, for one of the user's exchanges.
func (v *agentAssertions) wait(ctx context.Context, a attempt) (agentAssertion, *Error) {
	who := a.caller + " as " + a.request.agent.id
	l, e := v.waiting.join(who)
	if e != nil {
		return agentAssertion{}, e
	}
	defer v.waiting.leave(who, l)
	assertion, e := v.get(ctx, a.request.agent)
	if e != nil {
		e = e.of(a.request)
		e.first = true
	}
	return assertion, e
}

// get returns the agent's assertion. However many exchanges want it, it is requested once.
func (v *agentAssertions) get(ctx context.Context, g *agent) (agentAssertion, *Error) {
	began := time.Now()
	assertion, wait, err := v.tokens.Watch(ctx, g.id, func(ctx context.Context) (cache.Item[agentAssertion], error) {
		ctx, seen := v.tell.begin(ctx, anAssertion)
		defer seen.end(ctx)
		item, e := v.load(ctx, seen, g)
		if e != nil {
			seen.came(e)
			return item, e
		}
		seen.came(nil)
		return item, nil
	})
	v.tell.waited(ctx, anAssertion, began, wait)
	if err == nil {
		return assertion, nil
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return agentAssertion{}, v.log.unexpected(ctx, err)
	}
	return agentAssertion{}, e
}

// replace drops the rejected assertion and reports whether the next one may be better.
func (v *agentAssertions) replace(g *agent, assertion agentAssertion) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	last, now := v.rejected[g.id], v.now()
	switch {
	case assertion.number <= last.number: // another exchange has already dropped it
		return true
	case lasts(last.at, replacePause, now):
		return false
	}
	v.rejected[g.id] = rejected{assertion.number, now}
	delete(v.proven, g.id)
	v.tokens.Forget(g.id)
	return true
}

// load is the first step. It is paced like a user's exchanges, with the agent as the user: all users'
// exchanges wait for it, and each of them would otherwise repeat what Entra has just refused.
func (v *agentAssertions) load(ctx context.Context, seen *seenExchange, g *agent) (cache.Item[agentAssertion], *Error) {
	who, key, home := "agent "+g.id, cacheKey{agent: g.number}, v.sender.app.home
	begun, e := v.refusals.admit(who, key)
	if e != nil {
		return cache.Item[agentAssertion]{}, e
	}
	started := v.now()
	r := request{agent: g}
	got, e := v.sender.prove(ctx, attempt{tenant: home, circuit: v.circuits[g.id], caller: who, request: r, first: true, sends: seen.sends})
	if e != nil {
		e = e.of(r)
		e.first = true
	}
	v.refusals.settle(who, key, begun, e)
	if e != nil {
		if errors.Is(e, ErrMisconfigured) {
			v.log.failed(ctx, home, "", e)
		} else { // the exchanges that wait say it, and no exchange waits for a renewal
			v.renewalFailed(ctx, g, e)
		}
		return cache.Item[agentAssertion]{}, e
	}
	v.log.fixed(fault{tenant: home.id, agent: g.id, first: true}, "")
	return v.item(g, got, started), nil
}

// renewalFailed warns, once until it succeeds, that an agent's assertion is not renewed while the
// last one is still used.
func (v *agentAssertions) renewalFailed(ctx context.Context, g *agent, e *Error) {
	v.mu.Lock()
	until := v.proven[g.id]
	delete(v.proven, g.id)
	v.mu.Unlock()
	if v.now().Before(until) {
		v.log.operator.LogAttrs(ctx, slog.LevelWarn, "the assertion for an agent is not renewed; the last one is used until it expires",
			append(e.attrs(), slog.Time("until", until))...)
	}
}

// item numbers an agent's assertion and decides how long it is used, by this host's clock.
func (v *agentAssertions) item(g *agent, s *entrawire.Success, started time.Time) cache.Item[agentAssertion] {
	expires := started.Add(s.Lifetime - min(agentMargin, s.Lifetime/4))
	v.mu.Lock()
	v.number++
	number := v.number
	v.proven[g.id] = expires
	v.mu.Unlock()
	refresh := max(s.Lifetime-refreshAhead, s.Lifetime/2)
	if s.RefreshIn > 0 {
		refresh = min(refresh, s.RefreshIn)
	}
	return cache.Item[agentAssertion]{
		Value:     agentAssertion{secret.New(s.AccessToken), number},
		ExpiresAt: expires,
		RefreshAt: started.Add(refresh),
		Size:      len(s.AccessToken),
	}
}
