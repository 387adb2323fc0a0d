package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/graph"
)

// assertionClaims are what a federated credential is compared with. None of them is secret.
type assertionClaims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience any    `json:"aud"`
	ClientV1 string `json:"appid"` // of Entra's own tokens: the identity's client ID
	ClientV2 string `json:"azp"`
}

func (c *assertionClaims) audience() string {
	switch a := c.Audience.(type) {
	case string:
		return a
	case []any:
		var all []string
		for _, one := range a {
			all = append(all, fmt.Sprint(one))
		}
		return strings.Join(all, ", ")
	}
	return ""
}

func (c *assertionClaims) lines() string {
	return "issuer   " + printable(c.Issuer) + "\nsubject  " + printable(c.Subject) + "\naudience " + printable(c.audience())
}

// readAssertion returns the claims of a JWT, unverified, or nil.
func readAssertion(token string) *assertionClaims {
	var c assertionClaims
	if !readClaims(token, &c) {
		return nil
	}
	return &c
}

// federatedCredential checks that the registration trusts the identity that the server presents.
func (x *exam) federatedCredential(ctx context.Context) Result {
	switch {
	case x.proof == nil:
		return x.like("identity")
	case !x.federated():
		x.prove(ctx)
		return notRun("the app proves itself with a %s", x.kind())
	}
	x.prove(ctx)
	code := x.proof.answer.code
	if !isFederated(code) {
		return ok("Entra ID finds one for the identity's token")
	}
	f := Finding{Problem: proofCodes[code].problem + fmt.Sprintf(" (AADSTS%d)", code),
		Remedy: "Correct the credential, character for character: App registrations, the app, Certificates & secrets, Federated credentials; or run mcp-entra setup apply"}
	if c := x.proof.claims; c != nil {
		f.Expected = "a federated credential with\n" + c.expected(x)
	}
	f.Came = fmt.Sprintf("AADSTS%d", code)
	if x.app == nil {
		return failed(f)
	}
	all, err := x.options.Directory.FederatedCredentials(ctx, x.app.ID)
	if err != nil {
		return failed(f)
	}
	return failed(x.differing(f, all))
}

// expected shows the credential that would match the token.
func (c *assertionClaims) expected(x *exam) string {
	shown := *c
	shown.Audience = x.audienceOf(c)
	return shown.lines()
}

// exchangeApp is the application that is the audience of Entra's own tokens for
// api://AzureADTokenExchange, if they are v2 tokens.
const exchangeApp = "fb60f99c-7a34-4190-8149-302f77469936"

// audienceOf is the audience that a federated credential for the token must have.
func (x *exam) audienceOf(c *assertionClaims) string {
	if a := c.audience(); a != exchangeApp {
		return a
	}
	return x.host.Cloud().Federation
}

// differing shows the credential that is nearest to the token, member by member.
func (x *exam) differing(f Finding, all []graph.FederatedCredential) Finding {
	c := x.proof.claims
	if len(all) == 0 || c == nil {
		f.Came = "the registration has no federated credential"
		return f
	}
	best, least := all[0], 4
	for _, one := range all {
		if n := len(x.differences(one)); n < least {
			best, least = one, n
		}
	}
	var want, got []string
	for _, d := range x.differences(best) {
		want = append(want, d[0]+" "+d[1])
		got = append(got, d[0]+" "+d[2])
	}
	if len(want) == 0 {
		f.Came = "the credential " + printable(best.Name) + " matches; it may be too new: Entra needs some minutes"
		return f
	}
	if len(want) == 1 && best.Issuer == c.Issuer && best.Subject == c.Subject && slices.Contains(best.Audiences, x.host.Cloud().Federation) {
		return Finding{Problem: "the identity's token is for another audience than Entra ID's exchange of tokens" + fmt.Sprintf(" (AADSTS%d)", x.proof.answer.code),
			Expected: "audience " + x.host.Cloud().Federation, Came: "audience " + printable(c.audience()),
			Remedy: "The federated credential is right. Have the token made for this audience: in Kubernetes the audience of the pod's projected volume, which the workload identity webhook sets"}
	}
	f.Expected, f.Came = strings.Join(want, "\n"), strings.Join(got, "\n")
	f.Problem += fmt.Sprintf("; the credential %q differs from the identity's token", printable(best.Name))
	if id := orElse(c.ClientV2, c.ClientV1); id != "" && strings.EqualFold(best.Subject, id) && best.Subject != c.Subject {
		f.Remedy = "The subject is the identity's client ID; it must be its principal (object) id. " + f.Remedy
	}
	return f
}

// differences are the members that differ: the name, what the token has, what the credential has.
func (x *exam) differences(one graph.FederatedCredential) (all [][3]string) {
	c := x.proof.claims
	if one.Issuer != c.Issuer {
		all = append(all, [3]string{"issuer  ", c.Issuer, printable(one.Issuer)})
	}
	if one.Subject != c.Subject {
		all = append(all, [3]string{"subject ", c.Subject, printable(one.Subject)})
	}
	if want := x.audienceOf(c); !slices.Contains(one.Audiences, want) {
		all = append(all, [3]string{"audience", want, printable(strings.Join(one.Audiences, ", "))})
	}
	return all
}
