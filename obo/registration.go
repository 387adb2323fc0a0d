package obo

import (
	"maps"
	"slices"

	"github.com/mcpentra/mcp-entra-go/internal/registration"
)

// Registration is for package mcpentra, which compares it with the verifier's; its
// type is internal to this module.
func (x *Exchanger) Registration() registration.App {
	return registration.App{
		ClientID: x.clientID, Authority: x.host.String(), Tenants: append([]string{x.home.id}, slices.Sorted(maps.Keys(x.others))...),
		Resources: slices.Clone(x.resources),
	}
}
