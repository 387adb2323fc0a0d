package blobtool_test

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// Writing 64 KiB with 20 ms of latency, by the tools' functions and by azblob alone.
func BenchmarkWrite(b *testing.B) {
	w := newWriteWorld(b, nil, nil)
	w.storage.Fail(blobtest.Fault{Delay: 20 * time.Millisecond})
	text := string(bytes.Repeat([]byte("0123456789abcde\n"), 4<<10))
	user := &mcp.CallToolRequest{Extra: &mcp.RequestExtra{TokenInfo: &auth.TokenInfo{UserID: "alice"}}}
	n := 0
	name := func() string { n++; return fmt.Sprintf("%d.txt", n) }
	ctx := context.Background()
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	b.Run("azblob", func(b *testing.B) {
		cred, err := w.findCredential(ctx)
		must(err)
		for b.Loop() {
			client, err := blockblob.NewClient(w.storage.URL()+"/docs/"+url.PathEscape(name()), cred, &blockblob.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: w.storage.HTTPClient(), Retry: policy.RetryOptions{MaxRetries: -1}}})
			must(err)
			_, err = client.Upload(ctx, streaming.NopCloser(bytes.NewReader([]byte(text))), nil)
			must(err)
		}
	})
	b.Run("create", func(b *testing.B) {
		for b.Loop() {
			_, err := w.set.WriteBlob(ctx, user, name(), text, "")
			must(err)
		}
	})
	b.Run("overwrite", func(b *testing.B) {
		blob := name()
		etag, err := w.set.WriteBlob(ctx, user, blob, text, "")
		must(err)
		for b.Loop() {
			etag, err = w.set.WriteBlob(ctx, user, blob, text, etag)
			must(err)
		}
	})
	b.Run("edit", func(b *testing.B) {
		blob := name()
		_, err := w.set.WriteBlob(ctx, user, blob, text+"end 0", "")
		must(err)
		i := 0
		for b.Loop() {
			must(w.set.EditBlob(ctx, user, blob, fmt.Sprintf("end %d", i), fmt.Sprintf("end %d", i+1)))
			i++
		}
	})
	b.Run("delete", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			blob := name()
			etag, err := w.set.WriteBlob(ctx, user, blob, "x", "")
			must(err)
			b.StartTimer()
			must(w.set.DeleteBlob(ctx, user, blob, etag))
		}
	})
}
