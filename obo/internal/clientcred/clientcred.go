// Package clientcred is what packages obo and clientauth say to each other
// about the proof that an app shows to Entra. Nobody else can name its types.
package clientcred

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
)

// An Environment is what an exchanger gives to the method that it was made with.
type Environment struct {
	// HTTPClient bounds what it reads and follows no redirects.
	HTTPClient *http.Client
	Now        func() time.Time
	Logger     *slog.Logger // never nil
	Authority  authority.Host
	TenantID   string
	ClientID   string
}

// A Proof is what one token request carries to prove the app.
type Proof struct {
	confidential.Credential
	// SendChain sends the certificates along (x5c), which trust by subject name
	// and issuer needs.
	SendChain bool
}

// A Source makes the app's proof for one exchanger. It is safe for concurrent use.
type Source interface {
	// Kind names the source for the log, such as "client secret".
	Kind() string
	// Credential returns the proof to send in one token request. An error that
	// says who is to blame is an [*Error].
	Credential(ctx context.Context) (Proof, error)
	// Refused tells the source that Entra didn't accept its last proof: what it
	// has cached of it is not to be sent again. It reports whether the next
	// proof can be another one.
	Refused() bool
}

// An Error says why there is no proof to send.
type Error struct {
	// Permanent means that only the operator can fix it.
	Permanent bool
	// Problem and Remedy are sentences that anybody may read.
	Problem, Remedy string
	// Cause is for the log. It holds nothing of a request or of an answer's body.
	Cause error
}

// Error returns the problem and the cause.
func (e *Error) Error() string {
	if e.Cause == nil {
		return e.Problem
	}
	return e.Problem + ": " + e.Cause.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }
