// Package mcpentra assembles an MCP server that Microsoft Entra ID protects: a
// verifier, an On-Behalf-Of exchanger and tool sets become one http.Handler.
//
//	verifier, err := entraauth.NewVerifier(tenantID, apiAppID, nil)
//	exchanger, err := obo.NewExchanger(tenantID, apiAppID, clientauth.ManagedIdentity(identityClientID), nil)
//	blobs, err := blobtool.New("https://acct.blob.core.windows.net", "docs", mcpentra.Credential, nil)
//	srv, err := mcpentra.NewServer("https://mcp.example.com/mcp", verifier,
//		mcpentra.WithExchanger(exchanger), mcpentra.WithTools(blobs))
//	(&http.Server{Addr: ":8000", Handler: srv, ReadHeaderTimeout: 10 * time.Second}).ListenAndServe()
//
// Tools of your own are the SDK's; the caller is in their context:
//
//	mcp.AddTool(srv.MCP(), &mcp.Tool{Name: "hello"}, func(ctx context.Context, req *mcp.CallToolRequest, in struct{}) (*mcp.CallToolResult, out, error) {
//		caller := entraauth.FromContext(ctx)    // the verified identity
//		cred, err := mcpentra.Credential(ctx)   // acts as the caller, for any client of the Azure SDK
//		…
//	})
//
// # What the server does
//
// It speaks MCP over streamable HTTP, protocol 2026-07-28 and older, without
// sessions unless [WithSessions] asks for them. It serves protected resource
// metadata (RFC 9728), /health and /ready. It rejects hosts and origins that are
// neither its own nor allowed, requests over the [Limits], and requests without a
// valid token. Each refusal is a JSON-RPC error with the request's id, spelled as the
// client spelled it. A panic in a tool fails the call, not the process.
// Each request writes one line to the log, with the id that its answer carries as
// X-Request-Id; long values from clients are cut.
// [Server.ListenAndServe] serves with time-outs until its context ends, and then
// drains; any http.Server can serve it too.
//
// # Who may use what
//
// The verifier's policy applies to everything; [WithToolPolicy], [WithResourcePolicy],
// [WithPromptPolicy] and the policies of a [Tool] add to it. A caller who lacks
// something is refused before the tool runs: 403 insufficient_scope, 401
// insufficient_claims or 403 access_denied, with a challenge that lets the client
// step up where that helps. Lists show only what the caller may use. Policies
// for resources check every way to read a URI, and handlers see one spelling.
//
// # Agents
//
// Agents that act on their own, and agent users, are refused unless the verifier's policy
// names them; people may act through an agent. With [WithAgent], tools act for their
// callers as agent identities. A caller that is an application, or an agent on its own, has
// no user to act for: [Credential] then fails, except where the operator lends a credential
// ([WithDangerousServerCredentialForApplications]). docs/agents.md has the whole story.
//
// # When Entra needs the user
//
// When a tool acts for its caller, Entra may require the user to consent, to pass a
// stronger sign-in, or to sign in again. The client gets that in a form that it
// supports: a page to open (see [WithStateKeys]), a 401 with claims, or plain
// text. docs/authorization.md has the whole table.
//
// # Errors
//
// An error that a tool returns becomes a result with isError. The caller sees its
// text, with two exceptions: if an error in the chain has a method UserText (those
// of entraauth, obo and blobtool do), the caller sees that text, and errors of the
// Azure SDK and of the network are replaced by advice. The error itself goes to the
// log.
package mcpentra
