package entratest

import (
	"net/http"
	"sync"
)

// UserClient returns an HTTP client that sends requests as client does on behalf of user, with an
// access token for resource from [Tenant.Token]. It renews the token when it has expired by the
// tenant's clock. Use it to call your own server in a test, or pass it to a client library.
//
// The client reaches HTTP servers, and HTTPS servers that use the tenant's certificate. To reach a
// server with another certificate, set the Base of its [UserTransport].
func (t *Tenant) UserClient(user *User, client, resource *App, scopes ...string) *http.Client {
	issue := func() issuedToken { return t.tokenOf(user, client, resource, scopes) }
	return &http.Client{Transport: &UserTransport{tenant: t, issue: issue}}
}

// UserTransport is the transport of a [Tenant.UserClient].
type UserTransport struct {
	// Base sends the requests. Defaults to the transport of [Tenant.HTTPClient].
	Base http.RoundTripper

	tenant *Tenant
	issue  func() issuedToken

	mu     sync.Mutex
	token  issuedToken
	signed string
}

// RoundTrip sends the request with the user's token, which replaces any other.
func (u *UserTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+u.current())
	if u.Base != nil {
		return u.Base.RoundTrip(r)
	}
	return u.tenant.client.RoundTrip(r)
}

// current returns the user's token, or a new one if it has expired.
func (u *UserTransport) current() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.tenant.now().Before(u.token.expires) {
		u.token = u.issue()
		u.signed = u.tenant.sign(u.token)
	}
	return u.signed
}
