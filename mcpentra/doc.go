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
// metadata (RFC 9728) and /health. It refuses hosts and origins that are not
// its own or allowed, bodies over 4 MiB, and every caller without a good token.
// A panic in a tool fails the call, not the process.
//
// # Errors
//
// What a tool returns as error becomes a result with isError. Its text goes to
// the caller, with two exceptions: an error in the chain that has a method
// UserText (those of entraauth, obo and blobtool) is shown by that text, and
// errors of the Azure SDK and of the network are replaced by what to do about
// them. The error itself goes to the log.
package mcpentra
