// Package conformance runs the MCP conformance suite on this module's server:
// the whole of mcpentra before fixtures that the suite calls by name, with a
// proxy in front that adds the bearer token, since the suite has none to send.
//
// The same suite runs on the server that the Go SDK has for it. What passes
// there must pass here; expected-failures.yml lists what passes on neither.
//
// The suite and the Node that it needs are those of the lock file:
//
//	cd interop/conformance && npm ci
//	go test -v .
//
// TestScopeChallenges is no part of the suite: it plays the scenario on scope challenges that
// is proposed for it (issue 480, pull request 481), with rows of our own on scopes that imply
// others. It needs no Node.
package conformance
