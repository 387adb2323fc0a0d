// Package authproxy lets any MCP client sign in through Microsoft Entra ID.
//
// Entra knows no dynamic client registration, publishes no metadata of RFC 8414, and refuses much
// of what MCP clients send. A [Proxy] stands in front of it as the authorization server that the
// MCP specification describes, and keeps next to nothing: the access tokens are Entra's own, and
// what clients and browsers hand back is sealed.
//
//	proxy, err := authproxy.New("https://mcp.example.com", tenantID, clientID,
//		clientauth.ManagedIdentity(identityClientID), [][]byte{key}, nil)
//	if err != nil {
//		return err
//	}
//	server, err := mcpentra.NewServer("https://mcp.example.com/mcp", verifier, mcpentra.WithAuthProxy(proxy))
//
// The proxy signs users in with an app registration of its own, or with the API's, whose redirect
// URI (platform Web) is {issuer}/oauth/callback. Without package mcpentra, set Options.Resources,
// Scopes and Verifier, serve the proxy at the paths that [Proxy.Serves] names, and name the issuer
// in the authorization_servers of your metadata (RFC 9728).
//
// # A sign-in
//
//	client → /authorize       who is it, where may it be sent, is the request whole?
//	browser ← consent page    the user approves this client at this redirect, for all scopes
//	browser → Entra           with our own state, PKCE pair and redirect URI; without resource
//	browser → /oauth/callback the sign-in that this browser began, and its user approved
//	client ← code             ours: Entra's code, sealed for this client, redirect and PKCE challenge
//	client → /token           Entra redeems its code; our verifier checks the token; the client gets it
//
// The other endpoints are /register (RFC 7591), /revoke (RFC 7009), and the metadata (RFC 8414,
// and in the form of OpenID Connect Discovery) at each place at which clients look.
//
// # Clients
//
// A client is configured ([Options].Clients), describes itself in a document at the URL that is
// its client ID (CIMD), or registers itself; then its client ID is the sealed registration.
// Redirects are compared byte for byte; on http loopback, the port may differ. PKCE with S256 is
// required of every client, and iss (RFC 9207) is in every answer, errors too.
//
// # Consent
//
// All clients share one app at Entra, which therefore can't ask the user about each of them: the
// proxy does. Approval is bound to the client (the hash of its document, if it has one), the
// redirect and the list of scopes. The browser remembers it for Options.RememberConsent in a sealed
// cookie, but never for redirects to the user's own computer, where any program can listen. Until
// then, a client that nobody vouches for gets errors by a link on a page, not by a redirect: it
// could have registered only for that (RFC 9700, section 4.11.2).
//
// The page always lists all of Options.Scopes. Entra puts every scope that an app has consent for
// into each of its tokens, so scopes don't separate clients behind one proxy; neither do policies
// by client, because each token names the proxy's app.
//
// # What is kept
//
// A sign-in under way is a sealed cookie, for at most 10 minutes, five in a browser; all cookies
// together have at most 6,000 bytes. A code lives for a minute, a refresh token for 90 days. Only
// that codes and refresh tokens are single-use needs memory: see [Store].
//
// # Errors
//
// An error that a client can act on has a code of OAuth, and a description that says what was
// expected. An error that nobody can be redirected with is a page. Nothing of Entra's text is
// passed on but the code AADSTS… and the correlation ID; what only the operator can fix is
// server_error to the client, and an ERROR in the log.
package authproxy
