package blobtool_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

// A server whose callers may write text below docs/notes, and whose own program decides on what
// would be destroyed.
func ExampleWriteOptions() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	alice, client := tenant.AddUser("alice@contoso.com", "Alice"), tenant.AddClient("client")
	storage := blobtest.NewServer(&blobtest.Options{Key: tenant.PublicKey, Issuer: tenant.V1Issuer(), SoftDeleteDays: 7})
	defer storage.Close()
	storage.AddContainer("docs")
	storage.GrantContributor(alice.ObjectID, "docs", "")
	credential := func(context.Context) (azcore.TokenCredential, error) {
		return tokenFunc(func(policy.TokenRequestOptions) (string, error) {
			return tenant.Token(alice, client, tenant.Storage(), "user_impersonation"), nil
		}), nil
	}

	blobs, err := blobtool.New(storage.URL(), "docs", credential, &blobtool.Options{
		HTTPClient: storage.HTTPClient(),
		Write: &blobtool.WriteOptions{
			Allow:      []string{"docs/notes/"},
			Extensions: []string{".txt", ".md"},
			Confirm: func(_ context.Context, q blobtool.Question) (bool, error) {
				return q.Action != blobtool.ActionDelete, nil
			},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	server := mcp.NewServer(&mcp.Implementation{Name: "example", Version: "1.0.0"}, nil)
	blobs.Register(server)
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true})
	front := httptest.NewServer(auth.RequireBearerToken(acceptAll, nil)(handler))
	defer front.Close()

	etag := showWrite(front.URL, "write_blob", args{"blob_path": "notes/a.txt", "text": "Call Bob.", "content_type": "text/plain"})
	showWrite(front.URL, "write_blob", args{"blob_path": "notes/a.txt", "text": "Call Carol."})
	etag = showWrite(front.URL, "edit_blob", args{"blob_path": "notes/a.txt", "old_text": "Bob", "new_text": "Carol", "if_match": etag})
	showWrite(front.URL, "copy_blob", args{"source_path": "notes/a.txt", "blob_path": "notes/b.txt", "source_etag": etag})
	showWrite(front.URL, "delete_blob", args{"blob_path": "notes/a.txt", "if_match": etag})
	showWrite(front.URL, "write_blob", args{"blob_path": "reports/a.txt", "text": "Hello"})
	// Output:
	// write_blob: done
	// write_blob: refused, exists
	// edit_blob: done
	// copy_blob: done
	// delete_blob: refused, not_confirmed
	// write_blob: refused, not_allowed
}

// showWrite calls a tool, prints the outcome and returns the blob's ETag.
func showWrite(url, tool string, a args) string {
	out := callWrite(url, tool, a)
	if out.Reason != "" {
		out.Outcome += ", " + out.Reason
	}
	fmt.Println(tool + ": " + out.Outcome)
	return out.ETag
}

func callWrite(url, tool string, a args) writeOutput {
	ctx := context.Background()
	c := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1.0.0"}, nil)
	session, err := c.Connect(ctx, &mcp.StreamableClientTransport{Endpoint: url, HTTPClient: &http.Client{Transport: &bearerTransport{http.DefaultTransport, "x"}}}, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = session.Close() }()
	res, err := session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: a})
	if err != nil {
		log.Fatal(err)
	}
	var out writeOutput
	if err := json.Unmarshal([]byte(res.Content[0].(*mcp.TextContent).Text), &out); err != nil {
		log.Fatal(err)
	}
	return out
}

// Content of more than 1 MiB is written in pieces. A client passes on what the result before says.
func ExampleWriteOptions_pieces() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	alice, client := tenant.AddUser("alice@contoso.com", "Alice"), tenant.AddClient("client")
	storage := blobtest.NewServer(&blobtest.Options{Key: tenant.PublicKey, Issuer: tenant.V1Issuer()})
	defer storage.Close()
	storage.AddContainer("docs")
	storage.GrantContributor(alice.ObjectID, "docs", "")
	credential := func(context.Context) (azcore.TokenCredential, error) {
		return tokenFunc(func(policy.TokenRequestOptions) (string, error) {
			return tenant.Token(alice, client, tenant.Storage(), "user_impersonation"), nil
		}), nil
	}
	key := make([]byte, 32) // read it from a secret store: all replicas need the same
	_, _ = rand.Read(key)
	blobs, err := blobtool.New(storage.URL(), "docs", credential, &blobtool.Options{
		HTTPClient: storage.HTTPClient(),
		Write:      &blobtool.WriteOptions{Allow: []string{"docs"}, MaxBytes: 100 << 20, StateKeys: [][]byte{key}},
	})
	if err != nil {
		log.Fatal(err)
	}
	server := mcp.NewServer(&mcp.Implementation{Name: "example", Version: "1.0.0"}, nil)
	blobs.Register(server)
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true})
	front := httptest.NewServer(auth.RequireBearerToken(acceptAll, nil)(handler))
	defer front.Close()

	pieces := []string{strings.Repeat("a", 1<<20), strings.Repeat("b", 1<<20), "the end"}
	a := args{"blob_path": "large.txt", "content_type": "text/plain"}
	for i, piece := range pieces {
		a["text"], a["more"] = piece, i < len(pieces)-1
		out := callWrite(front.URL, "write_blob", a)
		fmt.Println(out.Action)
		if out.Offset != nil {
			a["upload"], a["offset"] = out.Upload, *out.Offset
		}
	}
	// Output:
	// staged
	// staged
	// created
}

// What was deleted comes back, where the account keeps it.
func ExampleWriteOptions_undo() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	alice, client := tenant.AddUser("alice@contoso.com", "Alice"), tenant.AddClient("client")
	storage := blobtest.NewServer(&blobtest.Options{Key: tenant.PublicKey, Issuer: tenant.V1Issuer(), Versioning: true})
	defer storage.Close()
	storage.AddContainer("docs")
	storage.GrantContributor(alice.ObjectID, "docs", "")
	storage.Put("docs", "a.txt", []byte("Hello"), "text/plain")
	version := storage.Versions("docs", "a.txt")[0]
	storage.Delete("docs", "a.txt")
	credential := func(context.Context) (azcore.TokenCredential, error) {
		return tokenFunc(func(policy.TokenRequestOptions) (string, error) {
			return tenant.Token(alice, client, tenant.Storage(), "user_impersonation"), nil
		}), nil
	}
	blobs, err := blobtool.New(storage.URL(), "docs", credential, &blobtool.Options{
		HTTPClient: storage.HTTPClient(),
		Write:      &blobtool.WriteOptions{Allow: []string{"docs"}, MaxCopyBytes: 100 << 20},
	})
	if err != nil {
		log.Fatal(err)
	}
	server := mcp.NewServer(&mcp.Implementation{Name: "example", Version: "1.0.0"}, nil)
	blobs.Register(server)
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true})
	front := httptest.NewServer(auth.RequireBearerToken(acceptAll, nil)(handler))
	defer front.Close()

	showWrite(front.URL, "undelete_blob", args{"blob_path": "a.txt"})
	showWrite(front.URL, "undelete_blob", args{"blob_path": "a.txt", "version_id": version})
	// Output:
	// undelete_blob: refused, invalid_argument
	// undelete_blob: done
}
