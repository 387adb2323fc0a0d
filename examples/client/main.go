// Command client lists the tools of an MCP server and calls one, with a bearer
// token that the user has from elsewhere:
//
//	export MCP_TOKEN=…
//	client http://localhost:8000/mcp
//	client -call read_blob_with_token -args '{"blob_path": "readme.txt"}' http://localhost:8000/mcp
//
// For Microsoft Entra ID, a token comes from
//
//	az account get-access-token --scope api://{API_APP_ID}/access_as_user --query accessToken -o tsv
//
// where the Azure CLI (04b07795-8ddb-461a-bbee-02f9e1bf7b46) is an authorized
// client application of the API.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr))
}

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// options are the command-line options.
type options struct {
	url       string
	token     string
	call      string
	arguments map[string]any
}

// run is the whole program, with its process's resources as parameters.
func run(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, getenv, stdin, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		_, _ = fmt.Fprintln(stderr, "client:", err)
		return exitUsage
	}
	if err := o.do(ctx, stdout); err != nil {
		_, _ = fmt.Fprintln(stderr, "client:", err)
		return exitFailed
	}
	return exitOK
}

func parseOptions(args []string, getenv func(string) string, stdin io.Reader, stderr io.Writer) (*options, error) {
	flags := flag.NewFlagSet("client", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		_, _ = fmt.Fprintln(stderr, "usage: client [flags] URL")
		flags.PrintDefaults()
	}
	token := flags.String("token", "", "bearer token; - reads it from standard input; defaults to the environment variable MCP_TOKEN,\nwhich other users of the machine can't see")
	list := flags.Bool("list", false, "list the tools (the default)")
	call := flags.String("call", "", "name of the tool to call")
	arguments := flags.String("args", "{}", "with -call: the tool's arguments, a JSON object")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	o := &options{url: flags.Arg(0), call: *call}
	switch {
	case flags.NArg() != 1:
		return nil, errors.New("give one URL, such as http://localhost:8000/mcp, after the flags")
	case *list && *call != "":
		return nil, errors.New("-list and -call exclude each other")
	}
	if err := checkURL(o.url); err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(*arguments), &o.arguments); err != nil || o.arguments == nil {
		return nil, errors.New(`-args must be a JSON object, such as '{"blob_path": "readme.txt"}'`)
	}
	var err error
	o.token, err = readToken(*token, getenv, stdin)
	return o, err
}

// checkURL rejects URLs over which others could read the token.
func checkURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return fmt.Errorf("%q is not a URL such as http://localhost:8000/mcp", s)
	case u.Scheme == "http" && u.Hostname() != "localhost" && !net.ParseIP(u.Hostname()).IsLoopback():
		return fmt.Errorf("%q must begin with https://: a token may go over http:// to this machine alone", s)
	}
	return nil
}

// maxToken limits the token on standard input, in bytes.
const maxToken = 64 << 10

// readToken returns the token from the flag, standard input, or the environment. It may be empty:
// the server's error then says what it needs.
func readToken(flagValue string, getenv func(string) string, stdin io.Reader) (string, error) {
	token := flagValue
	switch flagValue {
	case "":
		token = getenv("MCP_TOKEN")
	case "-":
		data, err := io.ReadAll(io.LimitReader(stdin, maxToken+1))
		if err != nil {
			return "", fmt.Errorf("reading the token from standard input: %w", err)
		}
		if len(data) > maxToken {
			return "", fmt.Errorf("the token on standard input has more than %d bytes", maxToken)
		}
		token = string(data)
	}
	token = strings.TrimSpace(token)
	if strings.ContainsAny(token, " \t\r\n") {
		return "", errors.New("the token has white space in it; give it without \"Bearer\"")
	}
	return token, nil
}

// do connects and runs the command.
func (o *options) do(ctx context.Context, stdout io.Writer) error {
	watch := &watcher{token: o.token, next: http.DefaultTransport}
	client := mcp.NewClient(&mcp.Implementation{Name: "mcp-entra-go-client", Version: "0.1.0"}, nil)
	session, err := client.Connect(ctx, &mcp.StreamableClientTransport{
		Endpoint:             o.url,
		HTTPClient:           &http.Client{Transport: watch, CheckRedirect: noRedirect},
		DisableStandaloneSSE: true,
	}, nil)
	if err != nil {
		return watch.explain(err)
	}
	defer func() { _ = session.Close() }()
	if o.call == "" {
		err = list(ctx, session, stdout)
	} else {
		err = call(ctx, session, o.call, o.arguments, stdout)
	}
	return watch.explain(err)
}

// noRedirect keeps the token from reaching another host.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
