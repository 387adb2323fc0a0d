package obo

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
	"github.com/mcpentra/mcp-entra-go/internal/cache"
	"github.com/mcpentra/mcp-entra-go/internal/telemetry"
)

// exchangerTelemetry is what an exchanger tells OpenTelemetry. Without providers, each method
// does nothing.
type exchangerTelemetry struct {
	*telemetry.Telemetry
	now            func() time.Time
	exchanges      *telemetry.Counter[exchangeKind]
	duration       *telemetry.Histogram[exchangeKind] // without the kind of error
	waiters, ahead *telemetry.Counter[string]         // by operation
	hits, misses   *telemetry.Tally
}

// An operation is what the app asks Entra for.
type operation struct{ name, span, wait string }

var (
	anExchange  = &operation{"exchange", telemetry.SpanExchange, telemetry.SpanExchangeWait}
	anAssertion = &operation{"assertion", telemetry.SpanAgent, telemetry.SpanAgentWait} // an agent's first step
)

// exchangeKind is a set of attributes of an exchange.
type exchangeKind struct{ operation, outcome, errorKind string }

func (k exchangeKind) attributes() []attribute.KeyValue {
	attrs := []attribute.KeyValue{telemetry.Operation.String(k.operation), telemetry.Outcome.String(k.outcome)}
	if k.errorKind != "" {
		attrs = append(attrs, telemetry.ErrorType.String(k.errorKind))
	}
	return attrs
}

const (
	outcomeOK    = "ok"
	outcomeError = "error"
)

// kinds are those of [Error].
var kinds = []error{
	ErrNoAssertion, ErrAssertionInvalid, ErrAssertionExpired, ErrScopeNotAllowed, ErrTenantNotAllowed, ErrAgentNotAllowed, ErrClaimsInvalid,
	ErrConsentRequired, ErrInteractionRequired, ErrBlocked, ErrMisconfigured, ErrThrottled, ErrUnavailable,
}

// kindName returns the kind of an [Error] as the log's reason has it.
func kindName(err error) string {
	if e, ok := errors.AsType[*Error](err); ok && slices.Contains(kinds, e.Kind) {
		return telemetry.ReasonOf(e.Kind)
	}
	return telemetry.Internal
}

func newExchangerTelemetry(o *Options, now func() time.Time) *exchangerTelemetry {
	t := &exchangerTelemetry{Telemetry: telemetry.New(o.TracerProvider, o.MeterProvider), now: now}
	operations := []string{anExchange.name}
	if len(o.Agents) > 0 {
		operations = append(operations, anAssertion.name)
	}
	var sets []exchangeKind
	for _, name := range operations {
		sets = append(sets, exchangeKind{name, outcomeOK, ""}, exchangeKind{name, outcomeError, telemetry.Internal})
		for _, k := range kinds {
			sets = append(sets, exchangeKind{name, outcomeError, telemetry.ReasonOf(k)})
		}
	}
	byOperation := func(name string) []attribute.KeyValue {
		return []attribute.KeyValue{telemetry.Operation.String(name)}
	}
	t.exchanges = telemetry.NewCounter(t.Telemetry, telemetry.Exchanges, exchangeKind.attributes, sets...)
	t.duration = telemetry.NewHistogram(t.Telemetry, telemetry.ExchangeDuration, exchangeKind.attributes)
	t.waiters = telemetry.NewCounter(t.Telemetry, telemetry.ExchangeWaiters, byOperation, operations...)
	t.ahead = telemetry.NewCounter(t.Telemetry, telemetry.ExchangeAhead, byOperation, operations...)
	t.hits, _ = telemetry.NewTally(t.Telemetry, telemetry.ExchangeLookups, telemetry.Result.String("hit"))
	t.misses, _ = telemetry.NewTally(t.Telemetry, telemetry.ExchangeLookups, telemetry.Result.String("miss"))
	return t
}

// client returns an HTTP client whose requests have spans with that name.
func (t *exchangerTelemetry) client(c *http.Client, name string) *http.Client {
	return t.Client(c, name, authority.ShownHost)
}

// observe reports the state of the exchanger whenever metrics are collected.
func (t *exchangerTelemetry) observe(x *Exchanger) {
	t.ObserveCount(telemetry.ExchangeCacheSize, x.tokens.Len)
	t.Observe(telemetry.AssertionEnds, func() (float64, bool) {
		end, ok := x.sender.proofs.Expires()
		return float64(end.Unix()), ok
	}, telemetry.Use.String("exchange"))
	circuits := []*circuit{x.home.circuit}
	for _, other := range x.others {
		circuits = append(circuits, other.circuit)
	}
	t.observeOpen("entra", func() bool { return slices.ContainsFunc(circuits, (*circuit).isOpen) })
	if agents := slices.Collect(maps.Values(x.asAgents.circuits)); len(agents) > 0 {
		t.observeOpen("agent", func() bool { return slices.ContainsFunc(agents, (*circuit).isOpen) })
	}
	if s := x.storage; s != nil {
		t.observeOpen("store", s.health.isPaused)
		for result, count := range map[string]*atomic.Uint64{"hit": &s.hits, "miss": &s.misses, "error": &s.health.failures} {
			t.ObserveTotal(telemetry.StoreLookups, func() int64 { return int64(count.Load()) }, telemetry.Result.String(result)) //nolint:gosec // it never gets so large
		}
	}
}

func (t *exchangerTelemetry) observeOpen(target string, open func() bool) {
	t.Observe(telemetry.CircuitOpen, func() (float64, bool) {
		if open() {
			return 1, true
		}
		return 0, true
	}, telemetry.Target.String(target))
}

// refused counts a request for a token that is rejected without an exchange.
func (t *exchangerTelemetry) refused(ctx context.Context, e *Error) {
	if t.exchanges != nil {
		t.exchanges.Add(ctx, exchangeKind{anExchange.name, outcomeError, kindName(e)}, 1)
	}
}

// lookedUp counts a look into the cache. A token that is due for renewal is a hit, too.
func (t *exchangerTelemetry) lookedUp(wait cache.Wait) {
	if wait.Load == nil {
		t.hits.Add(1)
	} else {
		t.misses.Add(1)
	}
}

// waited reports the wait of a caller, if it was for another caller's exchange.
func (t *exchangerTelemetry) waited(ctx context.Context, o *operation, began time.Time, wait cache.Wait) {
	if wait.Joined {
		t.waiters.Add(ctx, o.name, 1)
		t.Waited(ctx, o.wait, began, &wait.Load.Work)
	}
}

// A seenExchange is an exchange as telemetry sees it.
type seenExchange struct {
	t         *exchangerTelemetry
	operation *operation
	span      telemetry.Span
	stored    bool      // the store had the token
	sent      time.Time // the first request, if any
	outcome   string
	errorKind string
}

// begin begins an exchange's span: a child of the caller's that waits for it, or a root with a
// link to that of the caller that has found the token due for renewal.
func (t *exchangerTelemetry) begin(ctx context.Context, o *operation) (context.Context, *seenExchange) {
	seen := &seenExchange{t: t, operation: o, outcome: outcomeError, errorKind: telemetry.Internal}
	load := cache.LoadOf(ctx)
	if load.Renewal {
		t.ahead.Add(ctx, o.name, 1)
		ctx, seen.span = t.StartLinked(ctx, o.span, load.Cause)
	} else {
		ctx, seen.span = t.Start(ctx, o.span)
	}
	load.SetSpan(seen.span)
	return ctx, seen
}

// lookedUp notes whether the store had the token.
func (s *seenExchange) lookedUp(hit bool) {
	result := "miss"
	if s.stored = hit; hit {
		result = "hit"
	}
	if s.span.Recording() {
		s.span.Set(telemetry.Result.String(result))
	}
}

// sends notes that a request to Entra is sent now: what is known to fail, or waits, is not sent.
func (s *seenExchange) sends() {
	if s.sent.IsZero() {
		s.sent = s.t.now()
	}
}

// came notes the outcome. Without it, there was a panic.
func (s *seenExchange) came(err error) {
	if s.outcome, s.errorKind = outcomeOK, ""; err != nil {
		s.outcome, s.errorKind = outcomeError, kindName(err)
	}
}

// end ends the span and counts the exchange.
func (s *seenExchange) end(ctx context.Context) {
	if s.errorKind != "" {
		s.span.Fail(s.errorKind)
	}
	if s.span.Recording() {
		s.span.Set(telemetry.Outcome.String(s.outcome))
	}
	s.span.End()
	if s.stored || s.t.exchanges == nil {
		return
	}
	s.t.exchanges.Add(ctx, exchangeKind{s.operation.name, s.outcome, s.errorKind}, 1)
	if !s.sent.IsZero() {
		s.t.duration.Record(ctx, exchangeKind{s.operation.name, s.outcome, ""}, s.t.now().Sub(s.sent).Seconds())
	}
}
