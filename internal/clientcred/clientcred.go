// Package clientcred authenticates an app to Entra ID, for package obo and whatever else
// in this module uses the token endpoint. Package clientauth makes the methods and hides
// what is in them.
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

// A Method is a way for the app to authenticate, or several in order. A type defined
// over it inherits String and Format, which show only its kind.
type Method struct{ method }

type method struct {
	kind string
	open func(Environment) ([]Source, error)
}

// NewMethod returns a method of a kind, such as "client secret". open makes its sources
// for one environment and says what is wrong with them.
func NewMethod(kind string, open func(Environment) ([]Source, error)) Method {
	return Method{method{kind, open}}
}

// Open returns the method's sources for one environment.
func (m Method) Open(env Environment) ([]Source, error) {
	if m.open == nil {
		return nil, errors.New("missing; use one of clientauth's, such as clientauth.ManagedIdentity")
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

// Format writes the kind for every verb, so that %#v shows nothing else.
func (m method) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, m.String()) }

// An Environment is where a method is used.
type Environment struct {
	// HTTPClient bounds responses and follows no redirects.
	HTTPClient *http.Client
	Now        func() time.Time
	Logger     *slog.Logger // never nil
	Authority  authority.Host
	TenantID   string
	ClientID   string
}

// A Source makes proofs. It is safe for concurrent use.
type Source interface {
	// Kind names the source for the log, such as "client secret".
	Kind() string
	// Credential returns the proof for one token request. Its error is an [*Error] if
	// the source knows what to do.
	Credential(ctx context.Context) (Proof, error)
	// Refused tells the source that Entra rejected its last proof, so that it doesn't
	// return a cached one again. It reports whether the next proof can be another one.
	Refused() bool
}

// A Proof is the client credential of a token request: a client secret or a client
// assertion (RFC 7521, section 4.2).
type Proof struct {
	secret secret.Text
	sign   func(tokenURL string) (string, error)
}

// assertionType is the client_assertion_type of a JWT (RFC 7523, section 2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// Secret returns a proof with a client secret.
func Secret(value secret.Text) Proof { return Proof{secret: value} }

// Assertion returns a proof with a client assertion that somebody else signed.
func Assertion(token secret.Text) Proof {
	return Signed(func(string) (string, error) { return secret.Reveal(token), nil })
}

// Signed returns a proof with a client assertion that sign makes for each request, with
// the token endpoint's URL as audience.
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

// MSAL returns the proof as an MSAL credential.
func (p Proof) MSAL() (confidential.Credential, error) {
	if p.sign == nil {
		return confidential.NewCredFromSecret(secret.Reveal(p.secret))
	}
	return confidential.NewCredFromAssertionCallback(
		func(_ context.Context, o confidential.AssertionRequestOptions) (string, error) {
			return p.sign(o.TokenEndpoint)
		}), nil
}

// An Error says why there is no proof.
type Error struct {
	// Permanent means that only the operator can fix it.
	Permanent bool
	// Problem and Remedy are safe to show to users.
	Problem, Remedy string
	// Cause is for the log. It contains nothing of a request or of a response body.
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
