package clientauth

import (
	"errors"

	"github.com/mcpentra/mcp-entra-go/obo/internal/clientcred"
)

// A Method is one way for the app to prove itself, or several in order. Make it
// with [ManagedIdentity], [WorkloadIdentity], [WorkloadManagedIdentity],
// [CertificateFile], [Secret], [Func] or [Chain] and give it to
// obo.NewExchanger, which reports what is wrong with it. The zero Method proves nothing and is refused there.
//
// A Method can be printed: it shows its kind, never what it holds.
type Method struct {
	kind string
	open func(clientcred.Environment) ([]clientcred.Source, error)
}

// String returns the kind of the method, such as "client secret".
func (m Method) String() string {
	if m.open == nil {
		return "none"
	}
	return m.kind
}

// GoString is String: a deep printer finds nothing else.
func (m Method) GoString() string { return m.String() }

// Open readies the method for one exchanger. It is for package obo; the types
// of its signature are internal to it.
func (m Method) Open(env clientcred.Environment) ([]clientcred.Source, error) {
	if m.open == nil {
		return nil, errors.New("is missing; use one of clientauth's, such as clientauth.ManagedIdentity")
	}
	return m.open(env)
}
