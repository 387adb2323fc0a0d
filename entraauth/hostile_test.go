package entraauth_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

// A hostile token is one change away from a token that is accepted.
type hostile struct {
	name    string
	version int // of the token, 1 if 0
	// change edits header and claims before they are signed.
	change func(f *fixture, header, claims map[string]any)
	// forge changes the signed token itself. Either or both.
	forge func(f *fixture, token string) string
	kind  error
	rule  string
	// named: it is one change away from a token of the agent that the policy of namingFixture names.
	named bool
}

// tokens returns the token that must be accepted and the one that must not.
func (h hostile) tokens(f *fixture) (good, bad string) {
	version := max(h.version, 1)
	start := func(map[string]any, map[string]any) {}
	if h.named {
		start = func(header, claims map[string]any) { agentAlone(f, header, claims) }
	}
	good = f.tenant.Mint(f.api, version, start)
	bad = good
	if h.change != nil {
		bad = f.tenant.Mint(f.api, version, func(header, claims map[string]any) { h.change(f, header, claims) })
	}
	if h.forge != nil {
		bad = h.forge(f, bad)
	}
	return good, bad
}

type edit = func(f *fixture, header, claims map[string]any)

// claim sets a claim, or deletes it where the value is nil.
func claim(name string, value any) edit {
	return func(_ *fixture, _, c map[string]any) { put(c, name, value) }
}

// head does the same with the header.
func head(name string, value any) edit {
	return func(_ *fixture, h, _ map[string]any) { put(h, name, value) }
}

func put(m map[string]any, name string, value any) {
	if value == nil {
		delete(m, name)
		return
	}
	m[name] = value
}

// at sets a time claim relative to now.
func at(name string, offset time.Duration) edit {
	return func(f *fixture, _, c map[string]any) { c[name] = f.clock.Now().Add(offset).Unix() }
}

func raw(s string) json.RawMessage { return json.RawMessage(s) }

const otherTenant = "11111111-2222-3333-4444-555555555555"

func appOnly(_ *fixture, _, c map[string]any) {
	delete(c, "scp")
	c["roles"] = []string{"access_as_user"}
	c["sub"] = c["oid"]
}

// appOnlyWith is an application's token with a scp that names nothing.
func appOnlyWith(scp string) edit {
	return func(f *fixture, h, c map[string]any) {
		appOnly(f, h, c)
		c["scp"] = scp
	}
}

// The kinds, for short.
var (
	bad     = entraauth.ErrInvalidToken
	expired = entraauth.ErrExpired
	scope   = entraauth.ErrInsufficientScope
)

// corpus are all hostile tokens, by what they try.
func corpus() map[string][]hostile {
	return map[string][]hostile{
		"algorithm": algorithmTricks, "header": headerTricks, "encoding": encodingTricks, "claims": claimTricks,
		"tenancy": tenancyTricks, "time": timeTricks, "kind": kindTricks, "scope": scopeTricks,
		"agents": agentTricks(),
	}
}

func TestHostileTokens(t *testing.T) {
	t.Parallel()
	open, naming := newFixture(t, nil), newFixture(t, namesAgent)
	n := 0
	for group, rows := range corpus() {
		for _, h := range rows {
			n++
			f := open
			if h.named {
				f = naming
			}
			t.Run(group+"/"+h.name, func(t *testing.T) {
				good, hostile := h.tokens(f)
				if _, err := f.verifier.Verify(t.Context(), good); err != nil {
					t.Fatalf("the unchanged token is refused: got %v, want nil", err)
				}
				check(t, f, hostile, h.kind, h.rule)
			})
		}
	}
	if n < 120 {
		t.Errorf("%d hostile tokens, want at least 120", n)
	}
	t.Logf("%d hostile tokens", n)
}

// check verifies a bad token and compares the refusal. Nothing that came from
// the token may be in the text.
func check(t *testing.T, f *fixture, token string, kind error, rule string) {
	t.Helper()
	id, err := f.verifier.Verify(t.Context(), token)
	if id != nil {
		t.Fatal("Verify returns an identity, want an error")
	}
	var e *entraauth.Error
	if !errors.As(err, &e) {
		t.Fatalf("the error is %T: %v; want *entraauth.Error", err, err)
	}
	if !errors.Is(err, kind) || e.Rule != rule {
		t.Errorf("refused as %v by rule %q, %q; want %v by %q", e.Kind, e.Rule, e.Reason, kind, rule)
	}
	if e.Summary() == "" || e.Remedy == "" {
		t.Errorf("reason %q, summary %q, remedy %q; want a Summary, a Remedy", e.Reason, e.Summary(), e.Remedy)
	}
	ours := strings.Contains(e.Actual, f.tenant.ID()) || strings.Contains(e.Actual, f.api.ClientID) ||
		strings.Contains(f.api.ClientID, e.Actual) || len(e.Actual) < 5
	if !ours && strings.Contains(e.Error(), e.Actual) {
		t.Errorf("the text holds a value of the token, %q: %s", e.Actual, e)
	}
}

// The corpus bites: with any one rule taken out, some row of it fails.
func TestCorpusBites(t *testing.T) { // not in parallel: it takes the rules from all verifiers
	open, naming := newFixture(t, uncached), newFixture(t, func(o *entraauth.Options) { uncached(o); namesAgent(o) })
	type row struct {
		hostile
		verifier *entraauth.Verifier
		token    string
	}
	var all []row
	for _, rows := range corpus() {
		for _, h := range rows {
			f := open
			if h.named {
				f = naming
			}
			_, token := h.tokens(f)
			all = append(all, row{h, f.verifier, token})
		}
	}
	for _, name := range entraauth.RuleNames() {
		switch name {
		case "keys", "signing key":
			continue // what they fetch, those behind them stand on
		case "key issuer":
			continue // TestForeignKeys bites it, on key sets of its own
		}
		t.Run(name, func(t *testing.T) {
			defer entraauth.DisableRule(name)()
			accepted, fail := 0, 0
			for _, r := range all {
				_, err := r.verifier.Verify(t.Context(), r.token)
				var e *entraauth.Error
				if err == nil {
					accepted++
				}
				if err == nil || errors.As(err, &e) && (!errors.Is(err, r.kind) || e.Rule != r.rule) {
					fail++
				}
			}
			if fail == 0 {
				t.Error("no row of the corpus fails without the rule")
			}
			t.Logf("%d rows fail, %d of them accepted", fail, accepted)
		})
	}
}
