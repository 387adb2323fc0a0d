// Command server is the documented MCP server on the packages of this module:
// four tools behind Microsoft Entra ID, two of which act on behalf of the
// signed-in user.
//
//	secure_ping, get_user_info        who is calling?
//	get_azure_blob_storage_token      the user's token for Azure Storage (a demonstration)
//	read_blob_with_token              a blob, as the user
//
// It is configured by environment variables, or a .env file in the working
// directory; the first two are required:
//
//	TENANT_ID                    directory (tenant) id
//	API_APP_ID                   application ID of this server's app registration
//	PUBLIC_URL                   the origin that clients use (http://localhost:PORT)
//	APP_ID_URIS                  the registration's App ID URIs (PUBLIC_URL/mcp if https, api://API_APP_ID)
//	AZURE_STORAGE_ACCOUNT_URL    https://mystorageaccount.blob.core.windows.net
//	AZURE_STORAGE_CONTAINER      the container whose blobs are read
//	USE_OBO_FLOW                 true, 1, yes, on: act on behalf of users
//	ENTRA_APP_CLIENT_SECRET      how the app authenticates: a secret,
//	UMI_CLIENT_ID                or a managed identity as federated credential, …
//	TOOL_POLICIES                what callers of some tools need
//	AGENT_ID                     the agent identity that the server acts as
//	AUTH_PROXY                   true: clients sign in through the server
//
// README.md has all of them. Faults are reported at once, with remedies.
//
// It speaks HTTP and belongs behind a TLS proxy. With -demo it needs no
// configuration and no Azure; with -demo -proxy, any client can sign in. With -explain it reads a token from standard input
// and shows its result under each rule: "why 401?". Before anything is configured, it
// uses the token's own tenant and audience. With -health it asks the server that runs beside
// it, as a container without a shell needs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mcpentra/mcp-entra-go/examples/internal/documented"
	"github.com/mcpentra/mcp-entra-go/examples/internal/listening"
	"github.com/mcpentra/mcp-entra-go/examples/server/heapfloor"
	"github.com/mcpentra/mcp-entra-go/internal/explain"
	"github.com/mcpentra/mcp-entra-go/internal/serverconfig"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once, unless it follows the first immediately:
	// timeout(1) sends two.
	context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, stop) })
	os.Exit(run(ctx, os.Args[1:], os.LookupEnv, os.Stdin, os.Stdout, os.Stderr))
}

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

const usage = `Usage: server [-demo [-proxy] [-once] | -explain < TOKEN | -health]

Without flags it serves, as the variables of the environment, or of .env in the working directory, say:
TENANT_ID, API_APP_ID and those that examples/server/README.md lists. "mcp-entra setup apply -env .env"
registers the server and writes them.

`

// run is the whole program, with its process's resources as parameters.
func run(ctx context.Context, args []string, lookup func(string) (string, bool), stdin io.Reader, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("server", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		_, _ = fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	demo := flags.Bool("demo", false, "show the four tools with a tenant and a Blob service on this machine, then keep serving")
	proxy := flags.Bool("proxy", false, "with -demo: clients sign in through the server, without a client ID")
	once := flags.Bool("once", false, "with -demo: exit after the tour; the exit code says whether it passed")
	judge := flags.Bool("explain", false, "read a token from standard input and show its result under each rule; nothing is served")
	health := flags.Bool("health", false, "ask the server that runs with the same HOST and PORT for its health; the exit code says whether it is 200")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case flags.NArg() > 0 || ((*once || *proxy) && !*demo) || (*judge && *demo) || (*health && (*judge || *demo)):
		_, _ = fmt.Fprintln(stderr, "server: there are no arguments, -proxy and -once go with -demo, and -explain and -health go alone; -h shows more")
		return exitUsage
	}
	dotenv, unreadable := serverconfig.ReadDotenv(serverconfig.DotenvFile)
	if *demo || *health {
		c, faults := serverconfig.ReadListen(lookup, dotenv)
		if faults = append(unreadable, faults...); len(faults) > 0 {
			c.ReportFaults(stderr, faults, nil)
			return exitFailed
		}
		if *health {
			if err := listening.Health(ctx, c); err != nil {
				_, _ = fmt.Fprintln(stderr, "server: not healthy:", err)
				return exitFailed
			}
			return exitOK
		}
		return runDemo(ctx, c, demonstration{*proxy, *once}, stdout, stderr)
	}
	if *judge {
		c, faults := serverconfig.ReadForToken(lookup, dotenv)
		if faults = append(unreadable, faults...); len(faults) > 0 {
			serverconfig.PrintFaults(stderr, faults)
			return exitFailed
		}
		result, err := explain.Run(ctx, c, nil, stdin, stderr)
		if err != nil {
			_, _ = fmt.Fprintln(stderr, err)
			return exitFailed
		}
		result.Print(stdout)
		if !result.Valid {
			return exitFailed
		}
		return exitOK
	}
	c, faults := serverconfig.Read(lookup, dotenv)
	if faults = append(unreadable, faults...); len(faults) > 0 {
		if serverconfig.NothingSet(lookup, dotenv) && !c.LogJSON {
			_, _ = fmt.Fprint(stderr, demoFirst)
		}
		c.ReportFaults(stderr, faults, c.Misspelled)
		return exitFailed
	}
	return runServer(ctx, c, lookup, stderr)
}

// runServer serves as configured until the context ends.
func runServer(ctx context.Context, c serverconfig.Config, lookup func(string) (string, bool), stderr io.Writer) int {
	log := c.Logger(stderr, c.LogLevel)
	heapfloor.Keep(ctx, lookup, log)
	for _, name := range c.Foreign {
		c.Warnings = append(c.Warnings, name+" has no effect: only examples/production reads it")
	}
	if err := documented.Run(ctx, c, documented.Surroundings{Log: log, TokenTool: true}); err != nil {
		c.ReportError(stderr, "the server failed", err)
		return exitFailed
	}
	return exitOK
}

// demoFirst is printed when nothing is configured yet.
const demoFirst = `Nothing is configured yet. To see the server at work without a tenant:

  go run ./examples/server -demo

To register it in yours and write its variables to .env (docs/setup.md):

  mcp-entra setup apply -env .env

`
