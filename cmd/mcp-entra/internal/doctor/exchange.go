package doctor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/graph"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/authority"
	"github.com/mcpentra/mcp-entra-go/internal/secret"
	"github.com/mcpentra/mcp-entra-go/obo"
)

// storageResource is the resource of all storage accounts.
const storageResource = "https://storage.azure.com"

const nobody = "no user's token was given (-token)"

// userToken judges the user's token as the server does.
func (x *exam) userToken(ctx context.Context) Result {
	if x.options.UserToken.IsZero() {
		return notRun(nobody)
	}
	if r := x.lacks("TENANT_ID", x.TenantID, "API_APP_ID", x.ClientID); r != nil {
		return *r
	}
	if r := x.blocked("proof"); r != nil && x.tokensApp() != "" { // two signs of one fault
		return *r
	}
	verifier, err := entraauth.NewVerifier(x.TenantID, x.ClientID, &entraauth.Options{
		HTTPClient: x.client, Now: x.options.Now, Logger: slog.New(slog.DiscardHandler), AuthorityHost: x.AuthorityHost, AppIDURIs: x.AppIDURIs,
		Policy: entraauth.Policy{Scopes: []string{x.Scope}},
	})
	if err != nil {
		return failed(Finding{Problem: "the configuration doesn't make a verifier", Came: err.Error(), Remedy: "Correct the variables that it names"})
	}
	defer func() { _ = verifier.Close() }()
	var findings []Finding
	for _, c := range verifier.Explain(ctx, secret.Reveal(x.options.UserToken)).Checks {
		if c.Result == entraauth.ResultFailed {
			findings = append(findings, Finding{Problem: "the token fails the rule " + c.Rule + " (" + c.Reason + ")", Expected: c.Expected, Came: c.Actual, Remedy: c.Remedy})
		}
	}
	return judged(findings, "the token is one for this server")
}

// exchanges are the results of the exchanges, made once for all checks.
type exchanges struct {
	once   sync.Once
	errs   map[string]error // by resource
	tokens map[string]secret.Text
}

// exchangeAll exchanges the user's token for a token of each resource.
func (x *exam) exchangeAll(ctx context.Context) {
	x.exchanged.once.Do(func() {
		x.exchanged.errs, x.exchanged.tokens = map[string]error{}, map[string]secret.Text{}
		exchanger, err := obo.NewExchanger(x.TenantID, x.ClientID, x.Method, &obo.Options{
			HTTPClient: x.client, Now: x.options.Now, Logger: slog.New(slog.DiscardHandler), AuthorityHost: x.AuthorityHost,
			Resources: x.Resources, Agents: x.Agents, MaxRetries: 1,
		})
		var mu sync.Mutex
		var all sync.WaitGroup
		for _, resource := range x.Resources {
			if err != nil {
				x.exchanged.errs[resource] = err
				continue
			}
			all.Go(func() {
				token, err := x.exchangeFor(ctx, exchanger, resource)
				mu.Lock()
				defer mu.Unlock()
				x.exchanged.errs[resource], x.exchanged.tokens[resource] = err, secret.New(token.Token)
			})
		}
		all.Wait()
	})
}

// exchangeFor exchanges the user's token for one of a resource. A server that acts as agent identities needs one by each
// of them.
func (x *exam) exchangeFor(ctx context.Context, exchanger *obo.Exchanger, resource string) (token azcore.AccessToken, err error) {
	assertion, options := obo.Assertion(x.options.UserToken), policy.TokenRequestOptions{Scopes: []string{resource + "/.default"}}
	if len(x.Agents) == 0 {
		return exchanger.Credential(assertion).GetToken(ctx, options)
	}
	for _, agent := range x.Agents {
		if token, err = exchanger.AgentCredential(assertion, agent).GetToken(ctx, options); err != nil {
			return token, err
		}
	}
	return token, nil
}

// canExchange returns why there is no exchange, or nil.
func (x *exam) canExchange() *Result {
	if r := x.blocked("proof", "user-token"); r != nil {
		return r
	}
	var r Result
	switch {
	case !x.OBO:
		r = notRun("USE_OBO_FLOW is off: the server doesn't act as its users")
	case x.options.UserToken.IsZero():
		r = notRun(nobody)
	case x.proof == nil:
		r = x.like("identity")
	case len(x.Resources) == 0:
		return x.lacks("TARGET_AUDIENCES", "")
	default:
		return nil
	}
	return &r
}

// downstreamGrant checks that the application may use each resource on behalf of its users: by
// Microsoft Graph where somebody is signed in, else by trying.
func (x *exam) downstreamGrant(ctx context.Context) Result {
	switch {
	case !x.OBO:
		return notRun("USE_OBO_FLOW is off: the server doesn't act as its users")
	case x.options.Directory != nil && len(x.Agents) > 0:
		return notRun("the server acts as agent identities, whose grants the check agents reads")
	case x.options.Directory != nil && x.principal != nil:
		return x.grantsInDirectory(ctx)
	}
	if r := x.canExchange(); r != nil {
		return *r
	}
	x.exchangeAll(ctx)
	var findings []Finding
	for _, resource := range x.Resources {
		if f := x.withoutConsent(resource); f != nil {
			findings = append(findings, *f)
		}
	}
	return judged(findings, "no consent is missing for this user")
}

// withoutConsent says that the exchange for the resource failed for lack of consent, if it did.
func (x *exam) withoutConsent(resource string) *Finding {
	e, ok := errors.AsType[*obo.Error](x.exchanged.errs[resource])
	if !ok || !errors.Is(e.Kind, obo.ErrConsentRequired) {
		return nil
	}
	f := x.missingGrant(resource, "for this user")
	f.Came = fmt.Sprintf("AADSTS%d: %s", e.AADSTS, e.Problem)
	return &f
}

func (x *exam) missingGrant(resource, whom string) Finding {
	return Finding{Problem: "the application may not use " + resource + " " + whom,
		Expected: "an administrator's grant, for everybody: clients such as VS Code show no consent page", Came: "none",
		Remedy: "Grant it: App registrations, the app, API permissions, add the resource's delegated permission, Grant admin consent; or run mcp-entra setup apply"}
}

// grantsInDirectory compares the grants with the resources.
func (x *exam) grantsInDirectory(ctx context.Context) Result {
	grants, err := x.options.Directory.PermissionGrants(ctx, "clientId", x.principal.ID)
	if err != nil {
		return x.unread("what the application was granted", err)
	}
	var missing, partial []Finding
	for _, resource := range x.Resources {
		found, err := x.principalsOf(ctx, resource)
		if err != nil {
			return x.unread("the service principal of "+resource, err)
		}
		if len(found) == 0 {
			missing = append(missing, Finding{Problem: "the tenant has no service principal for " + resource, Expected: "an enterprise application", Came: "none",
				Remedy: "Check the resource's spelling; add it with az ad sp create --id and its application ID, then grant the permission"})
			continue
		}
		forAll, forSome := granted(grants, found[0])
		switch {
		case forAll:
		case forSome > 0:
			f := x.missingGrant(resource, "for everybody")
			f.Came = fmt.Sprintf("grants for single users (%d)", forSome)
			if x.canExchange() == nil {
				x.exchangeAll(ctx)
			}
			if x.withoutConsent(resource) != nil {
				f.Came += ", none for this one"
				missing = append(missing, f)
				continue
			}
			partial = append(partial, f)
		default:
			missing = append(missing, x.missingGrant(resource, "on behalf of its users"))
		}
	}
	switch {
	case len(missing) > 0:
		return failed(append(missing, partial...)...)
	case len(partial) > 0:
		return warning(partial...)
	}
	return ok("granted for everybody: %s", strings.Join(x.Resources, ", "))
}

// granted reports whether there is a grant for everybody, and for how many users.
// Azure's services have one scope, user_impersonation; of others any will do.
func granted(grants []graph.PermissionGrant, resource graph.ServicePrincipal) (forAll bool, forSome int) {
	const impersonation = "user_impersonation"
	only := slices.ContainsFunc(resource.OAuth2PermissionScopes, func(s graph.PermissionScope) bool { return s.Value == impersonation })
	for _, g := range grants {
		scopes := strings.Fields(g.Scope)
		switch {
		case g.ResourceID != resource.ID || len(scopes) == 0 || only && !slices.Contains(scopes, impersonation):
		case g.ConsentType == "AllPrincipals":
			forAll = true
		default:
			forSome++
		}
	}
	return forAll, forSome
}

// principalsOf returns the resource's service principal: one or none.
func (x *exam) principalsOf(ctx context.Context, resource string) ([]graph.ServicePrincipal, error) {
	if authority.IsGUID(resource) {
		p, err := x.options.Directory.ServicePrincipal(ctx, resource)
		if graph.IsNotFound(err) {
			return nil, nil
		}
		return []graph.ServicePrincipal{p}, err
	}
	for _, name := range []string{resource, strings.TrimSuffix(resource, "/"), resource + "/"} {
		all, err := x.options.Directory.ServicePrincipalsNamed(ctx, name)
		if err != nil || len(all) > 0 {
			return all, err
		}
	}
	return nil, nil
}

// exchange reports what became of the exchanges.
func (x *exam) exchange(ctx context.Context) Result {
	if r := x.canExchange(); r != nil {
		return *r
	}
	x.exchangeAll(ctx)
	var findings []Finding
	for _, resource := range x.Resources {
		err := x.exchanged.errs[resource]
		if err == nil {
			continue
		}
		f := Finding{Problem: "no token for " + resource + " on behalf of the user", Expected: "a token", Came: err.Error(), Remedy: "See the error"}
		if e, ok := errors.AsType[*obo.Error](err); ok {
			f.Came, f.Remedy = e.Problem, orElse(sentence(e.Remedy), "See the code in docs/troubleshooting.md")
			if e.AADSTS != 0 {
				f.Came = fmt.Sprintf("AADSTS%d: %s", e.AADSTS, e.Problem)
			}
			if e.Claims != "" {
				f.Remedy = "The user must sign in again, as the policy demands: " + f.Remedy
			}
		}
		findings = append(findings, f)
	}
	return judged(findings, "a token on behalf of the user for each of %s", strings.Join(x.Resources, ", "))
}

// storageToken returns the user's token for Azure Storage, if there is one.
func (x *exam) storageToken() (secret.Text, bool) {
	i := slices.IndexFunc(x.Resources, func(r string) bool { return strings.TrimSuffix(r, "/") == storageResource })
	if i < 0 {
		return secret.Text{}, false
	}
	token := x.exchanged.tokens[x.Resources[i]]
	return token, !token.IsZero()
}

// sentence begins with a capital letter.
func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
