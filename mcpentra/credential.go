package mcpentra

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/resourceuri"
	"github.com/mcpentra/mcp-entra-go/internal/safelog"
	"github.com/mcpentra/mcp-entra-go/obo"
)

// A credentialError says why a tool gets no credential or token.
type credentialError struct {
	text   string // for the caller
	reason string // for the log, as are
	remedy string // what the operator can do, or "", and
	cause  error  // or nil
}

func (e *credentialError) Error() string    { return e.text }
func (e *credentialError) UserText() string { return e.text }
func (e *credentialError) Unwrap() error    { return e.cause }

// LogValue returns what only the operator should read.
func (e *credentialError) LogValue() slog.Value {
	var attrs []slog.Attr
	if e.remedy != "" {
		attrs = append(attrs, slog.String("remedy", e.remedy))
	}
	if e.cause != nil {
		attrs = append(attrs, slog.String("cause", e.cause.Error()))
	}
	return slog.GroupValue(attrs...)
}

var (
	// ErrNoCaller means that the context belongs to no request of a verified caller.
	ErrNoCaller error = &credentialError{text: "no verified caller: this can be used only in a tool call", reason: "no_caller"}
	// ErrNoExchanger means that the server was made without [WithExchanger].
	ErrNoExchanger error = &credentialError{text: "this server can't act on behalf of its callers: no On-Behalf-Of exchange is configured", reason: "no_exchanger"}
	// ErrNeedsUser means that the caller is an application, or an agent on its own, for
	// which there is no On-Behalf-Of.
	ErrNeedsUser error = &credentialError{
		text:   "the caller is an application; this acts on behalf of its caller, which needs a user (as in AADSTS7000114). To fix this: call as a signed-in user",
		reason: "needs_user",
		remedy: "if applications may act with the server's own credential here, name the tool or resource in mcpentra.WithDangerousServerCredentialForApplications; otherwise keep them out by a policy",
	}
	// ErrNoAgent means that the function of [WithAgent] names no agent for the caller.
	ErrNoAgent error = &credentialError{
		text:   "this server acts for its callers as agents, and has no agent for you. To fix this: ask the server's operator to choose one",
		reason: "no_agent",
		remedy: "return one of obo.Options.Agents for this caller from the function of mcpentra.WithAgent",
	}
)

// Credential returns the credential of the caller of this tool call: it gets
// tokens on the caller's behalf, for any client of the Azure SDK. Make a client
// for each call, with a shared transport to keep that cheap: an Azure client
// keeps the token of the first user that it sees. Credential never falls back to the
// server's own identity; what its operator lends to applications with
// [WithDangerousServerCredentialForApplications] works for the call's own context alone.
//
// The error is [ErrNoCaller], [ErrNoExchanger], [ErrNeedsUser], [ErrNoAgent], or that the
// function of [WithAgent] panicked.
func Credential(ctx context.Context) (azcore.TokenCredential, error) {
	m := messageOf(ctx)
	if m == nil {
		return nil, ErrNoCaller
	}
	return m.server.credential(m)
}

// lending returns the credentials of messages' callers.
type lending struct {
	exchanger *obo.Exchanger // nil without WithExchanger
	agents    *agents        // nil without WithAgent
	server    *serverCredential
	log       *slog.Logger
	once      sync.Once // for the log line: only the operator can fix this
}

func newLending(c *config) *lending {
	l := &lending{exchanger: c.exchanger, server: c.serverCred, log: c.log}
	if c.exchanger == nil {
		return l
	}
	app := c.exchanger.Registration()
	if c.agentFor != nil {
		l.agents = &agents{c.agentFor, app.Agents, c.log}
	}
	if l.server != nil {
		l.server.audiences = app.Resources
	}
	return l
}

func (l *lending) credential(m *rpcMessage) (azcore.TokenCredential, error) {
	switch {
	case m.caller == nil:
		return nil, ErrNoCaller
	case m.caller.Kind() == entraauth.KindApp && l.server.serves(m):
		return l.server.lend(m)
	case l.exchanger == nil:
		l.once.Do(func() {
			l.log.ErrorContext(m, "a tool asked for its caller's credential (mcpentra.Credential), and this server has no exchanger: add WithExchanger",
				"request_id", requestID(m))
		})
		return nil, ErrNoExchanger
	case m.caller.Kind() != entraauth.KindUser:
		return nil, ErrNeedsUser
	case l.agents != nil:
		agent, err := l.agents.actingFor(m)
		if err != nil {
			return nil, err
		}
		return l.exchanger.AgentCredential(obo.Assertion(m.caller.Assertion()), agent), nil
	}
	return l.exchanger.Credential(obo.Assertion(m.caller.Assertion())), nil
}

// WithAgent makes the server act for its callers as agent identities: [Credential] then
// gets tokens on the caller's behalf as the agent that agentFor names for the caller, by
// its application ID, and never as the server's app itself. The caller was verified;
// agentFor must decide by nothing else, in particular not by arguments or headers, and
// must be safe for concurrent use. If it returns "", no agent acts for the caller, and
// Credential fails with [ErrNoAgent].
//
// agentFor is called at most once for each call, when its tool first asks for the
// credential. It is called for people, whatever their client, and for agent users that the
// policy lets in: return "" unless caller.IsPerson() to act for people alone. It is not
// called for applications and agents on their own, for which there is no On-Behalf-Of.
//
// The exchanger of [WithExchanger] must list the agents in obo.Options.Agents, and one
// that lists agents needs this option. Its app is the agents' blueprint, which signs nobody
// in: a proxy of [WithAuthProxy] needs an app of its own.
func WithAgent(agentFor func(caller *entraauth.Identity) (agentID string)) Option {
	return func(c *config) error {
		switch {
		case agentFor == nil:
			return errors.New("WithAgent: the function is nil; pass one, or leave the option out")
		case c.agentFor != nil:
			return errors.New("WithAgent: the option appears twice; name every agent in one function")
		}
		c.agentFor = agentFor
		return nil
	}
}

// checkAgents returns a fault if only one of the exchanger and the server acts as agents, or if
// nobody can sign in by the proxy's app, because it is the blueprint or an agent.
func (c *config) checkAgents() error {
	var listed []string
	if c.exchanger != nil {
		listed = c.exchanger.Registration().Agents
	}
	switch {
	case c.agentFor != nil && c.exchanger == nil:
		return errors.New("WithAgent: the server has no exchanger; add WithExchanger(…) with the agents in obo.Options.Agents")
	case c.agentFor != nil && len(listed) == 0:
		return errors.New("WithAgent: the exchanger of WithExchanger acts as no agent; list the agents in obo.Options.Agents")
	case c.agentFor == nil && len(listed) > 0:
		return errors.New("WithExchanger: the exchanger acts only as agents (obo.Options.Agents), and nothing says which one acts for a caller; add WithAgent(…)")
	}
	if c.authProxy == nil || len(listed) == 0 {
		return nil
	}
	blueprint, _ := c.exchanger.Registration().App()
	const fault = "WithAuthProxy: the proxy's app is %s, %s, and Entra signs nobody in with that; make the proxy with an ordinary app registration of its own"
	switch app := strings.ToLower(c.authProxy.ClientID()); {
	case app == blueprint:
		return fmt.Errorf(fault, app, "the blueprint of the agents as which the server acts (WithAgent)")
	case slices.Contains(listed, app):
		return fmt.Errorf(fault, app, "an agent identity")
	}
	return nil
}

// describeAgents returns what the log says at start about agents and the server's own credential,
// if there are any.
func (c *config) describeAgents() (attrs []slog.Attr) {
	if c.agentFor != nil {
		attrs = append(attrs, slog.Any("agents", c.exchanger.Registration().Agents))
	}
	if s := c.serverCred; s != nil {
		var lent []string
		for _, p := range slices.Concat(s.tools, s.resources) {
			lent = append(lent, p.String())
		}
		attrs = append(attrs, slog.Any("server_credential_for_applications", lent))
	}
	return attrs
}

// agents chooses the agents that act for callers.
type agents struct {
	choice func(*entraauth.Identity) string
	listed []string // of the exchanger
	log    *slog.Logger
}

// An actingAgent is the agent that acts for a message's caller, or why there is none.
type actingAgent struct {
	id       string
	loggable bool // anything but a listed agent could be a secret in the wrong place
	err      error
}

// actingFor returns the agent that acts for the message's caller. It is chosen once: the message's
// line names one agent.
func (a *agents) actingFor(m *rpcMessage) (agent string, err error) {
	m.choosing.Do(func() { m.actsAs.Store(a.choose(m)) })
	if chosen := m.actsAs.Load(); chosen != nil {
		return chosen.id, chosen.err
	}
	return "", errChoice // the function ended the goroutine (runtime.Goexit)
}

func (a *agents) choose(m *rpcMessage) (chosen *actingAgent) {
	defer func() {
		if p := recover(); p != nil { // a tool may have asked on a goroutine of its own
			a.log.ErrorContext(m, "panic in the function of WithAgent", "request_id", requestID(m), "panic", safelog.Panic(p), "stack", string(debug.Stack()))
			chosen = &actingAgent{err: errChoice}
		}
	}()
	agent := a.choice(m.caller)
	if agent == "" {
		return &actingAgent{err: ErrNoAgent}
	}
	if i := slices.IndexFunc(a.listed, func(id string) bool { return strings.EqualFold(id, agent) }); i >= 0 {
		return &actingAgent{id: a.listed[i], loggable: true}
	}
	return &actingAgent{id: agent}
}

var errChoice error = &credentialError{text: "internal error", reason: "internal_error", remedy: "the function of mcpentra.WithAgent panicked (the log has the stack) or ended its goroutine"}

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
// for the next caller. If the server has an exchanger, its tokens are for that exchanger's
// resources. The log's line has the attribute credential=server.
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
	token, err := l.from.credential.GetToken(ctx, o)
	if err != nil {
		return azcore.AccessToken{}, &credentialError{
			text:   "this server's own credential gets no token. Try again; if it keeps failing, tell the server's operator",
			reason: "server_credential_failed", cause: err,
		}
	}
	token.ExpiresOn, token.RefreshOn = past, time.Time{}
	return token, nil
}

// past is when a lent token expires for its client. A client of the Azure SDK that a tool keeps
// would otherwise send the token for the next caller, without asking whether it may.
var past = time.Unix(0, 0)

// checkServerCredential returns a fault if the server's credential is lent to applications, and the
// verifier refuses them all.
func (c *config) checkServerCredential(v *entraauth.Verifier) error {
	if c.serverCred == nil || v == nil || len(v.Policy().AppRoles) > 0 {
		return nil
	}
	return errors.New(serverCredentialOption + ": the verifier's policy refuses all applications; add AppRoles to entraauth.Options.Policy, or leave the option out")
}

var errLentElsewhere error = &credentialError{
	text:   "the server's credential works only in the call that it was lent to",
	reason: "server_credential_elsewhere",
	remedy: "use what mcpentra.Credential returns with the context of the same call, while that runs; make a client of the Azure SDK for each call",
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
