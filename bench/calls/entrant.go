package calls

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/mcpentra/mcp-entra-go/bench"
)

// An Entrant is a server that is measured in a process of its own.
type Entrant struct {
	Name, Configured string
	// Versions are of its modules or packages, for the table.
	Versions []string
	// Speaks are the protocol versions of which it answers a request that stands alone.
	Speaks []string
	// Open is set if it asks for no token.
	Open bool
	// command is what runs it, by that runtime; the Go ones are this program.
	command []string
	runtime string
	// needs is a file that says whether it is installed, how is how to install it.
	needs, how string
}

var both = []string{Old, New}

// Entrants returns all, ours first. dir is the directory of this package's
// sources, where the ones in other languages are.
func Entrants(dir string) []Entrant {
	node, python := filepath.Join(dir, "node"), filepath.Join(dir, "python")
	npm := "npm --prefix bench/calls/node ci"
	packages := func(names ...string) []string {
		for i, name := range names {
			names[i] = "`" + name + "` " + packageVersion(node, name)
		}
		return names
	}
	goSDK := module("github.com/modelcontextprotocol/go-sdk")
	return []Entrant{
		{Name: "mcpentra", Speaks: both, Versions: []string{"this repository", goSDK},
			Configured: "`NewServer` with four policies, limits per user raised; a line in JSON for each request, to a file"},
		{Name: "the Go SDK's handler alone", Open: true, Speaks: both, Versions: []string{goSDK},
			Configured: "`mcp.NewStreamableHTTPHandler` with `Stateless: true`; no authentication, no log"},
		{Name: "the Go SDK, golang-jwt + keyfunc", Speaks: both,
			Versions:   []string{goSDK, module("github.com/golang-jwt/jwt/v5"), module("github.com/MicahParks/keyfunc/v3")},
			Configured: "`auth.RequireBearerToken` around that handler; the check of tokens as in the first tables, for each request"},
		{Name: "mcp-go, golang-jwt + keyfunc", Speaks: both,
			Versions:   []string{module("github.com/mark3labs/mcp-go"), module("github.com/golang-jwt/jwt/v5"), module("github.com/MicahParks/keyfunc/v3")},
			Configured: "`server.NewStreamableHTTPServer` with `WithStateLess(true)`, in a middleware with the same check"},
		{Name: "TypeScript SDK 1, express, jose", Speaks: []string{Old}, runtime: "Node", command: []string{"node", filepath.Join(node, "sdk1.mjs")},
			needs: filepath.Join(node, "node_modules"), how: npm, Versions: packages("@modelcontextprotocol/sdk", "express", "jose"),
			Configured: "`StreamableHTTPServerTransport` without sessions, server and transport made for each request as in its example; `requireBearerAuth` with jose's `jwtVerify` and `createRemoteJWKSet`"},
		{Name: "TypeScript SDK 2, jose", Speaks: both, runtime: "Node", command: []string{"node", filepath.Join(node, "sdk2.mjs")},
			needs: filepath.Join(node, "node_modules"), how: npm, Versions: packages("@modelcontextprotocol/server", "@modelcontextprotocol/node", "jose"),
			Configured: "`createMcpHandler` on `node:http`; its `requireBearerAuth` with the same"},
		{Name: "FastMCP", Speaks: both, runtime: "Python", command: []string{filepath.Join(python, ".venv", "bin", "python"), filepath.Join(python, "server.py")},
			needs: filepath.Join(python, ".venv"), how: "python3 -m venv bench/calls/python/.venv && bench/calls/python/.venv/bin/pip install --require-hashes -r bench/calls/python/requirements.txt",
			Versions:   requirements(python, "fastmcp", "mcp", "uvicorn"),
			Configured: "`http_app(stateless_http=True)` on uvicorn; `AzureJWTVerifier`"},
	}
}

// Missing says what must be done before the entrant can run, or nothing.
func (e *Entrant) Missing() string {
	if e.needs == "" {
		return ""
	}
	if _, err := os.Stat(e.needs); errors.Is(err, fs.ErrNotExist) {
		return "not installed: " + e.how
	}
	return ""
}

func module(path string) string { return strings.TrimSpace("`" + path + "` " + bench.Version(path)) }
