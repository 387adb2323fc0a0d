// Package obo acts on behalf of users: with Microsoft Entra ID's On-Behalf-Of flow it
// exchanges the access token of a user's request for tokens for other APIs, and gives
// them to any client of the Azure SDK. It doesn't depend on an HTTP server and can be
// used alone.
//
// Make one exchanger for the process, and one credential per user with the verified
// access token of the user's request:
//
//	exchanger, err := obo.NewExchanger(tenantID, apiAppID,
//		clientauth.ManagedIdentity(identityClientID), nil)
//	if err != nil {
//		return err // lists all faults
//	}
//	cred := exchanger.Credential(obo.Assertion(identity.Assertion())) // or obo.NewAssertion(token)
//	blobs, err := azblob.NewClient("https://account.blob.core.windows.net", cred, nil)
//
// A client of the Azure SDK keeps its credential's token, so it belongs to one user:
// make one per request (about 10 µs) and share ClientOptions.Transport.
//
// # What an exchanger never does
//
//   - It never requests a token for the app itself. It rejects an empty, expired,
//     app-only or foreign assertion before any request, and sends only On-Behalf-Of
//     requests; with Options.Agents also those for the assertions that prove the agents,
//     which it keeps to itself.
//   - It never requests a token for an API that is not in Options.Resources,
//     whatever a service's challenge says.
//   - It never returns one user's token to another: the cache's key is the SHA-256
//     of the assertion with the exact scopes, claims, CAE flag and agent.
//   - It never returns a token after it, or the user's own token, has expired.
//   - It never logs a token, secret or assertion, or puts one into an error.
//
// # Cache
//
// Tokens are cached in memory, bounded by Options.CacheBytes. However many callers
// want the same token, only one request is sent. Each caller waits as long as its own
// context allows; one that gives up doesn't affect the others. A token is renewed in
// the background 5 minutes before it expires (at half its life if it is short-lived).
// Errors aren't cached, with one exception: a refusal that a retry can't change answers
// the same request for 2 seconds, so that a user whose exchange fails costs Entra only
// a request or two a second. See [Exchanger.ForgetRefusals].
//
// # Agents
//
// With Options.Agents the exchanger acts as agent identities (Microsoft Entra Agent ID)
// whose blueprint is the app: tokens have what both the user and the agent may do, and
// name the agent as the client.
//
//	cred := exchanger.AgentCredential(assertion, agentID)
//
// Entra wants two requests for that. The first, with the app's own credential, gets the
// assertion that proves the agent; all users' exchanges share it. Such an exchanger never
// acts as the app itself, and only an administrator can give an agent what it lacks.
//
// # Replicas
//
// Replicas can share their tokens through Options.Store, a [TokenStore] over Redis or
// the like, which sees only encrypted values and hashed names. Without one, each
// replica makes its own exchange for each user.
//
// # Outages
//
// Transient failures (HTTP 429 and 5xx, Entra's transient codes, a lost connection)
// are retried, Options.MaxRetries times, after a pause or after Retry-After. A caller
// stops waiting when its own context ends. When a tenant's requests keep failing because
// of the service, or several users are throttled, the exchanger pauses requests to that
// authority: callers get their error at once, with the time to wait in
// Error.RetryAfter. Then one request tests whether the service is back. If a single user
// is throttled, only that user waits. Cached tokens are still served.
//
// # Errors
//
// Every failure is an [*Error] whose kind says what to do:
//
//	errors.Is(err, obo.ErrAssertionExpired)    // answer 401: the client needs a new token
//	errors.Is(err, obo.ErrConsentRequired)     // show Error.ConsentURL
//	errors.Is(err, obo.ErrInteractionRequired) // send Error.Claims to the client
//	errors.Is(err, obo.ErrBlocked)             // a policy forbids it; don't retry
//	errors.Is(err, obo.ErrMisconfigured)       // the operator must fix it; logged once
//	errors.Is(err, obo.ErrThrottled)           // wait for Error.RetryAfter
//	errors.Is(err, obo.ErrUnavailable)         // try again later
//	errors.Is(err, obo.ErrNoAssertion)         // nobody is signed in
//	errors.Is(err, obo.ErrAssertionInvalid)    // not a user's access token of this tenant
//	errors.Is(err, obo.ErrScopeNotAllowed)     // not one of Options.Resources
//	errors.Is(err, obo.ErrTenantNotAllowed)    // not the user's own tenant
//	errors.Is(err, obo.ErrAgentNotAllowed)     // not one of Options.Agents
//	errors.Is(err, obo.ErrClaimsInvalid)       // not a claims challenge
//
// UserText is safe to show to the user or a model; Error says the same. The cause
// (Unwrap) is for the log. A caller whose context ends gets an error that wraps the
// context's instead of an [*Error].
package obo
