package main

import (
	"context"
	"errors"
	"flag"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/explain"
	"github.com/mcpentra/mcp-entra-go/internal/serverconfig"
)

const explainHelp = `Usage: mcp-entra explain [flags] < TOKEN

Checks the access token on standard input against every rule, and shows what it has and what is
expected, and whether an agent calls. The token may have "Bearer" or the header's name before it. It is never printed.

The tenant and the API come from TENANT_ID and API_APP_ID; APP_ID_URIS, PUBLIC_URL, AGENT_USERS,
PEOPLE_ONLY and AZURE_AUTHORITY_HOST are read too, from the environment or from .env in the working
directory, as the server does. Without the first two, the token is checked against its own tenant and audience.

Exit codes: 0 accepted; 1 rejected, or not checked; 64 the command line is wrong.

Examples:
  mcp-entra explain < token.txt
  mcp-entra login -print-token https://mcp.example.com/mcp | mcp-entra explain

Flags:
`

// explainToken checks a token.
func explainToken(ctx context.Context, p *process, args []string) error {
	flags := flag.NewFlagSet("explain", flag.ContinueOnError)
	asJSON := flags.Bool("json", false, "print the result as JSON")
	if err := parse(p, flags, explainHelp, args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return usagef("expected no arguments; the token comes on standard input")
	}
	dotenv, unreadable := serverconfig.ReadDotenv(serverconfig.DotenvFile)
	c, faults := serverconfig.ReadForToken(p.lookup, dotenv)
	if faults = append(unreadable, faults...); len(faults) > 0 {
		var b strings.Builder
		serverconfig.PrintFaults(&b, faults)
		return errors.New(strings.TrimSpace(b.String()))
	}
	result, err := explain.Run(ctx, c, p.client, p.stdin, p.stderr)
	if err != nil {
		return err
	}
	if *asJSON {
		err = printJSON(p.stdout, struct {
			Accepted bool   `json:"accepted"`
			Notice   string `json:"notice,omitempty"`
			Checks   any    `json:"checks"`
		}{result.Valid, strings.TrimSpace(result.Notice), result.Checks})
	} else {
		result.Print(p.stdout)
	}
	if err == nil && !result.Valid {
		err = errors.New("the token is rejected")
	}
	return err
}
