package entraauth

import (
	"context"
	"errors"
)

// A Report is the result of each rule for a token, for the token's owner and for
// whoever debugs a refusal. It grants nothing. It holds values of the token, so keep it
// from everybody else; the token itself and its signature are not in it.
type Report struct {
	Valid  bool    `json:"valid"`
	Checks []Check `json:"checks"`
}

// A Check is the result of one rule.
type Check struct {
	Rule     string `json:"rule"`
	Result   Result `json:"result"`
	Reason   string `json:"reason,omitempty"` // as in [Error]
	Expected string `json:"expected,omitempty"`
	Actual   string `json:"actual,omitempty"`
	Remedy   string `json:"remedy,omitempty"`
}

// Result is the outcome of a rule.
type Result string

// The results of a rule.
const (
	ResultPassed     Result = "passed"
	ResultFailed     Result = "failed"
	ResultNotReached Result = "not reached" // it needs an earlier rule that failed
)

// Explain judges a token by every rule, in order, and continues after one that
// fails. Times are in RFC 3339, in the server's time zone.
func (v *Verifier) Explain(ctx context.Context, token string) *Report {
	r := &Report{Valid: true}
	t, err := v.decode(token)
	if err != nil {
		r.fail(err)
	} else {
		r.add(Check{Rule: "form", Result: ResultPassed, Expected: "a signed JWT", Actual: "a signed JWT"})
	}
	passed := map[string]bool{"": t != nil} // what rules need that need no other: the claims
	for i := range rules {
		rule := &rules[i]
		if !passed[rule.needs] {
			r.add(Check{Rule: rule.name, Result: ResultNotReached})
			continue
		}
		if err := rule.run(ctx, v, t); err != nil {
			if err.Expected == "" && rule.shows != nil {
				err.Expected, _ = rule.shows(v, t)
			}
			r.fail(err)
			continue
		}
		passed[rule.name] = true
		shown := rule.parts
		if shown == nil {
			shown = rules[i : i+1]
		}
		for _, part := range shown {
			expected, got := part.shows(v, t)
			r.add(Check{Rule: part.name, Result: ResultPassed, Expected: expected, Actual: actual(got)})
		}
	}
	return r
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
