package entraauth

import (
	"slices"

	"github.com/mcpentra/mcp-entra-go/internal/registration"
)

// Registration is for package mcpentra, which compares it with the exchanger's; its
// type is internal to this module.
func (v *Verifier) Registration() registration.App {
	return registration.App{
		ClientID: v.clientID, Authority: v.host.String(), Tenants: slices.Clone(v.tenancy.listed), AnyTenant: v.tenancy.any != nil,
		AppIDURIs: slices.Clone(v.appIDURIs),
	}
}
