package mcpentra_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// A tool of your own says in the request's log line what it changes.
func ExampleAudit() {
	tenant := entratest.NewTenant(nil) // in production: your tenant
	defer tenant.Close()
	api := tenant.AddApp("Queue tools", "access_as_user")
	verifier, err := entraauth.NewVerifier(tenant.ID(), api.ClientID, &entraauth.Options{HTTPClient: tenant.HTTPClient(), AuthorityHost: tenant.AuthorityHost()})
	if err != nil {
		fmt.Println(err)
		return
	}
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	server, err := mcpentra.NewServer("https://mcp.example.com/mcp", verifier, mcpentra.WithLogger(logger))
	if err != nil {
		fmt.Println(err)
		return
	}

	type input struct {
		Queue string `json:"queue"`
	}
	mcp.AddTool(server.MCP(), &mcp.Tool{Name: "clear_queue"}, func(ctx context.Context, _ *mcp.CallToolRequest, in input) (*mcp.CallToolResult, any, error) {
		ended := mcpentra.Audit(ctx, "clear", in.Queue) // unknown until it has ended
		if in.Queue != "orders" {
			ended(mcpentra.ActionRefused)
			return nil, nil, errors.New("there is no such queue")
		}
		ended(mcpentra.ActionDone)
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "cleared"}}}, nil, nil
	})

	user := tenant.AddUser("alice@contoso.example", "Alice")
	token := tenant.Token(user, tenant.AddClient("client"), api)
	for _, queue := range []string{"orders", "none"} {
		body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"clear_queue","arguments":{"queue":"` + queue + `"}}}`
		r := httptest.NewRequest(http.MethodPost, "https://mcp.example.com/mcp", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
		server.ServeHTTP(httptest.NewRecorder(), r)
	}
	for line := range strings.Lines(log.String()) {
		var request struct {
			Tool, Outcome string
			Actions       []string
		}
		if err := json.Unmarshal([]byte(line), &request); err != nil {
			fmt.Println(err)
		}
		fmt.Println(request.Tool, request.Outcome, request.Actions)
	}
	// Output:
	// clear_queue ok [done clear orders]
	// clear_queue error [refused clear none]
}
