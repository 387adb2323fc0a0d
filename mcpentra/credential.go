package mcpentra

import (
	"context"

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

// withCredential puts the caller's credential within reach of [Credential].
func withCredential(x *obo.Exchanger) mcp.Middleware {
	return func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			// Set in any case: the session's context must not lend another caller's.
			var cred azcore.TokenCredential
			if id := entraauth.FromContext(ctx); id != nil && x != nil {
				cred = x.Credential(id.Assertion())
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
	if entraauth.FromContext(ctx) == nil {
		return nil, ErrNoCaller
	}
	cred, _ := ctx.Value(credentialKey{}).(azcore.TokenCredential)
	if cred == nil {
		return nil, ErrNoExchanger
	}
	return cred, nil
}
