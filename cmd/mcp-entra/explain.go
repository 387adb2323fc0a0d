package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/explain"
	"github.com/mcpentra/mcp-entra-go/internal/serverconfig"
)

const explainHelp = `Usage: mcp-entra explain [flags] < TOKEN

Judges the access token on standard input by every rule, and shows what it has and what is expected.
The token may come with "Bearer" or the whole header. It is shown nowhere.

Tenant and app are TENANT_ID and API_APP_ID, and APP_ID_URIS, PUBLIC_URL and AZURE_AUTHORITY_HOST
count too, from the environment or from .env in the working directory, as for the server. Without
the first two, the token is judged by its own tenant and audience.

Exit codes: 0 accepted, 1 rejected or not judged.

Examples:
  mcp-entra explain < token.txt
  mcp-entra login -print-token https://mcp.example.com/mcp | mcp-entra explain

Flags:
`

// explainToken judges a token.
func explainToken(ctx context.Context, p *process, args []string) error {
	flags := flag.NewFlagSet("explain", flag.ContinueOnError)
	asJSON := flags.Bool("json", false, "print the result as JSON")
	if err := parse(p, flags, explainHelp, args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return usagef("the token comes on standard input, and there are no arguments")
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
		err = json.NewEncoder(p.stdout).Encode(struct {
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
