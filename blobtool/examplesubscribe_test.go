package blobtool_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
)

// A server whose callers may subscribe to the blobs that they may read. On mcpentra's servers,
// WithTools does what is done here for the SDK's own.
func ExampleSubscriptionOptions() {
	userCredential := func(context.Context) (azcore.TokenCredential, error) {
		return nil, fmt.Errorf("use the credential of the call's user, such as mcpentra.Credential")
	}
	blobs, err := blobtool.New("https://account.blob.core.windows.net", "docs", userCredential, &blobtool.Options{
		Subscriptions: &blobtool.SubscriptionOptions{MaxPerUser: 20, MaxInterval: 2 * time.Minute},
	})
	if err != nil {
		log.Fatal(err)
	}
	var options mcp.ServerOptions
	blobs.Configure(&options) // before the server is made
	server := mcp.NewServer(&mcp.Implementation{Name: "example", Version: "1.0.0"}, &options)
	blobs.Register(server)

	here, there := mcp.NewInMemoryTransports()
	ctx := context.Background()
	served, err := server.Connect(ctx, there, nil)
	if err != nil {
		log.Fatal(err)
	}
	client, err := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1.0.0"}, nil).Connect(ctx, here, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("subscriptions:", client.InitializeResult().Capabilities.Resources.Subscribe)
	_ = client.Close()
	_ = served.Wait()
	// Output: subscriptions: true
}
