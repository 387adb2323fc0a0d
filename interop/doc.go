// Package interop runs real programs against this module's: Azurite, Microsoft's
// emulator of Azure Storage, behind the tools, and MCP Inspector in front of the
// server. TestBlobSuite and TestBlobTools do the same on Azurite and on package
// blobtest, with azblob and with the tools; the table blobBehaviours says what
// Azurite can't do, and why. TestBlobWrites does so with the tools that write,
// through a proxy that cuts connections; its table is toolWrites. Nothing here is
// imported by anybody.
//
// TestWay and TestWayOnLocalhost are the way in: the programs alone, from an empty tenant to clients
// that sign in. They take their clients from mcpclients.
//
// The tests of TestProxy… have the authorization proxy (package authproxy) between clients and the
// tenant: SDKs, the Inspector's page in Chromium and its command line, mcp-remote, the conformance
// suite and documents like those of known clients. The clients are as they come; a script is the user
// at the browser.
//
// Package deploy, below, decodes the manifests of deploy/ with the types of Kubernetes, and builds and
// runs the image.
//
// It is a module of its own, so that go test ./... in the root needs Go alone. Its
// tests need Node 20 or later, and the programs of the lock file:
//
//	make interop-programs
//	cd interop && go test .
//
// The programs are started on free ports of 127.0.0.1, in folders of their own,
// and stopped with the test that started them.
//
// What stands in for Entra is package entratest: Azurite checks of a user's token
// the issuer, the audience and the times, neither signature nor roles. What needs
// those is tested on package blobtest.
package interop
