// Package obo acts as the caller: it exchanges a user's access token for our API
// for tokens of other APIs, with Microsoft Entra ID's On-Behalf-Of flow, and
// hands them to any client of the Azure SDK. It knows nothing of HTTP servers
// and can be used alone.
//
// Make one exchanger for the process and one credential per user, with the
// access token that the user called with and that has been verified:
//
//	exchanger, err := obo.NewExchanger(tenantID, apiAppID,
//		clientauth.ManagedIdentity(identityClientID), nil)
//	if err != nil {
//		return err // names every fault at once
//	}
//	cred := exchanger.Credential(identity.Assertion()) // or obo.NewAssertion(token)
//	blobs, err := azblob.NewClient("https://account.blob.core.windows.net", cred, nil)
//
// A client of the Azure SDK keeps its credential's token, so a client belongs to
// one user: make it per request (some 10 µs) and share ClientOptions.Transport.
//
// # What an exchanger never does
//
//   - It never asks for a token of the app's own. An empty, expired, app-only or
//     foreign assertion is refused before any request, and a request other than
//     On-Behalf-Of can't leave.
//   - It never asks for a token of an API that Options.Resources doesn't name,
//     whatever a service's challenge says.
//   - It never serves one user's token to another: the cache's key is the SHA-256
//     of the assertion, with the exact scopes, claims and CAE flag.
//   - It never serves a token after it, or the user's own, has expired.
//   - It never logs a token, secret or assertion, nor puts one into an error.
//
// # Cache
//
// Tokens are kept in memory, bounded by Options.CacheBytes. However many callers
// want the same token, one request is made; each waits as long as its own context
// allows, and one that gives up fails nobody else. A token is renewed in the
// background 5 minutes before it expires (short-lived ones at half of their
// life), while it goes on being served. Errors aren't cached, except that a refusal that
// no retry changes answers the same request for 2 seconds: a user whose exchange
// fails costs Entra only a request or two a second. See
// [Exchanger.ForgetRefusals].
//
// # Replicas
//
// Several processes can share what they have exchanged, through Options.Store: a
// [TokenStore] over Redis or the like, which sees sealed values and hashed names
// only. Without one each replica exchanges for itself, which costs one request
// for each user and replica.
//
// # Outages
//
// Transient failures (HTTP 429 and 5xx, Entra's transient codes, a lost connection)
// are retried, Options.MaxRetries times, after a pause or after Retry-After. A caller
// stops waiting when its own context ends. When a tenant's requests keep failing by a
// fault of the service, or several users are throttled, no requests are sent to its
// authority for a while, and callers get their error at once, with the time to wait in
// Error.RetryAfter. Then one request tests whether the service is back. If a single
// user is throttled, only that user waits. Cached tokens are served throughout.
//
// # Errors
//
// Every failure is an [*Error] whose kind says what to do:
//
//	errors.Is(err, obo.ErrAssertionExpired)    // answer 401: the client needs a new token
//	errors.Is(err, obo.ErrConsentRequired)     // show Error.ConsentURL
//	errors.Is(err, obo.ErrInteractionRequired) // pass Error.Claims on to the client
//	errors.Is(err, obo.ErrBlocked)             // a policy forbids it
//	errors.Is(err, obo.ErrMisconfigured)       // the operator's; logged as an error, once
//	errors.Is(err, obo.ErrThrottled)           // wait for Error.RetryAfter
//	errors.Is(err, obo.ErrUnavailable)         // try again later
//	errors.Is(err, obo.ErrNoAssertion)         // nobody is signed in
//	errors.Is(err, obo.ErrAssertionInvalid)    // not a user's access token of this tenant
//	errors.Is(err, obo.ErrScopeNotAllowed)     // not one of Options.Resources
//	errors.Is(err, obo.ErrTenantNotAllowed)    // not the user's own tenant
//	errors.Is(err, obo.ErrClaimsInvalid)       // not a claims challenge
//
// UserText is safe to show to the user or to a model; Error says the same. The
// cause (Unwrap) is for the log. A caller whose context ends gets an error that
// wraps the context's, not an [*Error].
package obo
