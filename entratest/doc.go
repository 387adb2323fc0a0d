// Package entratest is an Entra ID tenant in a box, for tests, examples and demos
// of code that relies on Entra: it is to Entra what net/http/httptest is to HTTP.
//
//	tenant := entratest.New(t, nil) // in a test; elsewhere NewTenant and Close
//	alice := tenant.AddUser("alice@contoso.com", "Alice")
//	api := tenant.AddApp("My MCP server", "access_as_user")
//	client := tenant.AddClient("Some client")
//	tenant.Consent(api, tenant.Storage(), "user_impersonation")
//
//	token := tenant.Token(alice, client, api)       // what a client would send
//	asAlice := tenant.UserClient(alice, client, api) // an HTTP client that sends it
//	secret := api.AddSecret()                       // how the server proves its identity
//
// A tenant listens on loopback at [Tenant.AuthorityHost], with TLS unless [Options.PlainHTTP] is
// set. The command "mcp-entra tenant" runs one for programs in any language. Its paths, members,
// claims and errors are those of Entra: metadata and key sets (v1 and v2),
// the authorize endpoint with its pages, the token endpoint with the grants of users,
// apps and APIs, device codes, admin consent, managed identities, and Microsoft Graph's
// directory ([Tenant.Directory]). [Tenant.HTTPClient] trusts its certificate.
// MSAL and azidentity work with it, given the authority host and with
// instance discovery off. [Tenant.AddTenant] puts more tenants on the same server.
//
// # Signing in
//
// A test that does not care how a token was obtained takes it from [Tenant.Token],
// [Tenant.UserClient] or [Tenant.AppToken]. One that does opens the authorization
// request in a [Browser]:
//
//	client.AddRedirectURI(entratest.PlatformWeb, "https://app.example.com/callback")
//	back, err := tenant.Browser(alice).Open(ctx, authorizeURL) // back has the code
//
// The pages are plain HTML, for people and for automated browsers: pick an account,
// approve if [Tenant.RequireMFA] or a claims challenge requires it, and consent if
// nobody has yet. There are no passwords.
//
// # What is like Entra
//
//   - Keys carry cloud_instance_name, issuer, x5t and x5c, and no alg. Metadata has
//     no code_challenge_methods_supported. An app may have a key of its own
//     ([App.AddSigningKey]), which is served only with ?appid={client ID}.
//   - v1 tokens, including those for Azure Storage, have the issuer
//     https://sts.windows.net/{tid}/ and the requested audience; v2 tokens have
//     the tenant's own issuer and the client ID as audience.
//   - Tokens last 60 to 90 minutes. Their nbf is 5 minutes in the past.
//   - On-Behalf-Of checks the assertion (signature, issuer, time, kind, audience),
//     the client, the scopes, the consent and the conditional access policies.
//   - Refresh tokens are long and reusable, and serve for any resource that the
//     client has consent for. Without a scope they are rejected (AADSTS90009).
//   - A bare scope is a scope of Microsoft Graph. A resource parameter must equal an App ID URI
//     and the prefix of the scopes, character for character.
//   - Applications, service principals, permission grants and credentials can be registered over
//     Microsoft Graph, with its order, rules, errors and delays.
//   - Errors have Entra's members, and error_codes matches the text. Act on the
//     codes: the texts are our own, in Entra's style.
//
// # Agents
//
// [Tenant.AddBlueprint], [Tenant.AddAgent], [Tenant.AddAgentUser] and [Tenant.AddAgentClient] add
// what Microsoft Entra Agent ID has. An agent acts on its own, as an agent user or for a person:
// with tokens of [Tenant.AppToken] and [Tenant.Token], or in the two requests of MSAL's agent flows.
// An API can tell its callers only if its [App.OptionalClaims] ask for xms_sub_fct, xms_act_fct,
// xms_par_app_azp and idtyp.
//
// # What is not
//
// The v1 authorize, token and device code endpoints are in the metadata, and answer
// 404. Assertions about unknown users are accepted unchanged.
// The tenant was compared with a few public recordings, never with a live tenant
// (docs/entratest.md): the error, suberror and status of the rarer codes, and the issuer
// of keys in the v1 key set, come from documents and reports.
// Key ids begin with "entratest-", and certificates, pages and the header
// X-Entratest say that this is not Microsoft Entra ID.
//
// # Failures on purpose
//
// [Tenant.Mint] and [Tenant.Sign] make tokens with any header and claims.
// [Tenant.Fail] makes an endpoint slow, broken or throttled, for all or for one
// user. [Directory.Delay] makes the directory's parts learn of changes late. [Tenant.RotateKeys] and [Tenant.AnnounceKey] rotate keys, and
// [Options.Now] is the clock.
// [Tenant.Requests] and [Tenant.Count] show what was requested. Package blobtest, a
// double of Azure Blob Storage, uses the same words for the same things.
//
// A tenant gives tokens to anyone who asks, so it listens only on loopback, and
// NewTenant panics on any other address.
package entratest
