package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/login"
	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/mcpclient"
	"github.com/mcpentra/mcp-entra-go/internal/secret"
)

const loginHelp = `Usage: mcp-entra login [flags] [URL]

Signs you in for the MCP server at URL: its challenge says where, and for which scopes. At a server
that signs its users in itself, the program registers as a client and opens the server's page;
-tenant signs in at Entra instead. A scope of another API than the server's own, such as Microsoft
Graph, must be named with -scope. Without URL, name -tenant and -scope. Prints who signed in. The
token is printed or written only if you ask for it, and the session is not kept.

Exit codes: 0 signed in; 1 failed; 64 the command line is wrong.

Examples:
  mcp-entra login https://mcp.example.com/mcp
  mcp-entra login -device -out token.txt https://mcp.example.com/mcp
  mcp-entra login -print-token -tenant contoso.onmicrosoft.com -scope api://CLIENT_ID/access_as_user

Flags:
`

// logIn signs the user in.
func logIn(ctx context.Context, p *process, args []string) error {
	flags := flag.NewFlagSet("login", flag.ContinueOnError)
	way := addSignInFlags(flags)
	printToken := flags.Bool("print-token", false, "print the access token only")
	out := flags.String("out", "", "write the access token to this `file`, which only you can read")
	asJSON := flags.Bool("json", false, "print who signed in as JSON")
	if err := parse(p, flags, loginHelp, args); err != nil {
		return err
	}
	switch {
	case flags.NArg() > 1:
		return usagef("expected one URL, after the flags")
	case flags.NArg() == 0 && (way.tenant == "" || len(way.scopes) == 0):
		return usagef("expected the server's URL, or -tenant and -scope")
	case *printToken && *asJSON:
		return usagef("-print-token and -json exclude each other; use one of them")
	}
	session, err := way.session(p)
	if err != nil {
		return err
	}
	var file *privateFile
	if *out != "" {
		if file, err = createPrivate(*out); err != nil { // before the user signs in for nothing
			return fmt.Errorf("-out: %w", err)
		}
		defer file.discard()
	}
	token, err := way.token(ctx, p, session, flags.Arg(0))
	if err != nil {
		return err
	}
	if file != nil {
		if err := file.keep([]byte(secret.Reveal(token.Access) + "\n")); err != nil {
			return fmt.Errorf("-out: %w", err)
		}
	}
	switch {
	case *printToken:
		_, err = fmt.Fprintln(p.stdout, secret.Reveal(token.Access))
	case *asJSON:
		err = printJSON(p.stdout, token)
	default:
		printSignIn(p.stdout, token, *out)
	}
	return err
}

func printSignIn(w io.Writer, t login.Token, file string) {
	kept := "The token was not kept; -print-token prints it, and -out FILE writes it to a file."
	if file != "" {
		kept = "The token is in " + file + ". Anyone who has it can act as you until it expires."
	}
	_, _ = fmt.Fprintf(w, "user     %s\ntenant   %s\nscopes   %s\nexpires  %s\n%s\n",
		t.Username, t.Tenant, strings.Join(t.Scopes, " "), t.Expires.Local().Format(time.RFC3339), kept)
}

// signInFlags are the flags of a sign-in.
type signInFlags struct {
	authority, tenant, client string
	scopes                    []string
	device, browser           bool
}

func addSignInFlags(flags *flag.FlagSet) *signInFlags {
	f := &signInFlags{}
	flags.StringVar(&f.tenant, "tenant", "", "the tenant's `ID` or domain (default: the server's)")
	flags.StringVar(&f.client, "client", "", "the `client ID` of a public client with the redirect http://localhost (default: the Azure CLI's, which\nmcp-entra setup pre-authorizes; a new one at a server that signs its users in itself)")
	flags.Func("scope", "the `scope` in full, such as api://CLIENT_ID/access_as_user; can be repeated (default: the server's)", func(s string) error {
		f.scopes = append(f.scopes, strings.Fields(s)...)
		return nil
	})
	flags.StringVar(&f.authority, "authority", "", "the authority `host`, such as https://login.microsoftonline.us (default: AZURE_AUTHORITY_HOST, else the\nserver's, if that is Microsoft's)")
	flags.BoolVar(&f.browser, "browser", false, "sign in with a browser on this machine (default at a terminal)")
	flags.BoolVar(&f.device, "device", false, "sign in with a code, in a browser anywhere")
	return f
}

// session returns a session. The user signs in when its first token is requested.
func (f *signInFlags) session(p *process) (*login.SignIn, error) {
	switch {
	case f.browser && f.device:
		return nil, usagef("-browser and -device exclude each other; use one of them")
	case !f.browser && !f.device && !p.terminal:
		return nil, usagef("there is no terminal; say how to sign in: -browser or -device")
	}
	if f.authority == "" {
		f.authority, _ = p.lookup("AZURE_AUTHORITY_HOST")
	}
	session, err := login.New(login.Options{
		Authority: strings.TrimSpace(f.authority), Tenant: f.tenant, ClientID: f.client, Scopes: f.scopes, Device: f.device,
		Client: p.client, Prompt: p.stderr, OpenURL: p.openURL,
	})
	if err != nil {
		return nil, usagef("%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return session, nil
}

// token signs the user in for the server at the URL, or, without one, for what the flags name.
func (f *signInFlags) token(ctx context.Context, p *process, session *login.SignIn, url string) (login.Token, error) {
	var demand login.Demand
	if url != "" {
		if err := login.CheckURL(url); err != nil {
			return login.Token{}, usagef("%v", err)
		}
		var err error
		if demand, err = login.Discover(ctx, p.direct(), url); err != nil {
			return login.Token{}, err
		}
	}
	return session.Token(ctx, demand)
}

// direct returns the client for MCP servers, which follows no redirects.
func (p *process) direct() *http.Client {
	c := http.Client{}
	if p.client != nil {
		c = *p.client
	}
	c.CheckRedirect = mcpclient.NoRedirect
	return &c
}

// openBrowser opens the URL in the user's browser.
func openBrowser(url string) error {
	name, args := "xdg-open", []string{url}
	switch runtime.GOOS {
	case "windows":
		name, args = "rundll32", []string{"url.dll,FileProtocolHandler", url}
	case "darwin":
		name = "open"
	}
	if err := exec.Command(name, args...).Start(); err != nil { //nolint:gosec,noctx // one of three programs; it outlives the sign-in
		return fmt.Errorf("no browser can be opened here (%w): use -device", err)
	}
	return nil
}
