// Package mcpentrago is the map of the module; it has no code.
//
// The module secures a Go MCP server with Microsoft Entra ID, lets its tools
// act on behalf of the signed-in user against any Azure service, and runs all
// of it offline for tests.
//
//   - entraauth: who is calling? Verifies bearer tokens and protects net/http
//     handlers. entraauth/mcpauth carries the caller through the MCP Go SDK.
//   - obo: act as the caller. An On-Behalf-Of exchange as an
//     azcore.TokenCredential. obo/clientauth is how the app authenticates.
//   - blobtool: MCP tools for Azure Blob Storage. blobtool/blobtest is a small
//     in-process Blob service.
//   - mcpentra: the assembly. Verifier, exchanger and tools become an
//     http.Handler.
//   - authproxy: an authorization server in front of Entra, through which any MCP
//     client signs in.
//   - entratest: an Entra tenant in a box, for tests, examples and demos.
//   - examples/server: the documented four-tool server; -demo runs it without
//     Azure. mcp-entra call calls a tool of any such server.
//
// Agents with identities of their own (Microsoft Entra Agent ID) may call, and servers may
// act as agents: see docs/agents.md.
//
// Start with mcpentra, whose documentation has a whole server; or use entraauth
// or obo alone.
package mcpentrago
