// Package entratest is an Entra ID tenant in a box: for tests, examples and
// demonstrations of what stands on Entra, as net/http/httptest is for what
// stands on HTTP.
//
//	tenant := entratest.NewTenant(nil)
//	defer tenant.Close()
//
//	alice := tenant.AddUser("alice@contoso.com", "Alice")
//	api := tenant.AddApp("My MCP server", "access_as_user")
//	client := tenant.AddClient("Some client")
//	tenant.Consent(api, tenant.Storage(), "user_impersonation")
//
//	token := tenant.Token(alice, client, api)  // what a client would send
//	secret := api.AddSecret()                  // what the server proves itself with
//
// A tenant is served over https on loopback at [Tenant.AuthorityHost], with the
// paths, members, claims and errors of Entra: metadata and key sets (v1 and v2),
// the authorize endpoint with its pages, the token endpoint with the grants of users,
// apps and APIs, device codes, the administrator's consent, managed identities, and a
// bit of Microsoft Graph (/v1.0/me). [Tenant.HTTPClient] trusts its certificate.
// MSAL and azidentity take it for the real one, given the authority host and with
// instance discovery off. [Tenant.AddTenant] puts more tenants on the same server.
//
// # Signing in
//
// A test that does not care how a token came about takes it from [Tenant.Token]. One that does
// opens the authorization request in a [Browser]:
//
//	client.AddRedirectURI(entratest.PlatformWeb, "https://app.example.com/callback")
//	back, err := tenant.Browser(alice).Open(ctx, authorizeURL) // back has the code
//
// The pages are plain HTML, for people and for browsers under remote control: pick an account,
// approve if [Tenant.RequireMFA] or a claims challenge wants that, consent if nobody
// has yet. There are no passwords.
//
// # What is as in Entra
//
//   - Keys carry cloud_instance_name, issuer, x5t and x5c, and no alg. Metadata has
//     no code_challenge_methods_supported. An app may have a key of its own
//     ([App.AddSigningKey]), which is served only with ?appid={client id}.
//   - v1 tokens, those for Azure Storage among them, have the issuer
//     https://sts.windows.net/{tid}/ and the audience that was asked for;
//     v2 tokens have the tenant's own issuer and the client id as audience.
//   - Tokens last 60 to 90 minutes, and begin 5 minutes before they are issued.
//   - On-Behalf-Of checks the assertion (signature, issuer, time, kind, audience),
//     the client, the scopes, the consent and the policies of conditional access.
//   - Refresh tokens are long, are not used up, and serve for any resource that the
//     client has consent for. Without a scope they are refused (AADSTS90009).
//   - A bare scope is one of Microsoft Graph; a resource parameter must fit the scopes.
//   - Errors have Entra's members; error_codes match the text. Act on the
//     codes: the texts are ours, in the manner of Entra's.
//
// # What is not
//
// The v1 authorize, token and device code endpoints are in the metadata, and answer
// 404. An assertion about a user whom the tenant does not know is taken at its word.
// No real tenant was available, only a few public recordings (docs/entratest.md): which
// error, suberror and status go with the rarer codes, and the issuer of keys in the v1
// key set, come from documents and reports.
// Key ids begin with "entratest-", and certificates, pages and the header
// X-Entratest say that this is not Microsoft Entra ID.
//
// # Going wrong on purpose
//
// [Tenant.Mint] and [Tenant.Sign] make tokens with any header and claims.
// [Tenant.Fail] makes an endpoint slow, broken or throttled, for all or for one
// user. [Tenant.RotateKeys] and [Tenant.AnnounceKey] roll keys over, and
// [Options.Now] is the clock.
// [Tenant.Requests] and [Tenant.Count] show what was asked.
//
// A tenant gives tokens to anyone who asks: it listens on loopback only, and
// NewTenant panics on any other address.
package entratest
