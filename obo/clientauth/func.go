package clientauth

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/clientcred"
	"github.com/mcpentra/mcp-entra-go/internal/secret"
)

// maxClientAssertion bounds a client assertion from outside, in bytes.
const maxClientAssertion = 64 << 10

// Func authenticates with a client assertion (RFC 7523) from anywhere: a token of another
// identity provider that the app trusts as a federated credential, or a JWT signed by a
// key vault.
//
// The function is called for every exchange, from several goroutines at once, so it
// should cache. It is called once more if Entra says that the assertion has expired or
// is wrongly signed (AADSTS700024, 700027). Its context ends with the exchange, not with
// a caller. Its error becomes the cause of the exchange's error, so it must not contain
// the assertion.
func Func(assertion func(context.Context) (string, error)) Method {
	return method("client assertion", func(clientcred.Environment) ([]clientcred.Source, error) {
		if assertion == nil {
			return nil, errors.New("the function given to clientauth.Func is nil")
		}
		return []clientcred.Source{funcSource(assertion)}, nil
	})
}

type funcSource func(context.Context) (string, error)

func (funcSource) Kind() string { return "client assertion" }

func (f funcSource) Credential(ctx context.Context) (clientcred.Proof, error) {
	a, err := f(ctx)
	if err != nil {
		return clientcred.Proof{}, &clientcred.Error{
			Problem: "the server could not get its client assertion",
			Remedy:  "try again; if it persists, the operator must check the source of the client assertion (see the server's log)",
			Cause:   err,
		}
	}
	if err := checkAssertion(a); err != nil {
		return clientcred.Proof{}, &clientcred.Error{
			Permanent: true,
			Problem:   "the server's client assertion is not a signed JWT",
			Remedy:    "the operator must make the function given to clientauth.Func return a signed JWT",
			Cause:     err,
		}
	}
	return clientcred.Assertion(secret.New(a)), nil
}

// Refused reports true: the function decides whether to return another assertion.
func (funcSource) Refused() bool { return true }

// checkAssertion says why a can't be a signed JWT, without quoting it.
func checkAssertion(a string) error {
	switch {
	case a == "":
		return errors.New("it is empty")
	case len(a) > maxClientAssertion:
		return fmt.Errorf("it has %d bytes; at most %d are allowed", len(a), maxClientAssertion)
	case strings.Count(a, ".") != 2:
		return fmt.Errorf("it has %d parts; a signed JWT has 3", strings.Count(a, ".")+1)
	}
	return nil
}
