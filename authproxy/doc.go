// Package authproxy lets any MCP client sign in through Microsoft Entra ID.
//
// Entra has no dynamic client registration, publishes no RFC 8414 metadata, and refuses much of
// what MCP clients send. A [Proxy] stands in front of it as the authorization server that the MCP
// specification describes. It stores next to nothing: the access tokens are Entra's own, and the
// rest travels sealed in codes, refresh tokens, client IDs and cookies.
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
// Scopes and Verifier, send the proxy each request whose path [Proxy.Serves] reports, and list the
// issuer in authorization_servers of your resource metadata (RFC 9728).
//
// # A sign-in
//
//	client → /authorize       the client, its redirect and its request are checked
//	browser ← consent page    the user approves this client at this redirect, for all scopes
//	browser → Entra           with our own state, PKCE pair and redirect URI; without resource
//	browser → /oauth/callback only for a sign-in that this browser began and its user approved
//	client ← code             Entra's code, sealed for this client, redirect and PKCE challenge
//	client → /token           Entra redeems its code; the verifier checks the token; the client gets it
//
// The other endpoints are /register (RFC 7591), /revoke (RFC 7009), and the metadata (RFC 8414,
// and in the form of OpenID Connect Discovery) at every path where clients look for it.
//
// # Clients
//
// A client is configured ([Options].Clients), describes itself in a document at the URL that is
// its client ID (CIMD), or registers itself; in that case its client ID is the sealed registration.
// Redirects are compared byte for byte; on http loopback, the port may differ. PKCE with S256 is
// required of every client, and every authorization response has iss (RFC 9207), errors too.
//
// # Consent
//
// All clients share one app at Entra, so Entra can't ask the user about each of them: the proxy
// does. Approval is bound to the client (the hash of its document, if it has one), the
// redirect and the list of scopes. The browser remembers it for Options.RememberConsent in a sealed
// cookie, but never for redirects to the user's own computer, where any program can listen. Before
// approval, a client that nobody vouches for gets errors through a link on a page instead of a
// redirect: it may have registered only to be redirected to (RFC 9700, section 4.11.2).
//
// The page always lists all of Options.Scopes. Entra puts every scope that an app has consent for
// into each of its tokens, so scopes don't separate clients behind one proxy; neither do policies
// by client, because each token names the proxy's app.
//
// # What is kept
//
// A sign-in in progress is a sealed cookie that lives for at most 10 minutes; a browser has at most
// five, and all cookies together have at most 6,000 bytes. A code lives for a minute, a refresh
// token for 90 days. Only making codes and refresh tokens single-use needs a memory: see [Store].
//
// # Errors
//
// An error that a client can act on has an OAuth error code and a description that says what was
// expected. An error that can't be sent to the client is a page. Of Entra's error texts, only the
// AADSTS code and the correlation ID are passed on. What only the operator can fix is server_error
// to the client, and an ERROR in the log.
package authproxy
