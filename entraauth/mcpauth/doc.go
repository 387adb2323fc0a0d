// Package mcpauth puts entraauth before any server of the MCP Go SDK, and
// carries the verified caller through the SDK to the tools.
//
//	server := mcp.NewServer(&mcp.Implementation{Name: "mine"}, nil)
//	server.AddReceivingMiddleware(mcpauth.Receive)
//	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil)
//	metadata, err := verifier.ResourceMetadata("https://mcp.example.com/mcp", "Mine")
//	if err != nil {
//		return err
//	}
//	check := &entraauth.BearerCheck{ResourceMetadata: metadata.URL(), WriteBody: mcpauth.WriteBody}
//	http.Handle(metadata.Path(), metadata)
//	http.Handle("/mcp", verifier.Middleware(check)(mcpauth.Bridge(handler)))
//
// A tool then asks who calls:
//
//	caller, err := mcpauth.Caller(ctx)
//
// # Why two halves
//
// In a stateful server the context of a tool call is that of the request which
// opened the session, whoever sends the call. An identity in that context may be
// another user's. So [Bridge] takes the identity out of the context and hands
// it to the SDK in the TokenInfo of the request, the one thing that the SDK
// keeps with each request; and [Receive] takes it from there. Without Bridge, requests
// fail; without Receive, or without both, [Caller] returns an error. The errors name
// what is missing. Caller never returns another user; without both halves,
// entraauth.FromContext may.
package mcpauth
