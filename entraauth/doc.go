// Package entraauth answers one question: who is calling? It verifies the
// access tokens that Microsoft Entra ID issues for an API, and protects net/http
// handlers with them. It knows neither MCP nor Azure's services; package mcpauth
// below it carries the caller safely through the MCP Go SDK.
//
//	verifier, err := entraauth.NewVerifier(tenantID, apiAppID, nil)
//	if err != nil {
//		return err
//	}
//	defer verifier.Close()
//	metadata, err := verifier.ResourceMetadata("https://api.example.com/hello", "Hello")
//	if err != nil {
//		return err
//	}
//	check := &entraauth.BearerCheck{ResourceMetadata: metadata.URL()}
//	http.Handle(metadata.Path(), metadata)
//	http.Handle("/hello", verifier.Middleware(check)(http.HandlerFunc(
//		func(w http.ResponseWriter, r *http.Request) {
//			caller := entraauth.FromContext(r.Context())
//			fmt.Fprintf(w, "hello, %s", caller.UserID())
//		})))
//
// # What is verified
//
// A token must be a JWT of at most 64 KiB in canonical base64url, signed with RS256
// by the tenant's key that the header names (kid). Claim names are case-sensitive, and
// no name may appear twice, not even in another case; number, depth and size of claims
// are bounded. The claim ver decides between two forms:
//
//	          v1 (ver 1.0)                        v2 (ver 2.0)
//	iss       the v1 metadata's issuer,           the v2 metadata's issuer,
//	          https://sts.windows.net/{tid}/      https://login.microsoftonline.com/{tid}/v2.0
//	aud       the application ID or an            the application ID
//	          App ID URI, in any case, with
//	          or without slash at the end
//	client    appid, appidacr                     azp, azpacr
//
// In both forms, tid is an accepted tenant (Options.OtherTenants,
// AcceptAnyOrganization); the signing key belongs to that tenant and its cloud;
// exp is present and not past, nbf and iat are not in the future (with 1 minute of
// clock skew); there is no cnf; the token is an access token, neither an ID token nor
// one for Microsoft Graph; a user has an oid; and the [Policy] holds. No option skips
// a rule.
//
// # Policy
//
// A policy says what else a caller needs: scopes, app roles of the user, groups;
// permissions of an application that acts for itself; the client applications that may
// call and how they must have authenticated; an authentication context. Policies add
// up: the verifier's, which is the scope access_as_user unless another is given, and
// the endpoint's in its [BearerCheck]. An empty policy never means "anyone".
// Applications are refused unless a policy names a role for them; a user's role is not
// one. A scope also counts as those that it implies ([Options].ImpliedScopes).
//
// # Agents
//
// Identities of Microsoft Entra Agent ID call in three ways: an agent on its own (an
// app-only token), as an agent user (a token that looks like a person's), or for a person.
// [Identity.Agent] tells which, and [Identity.IsPerson] is false for agent users. The
// verifier's policy refuses the first two unless it names them; a person may act through
// any agent, unless [Policy].PeopleOnly is set.
//
//	claim            what it says
//	xms_sub_fct      the subject: 11 is an agent, 13 an agent user; other numbers mean nothing here
//	xms_act_fct      the actor, which is the client: 11 is an agent
//	xms_par_app_azp  the client is an agent of this blueprint
//	idtyp            app or user
//
// Entra writes them only if the API's registration lists them in
// optionalClaims.accessToken, idtyp with include_user_token. Without them, an agent user
// can't be told from a person. Malformed ones, and those that contradict each other, are
// refused.
//
// # Keys
//
// Metadata and keys are fetched from the tenant's authority once at the start
// and then about hourly, in the background. A token with an unknown kid starts a
// fetch, at most one a minute for each tenant; callers with a known key never wait for
// it. If the authority is out of reach, the last good keys stay in use for 24
// hours. An empty or broken answer is discarded, and so is metadata whose issuer is
// not an https URL of the tenant or whose keys are not on the authority's host.
// Before the first keys arrive, requests are answered 503. A tenant that
// does not exist is one ERROR in the log; the verifier tries again every 5 minutes.
//
// Requests for metadata carry the API's id (appid), because an application with a
// claims-mapping policy has its own signing keys.
//
// # Cache
//
// The callers of accepted tokens are cached by the token's SHA-256, about 10,000 of
// them, so a known token costs some 1.5 µs instead of a signature check. An entry is
// dropped when its token expires and when its key leaves the tenant's set. A token that
// several requests bring at once is verified once. Refusals are not cached.
//
// # Errors
//
// A refusal is an [*Error]. Act on its kind, with [errors.Is]:
//
//	ErrNoToken             401  there is no bearer token
//	ErrInvalidRequest      400  the token came twice, or in the query string
//	ErrInvalidToken        401  the token is not for this API
//	ErrExpired             401  the token has expired
//	ErrInsufficientScope   403  a user's token with more scopes is needed
//	ErrInsufficientClaims  401  a stronger sign-in is needed, and the client can request it
//	ErrNotPermitted        403  the caller is not allowed, whatever the scopes
//	ErrKeysUnavailable     503  the tenant's keys are unavailable; the token was not judged
//
// The error's text says what was expected and what to do, and is safe to send.
// Its Reason is a stable code with a section in docs/troubleshooting.md. Actual holds
// what the token had instead, for the log only: cut to 256 bytes, and without anything
// that may be a token. Of an Authorization header without a bearer token, the log has
// the scheme's name if it is a known one, or the length; nothing else.
package entraauth
