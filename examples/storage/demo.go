package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// A tour is a user who calls tools.
type tour struct {
	user  *entratest.User
	calls func(context.Context, *visit) error
}

// offline shows the tools to two users: Alice has a role on the whole account, Bob may only read,
// in the container named public.
func offline(ctx context.Context, write bool, _ func(string) string, stdout, _ io.Writer) error {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	api, client := tenant.AddApp("My API", "access_as_user"), tenant.AddClient("My client")
	tenant.Consent(client, api, "access_as_user")
	tenant.Consent(api, tenant.Storage(), "user_impersonation")
	alice, bob := tenant.AddUser("alice@contoso.example", "Alice"), tenant.AddUser("bob@contoso.example", "Bob")

	storage := blobtest.NewServer(&blobtest.Options{Key: tenant.PublicKey, Issuer: tenant.V1Issuer(), Versioning: write})
	defer storage.Close()
	fill(storage)
	storage.GrantOwner(alice.ObjectID, "", "")
	storage.Grant(bob.ObjectID, "public", "")

	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	endpoint := "http://" + listener.Addr().String() + "/mcp"
	s := settings{
		tenantID: tenant.ID(), apiAppID: api.ClientID, authorityHost: tenant.AuthorityHost(),
		proof: clientauth.Secret(api.AddSecret()), authority: tenant.HTTPClient(),
		accountURL: storage.URL(), storage: storage.HTTPClient(),
		log: slog.New(slog.DiscardHandler),
	}
	tours := []tour{{alice, readAll}, {bob, readSome}}
	if write {
		s.write = &blobtool.WriteOptions{Allow: []string{"finance/reports/", "public"}}
		tours = []tour{{alice, writeAll}, {bob, writeNothing}}
	}
	handler, closeAll, err := assemble(s, endpoint)
	if err != nil {
		return err
	}
	defer closeAll()
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }() // until Close
	defer func() { _ = server.Close() }()

	for _, t := range tours {
		if err := t.run(ctx, endpoint, tenant.UserClient(t.user, client, api), stdout); err != nil {
			return err
		}
	}
	return nil
}

// fill uploads blobs to the account.
func fill(storage *blobtest.Server) {
	storage.Put("public", "welcome.md", []byte("# Welcome\n"), "text/markdown")
	storage.Put("finance", "2026/q2.csv", []byte("item,amount\npaper,10\ntotal,10\n"), "text/csv")
	storage.Put("finance", "2026/q3.csv", []byte("item,amount\npens,7\npaper,12\ntotal,19\n"), "text/csv")
	storage.Put("finance", "plan.md", []byte("Nothing is settled.\n"), "text/markdown")
	storage.Update("finance", "2026/q3.csv", func(p *blobtest.Properties) { p.Tags = map[string]string{"state": "draft"} })
}

// readAll finds and reads what is in the account.
func readAll(ctx context.Context, v *visit) error {
	return v.all(ctx,
		mcp.CallToolParams{Name: "list_containers", Arguments: args{}},
		mcp.CallToolParams{Name: "list_blobs", Arguments: args{"container": "finance", "folders": true}},
		mcp.CallToolParams{Name: "search_blobs", Arguments: args{"container": "finance", "name": "**/*.csv", "text": "total"}},
		mcp.CallToolParams{Name: "search_blobs", Arguments: args{"container": "finance", "tags": []args{{"key": "state", "value": "draft"}}}},
		mcp.CallToolParams{Name: "read_blob", Arguments: args{"container": "finance", "blob_path": "2026/q3.csv", "lines": "2-"}},
	)
}

// readSome reads what the user may and may not.
func readSome(ctx context.Context, v *visit) error {
	return v.all(ctx,
		mcp.CallToolParams{Name: "list_blobs", Arguments: args{"container": "public"}},
		mcp.CallToolParams{Name: "read_blob", Arguments: args{"container": "finance", "blob_path": "2026/q3.csv"}},
	)
}

// run calls the tools as the user.
func (t tour) run(ctx context.Context, endpoint string, client *http.Client, stdout io.Writer) error {
	v := &visit{stdout: stdout, agrees: true}
	session, err := connect(ctx, endpoint, client, &mcp.ClientOptions{ElicitationHandler: v.ask})
	if err != nil {
		return err
	}
	defer func() { _ = session.Close() }()
	v.session = session
	_, _ = fmt.Fprintf(stdout, "As %s\n\n", t.user.DisplayName)
	return t.calls(ctx, v)
}

// connect opens a session with a user's client.
func connect(ctx context.Context, endpoint string, client *http.Client, options *mcp.ClientOptions) (*mcp.ClientSession, error) {
	return mcp.NewClient(&mcp.Implementation{Name: "demo", Version: "1"}, options).Connect(ctx,
		&mcp.StreamableClientTransport{Endpoint: endpoint, HTTPClient: client, DisableStandaloneSSE: true}, nil)
}

// A visit is a session, and where its calls and their results are printed.
type visit struct {
	session *mcp.ClientSession
	stdout  io.Writer
	agrees  bool // what the user says when asked
}

type args = map[string]any

// all makes the calls.
func (v *visit) all(ctx context.Context, calls ...mcp.CallToolParams) error {
	for _, c := range calls {
		if _, err := v.call(ctx, c.Name, c.Arguments.(args)); err != nil {
			return err
		}
	}
	return nil
}

// call makes one call, and returns its result.
func (v *visit) call(ctx context.Context, tool string, arguments args) (map[string]any, error) {
	shown, err := json.Marshal(arguments)
	if err != nil {
		return nil, err
	}
	_, _ = fmt.Fprintf(v.stdout, "%s %s\n", tool, shown)
	res, err := v.session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		return nil, err
	}
	if text, ok := res.Content[0].(*mcp.TextContent); ok {
		_, _ = fmt.Fprintf(v.stdout, "    %s\n\n", text.Text)
	}
	result, _ := res.StructuredContent.(map[string]any)
	return result, nil
}
