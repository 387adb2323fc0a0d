package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/setup"
	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/signin"
)

// setupFile is read if neither -f nor flags describe the registrations.
const setupFile = "mcp-entra.yaml"

const setupHelp = `Usage: mcp-entra setup status|plan|apply|check|destroy [flags] [FILE]

Registers an MCP server and its clients with Microsoft Entra ID, over Microsoft Graph.

  status   shows who is signed in, to which tenant, with which roles and permissions
  plan     shows the difference between the file and the tenant; changes nothing
  apply    makes the tenant match the file, or runs a saved plan (apply FILE)
  check    checks that the tenant matches the file, for scripts
  destroy  removes what apply made

A YAML file describes the registrations (-f, or ` + setupFile + `; docs/setup.md lists its keys). For the
simple case, flags do.

  name: files-mcp
  servers: [https://mcp.example.com/mcp]     # exactly as clients use it
  resources: [storage, graph: User.Read]     # what the server calls as its users
  clients: [vscode, azurecli, inspector]
  proof:
    managed-identity: 11111111-2222-3333-4444-555555555555   # its client ID

Exit codes: 0 done; 1 failed; 2 plan and check: the tenant differs; 64 the command line is wrong.

Examples:
  az login --tenant contoso.com
  mcp-entra setup status
  mcp-entra setup plan -f mcp-entra.yaml
  mcp-entra setup apply -f mcp-entra.yaml -env .env
  mcp-entra setup plan -name files-mcp -server https://mcp.example.com/mcp -resource storage -client vscode
  mcp-entra setup apply -name files-mcp -server https://mcp.example.com/mcp -secret -auth-proxy api -env .env -secret-file .env
  mcp-entra setup plan -out plan.json && mcp-entra setup apply plan.json
  mcp-entra setup plan -print az > register.sh
  mcp-entra setup check -auth env -json
  mcp-entra setup destroy -purge

Flags:
`

// setupFlags are the command line of setup.
type setupFlags struct {
	verb                  string
	file, argument        string
	spec                  setup.Flags
	auth, graphHost       string
	out, print, env       string
	secretFile            string
	deleted               string
	rotate, purge, asJSON bool
	given                 map[string]bool
}

var setupVerbs = map[string]func(*setupRun, context.Context) error{
	"status": (*setupRun).status, "plan": (*setupRun).plan, "apply": (*setupRun).apply, "check": (*setupRun).check, "destroy": (*setupRun).destroy,
}

// flagsOf are the flags that only some of the verbs have.
var flagsOf = map[string][]string{
	"out": {"plan"}, "print": {"plan"}, "env": {"apply"}, "secret-file": {"plan", "apply"}, "rotate": {"plan", "apply"},
	"deleted": {"plan", "apply", "check"}, "purge": {"destroy"},
}

func runSetup(ctx context.Context, p *process, args []string) error {
	f, err := parseSetup(p, args)
	if err != nil {
		return err
	}
	err = setupVerbs[f.verb](&setupRun{process: p, flags: f}, ctx)
	if err != nil && ctx.Err() != nil {
		return errors.New("interrupted: what is done stays, and running this again goes on from here")
	}
	return err
}

func parseSetup(p *process, args []string) (setupFlags, error) {
	var f setupFlags
	set := flag.NewFlagSet("setup", flag.ContinueOnError)
	set.StringVar(&f.file, "f", "", "the YAML `file` that describes the registrations (default: "+setupFile+")")
	set.StringVar(&f.spec.Name, "name", "", "the application's unique `name` in the tenant (without a file)")
	set.Func("server", "the MCP endpoint's `URL`, exactly as clients use it; can be repeated (without a file)", appendTo(&f.spec.Servers))
	set.Func("resource", "what the server calls as its users: storage, keyvault, arm, graph=User.Read or an App ID `URI`; can be repeated (without a file)", appendTo(&f.spec.Resources))
	set.Func("client", "a known `client`, such as vscode, or copilotstudio=REDIRECT; can be repeated (without a file)", appendTo(&f.spec.Clients))
	set.StringVar(&f.spec.ManagedIdentity, "managed-identity", "", "the `client ID` of the managed identity that the API authenticates with (without a file)")
	set.BoolVar(&f.spec.Secret, "secret", false, "authenticate the API with a client secret (without a file)")
	set.StringVar(&f.spec.AuthProxy, "auth-proxy", "", "clients sign in through the server's authorization proxy, with the `application` api (the API's) or own (without a file)")
	set.Func("agent", "the `name` of an agent identity that the server acts as for people; then the API's application is an agent identity blueprint; can be repeated (without a file)", appendTo(&f.spec.Agents))
	set.StringVar(&f.spec.Sponsor, "sponsor", "", "the object `ID` of the user who answers for the agents (without a file)")
	set.StringVar(&f.spec.Adopt, "adopt", "", "use the existing application with this `client ID` as the API, instead of a new one")
	set.StringVar(&f.spec.Tenant, "tenant", "", "the tenant's `ID` or domain; a sign-in to any other is refused")
	set.StringVar(&f.spec.Cloud, "cloud", "", "the `cloud`: public, usgov, dod or china (default: public)")
	set.StringVar(&f.auth, "auth", "", "how to sign in: cli (az login), browser, device, or env (AZURE_CLIENT_ID and a secret, certificate or token file) (default: env where AZURE_CLIENT_ID is set, else cli)")
	set.StringVar(&f.graphHost, "graph-host", "", "Microsoft Graph's `host` in a test tenant, such as https://localhost:8443; AZURE_AUTHORITY_HOST names the tenant's authority")
	set.StringVar(&f.out, "out", "", "plan: save the plan to this `file`, for apply FILE")
	set.StringVar(&f.print, "print", "", "plan: print a script in this `language` instead: az (bash with az rest) or bicep")
	set.StringVar(&f.env, "env", "", "apply: write the example server's variables to this `file`")
	set.StringVar(&f.secretFile, "secret-file", "", "plan, apply: write new secrets to this `file`, which only you can read; they are never printed")
	set.BoolVar(&f.rotate, "rotate", false, "plan, apply: add new secrets; the previous ones stay until the next -rotate")
	set.StringVar(&f.deleted, "deleted", "", "plan, apply, check: what to do with a deleted application of this name: restore or purge")
	set.BoolVar(&f.purge, "purge", false, "destroy: delete permanently, not for 30 days")
	set.BoolVar(&f.asJSON, "json", false, "print JSON")
	if len(args) == 0 || slices.Contains([]string{"-h", "-help", "--help", "help"}, args[0]) {
		printHelp(p, set, setupHelp)
		if len(args) == 0 {
			return f, usagef("expected status, plan, apply, check or destroy")
		}
		return f, flag.ErrHelp
	}
	f.verb = args[0]
	if setupVerbs[f.verb] == nil {
		return f, usagef("setup has no %s; use status, plan, apply, check or destroy", setup.Shown(f.verb))
	}
	if err := parse(p, set, setupHelp, args[1:]); err != nil {
		return f, err
	}
	f.argument = set.Arg(0)
	f.given = map[string]bool{}
	set.Visit(func(g *flag.Flag) { f.given[g.Name] = true })
	return f, f.check(p, set.NArg())
}

func appendTo(list *[]string) func(string) error {
	return func(s string) error {
		*list = append(*list, s)
		return nil
	}
}

// check checks what the flags say together.
func (f *setupFlags) check(p *process, arguments int) error {
	for name, verbs := range flagsOf {
		if f.given[name] && !slices.Contains(verbs, f.verb) {
			return usagef("-%s is for setup %s", name, strings.Join(verbs, " and "))
		}
	}
	switch {
	case arguments > 1 || arguments == 1 && f.file != "":
		return usagef("expected one file")
	case f.deleted != "" && f.deleted != "restore" && f.deleted != "purge":
		return usagef("-deleted is restore or purge")
	case f.print != "" && f.print != "az" && f.print != "bicep":
		return usagef("-print is az or bicep")
	}
	if f.auth == "" {
		f.auth = "cli"
		if id, _ := p.lookup("AZURE_CLIENT_ID"); id != "" {
			f.auth = "env"
		}
	}
	if !slices.Contains(signin.Ways, f.auth) {
		return usagef("-auth is one of %s", strings.Join(signin.Ways, ", "))
	}
	if (f.auth == "device" || f.auth == "browser") && !p.terminal {
		return usagef("-auth %s needs a terminal, and there is none; use -auth env or cli", f.auth)
	}
	return nil
}

// specGiven reports whether the flags describe the registrations.
func (f *setupFlags) specGiven() bool {
	return f.spec.Name != "" || len(f.spec.Servers)+len(f.spec.Resources)+len(f.spec.Clients) > 0 || f.spec.ManagedIdentity != "" || f.spec.AuthProxy != "" || f.spec.Secret ||
		len(f.spec.Agents) > 0 || f.spec.Sponsor != ""
}

// readSpec reads the spec from the file or the flags. saved is set if the argument is a saved
// plan.
func (f *setupFlags) readSpec() (spec setup.Spec, saved *setup.Plan, err error) {
	name := f.file
	if name == "" {
		name = f.argument
	}
	if name == "" && f.specGiven() {
		given := f.spec
		given.Tenant = "" // may be a domain
		spec, err = setup.FromFlags(given)
		return spec, nil, err
	}
	if f.specGiven() {
		return spec, nil, usagef("%s describes the registrations; leave out -name, -server, -resource, -client, -managed-identity, -auth-proxy, -secret, -agent and -sponsor", setup.Shown(name))
	}
	if name == "" {
		name = setupFile
	}
	data, err := os.ReadFile(name)
	if err != nil {
		if path, ok := errors.AsType[*fs.PathError](err); ok {
			err = path.Err // without the name
		}
		return spec, nil, fmt.Errorf("can't read the file %s: %w; write one as mcp-entra setup -h shows, or use -name and -server", setup.Shown(name), err)
	}
	if f.verb == "apply" && strings.HasPrefix(strings.TrimSpace(string(data)), "{") {
		saved, err = setup.ReadPlan(data)
		if err != nil {
			return spec, nil, fmt.Errorf("%s: %w", name, err)
		}
		return saved.Spec, saved, nil
	}
	spec, err = setup.Read(name, data)
	if f.spec.Adopt != "" && err == nil {
		err = spec.SetAdopt(f.spec.Adopt)
	}
	return spec, nil, err
}
