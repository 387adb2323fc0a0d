// Package mcpclient lists and calls the tools of an MCP server, with a token or as a user who
// signs in when the server asks for it.
package mcpclient

import (
	"context"
	"encoding/json"
	"io"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A Client calls one server.
type Client struct {
	URL    string
	Token  string       // sent from the beginning; may be empty
	SignIn SignIn       // gets a token when the server asks for one; nil if there is none but Token
	HTTP   *http.Client // nil means http.DefaultClient
	JSON   bool         // print results as they came, not for people
}

// List prints the server's tools.
func (c *Client) List(ctx context.Context, w io.Writer) error {
	return c.do(ctx, func(session *mcp.ClientSession) error { return c.list(ctx, session, w) })
}

// Call calls a tool and prints its result.
func (c *Client) Call(ctx context.Context, tool string, arguments map[string]any, w io.Writer) error {
	return c.do(ctx, func(session *mcp.ClientSession) error { return c.call(ctx, session, tool, arguments, w) })
}

// do runs use with a session. Its errors are those of the server, as the server wrote them.
func (c *Client) do(ctx context.Context, use func(*mcp.ClientSession) error) error {
	base := http.DefaultTransport
	if c.HTTP != nil && c.HTTP.Transport != nil {
		base = c.HTTP.Transport
	}
	t := &transport{next: base, signIn: c.SignIn, token: c.Token}
	client := mcp.NewClient(&mcp.Implementation{Name: "mcp-entra", Version: "0.1.0"}, nil)
	session, err := client.Connect(ctx, &mcp.StreamableClientTransport{
		Endpoint:             c.URL,
		HTTPClient:           &http.Client{Transport: t, CheckRedirect: NoRedirect},
		DisableStandaloneSSE: true,
	}, nil)
	if err != nil {
		return t.explain(err)
	}
	defer func() { _ = session.Close() }()
	return t.explain(use(session))
}

// NoRedirect keeps the token from reaching another host.
func NoRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // for people to read
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
