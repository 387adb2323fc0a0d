package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/doctor"
	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/graph"
	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/signin"
	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/yamlfile"
	"github.com/mcpentra/mcp-entra-go/internal/knownclients"
	"github.com/mcpentra/mcp-entra-go/internal/secret"
	"github.com/mcpentra/mcp-entra-go/internal/serverconfig"
)

const doctorHelp = `Usage: mcp-entra doctor [flags]

Says what is wrong with a setup: clock, network, tenant, app registration, the app's proof, the
exchange of tokens, Azure Storage, what the server answers by its public URL, and what each known
client will get. One fault is reported once, by the check that names it; what follows from it is
"not run". docs/doctor.md describes the checks.

It reads the example server's variables, from the environment or from .env in the working
directory. Run it where the server runs. It changes nothing, and no secret or token is shown.

With -auth it reads the app registration from Microsoft Graph (Application.Read.All, or the role
Directory Readers). With -token it goes the whole way as a user: the token is one for the server,
as its clients send it.

Exit codes: 0 no check failed, 1 doctor could not run, 2 a check failed, 64 wrong command line.

Examples:
  mcp-entra doctor
  mcp-entra doctor -auth cli
  mcp-entra login -print-token https://mcp.example.com/mcp | mcp-entra doctor -auth cli -token -
  mcp-entra doctor -only challenge,resource-metadata -url https://mcp.example.com/mcp
  mcp-entra doctor -client vscode
  mcp-entra doctor -report > report.txt      # to share: ids and hosts are masked

Flags:
`

// maxTokenFile bounds what is read for a token, in bytes.
const maxTokenFile = 128 << 10

// doctorFlags are the command line of doctor.
type doctorFlags struct {
	tenant, app, url       string
	auth, graphHost, token string
	only, clients          []string
	asJSON, report         bool
}

// runDoctor examines a setup.
func runDoctor(ctx context.Context, p *process, args []string) error {
	f, err := parseDoctor(p, args)
	if err != nil {
		return err
	}
	token, err := readUserToken(p, f.token)
	if err != nil {
		return err
	}
	dotenv, unreadable := serverconfig.ReadDotenv(serverconfig.DotenvFile)
	lookup := f.over(p.lookup)
	c, faults := serverconfig.Read(lookup, dotenv)
	facts := doctor.ReadFacts(c, append(unreadable, faults...), p.lookup)
	switch nothing := serverconfig.NothingSet(lookup, dotenv); {
	case f.url != "":
		facts.ResourceURL = f.url
		if nothing { // only what a stranger sees of the server
			facts.Faults, facts.Warnings, facts.LocalURL = nil, nil, ""
		}
	case nothing:
		return errors.New("nothing is configured: run doctor with the server's variables or in the folder of its .env file, or name -tenant, -app and -url")
	}
	options := doctor.Options{Client: p.client, UserToken: token, Only: f.only, Clients: f.clients}
	if f.auth != "" {
		if options.Directory, err = f.signIn(p, facts); err != nil {
			return err
		}
	}
	report, err := doctor.Run(ctx, facts, &options)
	if err != nil {
		return usagef("%s", err.Error()) // a check that -only names wrongly
	}
	if ctx.Err() != nil { // what failed then says nothing
		return errors.New("interrupted")
	}
	if f.report {
		report.Mask()
	}
	write := report.WriteText
	if f.asJSON {
		write = report.WriteJSON
	}
	if err := write(p.stdout); err != nil {
		return err
	}
	if report.Failed() {
		return errDiffers
	}
	return nil
}

func parseDoctor(p *process, args []string) (doctorFlags, error) {
	var f doctorFlags
	var only, clients string
	set := flag.NewFlagSet("doctor", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.StringVar(&f.tenant, "tenant", "", "the tenant's `id`, instead of TENANT_ID")
	set.StringVar(&f.app, "app", "", "the application's client `id`, instead of API_APP_ID")
	set.StringVar(&f.url, "url", "", "the server's `URL` as clients use it, instead of PUBLIC_URL with "+serverconfig.Path)
	set.StringVar(&f.auth, "auth", "", "how to sign in to Microsoft Graph: cli (az login), browser, device, or env (AZURE_CLIENT_ID and a secret, certificate or token file); default not at all")
	set.StringVar(&f.graphHost, "graph-host", "", "Microsoft Graph's `https://host` in a test tenant, whose authority is AZURE_AUTHORITY_HOST")
	set.StringVar(&f.token, "token", "", "where the user's token is: a `file`, - for standard input, or env:NAME for a variable; never the token itself")
	set.StringVar(&only, "only", "", "show these checks only: `ids`, comma separated")
	set.StringVar(&clients, "client", "", "judge these clients only: `names`, comma separated, such as vscode")
	set.BoolVar(&f.asJSON, "json", false, "print JSON")
	set.BoolVar(&f.report, "report", false, "mask ids and hosts, for a report that can be shared")
	if err := set.Parse(args); errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(p.stderr, doctorHelp)
		set.SetOutput(p.stderr)
		set.PrintDefaults()
		return f, err
	} else if err != nil {
		return f, usagef("%s", withoutTokens(err.Error()))
	}
	f.only, f.clients = split(only), split(clients)
	for _, id := range f.clients {
		if !slices.Contains(knownclients.IDs(), id) {
			if near, ok := yamlfile.Nearest(id, knownclients.IDs()); ok {
				return f, usagef("there is no known client %s; the nearest is %s", doctor.Shown(id), near)
			}
			return f, usagef("there is no known client %s; the known ones are %s", doctor.Shown(id), strings.Join(knownclients.IDs(), ", "))
		}
	}
	switch {
	case set.NArg() > 0:
		return f, usagef("there are no arguments; lists are separated by commas without spaces")
	case f.url != "" && !isEndpoint(f.url):
		return f, usagef("-url is the server's URL as clients use it, such as https://mcp.example.com/mcp, without user, query and fragment") // and may hold a password
	case f.auth != "" && !slices.Contains(signin.Ways, f.auth):
		return f, usagef("-auth is one of %s", strings.Join(signin.Ways, ", "))
	}
	return f, nil
}

// isEndpoint reports whether the address can be that of an MCP endpoint.
func isEndpoint(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" && u.User == nil &&
		u.RawQuery == "" && !u.ForceQuery && u.Fragment == ""
}

// split splits a list at its commas.
func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

// withoutTokens keeps a text from the command line that may hold a token from being shown.
func withoutTokens(text string) string {
	if strings.Contains(text, "eyJ") {
		return "the command line has a token in it, which every program on this machine can read: use -token FILE"
	}
	return text
}

// over puts the flags over the environment.
func (f *doctorFlags) over(lookup func(string) (string, bool)) func(string) (string, bool) {
	given := map[string]string{"TENANT_ID": f.tenant, "API_APP_ID": f.app}
	if uri := f.url; uri != "" && f.app != "" {
		given["APP_ID_URIS"] = uri + ",api://" + strings.ToLower(f.app)
	}
	return func(name string) (string, bool) {
		if value := given[name]; value != "" {
			return value, true
		}
		return lookup(name)
	}
}

// readUserToken reads the user's token from where the flag says.
func readUserToken(p *process, source string) (secret.Text, error) {
	var content []byte
	name, isVariable := strings.CutPrefix(source, "env:")
	switch {
	case source == "":
		return secret.Text{}, nil
	case strings.Count(source, ".") == 2 && strings.HasPrefix(source, "eyJ"):
		return secret.Text{}, usagef("-token takes a file, - or env:NAME, and not the token itself: every program on this machine can read the command line")
	case isVariable:
		value, ok := p.lookup(name)
		if !ok {
			return secret.Text{}, usagef("the variable of -token is not set")
		}
		content = []byte(value)
	case source == "-":
		var err error
		if content, err = io.ReadAll(io.LimitReader(p.stdin, maxTokenFile)); err != nil {
			return secret.Text{}, fmt.Errorf("standard input can't be read: %w", err)
		}
	default:
		file, err := os.Open(source)
		if err != nil {
			return secret.Text{}, errors.New("the file of -token can't be opened")
		}
		defer func() { _ = file.Close() }()
		if content, err = io.ReadAll(io.LimitReader(file, maxTokenFile)); err != nil {
			return secret.Text{}, errors.New("the file of -token can't be read")
		}
	}
	token := bareToken(string(content))
	if token == "" {
		return secret.Text{}, errors.New("-token: there is no token; sign in with mcp-entra login, say")
	}
	return secret.New(token), nil
}

// bareToken removes what people copy along: the header's name and the scheme.
func bareToken(s string) string {
	s = strings.TrimSpace(s)
	for _, before := range []string{"authorization:", "bearer "} {
		if len(s) >= len(before) && strings.EqualFold(s[:len(before)], before) {
			s = strings.TrimSpace(s[len(before):])
		}
	}
	return s
}

// signIn signs in to Microsoft Graph. The first request gets the token.
func (f *doctorFlags) signIn(p *process, facts doctor.Facts) (*graph.Client, error) {
	o := signin.Options{
		Way: f.auth, Tenant: facts.TenantID, AuthorityHost: facts.AuthorityHost, GraphHost: f.graphHost, Lookup: p.lookup, HTTP: p.client,
		Prompt: func(message string) { fmt.Fprintln(p.stderr, message) },
	}
	place, err := signin.Where(o)
	if err != nil {
		return nil, err
	}
	credential, err := signin.Credential(o, place)
	if err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	return graph.New(place.GraphHost, place.Cloud.Graph, credential, &graph.Options{HTTP: p.client})
}
