package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/login"
	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/mcpclient"
	"github.com/mcpentra/mcp-entra-go/internal/secret"
)

const callHelp = `Usage: mcp-entra call [flags] URL [TOOL [ARGUMENTS]]

Lists the tools of the MCP server at URL, or calls one. ARGUMENTS is a JSON object.

The token comes from -token, or else from the variable MCP_TOKEN, which other users of the machine
can't see. Without a token, you sign in when the server asks for it, as with mcp-entra login, and
again if a tool needs more scopes.

Exit codes: 0 done; 1 refused or failed, with the server's answer; 64 the command line is wrong.

Examples:
  mcp-entra call https://mcp.example.com/mcp
  mcp-entra call https://mcp.example.com/mcp read_blob_with_token '{"blob_path": "readme.txt"}'
  MCP_TOKEN=$(mcp-entra login -print-token https://mcp.example.com/mcp)
  mcp-entra call -token token.txt http://localhost:8000/mcp secure_ping

Flags:
`

// callTools lists or calls the tools of a server.
func callTools(ctx context.Context, p *process, args []string) error {
	flags := flag.NewFlagSet("call", flag.ContinueOnError)
	way := addSignInFlags(flags)
	tokenFile := flags.String("token", "", "read the access token from this `file`; - is standard input")
	asJSON := flags.Bool("json", false, "print the tools or the whole result as JSON")
	if err := parse(p, flags, callHelp, args); err != nil {
		return err
	}
	url, tool := flags.Arg(0), flags.Arg(1)
	if url == "" || flags.NArg() > 3 || strings.HasPrefix(tool, "-") {
		return usagef("expected one URL, such as http://localhost:8000/mcp, then a tool and its arguments, all after the flags")
	}
	if err := login.CheckURL(url); err != nil {
		return usagef("%v", err)
	}
	arguments, err := parseArguments(flags.Arg(2))
	if err != nil {
		return err
	}
	c := &mcpclient.Client{URL: url, HTTP: p.client, JSON: *asJSON}
	if c.Token, err = readToken(p, *tokenFile); err != nil {
		return err
	}
	if c.Token == "" && (p.terminal || way.browser || way.device) {
		if c.SignIn, err = way.signIn(p, url); err != nil {
			return err
		}
	}
	if tool == "" {
		return c.List(ctx, p.stdout)
	}
	return c.Call(ctx, tool, arguments, p.stdout)
}

func parseArguments(text string) (map[string]any, error) {
	if text == "" {
		return map[string]any{}, nil
	}
	var arguments map[string]any
	if err := json.Unmarshal([]byte(text), &arguments); err != nil || arguments == nil {
		return nil, usagef(`the arguments must be a JSON object, such as '{"blob_path": "readme.txt"}'`)
	}
	return arguments, nil
}

// signIn returns how the user signs in when the server refuses a request.
func (f *signInFlags) signIn(p *process, url string) (mcpclient.SignIn, error) {
	session, err := f.session(p)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, challenge http.Header) (string, error) {
		demand, err := login.FromChallenge(ctx, p.direct(), url, challenge)
		if err != nil {
			return "", err
		}
		token, err := session.Token(ctx, demand)
		return secret.Reveal(token.Access), err
	}, nil
}

// maxToken limits the token that is read, in bytes.
const maxToken = 64 << 10

// readToken returns the token of the file, of standard input for "-", or of the environment. It
// may be empty: the server's refusal then says what it needs.
func readToken(p *process, file string) (string, error) {
	token, _ := p.lookup("MCP_TOKEN")
	if file != "" {
		in := p.stdin
		if file != "-" {
			f, err := os.Open(file)
			if err != nil { // the name may be the token itself: don't show it
				return "", usagef("-token names a file with the token, or - for standard input, and the file can't be read")
			}
			defer func() { _ = f.Close() }()
			in = f
		}
		data, err := io.ReadAll(io.LimitReader(in, maxToken+1))
		if err != nil {
			return "", fmt.Errorf("the token can't be read: %w", errors.Unwrap(err))
		}
		if len(data) > maxToken {
			return "", usagef("the token has more than %d bytes", maxToken)
		}
		if token = string(data); strings.TrimSpace(token) == "" {
			return "", usagef("there is no token in what -token names")
		}
	}
	token = strings.TrimSpace(token)
	if strings.ContainsAny(token, " \t\r\n") {
		return "", usagef("the token has white space in it; pass it without \"Bearer\"")
	}
	return token, nil
}
