package blobtool_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// writeBench is a world for benchmarks of writes.
type writeBench struct {
	*world
	ctx  context.Context
	user *mcp.CallToolRequest
	bare *container.Client // the SDK alone, with a token and a connection
	n    int
}

func newWriteBench(b *testing.B, latency time.Duration) *writeBench {
	b.Helper()
	w := newWriteWorld(b, nil, inPieces)
	w.storage.Fail(blobtest.Fault{Delay: latency})
	x := &writeBench{world: w, ctx: context.Background(), user: w.request("alice")}
	cred, err := w.findCredential(x.ctx)
	x.must(b, err)
	x.bare, err = container.NewClient(w.storage.URL()+"/docs", cred, &container.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: w.storage.HTTPClient(), Retry: policy.RetryOptions{MaxRetries: -1}}})
	x.must(b, err)
	x.put(b, x.name(), nil)
	_, err = w.set.WriteBlob(x.ctx, x.user, x.name(), "", "")
	x.must(b, err)
	return x
}

func (x *writeBench) must(b *testing.B, err error) {
	if err != nil {
		b.Fatal(err)
	}
}

func (x *writeBench) name() string { x.n++; return fmt.Sprintf("%d.txt", x.n) }

// put is a Put Blob of the SDK alone.
func (x *writeBench) put(b *testing.B, name string, data []byte) {
	_, err := x.bare.NewBlockBlobClient(name).Upload(x.ctx, streaming.NopCloser(bytes.NewReader(data)), nil)
	x.must(b, err)
}

// Writing 64 KiB with 20 ms of latency, by the tools' functions and by azblob alone: one request
// of it writes or deletes a blob.
func BenchmarkWrite(b *testing.B) {
	x := newWriteBench(b, 20*time.Millisecond)
	data := bytes.Repeat([]byte("0123456789abcde\n"), 4<<10)
	text := string(data)
	b.Run("azblob/put", func(b *testing.B) {
		for b.Loop() {
			x.put(b, x.name(), data)
		}
	})
	b.Run("azblob/delete", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			name := x.name()
			x.put(b, name, nil)
			b.StartTimer()
			_, err := x.bare.NewBlobClient(name).Delete(x.ctx, nil)
			x.must(b, err)
		}
	})
	b.Run("create", func(b *testing.B) {
		for b.Loop() {
			_, err := x.set.WriteBlob(x.ctx, x.user, x.name(), text, "")
			x.must(b, err)
		}
	})
	b.Run("overwrite", func(b *testing.B) {
		name := x.name()
		etag, err := x.set.WriteBlob(x.ctx, x.user, name, text, "")
		x.must(b, err)
		for b.Loop() {
			etag, err = x.set.WriteBlob(x.ctx, x.user, name, text, etag)
			x.must(b, err)
		}
	})
	b.Run("edit", func(b *testing.B) {
		name := x.name()
		_, err := x.set.WriteBlob(x.ctx, x.user, name, text+"end 0", "")
		x.must(b, err)
		i := 0
		for b.Loop() {
			x.must(b, x.set.EditBlob(x.ctx, x.user, name, fmt.Sprintf("end %d", i), fmt.Sprintf("end %d", i+1)))
			i++
		}
	})
	b.Run("delete", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			name := x.name()
			etag, err := x.set.WriteBlob(x.ctx, x.user, name, "x", "")
			x.must(b, err)
			b.StartTimer()
			x.must(b, x.set.DeleteBlob(x.ctx, x.user, name, etag))
		}
	})
}

// Memory for writing 1 MiB: B/op less that of azblob is what the tools take themselves. The
// storage account is in the same process, and takes the same for each.
func BenchmarkWriteMemory(b *testing.B) {
	x := newWriteBench(b, 0)
	data := bytes.Repeat([]byte("0123456789abcde\n"), 64<<10)
	text, packed := string(data), base64.StdEncoding.EncodeToString(data)
	run := func(name string, f func(b *testing.B)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f(b)
			}
		})
	}
	run("azblob", func(b *testing.B) { x.put(b, "a.txt", data) })
	run("text", func(b *testing.B) {
		_, err := x.set.WriteBlob(x.ctx, x.user, x.name(), text, "")
		x.must(b, err)
	})
	run("base64", func(b *testing.B) {
		_, err := x.set.Write(x.ctx, x.user, blobtool.WriteInput{BlobPath: x.name(), Base64: &packed})
		x.must(b, err)
	})
	piece, err := x.set.Write(x.ctx, x.user, blobtool.WriteInput{BlobPath: "pieces.txt", Text: new("x"), More: true})
	x.must(b, err)
	run("piece", func(b *testing.B) {
		_, err := x.set.Write(x.ctx, x.user, blobtool.WriteInput{BlobPath: "pieces.txt", Text: &text, Upload: piece.Upload, Offset: piece.Offset, More: true})
		x.must(b, err)
	})
}
