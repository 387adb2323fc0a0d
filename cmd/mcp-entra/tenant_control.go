package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/tenantfile"
)

const mintHelp = `Usage: mcp-entra tenant token [flags]

Prints a token of the running tenant, and nothing else. Nobody signs in, and neither consent nor
conditional access is checked. With -user, it is the client's token on behalf of that user; without,
the client's own. Names are those of the tenant's file; IDs, App ID URIs, "storage" and "graph" work
too.

Exit codes: 0 done; 1 failed; 64 the command line is wrong.

Examples:
  mcp-entra tenant token -user alice -client client -api api
  mcp-entra tenant token -user alice -client client -api api -scope access_as_user
  mcp-entra tenant token -client api -api storage
  mcp-entra tenant token -cluster aks -subject system:serviceaccount:default:api > token

Flags:
`

const controlHelp = `Usage: mcp-entra tenant control [flags] NAME [JSON]

Changes the running tenant, or asks it, and prints the answer as JSON.

  tenants     what runs
  clock       the time;      {"advance": "2h"}, {"set": "2026-01-31T12:00:00Z"}
  faults      {"endpoint": "token", "faults": [{"aadsts": 50196, "times": 1}]}, {"clear": true}
  keys        {"announce": true}, {"rotate": true}
  sessions    {"revoke": "alice"}
  requests    the last 100; requests?refused=true&limit=10
  token       {"user": "alice", "client": "client", "api": "api"}

Exit codes: 0 done; 1 failed; 64 the command line is wrong.

Examples:
  mcp-entra tenant control clock '{"advance": "2h"}'
  mcp-entra tenant control 'requests?refused=true'

Flags:
`

func runTenantToken(ctx context.Context, p *process, args []string) error {
	var state, scope string
	var q tenantfile.TokenRequest
	flags := flag.NewFlagSet("tenant token", flag.ContinueOnError)
	flags.StringVar(&q.Tenant, "tenant", "", "the tenant's `name` (default: the first)")
	flags.StringVar(&q.User, "user", "", "the user's `name`, such as alice; without it, the token is the client's own")
	flags.StringVar(&q.Client, "client", "", "the client's `name`")
	flags.StringVar(&q.API, "api", "", "the `name` of the API that the token is for")
	flags.StringVar(&scope, "scope", "", "the `scopes`, separated by spaces (default: all that the API offers)")
	flags.StringVar(&q.Cluster, "cluster", "", "a cluster's `name`: prints a token for a federated credential")
	flags.StringVar(&q.Subject, "subject", "", "the `subject` of the cluster's token")
	flags.StringVar(&q.Audience, "audience", "", "the `audience` of the cluster's token (default: api://AzureADTokenExchange)")
	stateFlag(flags, &state)
	if err := parse(p, flags, mintHelp, args); err != nil {
		return err
	}
	switch {
	case flags.NArg() > 0:
		return usagef("expected flags only")
	case q.Cluster == "" && (q.Client == "" || q.API == ""):
		return usagef("expected -client and -api, or -cluster and -subject")
	}
	q.Scopes = strings.Fields(scope)
	body, err := json.Marshal(q)
	if err != nil {
		return err
	}
	answer, err := control(ctx, p, state, "token", body)
	if err != nil {
		return err
	}
	var minted struct{ Token string }
	if err := json.Unmarshal(answer, &minted); err != nil || minted.Token == "" {
		return errors.New("the tenant answered without a token; is it of another version?")
	}
	fmt.Fprintln(p.stdout, minted.Token)
	return nil
}

func runTenantControl(ctx context.Context, p *process, args []string) error {
	var state string
	flags := flag.NewFlagSet("tenant control", flag.ContinueOnError)
	stateFlag(flags, &state)
	if err := parse(p, flags, controlHelp, args); err != nil {
		return err
	}
	if flags.NArg() < 1 || flags.NArg() > 2 {
		return usagef("expected a NAME, such as clock, and perhaps a JSON object, all after the flags")
	}
	answer, err := control(ctx, p, state, flags.Arg(0), []byte(flags.Arg(1)))
	if err != nil {
		return err
	}
	_, err = p.stdout.Write(answer)
	return err
}

// control sends a request to the control endpoint: GET without a body.
func control(ctx context.Context, p *process, state, name string, body []byte) ([]byte, error) {
	path, err := stateFile(state)
	if err != nil {
		return nil, err
	}
	s, err := readState(path)
	if err != nil {
		return nil, err
	}
	method := http.MethodPost
	if len(body) == 0 {
		method = http.MethodGet
	}
	request, err := http.NewRequestWithContext(ctx, method, s.Control+name, bytes.NewReader(body))
	if err != nil {
		return nil, usagef("expected a NAME, such as clock")
	}
	request.Header.Set("Authorization", "Bearer "+s.Key)
	request.Header.Set("Content-Type", "application/json")
	client := p.client
	if client == nil { // loopback needs no proxy
		client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("the tenant of %s does not answer; start it with mcp-entra tenant, or name another's file with -state: %w", path, err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 64<<20))
	switch {
	case err != nil:
		return nil, err
	case response.StatusCode == http.StatusOK:
		return answer, nil
	case response.StatusCode == http.StatusNotFound || response.StatusCode == http.StatusMethodNotAllowed:
		return nil, usagef("expected one of the NAMEs, with or without JSON as listed")
	}
	var failed struct{ Error string }
	_ = json.Unmarshal(answer, &failed)
	if failed.Error == "" {
		failed.Error = "the tenant answered " + response.Status
	}
	return nil, errors.New(failed.Error)
}
