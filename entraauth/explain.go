package entraauth

import (
	"context"
	"errors"
	"strings"
	"time"
)

// A Report is how a token fares under each rule, for people: the token's owner
// and whoever debugs a refusal. It accepts nothing. It holds values of the
// token, so it is for nobody else; neither the token nor its signature is in it.
type Report struct {
	Valid  bool    `json:"valid"`
	Checks []Check `json:"checks"`
}

// A Check is one rule's finding.
type Check struct {
	Rule     string `json:"rule"`
	Result   Result `json:"result"`
	Reason   string `json:"reason,omitempty"` // as in [Error]
	Expected string `json:"expected,omitempty"`
	Actual   string `json:"actual,omitempty"`
	Remedy   string `json:"remedy,omitempty"`
}

// Result is what came of a rule.
type Result string

// The results of a rule.
const (
	ResultPassed     Result = "passed"
	ResultFailed     Result = "failed"
	ResultNotReached Result = "not reached" // an earlier one failed on which it stands
)

// Explain judges a token by every rule, in order, and goes on after one that
// fails. Times are in RFC 3339 with the server's own zone.
func (v *Verifier) Explain(ctx context.Context, token string) *Report {
	r := &Report{Valid: true}
	t, err := v.decode(token)
	if err != nil {
		r.fail(err)
		for _, rule := range rules {
			r.add(Check{Rule: rule.name, Result: ResultNotReached})
		}
		return r
	}
	r.add(Check{Rule: "form", Result: ResultPassed, Expected: "a signed JWT", Actual: "a signed JWT"})
	for _, rule := range rules {
		if !t.ready(rule.name) {
			r.add(Check{Rule: rule.name, Result: ResultNotReached})
			continue
		}
		if err := rule.run(ctx, v, t); err != nil {
			if err.Expected == "" {
				err.Expected, _ = v.shown(t, rule.name)
			}
			r.fail(err)
			continue
		}
		if rule.name == "policy" { // by the names that people look for
			r.add(Check{Rule: "scope", Result: ResultPassed, Expected: strings.Join(v.policy.Scopes, " "), Actual: actual(t.claims.scopes)})
			r.add(Check{Rule: "client", Result: ResultPassed, Expected: strings.Join(v.policy.Clients, " "), Actual: actual(t.claims.clientID())})
			continue
		}
		expected, got := v.shown(t, rule.name)
		r.add(Check{Rule: rule.name, Result: ResultPassed, Expected: expected, Actual: actual(got)})
	}
	return r
}

// ready reports whether what a rule stands on is there.
func (t *candidate) ready(rule string) bool {
	switch rule {
	case "issuer", "signing key":
		return t.keys != nil
	case "key issuer", "signature":
		return t.key != nil
	}
	return true
}

func (r *Report) add(c Check) { r.Checks = append(r.Checks, c) }

func (r *Report) fail(err error) {
	r.Valid = false
	var e *Error
	if !errors.As(err, &e) {
		return
	}
	got := e.Actual
	if got == "" && e.cause != nil {
		got = actual(e.cause.Error())
	}
	r.add(Check{Rule: e.Rule, Result: ResultFailed, Reason: e.Reason, Expected: e.Expected, Actual: got, Remedy: e.Summary() + ". " + e.Remedy})
}

// shown returns what a rule expects and the value that it looked at.
func (v *Verifier) shown(t *candidate, rule string) (expected, got string) {
	c := &t.claims
	switch rule {
	case "algorithm":
		return "RS256", t.header.alg
	case "type":
		return "JWT", t.header.typ
	case "key id", "signing key", "key issuer":
		return "a key of " + v.tenancy.String(), "kid " + t.header.kid
	case "signature":
		return "made by that key", "made by that key"
	case "keys":
		if t.keys == nil {
			return "the tenant's key set", ""
		}
		return "the tenant's key set", "fetched " + t.keys.fetchedAt.Local().Format(time.RFC3339)
	case "version":
		return "1.0 or 2.0", c.version
	case "issuer":
		return c.issuer, c.issuer
	case "tenant":
		return v.tenancy.String(), c.tenantID
	case "audience":
		return v.audiences(c.version), c.audience
	case "expiry":
		return "later than " + t.local(), c.expires.local()
	case "not before":
		return "not later than " + t.local(), c.notBefore.local()
	case "issued at":
		return "not later than " + t.local(), c.issuedAt.local()
	case "proof of possession":
		return "a bearer token", "a bearer token"
	case "kind of token":
		return "an access token", "an access token, of a " + t.who().kind.String()
	case "object id":
		return "a GUID", c.objectID
	}
	return "", ""
}

// local is the moment of the judgement, in the server's zone.
func (t *candidate) local() string { return t.now.Local().Format(time.RFC3339) }

// local is the moment in the server's zone.
func (m moment) local() string {
	if !m.present {
		return "absent"
	}
	return time.Unix(m.seconds, 0).Local().Format(time.RFC3339)
}
