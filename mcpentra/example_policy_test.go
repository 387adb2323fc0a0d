package mcpentra_test

import (
	"context"
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

// Policies add up. A caller who lacks a scope is answered with the challenge for
// it, and one who lacks a role is not shown the tool.
func ExampleWithToolPolicy() {
	tenant := entratest.NewTenant(nil) // in production: your tenant, and none of the options below
	defer tenant.Close()
	api := tenant.AddApp("Office", "access_as_user", "Mail.Read")
	quiet := slog.New(slog.DiscardHandler)
	verifier, err := entraauth.NewVerifier(tenant.ID(), api.ClientID, &entraauth.Options{
		AuthorityHost: tenant.AuthorityHost(), HTTPClient: tenant.HTTPClient(), Logger: quiet,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = verifier.Close() }()
	handle := func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		return nil, nil, nil
	}
	srv, err := mcpentra.NewServer("https://office.contoso.example/mcp", verifier, mcpentra.WithLogger(quiet),
		mcpentra.WithTools(
			mcpentra.Tool(&mcp.Tool{Name: "mail_search"}, handle),
			mcpentra.Tool(&mcp.Tool{Name: "payroll"}, handle),
		),
		mcpentra.WithToolPolicy("mail_*", entraauth.Policy{Scopes: []string{"Mail.Read"}}),
		mcpentra.WithToolPolicy("payroll", entraauth.Policy{UserRoles: []string{"Payroll"}, AuthContext: "c1"}),
	)
	if err != nil {
		fmt.Println(err)
		return
	}

	token := tenant.Token(tenant.AddUser("alice@contoso.example", "Alice"), tenant.AddClient("Chat"), api, "access_as_user")
	post := func(body string) *httptest.ResponseRecorder {
		req := httptest.NewRequest(http.MethodPost, "https://office.contoso.example/mcp", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json, text/event-stream")
		req.Header.Set("Authorization", "Bearer "+token)
		rec := httptest.NewRecorder()
		srv.ServeHTTP(rec, req)
		return rec
	}
	list := post(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`).Body.String()
	fmt.Println("mail_search is shown:", strings.Contains(list, "mail_search"))
	fmt.Println("payroll is shown:", strings.Contains(list, "payroll"))
	refused := post(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"mail_search"}}`)
	_, scope, _ := strings.Cut(refused.Header().Get("WWW-Authenticate"), "scope=")
	scope, _, _ = strings.Cut(scope, ", ")
	fmt.Println(refused.Code, strings.ReplaceAll(scope, api.ClientID, "{api}"))
	// Output:
	// mail_search is shown: true
	// payroll is shown: false
	// 403 "api://{api}/access_as_user api://{api}/Mail.Read"
}
