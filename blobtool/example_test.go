package blobtool_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

// The tools on an MCP server, against a tenant and a storage account in a box. In
// production the credential is mcpentra.Credential, and Options.HTTPClient is left
// out.
func ExampleSet_Register() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	alice, client := tenant.AddUser("alice@contoso.com", "Alice"), tenant.AddClient("client")

	storage := blobtest.NewServer(&blobtest.Options{Key: tenant.PublicKey, Issuer: tenant.V1Issuer()})
	defer storage.Close()
	storage.Put("docs", "hello.txt", []byte("Hello, world, from Azure Blob Storage"), "text/plain")
	storage.Grant(alice.ObjectID, "docs", "")

	credential := func(context.Context) (azcore.TokenCredential, error) {
		return tokenFunc(func(policy.TokenRequestOptions) (string, error) {
			return tenant.Token(alice, client, tenant.Storage(), "user_impersonation"), nil
		}), nil
	}
	blobs, err := blobtool.New(storage.URL(), "docs", credential, &blobtool.Options{HTTPClient: storage.HTTPClient()})
	if err != nil {
		log.Fatal(err)
	}
	server := mcp.NewServer(&mcp.Implementation{Name: "example", Version: "1.0.0"}, nil)
	blobs.Register(server)

	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true})
	front := httptest.NewServer(auth.RequireBearerToken(acceptAll, nil)(handler))
	defer front.Close()

	for _, path := range []string{"hello.txt", "../secrets.txt"} {
		fmt.Println(callTool(front.URL, path))
	}
	// Output:
	// {"blob_path":"hello.txt","bytes":37,"container":"docs","local_path":"","text":"Hello, world\n...\u003ctruncated\u003e","truncated":true}
	// blob_path "../secrets.txt" has the segment ".."; use a plain path relative to the container
}

// acceptAll stands for a real verification of tokens.
func acceptAll(context.Context, string, *http.Request) (*auth.TokenInfo, error) {
	return &auth.TokenInfo{UserID: "alice", Expiration: time.Now().Add(time.Hour)}, nil
}

// A model reads a long blob in pages: next_offset and etag of one result go into the
// next call.
func ExampleNew() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	alice, client := tenant.AddUser("alice@contoso.com", "Alice"), tenant.AddClient("client")
	storage := blobtest.NewServer(&blobtest.Options{Key: tenant.PublicKey, Issuer: tenant.V1Issuer()})
	defer storage.Close()
	storage.Put("docs", "public/旅.txt", []byte("ようこそ、アリスさん。"), "text/plain")
	storage.Grant(alice.ObjectID, "docs", "")

	blobs, err := blobtool.New(storage.URL(), "docs", func(context.Context) (azcore.TokenCredential, error) {
		return tokenFunc(func(policy.TokenRequestOptions) (string, error) {
			return tenant.Token(alice, client, tenant.Storage(), "user_impersonation"), nil
		}), nil
	}, &blobtool.Options{HTTPClient: storage.HTTPClient(), Allow: []string{"docs/public/"}})
	if err != nil {
		log.Fatal(err)
	}
	server := mcp.NewServer(&mcp.Implementation{Name: "example", Version: "1.0.0"}, nil)
	blobs.Register(server)

	ctx := context.Background()
	serverSide, clientSide := mcp.NewInMemoryTransports()
	if _, err := server.Connect(ctx, serverSide, nil); err != nil {
		log.Fatal(err)
	}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1.0.0"}, nil).Connect(ctx, clientSide, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = session.Close() }()

	arguments := map[string]any{"blob_path": "public/旅.txt", "max_chars": 5}
	for {
		res, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "read_blob", Arguments: arguments})
		if err != nil {
			log.Fatal(err)
		}
		out := res.StructuredContent.(map[string]any)
		fmt.Println(out["text"])
		if out["next_offset"] == nil {
			break
		}
		arguments["offset"], arguments["etag"] = out["next_offset"], out["etag"]
	}
	res, err := session.ReadResource(ctx, &mcp.ReadResourceParams{URI: "blob://docs/public/%E6%97%85.txt"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.Contents[0].MIMEType, res.Contents[0].Text)
	_, err = session.ReadResource(ctx, &mcp.ReadResourceParams{URI: "blob://docs/private/a.txt"})
	fmt.Println(err)
	// Output:
	// ようこそ、
	// アリスさん
	// 。
	// text/plain ようこそ、アリスさん。
	// calling "resources/read": "docs/private/a.txt" is outside what this server offers: "docs/public/"
}

// callTool reads a blob as an MCP client does.
func callTool(url, blobPath string) string {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	ctx := context.Background()
	session, err := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1.0.0"}, nil).Connect(ctx, &mcp.StreamableClientTransport{
		Endpoint:   url,
		HTTPClient: &http.Client{Transport: &bearerTransport{transport, "token"}},
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = session.Close() }()
	res, err := session.CallTool(ctx, &mcp.CallToolParams{
		Name:      "read_blob_with_token",
		Arguments: map[string]any{"blob_path": blobPath, "max_chars": 12},
	})
	if err != nil {
		log.Fatal(err)
	}
	return res.Content[0].(*mcp.TextContent).Text
}
