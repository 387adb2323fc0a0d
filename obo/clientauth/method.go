package clientauth

import "github.com/mcpentra/mcp-entra-go/internal/clientcred"

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
