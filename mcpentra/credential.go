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

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/mcpentra/mcp-entra-go/entraauth"
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
	case m.caller.Kind() != entraauth.KindUser:
		return nil, ErrNeedsUser
	case l.exchanger == nil:
		l.once.Do(func() {
			l.log.ErrorContext(m, "a tool asked for its caller's credential (mcpentra.Credential), and this server has no exchanger: add WithExchanger",
				"request_id", requestID(m))
		})
		return nil, ErrNoExchanger
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
