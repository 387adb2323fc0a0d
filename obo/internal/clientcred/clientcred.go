// Package clientcred is what packages obo and clientauth say to each other
// about the proof that an app shows to Entra. Nobody else can name its types.
package clientcred

import (
	"context"
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
	Authority  authority.Host
	TenantID   string
	ClientID   string
}

// A Source makes the app's proof for one exchanger. It is safe for concurrent use.
type Source interface {
	// Credential returns the proof to send in one token request. An error that
	// says who is to blame is an [*Error].
	Credential(ctx context.Context) (confidential.Credential, error)
	// Refused tells the source that Entra didn't accept its last proof: what it
	// has cached of it is not to be sent again.
	Refused()
}

// An Error says why there is no proof to send.
type Error struct {
	// Permanent means that only the operator can mend it.
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
