// Package mcpclients runs MCP clients that people use against this module's
// server: they discover the tenant, sign in with a browser, list and call, are
// told of progress, answer forms, send their user to a consent page, get a new
// token in mid-use when theirs has expired, and ask for more scopes when a tool
// wants them. Nothing here is imported by anybody.
//
// Each client is a script in node or python that does the same steps and prints a
// line of JSON for each; the SDK's own client is in the test, and MCP Inspector is
// a program. Command gosdk is a script in Go. With STEPS, the scripts do only those steps, which is
// how TestWay of package interop runs them. All are those of the lock files:
//
//	make interop-programs
//	cd interop && go test -v ./mcpclients
//
// What stands in for Entra is package entratest. It does what Entra does where
// that troubles clients: no RFC 8414 metadata, no
// code_challenge_methods_supported, a refresh must repeat the scope, and the
// parameter resource must be the App ID URI of the scopes' app. So the server's
// URL is the App ID URI here, the set-up that needs nothing between client and
// Entra.
package mcpclients
