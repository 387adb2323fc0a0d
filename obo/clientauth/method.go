package clientauth

import (
	"errors"
	"fmt"

	"github.com/mcpentra/mcp-entra-go/internal/clientcred"
)

// A Method is a way for the app to authenticate, or several in order. Make it with
// [ManagedIdentity], [WorkloadIdentity], [WorkloadManagedIdentity],
// [CertificateFile], [Secret], [Func] or [Chain] and pass it to obo.NewExchanger,
// which reports what is wrong with it, and rejects the zero Method.
//
// Printing a Method shows its kind, such as "client secret", and nothing else.
type Method clientcred.Method

// method returns a method of a kind. open makes its sources for one exchanger.
func method(kind string, open func(clientcred.Environment) ([]clientcred.Source, error)) Method {
	return Method(clientcred.NewMethod(kind, open))
}

// Chain uses the first method that works, in the given order: to rotate secrets, to move
// from a secret to a managed identity, or for a binary that runs both on Azure and on a
// developer's machine.
//
// It goes on to the next method if a method has no credential (the host has no such
// identity, the file is gone), or if Entra rejects the credential (AADSTS700024, 700027,
// 7000215, 7000222, a federated credential that doesn't match), but not for other
// failures, such as missing consent or an outage. Each method but the last has 5 seconds.
// The one that works is used for 5 minutes; then one exchange tries the earlier ones
// again. Each switch is logged.
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
