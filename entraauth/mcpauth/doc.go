// Package mcpauth puts entraauth before any server of the MCP Go SDK, and
// carries the verified caller through the SDK to the tools.
//
//	server := mcp.NewServer(&mcp.Implementation{Name: "mine"}, nil)
//	server.AddReceivingMiddleware(mcpauth.Receive)
//	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil)
//	guard := &entraauth.Guard{ResourceMetadata: metadataURL, WriteBody: mcpauth.WriteBody}
//	http.Handle("/mcp", verifier.Middleware(guard)(mcpauth.Bridge(handler)))
//
// A tool then asks entraauth.FromContext(ctx) who calls.
//
// # Why two halves
//
// In a stateful server the context of a tool call is that of the request which
// opened the session, whoever sends the call. An identity in that context is
// somebody else's. So [Bridge] takes the identity out of the context and hands
// it to the SDK in the TokenInfo of the request, the one thing that the SDK
// keeps with each request; and [Receive] takes it from there. Forgetting either
// half yields nobody, never somebody else.
package mcpauth
