package blobtest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

func TestFaultsOfOneOperation(t *testing.T) {
	srv, docs := aliceClient(t)
	srv.Put("docs", "a", []byte("0123456789"), "")
	srv.Put("docs", "b", []byte("0123456789"), "")
	srv.Fail(
		blobtest.Fault{Operation: blobtest.OpGetBlob, Blob: "b", Status: 503, Code: "ServerBusy"},
		blobtest.Fault{Operation: blobtest.OpGetBlobProperties, Skip: 1, Status: 403, Code: "AuthorizationFailure"},
		blobtest.Fault{Operation: blobtest.OpListBlobs, Status: 429, Code: "TooManyRequests", RetryAfter: time.Second},
	)
	a, b := docs.NewBlobClient("a"), docs.NewBlobClient("b")
	if got := content(t, a, nil); got != "0123456789" {
		t.Errorf("a is %q", got)
	}
	if _, err := b.DownloadStream(t.Context(), nil); !hasCode(err, 503, bloberror.ServerBusy) {
		t.Errorf("b: %v", err)
	}
	if _, err := b.GetProperties(t.Context(), nil); err != nil {
		t.Errorf("the first properties: %v", err)
	}
	if _, err := a.GetProperties(t.Context(), nil); !hasCode(err, 403, bloberror.AuthorizationFailure) {
		t.Errorf("the second properties: %v", err)
	}
	if _, err := docs.NewListBlobsFlatPager(nil).NextPage(t.Context()); !hasCode(err, 429, "TooManyRequests") {
		t.Errorf("listing: %v", err)
	}
	if _, err := docs.GetProperties(t.Context(), nil); err != nil {
		t.Errorf("what has no fault: %v", err)
	}
	srv.Fail()
	if _, err := docs.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{}).NextPage(t.Context()); err != nil {
		t.Errorf("after clearing: %v", err)
	}
	var operations []string
	for _, r := range srv.Requests() {
		operations = append(operations, string(r.Operation))
	}
	if got := strings.Join(operations, ", "); got != "Get Blob, Get Blob, Get Blob Properties, Get Blob Properties, List Blobs, Get Container Properties, List Blobs" {
		t.Errorf("operations: %s", got)
	}
}

// A stalled body sends what it promised and then nothing, until the client goes.
func TestStall(t *testing.T) {
	srv, docs := aliceClient(t)
	srv.PutSized("docs", "a", 1<<20)
	srv.Fail(blobtest.Fault{StallAfter: 100_000})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	resp, err := docs.NewBlobClient("a").DownloadStream(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.ReadFull(resp.Body, make([]byte, 100_000)); err != nil {
		t.Fatalf("before the stall: %v", err)
	}
	read := make(chan error)
	go func() {
		_, err := resp.Body.Read(make([]byte, 1))
		read <- err
	}()
	select {
	case err := <-read:
		t.Errorf("it does not stall: %v", err)
	case <-time.After(50 * time.Millisecond):
		cancel()
		if err := <-read; !errors.Is(err, context.Canceled) {
			t.Errorf("the client that gives up has %v", err)
		}
	}
	if r := srv.Requests(); r[len(r)-1].BytesSent != 100_000 {
		t.Errorf("sent %d bytes", r[len(r)-1].BytesSent)
	}
	// Close does not wait for stalled requests; goleak sees to it.
	resp, err = docs.NewBlobClient("a").DownloadStream(t.Context(), &blob.DownloadStreamOptions{})
	if err != nil {
		t.Fatal(err)
	}
	srv.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Error("a stalled body is complete")
	}
	_ = resp.Body.Close()
}

func TestTrickle(t *testing.T) {
	srv, docs := aliceClient(t)
	srv.PutSized("docs", "a", 4000)
	srv.Fail(blobtest.Fault{Trickle: time.Millisecond})
	resp, err := docs.NewBlobClient("a").DownloadStream(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	pieces, total := 0, 0
	for buf := make([]byte, 4096); ; pieces++ {
		n, err := resp.Body.Read(buf)
		if n > 1024 {
			t.Errorf("a piece of %d bytes", n)
		}
		total += n
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if total != 4000 || pieces < 3 {
		t.Errorf("%d bytes in %d pieces", total, pieces)
	}
	srv.Fail(blobtest.Fault{Trickle: time.Millisecond, CutAfter: 2000, StallAfter: 3000})
	resp, err = docs.NewBlobClient("a").DownloadStream(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if n, err := io.Copy(io.Discard, resp.Body); n != 2000 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("trickled and cut: %d bytes, %v", n, err)
	}
}

// The record of requests is bounded.
func TestRequestsAreBounded(t *testing.T) {
	srv := newServer(t)
	srv.Fail(blobtest.Fault{Status: http.StatusTeapot, Body: "-"})
	for range 10_001 {
		resp, err := srv.HTTPClient().Head(srv.URL() + "/docs/a")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	if n := len(srv.Requests()); n != 5001 {
		t.Errorf("%d requests", n)
	}
}
