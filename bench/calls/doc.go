// Package calls measures what an authenticated MCP request costs the server that
// answers it: tools/call, and a tools/list from which is taken what the caller may
// not use.
//
// In this process, on handlers that are called directly, ours takes turns with the
// Go SDK's handler alone and with adapters of a few lines ([Direct]). And in
// processes of their own, over HTTP on loopback, ours stands beside servers made
// with other libraries and languages ([Load]).
//
// Program calls/compare prints the tables.
package calls
