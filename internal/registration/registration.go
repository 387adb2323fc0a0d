// Package registration is how the parts of one server say for which app registration
// they were made, so that package mcpentra can tell whether they fit. Nobody outside
// this module can name its types.
package registration

// An App is what one part knows of the app registration. Ids are in lower case.
type App struct {
	ClientID string
	// Authority is the authority host as a URL without trailing slash.
	Authority string
	// Tenants are those whose users are served, the home tenant first; AnyTenant
	// means all others too.
	Tenants   []string
	AnyTenant bool
	// AppIDURIs are the API's own, Resources the APIs that are called for users.
	AppIDURIs, Resources []string
}
