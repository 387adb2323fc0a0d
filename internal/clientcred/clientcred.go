// Package clientcred proves an app to Entra ID: to package obo for exchanges, and to
// whatever else of this module asks the token endpoint for something in the app's
// name. Package clientauth makes the methods and shows no more of them.
package clientcred

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
	"github.com/mcpentra/mcp-entra-go/internal/secret"
)

// A Method is one way for the app to prove itself, or several in order. A type
// defined over it keeps its methods, which show its kind alone.
type Method struct{ method }

type method struct {
	kind string
	open func(Environment) ([]Source, error)
}

// NewMethod returns the method of a kind, such as "client secret". open readies it
// for one user of the method and says what is wrong with it.
func NewMethod(kind string, open func(Environment) ([]Source, error)) Method {
	return Method{method{kind, open}}
}

// Open readies the method for one user.
func (m Method) Open(env Environment) ([]Source, error) {
	if m.open == nil {
		return nil, errors.New("is missing; use one of clientauth's, such as clientauth.ManagedIdentity")
	}
	return m.open(env)
}

// String returns the kind of the method, such as "client secret".
func (m method) String() string {
	if m.open == nil {
		return "none"
	}
	return m.kind
}

// Format writes the kind for every verb: a deep printer finds nothing else.
func (m method) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, m.String()) }

// An Environment is what the user of a method gives to it.
type Environment struct {
	// HTTPClient bounds what it reads and follows no redirects.
	HTTPClient *http.Client
	Now        func() time.Time
	Logger     *slog.Logger // never nil
	Authority  authority.Host
	TenantID   string
	ClientID   string
}

// A Source makes the app's proofs. It is safe for concurrent use.
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

// A Proof is what a token request carries to prove the app: a client secret, or a
// client assertion (RFC 7521, section 4.2).
type Proof struct {
	secret secret.Text
	sign   func(tokenURL string) (string, error)
}

// assertionType is that of a JWT (RFC 7523, section 2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// Secret returns the proof by a client secret.
func Secret(value secret.Text) Proof { return Proof{secret: value} }

// Assertion returns the proof by a client assertion that somebody else has signed.
func Assertion(token secret.Text) Proof {
	return Signed(func(string) (string, error) { return secret.Reveal(token), nil })
}

// Signed returns the proof by a client assertion that sign makes for each request; its
// audience is the URL of the token endpoint.
func Signed(sign func(tokenURL string) (string, error)) Proof { return Proof{sign: sign} }

// AddTo adds the proof to the form of a token request.
func (p Proof) AddTo(form url.Values, tokenURL string) error {
	if p.sign == nil {
		form.Set("client_secret", secret.Reveal(p.secret))
		return nil
	}
	assertion, err := p.sign(tokenURL)
	if err != nil {
		return err
	}
	form.Set("client_assertion_type", assertionType)
	form.Set("client_assertion", assertion)
	return nil
}

// MSAL returns the proof as MSAL takes it.
func (p Proof) MSAL() (confidential.Credential, error) {
	if p.sign == nil {
		return confidential.NewCredFromSecret(secret.Reveal(p.secret))
	}
	return confidential.NewCredFromAssertionCallback(
		func(_ context.Context, o confidential.AssertionRequestOptions) (string, error) {
			return p.sign(o.TokenEndpoint)
		}), nil
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
