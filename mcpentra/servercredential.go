package mcpentra

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/resourceuri"
	"github.com/mcpentra/mcp-entra-go/internal/safelog"
)

// WithDangerousServerCredentialForApplications lends the server's own credential to tools
// and resources when their caller is an application or an agent on its own, for which there
// is no On-Behalf-Of: [Credential] then returns it. Whoever may call them as an application can do
// with it whatever they do, so grant it little. It is never lent for a person or an agent
// user.
//
// Tools and resources are named by patterns as in [WithToolPolicy] and [WithResourcePolicy]. A
// resource is named only if every way to read its URI is; one that stands for a tool
// ([ResourceOwner]) is not named by the tool's name. Nothing is lent to prompts, lists, completions
// and subscriptions.
//
// What Credential returns works while the call runs, and with the call's context alone. Its
// tokens count as expired for a client of the Azure SDK (ExpiresOn), which therefore keeps none
// for the next caller. Every request to a service therefore asks the given credential anew, which
// must cache its tokens: azidentity's for managed identities, secrets and certificates do,
// AzureCLICredential does not. Clients that ask for tokens with another context than the call's
// can't use it, such as azservicebus.
//
// If the server has an exchanger, the tokens are for that exchanger's resources. A token for
// another tenant than the verifier's own, which a service's challenge can ask for, is refused. The
// log's line has the attribute credential=server.
//
// The verifier's policy must let applications in (AppRoles).
func WithDangerousServerCredentialForApplications(credential azcore.TokenCredential, tools, resources []string) Option {
	return func(c *config) error {
		var faults []error
		fault := func(text string) { faults = append(faults, errors.New(text)) }
		if isNil(credential) {
			fault("the credential is nil; pass one, or leave the option out")
		}
		if c.serverCred != nil {
			fault("the option appears twice; name all tools and resources in one")
		}
		if len(tools)+len(resources) == 0 {
			fault("it names neither a tool nor a resource; name those that may use the credential, or leave the option out")
		} else if tools != nil && len(tools) == 0 || resources != nil && len(resources) == 0 {
			fault("one of the lists is empty, not nil; pass nil if it names nothing")
		}
		s := &serverCredential{credential: credential}
		parse := func(what string, from []string, to *[]resourceuri.Pattern, parse func(string) (resourceuri.Pattern, error)) {
			for i, text := range from {
				pattern, err := parse(text)
				if err != nil {
					faults = append(faults, fmt.Errorf("%s[%d]: %w", what, i, err))
					continue
				}
				*to = append(*to, pattern)
			}
		}
		parse("tools", tools, &s.tools, resourceuri.ParseNamePattern)
		parse("resources", resources, &s.resources, resourceuri.ParseURIPattern)
		c.serverCred = s
		return named(serverCredentialOption, errors.Join(faults...))
	}
}

const serverCredentialOption = "WithDangerousServerCredentialForApplications"

// A serverCredential is the operator's own credential, for callers that are applications.
type serverCredential struct {
	credential       azcore.TokenCredential
	tools, resources []resourceuri.Pattern // that it is lent to
	audiences        []string              // of its tokens; nil for any
	tenant           string                // the verifier's own
}

// serves reports whether the credential is lent to what the message uses. Its caller is an
// application.
func (s *serverCredential) serves(m *rpcMessage) bool {
	if s == nil || len(m.targets) != 1 {
		return false
	}
	switch name := m.targets[0].name; m.method {
	case "tools/call":
		return slices.ContainsFunc(s.tools, func(p resourceuri.Pattern) bool { return p.Matches(name) })
	case "resources/read":
		return slices.ContainsFunc(s.resources, func(p resourceuri.Pattern) bool { return p.Names(m.sentURI) && p.Names(name) })
	}
	return false
}

// lend returns the credential for the message, and notes it for the log.
func (s *serverCredential) lend(m *rpcMessage) (azcore.TokenCredential, error) {
	m.lent.Store(true)
	if m.running.over.Load() { // its line may have been written
		return nil, errLentElsewhere
	}
	return &lentCredential{s, m}, nil
}

// A lentCredential is the server's credential in the hands of one message's tool.
type lentCredential struct {
	from *serverCredential
	to   *rpcMessage
}

// GetToken implements [azcore.TokenCredential].
func (l *lentCredential) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if messageOf(ctx) != l.to || l.to.running.over.Load() {
		return azcore.AccessToken{}, errLentElsewhere
	}
	if l.from.audiences != nil && !areScopesOf(o.Scopes, l.from.audiences) {
		return azcore.AccessToken{}, &credentialError{
			text:   "the requested scopes are not of a resource that this server acts at. To fix this: ask the server's operator",
			reason: "scope_not_allowed", remedy: "add the resource to obo.Options.Resources, if it can be trusted",
			cause: fmt.Errorf("requested scopes: %q", safelog.Cut(strings.Join(o.Scopes, " "), safelog.MaxName)),
		}
	}
	if o.TenantID != "" && !strings.EqualFold(o.TenantID, l.from.tenant) {
		return azcore.AccessToken{}, &credentialError{
			text:   "the requested token is of another tenant than this server's own. To fix this: ask the server's operator",
			reason: "tenant_not_allowed", remedy: "if the tool's client takes the tenant from a service's challenge, use a service of the tenant " + l.from.tenant,
			cause: fmt.Errorf("requested tenant: %q", safelog.Cut(o.TenantID, safelog.MaxName)),
		}
	}
	token, err := l.from.credential.GetToken(ctx, o)
	if err != nil {
		return azcore.AccessToken{}, &credentialError{
			text:   "this server's own credential gets no token. Try again; if it keeps failing, tell the server's operator",
			reason: "server_credential_failed", cause: err,
			remedy: "check the credential of mcpentra.WithDangerousServerCredentialForApplications",
		}
	}
	token.ExpiresOn, token.RefreshOn = past, time.Time{}
	return token, nil
}

// past is when a lent token expires for its client. A client of the Azure SDK that a tool keeps
// would otherwise send the token for the next caller, without asking whether it may.
var past = time.Unix(0, 0)

// pairServerCredential makes the server's credential that of the verifier's tenant, and returns a
// fault if it is lent to applications and the verifier refuses them all.
func (c *config) pairServerCredential(v *entraauth.Verifier) error {
	if c.serverCred == nil || v == nil {
		return nil
	}
	c.serverCred.tenant = v.Registration().Tenants[0]
	if len(v.Policy().AppRoles) > 0 {
		return nil
	}
	return errors.New(serverCredentialOption + ": the verifier's policy refuses all applications; add AppRoles to entraauth.Options.Policy, or leave the option out")
}

var errLentElsewhere error = &credentialError{
	text:   "the server's credential works only in the call that it was lent to",
	reason: "server_credential_elsewhere",
	remedy: "use what mcpentra.Credential returns with the context of the same call, while that runs, and make a client of the Azure SDK for each call; clients that don't pass the call's context on, such as azservicebus, can't use it",
}

// areScopesOf reports whether all the scopes are <resource>/<name>, of one of the resources.
// A service could otherwise ask for the token of another.
func areScopesOf(scopes, resources []string) bool {
	odd := func(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune(`?#%\`, c) }
	of := func(scope, resource string) bool {
		i := strings.LastIndexByte(scope, '/')
		return i >= 0 && i < len(scope)-1 && canonicalAPI(scope[:i]) == canonicalAPI(resource) && !strings.ContainsFunc(scope, odd)
	}
	return len(scopes) > 0 && slices.ContainsFunc(resources, func(resource string) bool {
		return !slices.ContainsFunc(scopes, func(scope string) bool { return !of(scope, resource) })
	})
}
