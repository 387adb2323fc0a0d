package clientauth

import (
	"errors"
	"fmt"

	"github.com/mcpentra/mcp-entra-go/internal/clientcred"
)

// A Method is one way for the app to prove itself, or several in order. Make it
// with [ManagedIdentity], [WorkloadIdentity], [WorkloadManagedIdentity],
// [CertificateFile], [Secret], [Func] or [Chain] and pass it to
// obo.NewExchanger, which reports what is wrong with it. The zero Method proves
// nothing and is rejected there.
//
// A Method can be printed: it shows its kind, such as "client secret", and nothing
// that it holds.
type Method clientcred.Method

// method returns the method of a kind, which open readies for one user.
func method(kind string, open func(clientcred.Environment) ([]clientcred.Source, error)) Method {
	return Method(clientcred.NewMethod(kind, open))
}

// Chain proves the app in the first way that works, in the given order: for a
// rotation of secrets, a move from a secret to a managed identity, or a binary
// that runs on Azure and on a developer's machine.
//
// It falls over when a method has nothing to show (no such identity on this
// host, a file that is gone), or when Entra's answer blames what was shown
// (AADSTS700024, 700027, 7000215, 7000222, a federated credential that doesn't
// match). No other answer makes it fall over: a user without consent, or an
// Entra that is down, would get no further with another proof. A method that is
// not the last has 5 seconds. The one that worked is kept for 5 minutes; then
// one exchange tries the earlier ones again. Each fall-over is logged.
func Chain(methods ...Method) Method {
	return method("chain", func(env clientcred.Environment) ([]clientcred.Source, error) {
		if len(methods) == 0 {
			return nil, errors.New("the chain has no methods")
		}
		var all []clientcred.Source
		var faults []error
		for i, m := range methods {
			sources, err := clientcred.Method(m).Open(env)
			if err != nil {
				faults = append(faults, fmt.Errorf("clientauth.Chain[%d] (%s): %w", i, m, err))
			}
			all = append(all, sources...)
		}
		return all, errors.Join(faults...)
	})
}
