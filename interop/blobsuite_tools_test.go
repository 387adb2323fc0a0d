//go:build unix

package interop_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// A toolStep is something done with blobtool's tools. Both implementations must
// give the same answers, and what is wanted must be in them.
type toolStep struct {
	name string
	do   func(c *toolClient) (string, error)
	want []string
}

// TestBlobTools does the same with blobtool's tools on blobtest and on Azurite.
func TestBlobTools(t *testing.T) {
	t.Parallel()
	a := newBlobAccounts(deadline(t, 3*time.Minute), t)
	var clients []*toolClient
	for _, s := range []*blobService{a.blobtest(t, blobtest.Options{}), a.azurite(t)} {
		must(t, stockTools(s.place(a.ctx, t, "tools")))
		clients = append(clients, s.tools(a.ctx, t))
	}
	for _, step := range toolSteps {
		t.Run(step.name, func(t *testing.T) {
			var answers []string
			for _, c := range clients {
				answer, err := step.do(c)
				must(t, err)
				answers = append(answers, answer)
			}
			if blobtest, azurite := difference(answers[0], answers[1]); blobtest != azurite {
				t.Errorf("blobtest: …%s…\nAzurite:  …%s…", blobtest, azurite)
			}
			for _, want := range step.want {
				if !strings.Contains(answers[0], want) {
					t.Errorf("%s is not in %.2000s", want, answers[0])
				}
			}
		})
	}
}

// difference returns the parts of two texts around where they begin to differ.
func difference(a, b string) (partA, partB string) {
	at := 0
	for at < min(len(a), len(b)) && a[at] == b[at] {
		at++
	}
	from := max(at-100, 0)
	return a[from:min(at+200, len(a))], b[from:min(at+200, len(b))]
}

// toolClient is an MCP client of blobtool's tools for one account.
type toolClient struct {
	ctx context.Context
	*mcp.ClientSession
}

func (s *blobService) tools(ctx context.Context, t testing.TB) *toolClient {
	t.Helper()
	set, err := blobtool.NewAccount(s.url, func(context.Context) (azcore.TokenCredential, error) { return s.user, nil },
		&blobtool.Options{HTTPClient: s.http})
	must(t, err)
	return toolsOf(ctx, t, set)
}

// toolsOf connects a client to a server with that set alone.
func toolsOf(ctx context.Context, t testing.TB, set *blobtool.Set) *toolClient {
	t.Helper()
	client, stop, err := connectTools(ctx, set)
	must(t, err)
	t.Cleanup(stop)
	return client
}

// connectTools is toolsOf for what has no test; stop ends both.
func connectTools(ctx context.Context, set *blobtool.Set) (client *toolClient, stop func(), err error) {
	options := &mcp.ServerOptions{}
	set.Configure(options)
	server := mcp.NewServer(&mcp.Implementation{Name: "tools", Version: "1"}, options)
	server.AddReceivingMiddleware(asUser)
	set.Register(server)
	near, far := mcp.NewInMemoryTransports()
	serving, err := server.Connect(ctx, far, nil)
	if err != nil {
		return nil, nil, err
	}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "interop", Version: "1"}, nil).Connect(ctx, near, nil)
	if err != nil {
		return nil, nil, err
	}
	return &toolClient{ctx, session}, func() {
		_ = session.Close()
		_ = serving.Wait()
	}, nil
}

// asUser says whose calls these are, as a verified token does over HTTP.
func asUser(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		if call, ok := req.(*mcp.CallToolRequest); ok {
			call.Extra = &mcp.RequestExtra{TokenInfo: &auth.TokenInfo{UserID: "alice"}}
		}
		return next(ctx, method, req)
	}
}

// call calls a tool and returns its structured result, or its error as a string.
func (c *toolClient) call(tool string, arguments map[string]any) (any, error) {
	result, err := c.CallTool(c.ctx, &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", tool, err)
	}
	if result.IsError {
		return result.Content[0].(*mcp.TextContent).Text, nil //nolint:forcetypeassert // so are all errors
	}
	return result.StructuredContent, nil
}

// with adds the container to arguments.
func with(arguments map[string]any) map[string]any {
	if arguments["container"] == nil {
		arguments["container"] = "tools"
	}
	return arguments
}

// call is a step of one call.
func call(tool string, arguments map[string]any) func(c *toolClient) (string, error) {
	return func(c *toolClient) (string, error) {
		answer, err := c.call(tool, arguments)
		return neutral(answer), err
	}
}

// pages is a step of calls that go on from cursor to cursor.
func pages(tool string, arguments map[string]any) func(c *toolClient) (string, error) {
	return func(c *toolClient) (string, error) {
		var all strings.Builder
		arguments := clone(arguments)
		for {
			answer, err := c.call(tool, arguments)
			if err != nil {
				return "", err
			}
			all.WriteString(neutral(answer) + "\n")
			object, _ := answer.(map[string]any)
			if object["next_cursor"] == nil {
				return all.String(), nil
			}
			arguments["cursor"] = object["next_cursor"]
		}
	}
}

// readPages reads a blob in pages of that many characters, on one ETag, and
// returns the text.
func readPages(blob string, maxChars int) func(c *toolClient) (string, error) {
	return func(c *toolClient) (string, error) {
		arguments := with(map[string]any{"blob_path": blob, "max_chars": maxChars})
		var all strings.Builder
		for {
			answer, err := c.call("read_blob", arguments)
			if err != nil {
				return "", err
			}
			object, ok := answer.(map[string]any)
			if !ok {
				return "", fmt.Errorf("read_blob: %v", answer)
			}
			all.WriteString(object["text"].(string)) //nolint:forcetypeassert // always there
			if object["next_offset"] == nil {
				return all.String(), nil
			}
			arguments["offset"], arguments["etag"], arguments["encoding"] = object["next_offset"], object["etag"], object["encoding"]
		}
	}
}

// readResource is a step that reads a resource.
func readResource(uri string) func(c *toolClient) (string, error) {
	return func(c *toolClient) (string, error) {
		result, err := c.ReadResource(c.ctx, &mcp.ReadResourceParams{URI: uri})
		if err != nil {
			return ids.ReplaceAllString(err.Error(), "*"), nil
		}
		return neutral(result.Contents), nil
	}
}

// listResources is a step that lists all resources, page by page.
func listResources(c *toolClient) (string, error) {
	var all strings.Builder
	for cursor := ""; ; {
		page, err := c.ListResources(c.ctx, &mcp.ListResourcesParams{Cursor: cursor})
		if err != nil {
			return "", err
		}
		for _, r := range page.Resources {
			all.WriteString(neutral(r) + "\n")
		}
		if cursor = page.NextCursor; cursor == "" {
			return all.String(), nil
		}
	}
}

// complete is a step that completes an argument of the template of resources.
func complete(argument, begun string, known map[string]string) func(c *toolClient) (string, error) {
	return func(c *toolClient) (string, error) {
		templates, err := c.ListResourceTemplates(c.ctx, nil)
		if err != nil {
			return "", err
		}
		result, err := c.Complete(c.ctx, &mcp.CompleteParams{
			Ref:      &mcp.CompleteReference{Type: "ref/resource", URI: templates.ResourceTemplates[0].URITemplate},
			Argument: mcp.CompleteParamsArgument{Name: argument, Value: begun},
			Context:  &mcp.CompleteContext{Arguments: known},
		})
		if err != nil {
			return "", err
		}
		return neutral(result.Completion), nil
	}
}

func clone(arguments map[string]any) map[string]any {
	out := map[string]any{}
	maps.Copy(out, arguments)
	return out
}

// changing are the fields that differ between any two services, or runs: how much
// a search has read when it stops depends on the pieces that have arrived.
var changing = []string{"etag", "modified", "last_modified", "lastModified", "created", "next_cursor", "snapshot", "bytes"}

// ids are the ids of requests and ETags, in texts.
var ids = regexp.MustCompile(`0x[0-9A-F]{12,}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// neutral returns an answer as JSON, without what differs by nature.
func neutral(answer any) string {
	text, err := json.Marshal(answer)
	if err != nil {
		return err.Error()
	}
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return err.Error()
	}
	blank(value)
	var out strings.Builder
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return err.Error()
	}
	return ids.ReplaceAllString(strings.TrimSpace(out.String()), "*")
}

func blank(value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			if slices.Contains(changing, key) && inner != "" {
				v[key] = "*"
			}
			blank(inner)
		}
	case []any:
		for _, inner := range v {
			blank(inner)
		}
	}
}
