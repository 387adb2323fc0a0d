// Package entraauth answers one question: who is calling? It verifies the
// access tokens that Microsoft Entra ID issues for an API, and guards net/http
// handlers by them. It knows neither MCP nor Azure's services; package mcpauth
// below it carries the caller safely through the MCP Go SDK.
//
//	verifier, err := entraauth.NewVerifier(tenantID, apiAppID, nil)
//	if err != nil {
//		return err
//	}
//	defer verifier.Close()
//	check := &entraauth.BearerCheck{ResourceMetadata: "https://api.example.com/.well-known/oauth-protected-resource"}
//	http.Handle("/hello", verifier.Middleware(check)(http.HandlerFunc(
//		func(w http.ResponseWriter, r *http.Request) {
//			caller := entraauth.FromContext(r.Context())
//			fmt.Fprintf(w, "hello, %s", caller.UserID())
//		})))
//
// # What is verified
//
// A token must be a JWT of at most 64 KiB, in the one spelling that its base64url
// has, signed RS256 by a key of the tenant that the header names (kid). Names of
// claims are matched exactly and none may stand twice, in whatever case; count,
// depth and size are bounded. By the token's own ver:
//
//	          v1 (ver 1.0)                        v2 (ver 2.0)
//	iss       the v1 metadata's issuer,           the v2 metadata's issuer,
//	          https://sts.windows.net/{tid}/      https://login.microsoftonline.com/{tid}/v2.0
//	aud       the application id or an            the application id
//	          App ID URI, in any case,
//	          slash or not
//	client    appid, appidacr                     azp, azpacr
//
// and for both tid is an accepted tenant (Options.OtherTenants,
// AcceptAnyOrganization); the signing key is the tenant's own, and its cloud's;
// exp is there and not past, nbf and iat are not to come (1 minute of clock
// skew); there is no cnf; the token is an access token, not an ID token nor one
// for Microsoft Graph; a user has an oid; and the [Policy] holds. There is no
// option that skips a rule.
//
// # Policy
//
// A policy names what a caller needs besides: scopes, app roles of the user,
// groups; permissions of an application that calls for no user; the client
// applications that may call and how they must have proved themselves; an
// authentication context. Policies add up: the verifier's, which is the scope
// access_as_user unless another is given, and the guard's of the endpoint. An
// empty one never means "anyone". Applications are refused unless a policy grants
// them a role, and a user's role is never one.
//
// # Keys
//
// Metadata and keys are fetched from the tenant's authority once at the start
// and then about hourly, behind the back of the callers. A token with a kid
// that is not there sets off a fetch, at most one a minute for each tenant;
// nobody with a known key waits for it. The last good keys go on serving for 24
// hours if the authority is out of reach, and an empty or broken answer replaces
// nothing, nor does metadata whose issuer is not an https URL of the tenant or whose
// keys are on a host that is not the authority's. Before there have been any
// keys, requests are answered 503. A tenant that does not exist is one ERROR in the
// log; the verifier asks for it again every 5 minutes.
//
// Requests for metadata carry the API's id (appid), because an application with a
// claims-mapping policy has its own signing keys.
//
// # Cache
//
// Accepted tokens are remembered by their SHA-256, about 10,000 of them, so that
// the second sight of a token costs some 1.5 µs instead of a signature check. One
// is forgotten when it expires and when its key leaves the tenant's set.
// Concurrent first sights are judged once. Refusals are not remembered.
//
// # Errors
//
// A refusal is an [*Error]. Act on its kind, with [errors.Is]:
//
//	ErrNoToken             401  no bearer token came
//	ErrInvalidRequest      400  the token came twice, or in the query string
//	ErrInvalidToken        401  not a token of this API
//	ErrExpired             401  no longer one
//	ErrInsufficientScope   403  a user's token with more scopes is needed
//	ErrInsufficientClaims  401  a stronger sign-in is needed, and the client can ask for it
//	ErrNotPermitted        403  this caller may not, whatever the scopes
//	ErrKeysUnavailable     503  the tenant's keys can't be had; nothing was judged
//
// The error's text says what was expected and what to do, and is safe to send.
// Its Reason is a stable code with a section in docs/troubleshooting.md. What the
// token had instead is in Actual, which goes to the log only: cut to 256 bytes, and
// with nothing in it that may itself be a token. Of an Authorization header that is
// not understood, the log has the name of a known scheme and nothing else.
package entraauth
