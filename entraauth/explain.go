package entraauth

import (
	"context"
	"errors"
	"slices"
	"time"
)

// A Report is how a token fares under each rule, for people: the token's owner
// and whoever debugs a refusal. It holds values of the token, so it is not for
// anyone else, and no token.
type Report struct {
	Valid  bool    `json:"valid"`
	Checks []Check `json:"checks"`
}

// A Check is one rule's finding.
type Check struct {
	Rule     string `json:"rule"`
	Passed   bool   `json:"passed"`
	Expected string `json:"expected,omitempty"`
	Actual   string `json:"actual,omitempty"`
	Remedy   string `json:"remedy,omitempty"`
}

// Explain judges a token by every rule and goes on after the first that fails.
// Times are in the server's local time.
func (v *Verifier) Explain(ctx context.Context, token string) *Report {
	r := &Report{Valid: true}
	t, err := v.parse(ctx, token)
	if err != nil {
		r.fail(err)
		return r
	}
	r.pass("form", "RS256, kid "+t.header.kid)
	if t.keys, err = t.source.current(ctx); err != nil {
		r.fail(err)
		return r
	}
	t.identity = newIdentity("", &t.claims)
	for _, rule := range slices.Concat(claimRules, signatureRules, callerRules) {
		if err := rule.run(ctx, v, t); err != nil {
			r.fail(err)
			continue
		}
		if rule.name == "policy" { // by the names that people look for
			r.pass("scope", t.claims.scopes)
			r.pass("client", t.claims.clientID())
			continue
		}
		r.pass(rule.name, t.shown(rule.name))
	}
	return r
}

func (r *Report) pass(rule, value string) {
	r.Checks = append(r.Checks, Check{Rule: rule, Passed: true, Actual: actual(value)})
}

func (r *Report) fail(err error) {
	r.Valid = false
	c := Check{Rule: "token", Actual: err.Error()}
	var e *Error
	if errors.As(err, &e) {
		c = Check{Rule: e.Rule, Expected: e.Expected, Actual: e.Actual, Remedy: e.Summary + ". " + e.Remedy}
	}
	r.Checks = append(r.Checks, c)
}

// shown returns the value that a rule looked at, for a report.
func (t *candidate) shown(rule string) string {
	c := &t.claims
	switch rule {
	case "signing key", "key issuer", "signature":
		return "kid " + t.header.kid
	case "version":
		return c.version
	case "issuer":
		return c.issuer
	case "tenant":
		return c.tenantID
	case "audience":
		return c.audience
	case "expiry":
		return local(c.expires, c.hasExpires)
	case "not before":
		return local(c.notBefore, c.hasNotBefore)
	case "issued at":
		return local(c.issuedAt, c.hasIssuedAt)
	case "kind of token":
		return "an access token of a " + t.identity.kind.String()
	case "object id":
		return c.objectID
	}
	return ""
}

func local(seconds int64, present bool) string {
	if !present {
		return "absent"
	}
	return time.Unix(seconds, 0).Local().Format(time.RFC3339)
}
