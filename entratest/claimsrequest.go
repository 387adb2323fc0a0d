package entratest

import (
	"encoding/json"
	"slices"
)

// A claimsRequest is what matters of a claims parameter (OpenID Connect Core
// section 5.5): what a client repeats from a claims challenge, and what it can do itself.
type claimsRequest struct {
	contexts     []string // authentication contexts that the user must meet
	policies     []string // conditional access policies to meet: multifactor authentication
	capabilities []string // of the client: cp1 understands claims challenges
}

type claimDemand struct {
	Value  string   `json:"value"`
	Values []string `json:"values"`
}

func (d *claimDemand) all() []string {
	if d == nil {
		return nil
	}
	if d.Value != "" {
		return append([]string{d.Value}, d.Values...)
	}
	return d.Values
}

// parseClaims reads a claims parameter, which may be absent.
func parseClaims(parameter string) (claimsRequest, *rejection) {
	if parameter == "" {
		return claimsRequest{}, nil
	}
	var asked struct {
		AccessToken struct {
			ACRS         *claimDemand `json:"acrs"`
			Policies     *claimDemand `json:"capolids"`
			Capabilities *claimDemand `json:"xms_cc"`
		} `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(parameter), &asked); err != nil {
		return claimsRequest{}, reject(9002313, "Invalid request. The value of the parameter 'claims' is not a JSON object of the expected form.")
	}
	token := asked.AccessToken
	return claimsRequest{token.ACRS.all(), token.Policies.all(), token.Capabilities.all()}, nil
}

// metBy reports whether a sign-in has all that the request asks for.
func (c claimsRequest) metBy(s signIn) bool {
	if len(c.policies) > 0 && !s.MFA {
		return false
	}
	return !slices.ContainsFunc(c.contexts, func(context string) bool { return !slices.Contains(s.Contexts, context) })
}
