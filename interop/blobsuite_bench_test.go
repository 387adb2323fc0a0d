//go:build unix

package interop_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// BenchmarkBlobTools measures blobtool's tools, through an MCP client in this
// process, on both implementations. x-plain is the time of a tool in units of the
// time of what a program without it would do, measured in turns.
//
//	go test -run '^$' -bench BlobTools -benchtime 5x ./interop
func BenchmarkBlobTools(b *testing.B) {
	a := newBlobAccounts(b.Context(), b)
	for name, s := range map[string]*blobService{"blobtest": a.blobtest(b, blobtest.Options{}), "azurite": a.azurite(b)} {
		p := s.place(a.ctx, b, "bench")
		b.Run(name+"/page of a large blob", p.benchPage)
		b.Run(name+"/small read", p.benchSmall)
		b.Run(name+"/save 64 MiB", p.benchSave)
		b.Run(name+"/search 200 blobs", p.benchSearch)
	}
}

// turns reports the time of ours in units of plain's.
func turns(b *testing.B, ours, plain func() error) {
	b.Helper()
	var spent [2]time.Duration
	for b.Loop() {
		for i, f := range []func() error{ours, plain} {
			begin := time.Now()
			must(b, f())
			spent[i] += time.Since(begin)
		}
	}
	b.ReportMetric(float64(spent[0])/float64(spent[1]), "x-plain")
}

// benchPage reads 8,000 characters in the middle of 64 MiB, and asks the service for
// no more than 64 KiB.
func (p *place) benchPage(b *testing.B) {
	const size = 64 << 20
	must(b, p.stock.put(p.ctx, p.container, "large.txt", repeated(size), blobtest.Properties{ContentType: "text/plain"}))
	counted := *p.blobService
	counter := &countingTransport{next: p.http.Transport}
	counted.http = &http.Client{Transport: counter}
	tools := counted.tools(p.ctx, b)
	b.ReportAllocs()
	for b.Loop() {
		answer, err := tools.call("read_blob", map[string]any{"container": p.container, "blob_path": "large.txt", "offset": size / 2, "max_chars": 8000})
		must(b, err)
		if object, ok := answer.(map[string]any); !ok || len(object["text"].(string)) < 7000 { //nolint:forcetypeassert // always there
			b.Fatal(answer)
		}
	}
	fetched := counter.bytes.Load() / int64(b.N)
	b.ReportMetric(float64(fetched), "fetched-B/op")
	if fetched > 64<<10 {
		b.Errorf("%d bytes were asked for", fetched)
	}
}

// countingTransport counts what answers promise to send.
type countingTransport struct {
	next  http.RoundTripper
	bytes atomic.Int64
}

func (c *countingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(r)
	if err == nil && r.Method == http.MethodGet {
		c.bytes.Add(max(resp.ContentLength, 0))
	}
	return resp, err
}

// benchSmall reads 1 KiB, against an azblob client that is there already.
func (p *place) benchSmall(b *testing.B) {
	must(b, p.stock.put(p.ctx, p.container, "small.txt", repeated(1024), blobtest.Properties{ContentType: "text/plain"}))
	tools := p.tools(p.ctx, b)
	turns(b, func() error {
		answer, err := tools.call("read_blob", map[string]any{"container": p.container, "blob_path": "small.txt"})
		return expectText(answer, err)
	}, func() error {
		_, _, err := p.read(p.blobs.NewBlobClient("small.txt"), nil)
		return err
	})
}

func expectText(answer any, err error) error {
	if _, ok := answer.(map[string]any); !ok && err == nil {
		return fmt.Errorf("the tool answers %v", answer)
	}
	return err
}

// benchSave saves a blob, against net/http and io.Copy.
func (p *place) benchSave(b *testing.B) {
	const size = 64 << 20
	must(b, p.stock.put(p.ctx, p.container, "save.txt", repeated(size), blobtest.Properties{ContentType: "text/plain"}))
	set, err := blobtool.New(p.url, p.container, func(context.Context) (azcore.TokenCredential, error) { return p.user, nil },
		&blobtool.Options{HTTPClient: p.http, DownloadDir: b.TempDir()})
	must(b, err)
	tools := toolsOf(p.ctx, b, set)
	target := filepath.Join(b.TempDir(), "save.txt")
	b.SetBytes(size)
	turns(b, func() error {
		answer, err := tools.call("read_blob_with_token", map[string]any{"blob_path": "save.txt", "max_chars": 1})
		return expectText(answer, err)
	}, func() error {
		return p.copyTo(target, "save.txt", size)
	})
}

// copyTo copies a blob as a program without any library would.
func (p *place) copyTo(target, blob string, size int64) error {
	req, err := http.NewRequestWithContext(p.ctx, http.MethodGet, p.url+"/"+p.container+"/"+blob, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+string(p.user))
	req.Header.Set("X-Ms-Version", "2025-11-05")
	resp, err := p.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	file, err := os.Create(target)
	if err != nil {
		return err
	}
	n, err := io.Copy(file, resp.Body)
	if err == nil && n != size {
		err = fmt.Errorf("%d bytes, status %s", n, resp.Status)
	}
	return errors.Join(err, file.Close())
}

// benchSearch searches 200 blobs of 64 KiB at 20 ms of latency, against reading
// them one at a time.
func (p *place) benchSearch(b *testing.B) {
	const blobs, size = 200, 64 << 10
	var wait sync.WaitGroup
	for worker := range 8 {
		wait.Go(func() {
			for i := worker; i < blobs; i += 8 {
				if err := p.stock.put(p.ctx, p.container, searched(i), repeated(size), blobtest.Properties{ContentType: "text/plain"}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
	slow := *p.blobService
	slow.http = &http.Client{Transport: slowTransport{p.http.Transport}}
	tools := slow.tools(p.ctx, b)
	account, err := slow.client(slow.user)
	must(b, err)
	turns(b, func() error {
		arguments := map[string]any{"container": p.container, "prefix": "search/", "text": "fox .* and off", "max_seconds": 90}
		_, err := pages("search_blobs", arguments)(tools)
		return err
	}, func() error {
		for i := range blobs {
			if _, _, err := p.read(account.NewContainerClient(p.container).NewBlobClient(searched(i)), nil); err != nil {
				return err
			}
		}
		return nil
	})
}

func searched(i int) string { return fmt.Sprintf("search/%04d.log", i) }

// slowTransport adds 20 ms to each request.
type slowTransport struct{ next http.RoundTripper }

func (s slowTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(20 * time.Millisecond)
	return s.next.RoundTrip(r)
}

// repeated is text of that many bytes.
func repeated(size int) []byte {
	text := make([]byte, 0, size+64)
	for i := 0; len(text) < size; i++ {
		text = fmt.Appendf(text, "%08d the quick brown fox jumps over the lazy dog\n", i)
	}
	return text[:size]
}
