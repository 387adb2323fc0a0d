package calls

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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
	// serves is the name of the Go entrant that it is a variant of.
	serves string
	// program is this program, built differently; or "".
	program string
	// log is the file for its standard error, where it says its address.
	log string
	// floor is set if it keeps room between garbage collections.
	floor bool
	// tokenCache is how many tokens ours remembers; 0 is the default.
	tokenCache int
	// env has environment variables of its own.
	env []string
}

// withFloor is the entrant with the room between garbage collections that
// examples/server keeps.
func (e Entrant) withFloor() Entrant {
	e = e.variant("floor", "the same with room between garbage collections, as examples/server keeps it")
	e.floor = true
	return e
}

// withGOGC100 is the entrant with Go's default, whatever this process has.
func (e Entrant) withGOGC100() Entrant {
	e = e.variant("`GOGC=100`", "the same with Go's default")
	e.env = append(slices.Clip(e.env), "GOGC=100")
	return e
}

// fixed is the entrant in the program that was built with the fixed SDK.
func (e Entrant) fixed(program string) Entrant {
	e = e.variant("decoding fixed", "the same on the Go SDK with its decoding fixed (docs/upstream.md)")
	e.program = program
	return e
}

func (e Entrant) variant(name, configured string) Entrant {
	e.serves = cmp.Or(e.serves, e.Name)
	e.Name, e.Configured = e.Name+", "+name, configured
	return e
}

var both = []string{Old, New}

// Names of the Go entrants.
const (
	ourServer  = "mcpentra"
	bareServer = "the Go SDK's handler alone"
	bareGrown  = "the Go SDK's handler alone, stack grown"
	sdkServer  = "the Go SDK, golang-jwt + keyfunc"
	mcpGo      = "mcp-go, golang-jwt + keyfunc"
)

// GoEntrants returns those in Go, ours first and then the Go SDK alone, and after
// them their variants. fixed is this program built with the fixed SDK, or "" to
// leave these variants out.
func GoEntrants(fixed string) []Entrant {
	goSDK, jwt, keyfunc := module("github.com/modelcontextprotocol/go-sdk"), module("github.com/golang-jwt/jwt/v5"), module("github.com/MicahParks/keyfunc/v3")
	ours := Entrant{Name: ourServer, Speaks: both, Versions: []string{"this repository", goSDK},
		Configured: "`NewServer` with four policies, limits per user raised; a line in JSON for each request, to a file"}
	bare := Entrant{Name: bareServer, Open: true, Speaks: both, Versions: []string{goSDK},
		Configured: "`mcp.NewStreamableHTTPHandler` with `Stateless: true`; no authentication, no log"}
	grown := Entrant{Name: bareGrown, Open: true, Speaks: both, Versions: []string{goSDK},
		Configured: "the same with a middleware that grows the stack of each call once"}
	sdk := Entrant{Name: sdkServer, Speaks: both, Versions: []string{goSDK, jwt, keyfunc},
		Configured: "`auth.RequireBearerToken` around that handler; the check of tokens as in the first tables, for each request"}
	other := Entrant{Name: mcpGo, Speaks: both, Versions: []string{module("github.com/mark3labs/mcp-go"), jwt, keyfunc},
		Configured: "`server.NewStreamableHTTPServer` with `WithStateLess(true)`, in a middleware with the same check"}
	all := []Entrant{ours, bare, grown, sdk, other, ours.withFloor(), sdk.withFloor(), other.withFloor()}
	if fixed == "" {
		return all
	}
	for _, e := range []int{0, 1, 2, 3, 5} {
		all = append(all, all[e].fixed(fixed))
	}
	return all
}

// Entrants returns all, those in Go first. dir is the directory of this package's
// sources, where the ones in other languages are.
func Entrants(dir, fixed string) []Entrant {
	node, python := filepath.Join(dir, "node"), filepath.Join(dir, "python")
	npm := "npm --prefix bench/calls/node ci"
	packages := func(names ...string) []string {
		for i, name := range names {
			names[i] = "`" + name + "` " + packageVersion(node, name)
		}
		return names
	}
	return append(GoEntrants(fixed), []Entrant{
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
	}...)
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
