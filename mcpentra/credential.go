package mcpentra

import (
	"context"
	"log/slog"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
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

// Credential returns the credential of the caller of this tool call: it gets
// tokens on the caller's behalf, for any client of the Azure SDK. Make a client
// for each call (a share of a transport makes that cheap): an Azure client
// keeps the token of the first user that it sees. There is no fall-back to the
// server's own identity.
//
// The error is [ErrNoCaller] or [ErrNoExchanger].
func Credential(ctx context.Context) (azcore.TokenCredential, error) {
	m := messageOf(ctx)
	if m == nil {
		return nil, ErrNoCaller
	}
	return m.server.credential(m)
}

// lending gives messages the credentials of their callers.
type lending struct {
	exchanger *obo.Exchanger // nil without WithExchanger
	log       *slog.Logger
	once      sync.Once // says in the log what only the operator can fix
}

func (l *lending) credential(m *message) (azcore.TokenCredential, error) {
	switch {
	case m.caller == nil:
		return nil, ErrNoCaller
	case l.exchanger == nil:
		l.once.Do(func() {
			l.log.ErrorContext(m, "a tool asked for its caller's credential (mcpentra.Credential), and this server has no exchanger: make it with WithExchanger",
				"request_id", requestID(m))
		})
		return nil, ErrNoExchanger
	}
	return l.exchanger.Credential(obo.Assertion(m.caller.Assertion())), nil
}
