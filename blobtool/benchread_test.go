package blobtool_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/mcpentra/mcp-entra-go/blobtool"
)

// BenchmarkReadHuge reads 8,000 characters of a 1 GiB blob through an MCP client.
// fetched-B/op is what the service sent, peak-heap-B by how much the heap's live
// objects, those of client and service included, grew at most.
func BenchmarkReadHuge(b *testing.B) {
	for name, a := range map[string]args{
		"head":   {"blob_path": "huge.txt"},
		"middle": {"blob_path": "huge.txt", "offset": 500_000_000},
		"tail":   {"blob_path": "huge.txt", "tail_lines": 100},
	} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b, nil)
			w.storage.PutSized("docs", "huge.txt", 1<<30)
			session := w.connect(b, "alice")
			readBlob(b, session, a)
			w.storage.ForgetRequests()
			peak := watchHeap()
			b.ReportAllocs()
			n := 0
			var bytes int64
			for b.Loop() {
				readBlob(b, session, a)
				_, fetched := fetched(w)
				bytes += fetched
				n++
			}
			b.ReportMetric(float64(peak()), "peak-heap-B")
			b.ReportMetric(float64(bytes)/float64(n), "fetched-B/op")
		})
	}
}

// turns measures two ways to do the same, in turns, so that both meet the same
// machine, and reports the time of the first in units of the second's.
func turns(b *testing.B, ours, plain func()) {
	ours()
	plain()
	var spent [2]time.Duration
	b.ReportAllocs()
	for b.Loop() {
		for i, f := range []func(){ours, plain} {
			begin := time.Now()
			f()
			spent[i] += time.Since(begin)
		}
	}
	b.ReportMetric(float64(spent[0])/float64(spent[1]), "x-plain")
}

// BenchmarkSmallRead reads 1 KiB by the tool's function and by an azblob client that
// is there already.
func BenchmarkSmallRead(b *testing.B) {
	w := newWorld(b, nil)
	w.storage.PutSized("docs", "a.txt", 1024)
	ctx := context.Background()
	cred, err := w.findCredential(ctx)
	if err != nil {
		b.Fatal(err)
	}
	client, err := container.NewClient(w.storage.URL()+"/docs", cred, &container.ClientOptions{ClientOptions: policy.ClientOptions{Transport: w.storage.HTTPClient()}})
	if err != nil {
		b.Fatal(err)
	}
	w.credential = sameToken(b, w)
	turns(b, func() {
		if text, err := w.set.ReadBlob(ctx, "a.txt"); err != nil || len(text) != 1024 {
			b.Fatal(len(text), err)
		}
	}, func() {
		resp, err := client.NewBlobClient("a.txt").DownloadStream(ctx, nil)
		if err != nil {
			b.Fatal(err)
		}
		if text, err := io.ReadAll(resp.Body); err != nil || len(text) != 1024 {
			b.Fatal(len(text), err)
		}
		_ = resp.Body.Close()
	})
}

// sameToken is a credential that has its token, as one with a cache does.
func sameToken(b *testing.B, w *world) blobtool.CredentialFunc {
	b.Helper()
	token := tenant.Token(w.alice, w.client, tenant.Storage(), "user_impersonation")
	return func(context.Context) (azcore.TokenCredential, error) {
		return tokenFunc(func(policy.TokenRequestOptions) (string, error) { return token, nil }), nil
	}
}

// BenchmarkDownload copies 64 MiB to a file by the tool's function and by net/http
// with io.Copy.
func BenchmarkDownload(b *testing.B) {
	w := newWorld(b, nil)
	const size = 64 << 20
	w.storage.PutSized("docs", "a.txt", size)
	w.credential = sameToken(b, w)
	ctx := context.Background()
	token := tenant.Token(w.alice, w.client, tenant.Storage(), "user_impersonation")
	target := filepath.Join(b.TempDir(), "a.txt")
	peak := watchHeap()
	turns(b, func() {
		path, err := w.set.CopyBlob(ctx, "alice", "a.txt")
		if err != nil || path == "" {
			b.Fatal(path, err)
		}
	}, func() {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.storage.URL()+"/docs/a.txt", nil)
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("x-ms-version", "2025-11-05")
		resp, err := w.storage.HTTPClient().Do(req)
		if err != nil {
			b.Fatal(err)
		}
		file, err := os.Create(target)
		if err != nil {
			b.Fatal(err)
		}
		n, err := io.Copy(file, resp.Body)
		if err != nil || n != size || resp.StatusCode != http.StatusOK {
			b.Fatal(n, err, resp.Status)
		}
		_ = resp.Body.Close()
		if err := file.Close(); err != nil {
			b.Fatal(err)
		}
	})
	b.ReportMetric(float64(peak()), "peak-heap-B")
}
