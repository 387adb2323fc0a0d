// Package calls measures what an authenticated MCP request costs the server that
// answers it: tools/call, and a tools/list from which is taken what the caller may
// not use.
//
// [Direct] calls handlers in this process: ours takes turns with the Go SDK's
// handler alone and with adapters of a few lines. [Load] runs servers in processes
// of their own and asks them over HTTP on loopback: ours beside servers made with
// other libraries and languages, the Go ones also on a fixed copy of the SDK (package
// fixedsdk) and with room between garbage collections. [CollectorTable] shows what
// that room is worth.
//
// Program calls/compare prints the tables.
package calls
