package mcpentra

import (
	"context"
	"log/slog"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/obo"
)

// credentialError is an error whose text the caller may read.
type credentialError string

func (e credentialError) Error() string    { return string(e) }
func (e credentialError) UserText() string { return string(e) }

var (
	// ErrNoCaller says that the context does not belong to a request of a verified caller.
	ErrNoCaller error = credentialError("no verified caller: this can be used in a tool call only")
	// ErrNoExchanger says that the server was made without [WithExchanger].
	ErrNoExchanger error = credentialError("this server can't act on behalf of its callers: no On-Behalf-Of exchange is configured")
)

type credentialKey struct{}

// credentialProbe is the key of contexts with which sets are asked, at start,
// whether their credential is ours: a *bool that says so.
type credentialProbe struct{}

// noExchanger says in the log, once, what only the operator can fix.
type noExchanger struct {
	log  *slog.Logger
	once sync.Once
}

func (n *noExchanger) report(ctx context.Context) {
	n.once.Do(func() {
		n.log.ErrorContext(ctx, "a tool asked for its caller's credential (mcpentra.Credential), and this server has no exchanger: make it with WithExchanger",
			"request_id", requestID(ctx))
	})
}

// withCredential puts the caller's credential within reach of [Credential].
func (s *Server) withCredential(x *obo.Exchanger) mcp.Middleware {
	missing := &noExchanger{log: s.log}
	return func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			// Set in any case: the session's context must not lend another caller's.
			var cred any = missing
			if id := entraauth.FromContext(ctx); id != nil && x != nil {
				cred = x.Credential(obo.Assertion(id.Assertion()))
			}
			return next(context.WithValue(ctx, credentialKey{}, cred), method, req)
		}
	}
}

// Credential returns the credential of the caller of this tool call: it gets
// tokens on the caller's behalf, for any client of the Azure SDK. Make a client
// for each call (a share of a transport makes that cheap): an Azure client
// keeps the token of the first user that it sees. There is no fall-back to the
// server's own identity.
//
// The error is [ErrNoCaller] or [ErrNoExchanger].
func Credential(ctx context.Context) (azcore.TokenCredential, error) {
	if asked, ok := ctx.Value(credentialProbe{}).(*bool); ok {
		*asked = true
		return nil, ErrNoExchanger
	}
	if entraauth.FromContext(ctx) == nil {
		return nil, ErrNoCaller
	}
	switch cred := ctx.Value(credentialKey{}).(type) {
	case azcore.TokenCredential:
		return cred, nil
	case *noExchanger:
		cred.report(ctx)
	}
	return nil, ErrNoExchanger
}
