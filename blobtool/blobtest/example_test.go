package blobtest_test

import (
	"context"
	"fmt"
	"io"
	"log"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

// userCredential gets tokens for Azure Storage from a tenant in a box.
type userCredential struct {
	tenant *entratest.Tenant
	user   *entratest.User
	client *entratest.App
}

func (c userCredential) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: c.tenant.Token(c.user, c.client, c.tenant.Storage(), "user_impersonation")}, nil
}

// azblob's own client reads from a Server as from Azure.
func Example() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	alice, bob := tenant.AddUser("alice@contoso.com", "Alice"), tenant.AddUser("bob@contoso.com", "Bob")

	srv := blobtest.NewServer(&blobtest.Options{Key: tenant.PublicKey, Issuer: tenant.V1Issuer()})
	defer srv.Close()
	srv.Put("docs", "hello.txt", []byte("Hello"), "text/plain")
	srv.Grant(alice.ObjectID, "docs", "")

	app := tenant.AddClient("client")
	for _, user := range []*entratest.User{alice, bob} {
		client, err := azblob.NewClient(srv.URL(), userCredential{tenant, user, app}, &azblob.ClientOptions{
			ClientOptions: policy.ClientOptions{Transport: srv.HTTPClient()},
		})
		if err != nil {
			log.Fatal(err)
		}
		resp, err := client.DownloadStream(context.Background(), "docs", "hello.txt", nil)
		if bloberror.HasCode(err, bloberror.AuthorizationPermissionMismatch) {
			fmt.Println(user.DisplayName, "has no role")
			continue
		}
		if err != nil {
			log.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s reads %q\n", user.DisplayName, text)
	}
	// Output:
	// Alice reads "Hello"
	// Bob has no role
}

// A test gets a server that is closed when it is done. Yours gets a *testing.T.
func ExampleNew() {
	test := func(t blobtest.TB) {
		tenant := entratest.New(t, nil)
		srv := blobtest.New(t, &blobtest.Options{Key: tenant.PublicKey, Issuer: tenant.V1Issuer()})
		srv.Put("docs", "hello.txt", []byte("Hello"), "text/plain")
		alice := tenant.AddUser("alice@contoso.com", "Alice")
		srv.Grant(alice.ObjectID, "docs", "")

		client := tenant.UserClient(alice, tenant.AddClient("client"), tenant.Storage())
		client.Transport.(*entratest.UserTransport).Base = srv.HTTPClient().Transport
		response, err := client.Get(srv.URL() + "/docs/hello.txt")
		if err != nil {
			t.Fatalf("got %v, want nil", err)
			return
		}
		defer func() { _ = response.Body.Close() }()
		text, err := io.ReadAll(response.Body)
		fmt.Println(response.StatusCode, string(text), err)
	}
	t := new(recordingTB)
	test(t)
	for _, cleanup := range t.cleanups {
		cleanup()
	}
	// Output: 200 Hello <nil>
}

// A million blobs take no memory, and what one of them holds is computed as it is
// read.
func ExampleServer_PutSeries() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	alice := tenant.AddUser("alice@contoso.com", "Alice")

	srv := blobtest.NewServer(&blobtest.Options{Key: tenant.PublicKey, Issuer: tenant.V1Issuer()})
	defer srv.Close()
	srv.Grant(alice.ObjectID, "logs", "")
	srv.PutSeries("logs", blobtest.Series{
		Count: 1_000_000,
		Name:  func(i int) string { return fmt.Sprintf("day-%03d/%03d.log", i/1000, i%1000) },
	})

	client, err := container.NewClient(srv.URL()+"/logs", userCredential{tenant, alice, tenant.AddClient("client")}, &container.ClientOptions{
		ClientOptions: policy.ClientOptions{Transport: srv.HTTPClient()},
	})
	if err != nil {
		log.Fatal(err)
	}
	prefix, two := "day-500/9", int32(2)
	page, err := client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &prefix, MaxResults: &two}).NextPage(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	for _, b := range page.Segment.BlobItems {
		fmt.Println(*b.Name, *b.Properties.ContentLength)
	}
	// Output:
	// day-500/900.log 1024
	// day-500/901.log 1024
}

// A write whose answer is lost has been done, and another's write can come before the next try.
func ExampleServer_OnRequest() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	alice := tenant.AddUser("alice@contoso.com", "Alice")

	srv := blobtest.NewServer(&blobtest.Options{Key: tenant.PublicKey, Issuer: tenant.V1Issuer()})
	defer srv.Close()
	srv.AddContainer("docs")
	srv.GrantContributor(alice.ObjectID, "docs", "")
	srv.Fail(blobtest.Fault{Operation: blobtest.OpPutBlob, Times: 1, Served: true, Drop: true})
	srv.OnRequest(func(r blobtest.Request) {
		if r.Operation == blobtest.OpPutBlob && srv.Count(r.Operation) == 2 {
			srv.Put("docs", "a.txt", []byte("another's"), "text/plain")
		}
	})

	client, err := azblob.NewClient(srv.URL(), userCredential{tenant, alice, tenant.AddClient("client")}, &azblob.ClientOptions{
		ClientOptions: policy.ClientOptions{Transport: srv.HTTPClient(), Retry: policy.RetryOptions{RetryDelay: 1}},
	})
	if err != nil {
		log.Fatal(err)
	}
	only := azcore.ETag("*")
	_, err = client.UploadBuffer(context.Background(), "docs", "a.txt", []byte("alice's"), &azblob.UploadBufferOptions{
		AccessConditions: &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: &only}},
	})
	fmt.Println(bloberror.HasCode(err, bloberror.BlobAlreadyExists), srv.Count(blobtest.OpPutBlob))
	// Output: true 2
}

// Blobs are copied from an account beside, with a token for the source.
func ExampleOptions() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	alice := tenant.AddUser("alice@contoso.com", "Alice")
	credential := userCredential{tenant, alice, tenant.AddClient("client")}

	first := blobtest.NewServer(&blobtest.Options{Key: tenant.PublicKey, Issuer: tenant.V1Issuer(), Versioning: true})
	defer first.Close()
	second := blobtest.NewServer(&blobtest.Options{Key: tenant.PublicKey, Issuer: tenant.V1Issuer(), Beside: first})
	defer second.Close()
	first.AddContainer("docs")
	first.GrantContributor(alice.ObjectID, "docs", "")
	second.Put("archive", "old.txt", []byte("Hello"), "text/plain")
	second.Grant(alice.ObjectID, "archive", "")

	client, err := blockblob.NewClient(first.URL()+"/docs/new.txt", credential, &blockblob.ClientOptions{
		ClientOptions: policy.ClientOptions{Transport: first.HTTPClient()},
	})
	if err != nil {
		log.Fatal(err)
	}
	token, err := credential.GetToken(context.Background(), policy.TokenRequestOptions{})
	if err != nil {
		log.Fatal(err)
	}
	authorization := "Bearer " + token.Token
	_, err = client.UploadBlobFromURL(context.Background(), second.URL()+"/archive/old.txt", &blockblob.UploadBlobFromURLOptions{
		CopySourceAuthorization: &authorization,
	})
	fmt.Println(err, len(first.Versions("docs", "new.txt")))
	// Output: <nil> 1
}
