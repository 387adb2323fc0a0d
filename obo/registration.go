package obo

import (
	"maps"
	"slices"
)

// Registration is what an [Exchanger] was made for. Package mcpentra compares it
// with that of an entraauth.Verifier, and a server can log it at its start.
type Registration struct {
	// ClientID is the application id of the app that exchanges, in lower case.
	ClientID string
	// AuthorityHost is the cloud, as a URL without trailing slash.
	AuthorityHost string
	// Tenants are the ids of the tenants whose users are acted for, the home tenant
	// first, in lower case.
	Tenants []string
	// Resources are the APIs at which users are acted for, as configured.
	Resources []string
}

// App returns the app, and the cloud it is in.
func (r Registration) App() (clientID, authorityHost string) { return r.ClientID, r.AuthorityHost }

// TenantIDs returns the tenants whose users are acted for, the home tenant first.
func (r Registration) TenantIDs() []string { return r.Tenants }

// Registration returns what the exchanger was made for.
func (x *Exchanger) Registration() Registration {
	return Registration{
		ClientID: x.clientID, AuthorityHost: x.host.String(), Tenants: append([]string{x.home.id}, slices.Sorted(maps.Keys(x.others))...),
		Resources: slices.Clone(x.resources),
	}
}
