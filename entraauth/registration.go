package entraauth

import "slices"

// Registration describes the app and the tenants that a [Verifier] was made for.
// Package mcpentra compares it with that of an obo.Exchanger, and a server can log it
// when it starts.
type Registration struct {
	// ClientID is the application id of the API, in lower case.
	ClientID string
	// AuthorityHost is the cloud, as a URL without trailing slash.
	AuthorityHost string
	// Tenants are the ids of the tenants whose users are accepted, the home tenant
	// first, in lower case. AnyTenant means that all others are accepted too.
	Tenants   []string
	AnyTenant bool
	// AppIDURIs are the API's App ID URIs.
	AppIDURIs []string
}

// Registration returns the app and the tenants that the verifier was made for.
func (v *Verifier) Registration() Registration {
	return Registration{
		ClientID: v.clientID, AuthorityHost: v.host.String(), Tenants: slices.Clone(v.tenancy.listed), AnyTenant: v.tenancy.any != nil,
		AppIDURIs: slices.Clone(v.appIDURIs),
	}
}
