// Package mcpentra assembles an MCP server that Microsoft Entra ID protects: a
// verifier, an On-Behalf-Of exchanger and tool sets become one http.Handler.
//
//	verifier, err := entraauth.NewVerifier(tenantID, apiAppID, nil)
//	exchanger, err := obo.NewExchanger(tenantID, apiAppID, clientauth.ManagedIdentity(umiClientID), nil)
//	blobs, err := blobtool.New("https://acct.blob.core.windows.net", "docs", mcpentra.Credential, nil)
//	srv, err := mcpentra.NewServer("https://mcp.example.com/mcp", verifier,
//		mcpentra.WithExchanger(exchanger), mcpentra.WithTools(blobs))
//	(&http.Server{Addr: ":8000", Handler: srv, ReadHeaderTimeout: 10 * time.Second}).ListenAndServe()
//
// Tools of your own are the SDK's; the caller is in their context:
//
//	mcp.AddTool(srv.MCP(), &mcp.Tool{Name: "hello"}, func(ctx context.Context, req *mcp.CallToolRequest, in struct{}) (*mcp.CallToolResult, out, error) {
//		caller := entraauth.FromContext(ctx)    // who calls
//		cred, err := mcpentra.Credential(ctx)   // acts as the caller, for any client of the Azure SDK
//		…
//	})
//
// # What the server does
//
// It speaks MCP over streamable HTTP, protocol 2026-07-28 and older, without
// sessions unless [WithSessions] asks for them. It serves protected resource
// metadata (RFC 9728), /health and /ready. It refuses hosts and origins that are
// neither its own nor allowed, requests over the [Limits], and every caller without a
// good token. Each refusal is a JSON-RPC error that answers the request's id, and ids
// come back as they were written. A panic in a tool fails the call, not the process.
// Each request is one line in the log, with the id that the answer has as X-Request-Id;
// what a client sent is cut short there.
// [Server.ListenAndServe] serves it, with time-outs, until its context ends, and
// drains; any http.Server can.
//
// # Who may use what
//
// The verifier's policy holds for everything; [WithToolPolicy], [WithResourcePolicy],
// [WithPromptPolicy] and the policies of a [Tool] add to it. A caller who lacks
// something is answered before the tool is called: 403 insufficient_scope, 401
// insufficient_claims or 403 access_denied, with the challenge that lets its client
// step up where that helps; and lists show what the caller may use. The
// policies for resources check every way to read a URI, and handlers see one spelling.
//
// # When Entra wants the user
//
// When a tool acts for its caller, Entra may answer that the user must consent, must
// prove more, or must sign in again. The caller's client gets that in a form that it
// understands: a page to open (see [WithStateKeys]), a 401 with claims, or
// words. docs/authorization.md has the whole table.
//
// # Errors
//
// What a tool returns as error becomes a result with isError. Its text goes to
// the caller, with two exceptions: an error in the chain that has a method
// UserText (those of entraauth, obo and blobtool) is shown by that text, and
// errors of the Azure SDK and of the network are replaced by what to do about
// them. The error itself goes to the log.
package mcpentra
