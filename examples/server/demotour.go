package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

// tourTimeout ends a tour that hangs.
const tourTimeout = time.Minute

// A tour calls the demo's server as its users would, with an MCP client.
type tour struct {
	*page
	world      *world
	url        string
	alice, bob *mcp.ClientSession
	proxy      bool // clients sign in through the server
}

// takeTour demonstrates each promise of the server, and reports whether all steps passed.
func takeTour(ctx context.Context, p *page, w *world, url string, proxy bool) bool {
	ctx, cancel := context.WithTimeout(ctx, tourTimeout)
	defer cancel()
	t := &tour{page: p, world: w, url: url, proxy: proxy}
	var err error
	if t.alice, err = connect(ctx, url, w.clientOf(w.alice), nil); err == nil {
		defer func() { _ = t.alice.Close() }()
		t.bob, err = connect(ctx, url, w.clientOf(w.bob), nil)
	}
	if err != nil && ctx.Err() == nil {
		p.line("FAIL: no client could connect: " + err.Error())
		return false
	}
	if err == nil {
		defer func() { _ = t.bob.Close() }()
		t.takeSteps(ctx)
	}
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		p.line("Stopped during the tour.")
		return false
	case ctx.Err() != nil:
		p.line("FAIL: the tour was not over within " + tourTimeout.String() + ".")
		return false
	case p.failed > 0:
		p.line(fmt.Sprintf("FAIL: %d of %d steps failed.", p.failed, p.steps))
		return false
	}
	p.line(fmt.Sprintf("All %d steps passed.", p.steps))
	return true
}

// takeSteps takes the steps of the tour until the context ends.
func (t *tour) takeSteps(ctx context.Context) {
	step := func(title string, take func(*notes) error) {
		if ctx.Err() == nil {
			t.step(title, take)
		}
	}
	step("Alice lists the tools", func(n *notes) error { return t.listTools(ctx, n) })
	step("Alice calls secure_ping", func(n *notes) error { return t.ping(ctx, n) })
	step("Alice calls get_user_info", func(n *notes) error { return t.userInfo(ctx, n) })
	step("Alice calls get_azure_blob_storage_token, for which her token lacks a scope", func(n *notes) error { return t.stepUp(ctx, n) })
	step("Alice's client signs in for that scope, and calls again", func(n *notes) error { return t.storageToken(ctx, n) })
	step("Alice reads "+welcomeBlob, func(n *notes) error {
		return t.read(ctx, n, map[string]any{"blob_path": welcomeBlob}, blobWant{size: len(welcomeText), text: welcomeText})
	})
	step("Alice reads a Shift_JIS document with a broken byte", func(n *notes) error {
		return t.read(ctx, n, map[string]any{"blob_path": legacyBlob, "encoding": "shift_jis"},
			blobWant{size: len(legacyText), text: "お知らせ: 会議は金曜日です。\uFFFD\n"})
	})
	step("Alice reads the first 130 characters of a megabyte", func(n *notes) error {
		return t.read(ctx, n, map[string]any{"blob_path": longBlob, "max_chars": 130}, blobWant{size: longSize, truncated: true})
	})
	step("Bob reads "+readmeBlob+", as he may", func(n *notes) error { return t.bobReads(ctx, n) })
	step("Bob is refused "+reportBlob+", which is Alice's", func(n *notes) error { return t.bobIsRefused(ctx, n) })
	step("Carol has not consented yet: she is asked during her call", func(n *notes) error { return t.consent(ctx, n) })
	step("A call without token is refused", func(n *notes) error { return t.withoutToken(ctx, n) })
	if !t.proxy {
		return
	}
	c := newProxyClient(t)
	step("A client that nobody knows registers itself", func(n *notes) error { return c.register(ctx, n) })
	step("Alice approves it, and signs in at Entra", func(n *notes) error { return c.signIn(ctx, n) })
	step("It calls secure_ping", func(n *notes) error { return c.call(ctx, n) })
	step("It refreshes its token, and calls again", func(n *notes) error { return c.refresh(ctx, n) })
}

// connect opens an MCP session with a user's client. The options may be nil.
func connect(ctx context.Context, url string, user *http.Client, o *mcp.ClientOptions) (*mcp.ClientSession, error) {
	client := mcp.NewClient(&mcp.Implementation{Name: "mcp-entra-go-demo", Version: "1"}, o)
	return client.Connect(ctx, &mcp.StreamableClientTransport{
		Endpoint:             url,
		HTTPClient:           user,
		DisableStandaloneSSE: true,
	}, nil)
}

// documentedTools are the tools in listing order.
var documentedTools = []string{"get_azure_blob_storage_token", "get_user_info", "read_blob_with_token", "secure_ping"}

func (t *tour) listTools(ctx context.Context, n *notes) error {
	listed, err := t.alice.ListTools(ctx, nil)
	if err != nil {
		return err
	}
	var names []string
	for _, tool := range listed.Tools {
		names = append(names, tool.Name)
	}
	n.add("tools", strings.Join(names, "\n"))
	if !slices.Equal(names, documentedTools) {
		return fmt.Errorf("expected %s", strings.Join(documentedTools, ", "))
	}
	return nil
}

func (t *tour) ping(ctx context.Context, n *notes) error {
	var out struct {
		OK                              bool
		Message, Server, Authentication string
	}
	if err := call(ctx, t.alice, "secure_ping", nil, &out); err != nil {
		return err
	}
	n.add("message", out.Message)
	n.add("server", out.Server)
	n.add("authentication", out.Authentication)
	return expect("message", out.Message, "Authenticated ping successful")
}

func (t *tour) userInfo(ctx context.Context, n *notes) error {
	var out struct {
		Issuer     string
		Audience   string
		Claims     map[string]any `json:"user_claims"`
		Validation []struct {
			Rule   string
			Result entraauth.Result
		}
	}
	if err := call(ctx, t.alice, "get_user_info", nil, &out); err != nil {
		return err
	}
	n.add("issuer", out.Issuer)
	n.add("audience", out.Audience)
	for _, claim := range []string{"oid", "upn", "appid", "scp"} {
		n.add(claim, out.Claims[claim])
	}
	var passed []string
	for _, check := range out.Validation {
		if check.Result != entraauth.ResultPassed {
			return fmt.Errorf("rule %q failed", check.Rule)
		}
		passed = append(passed, check.Rule)
	}
	n.add("rules passed", fold(passed, 70))
	return errors.Join(
		expect("oid", out.Claims["oid"], t.world.alice.ObjectID),
		expect("upn", out.Claims["upn"], t.world.alice.UserPrincipalName),
		expect("tid", out.Claims["tid"], t.world.tenant.ID()),
	)
}

func (t *tour) storageToken(ctx context.Context, n *notes) error {
	var out struct {
		Resource string
		Token    string         `json:"access_token"`
		Claims   map[string]any `json:"token_decoded"`
		DemoNote string         `json:"demo_note"`
	}
	stronger, err := connect(ctx, t.url, t.world.clientOf(t.world.alice, "access_as_user", tokenScope), nil)
	if err != nil {
		return err
	}
	defer func() { _ = stronger.Close() }()
	if err := call(ctx, stronger, "get_azure_blob_storage_token", nil, &out); err != nil {
		return err
	}
	n.add("resource", out.Resource)
	n.add("access_token", beginning(out.Token)+"  (the tool returns all of it)")
	for _, claim := range []string{"aud", "iss", "upn", "scp"} {
		n.add(claim, out.Claims[claim])
	}
	return errors.Join(
		expect("aud", out.Claims["aud"], t.world.tenant.Storage().AppIDURI()),
		expect("oid", out.Claims["oid"], t.world.alice.ObjectID),
		expect("appid", out.Claims["appid"], t.world.api.ClientID),
	)
}

// beginning returns the first characters of a token.
func beginning(token string) string {
	const most = 12
	if len(token) <= most {
		return token
	}
	return token[:most] + "…"
}

// blobWant is the expected result of reading a blob.
type blobWant struct {
	size      int
	text      string // "" for any
	truncated bool
}

type blobOutput struct {
	Bytes     int
	Text      string
	Truncated bool
	LocalPath string `json:"local_path"`
}

func (t *tour) read(ctx context.Context, n *notes, arguments map[string]any, want blobWant) error {
	var out blobOutput
	if err := call(ctx, t.alice, "read_blob_with_token", arguments, &out); err != nil {
		return err
	}
	n.add("bytes", out.Bytes)
	n.add("text", out.Text)
	n.add("truncated", out.Truncated)
	n.add("local_path", t.shortPath(out.LocalPath))
	errs := []error{expect("bytes", out.Bytes, want.size), expect("truncated", out.Truncated, want.truncated)}
	if want.text != "" {
		errs = append(errs, expect("text", out.Text, want.text))
	}
	if out.LocalPath == "" {
		errs = append(errs, errors.New("the blob was not saved"))
	}
	return errors.Join(errs...)
}

// shortPath shortens a path by removing the temporary folder and the user's folder.
func (t *tour) shortPath(path string) string {
	relative, err := filepath.Rel(t.world.downloads, path)
	if err != nil {
		return path
	}
	user := t.world.tenant.ID() + "." + t.world.alice.ObjectID
	return strings.Replace(filepath.ToSlash(relative), user, "<downloads>/<tenant>.<Alice's object ID>", 1)
}

func (t *tour) bobReads(ctx context.Context, n *notes) error {
	var out blobOutput
	if err := call(ctx, t.bob, "read_blob_with_token", map[string]any{"blob_path": readmeBlob}, &out); err != nil {
		return err
	}
	n.add("text", out.Text)
	if !utf8.ValidString(out.Text) || out.Text == "" {
		return errors.New("there is no text")
	}
	return nil
}

// A toolError is a tool's error result.
type toolError string

func (e toolError) Error() string { return "the tool answered: " + string(e) }

// call calls a tool and decodes its structured result.
func call(ctx context.Context, session *mcp.ClientSession, tool string, arguments map[string]any, out any) error {
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		return err
	}
	if result.IsError {
		return toolError(resultText(result))
	}
	data, err := json.Marshal(result.StructuredContent)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, out)
}

// resultText returns the text of a result.
func resultText(result *mcp.CallToolResult) string {
	var texts []string
	for _, content := range result.Content {
		if text, ok := content.(*mcp.TextContent); ok {
			texts = append(texts, text.Text)
		}
	}
	return strings.Join(texts, "\n")
}

func expect(what string, got, want any) error {
	if got != want {
		return fmt.Errorf("%s is %v, want %v", what, got, want)
	}
	return nil
}
