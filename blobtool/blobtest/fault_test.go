package blobtest_test

import (
	"context"
	"errors"
	"fmt"
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
	t.Parallel()
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
		t.Errorf("a is %q, want 0123456789", got)
	}
	if _, err := b.DownloadStream(t.Context(), nil); !hasCode(err, 503, bloberror.ServerBusy) {
		t.Errorf("b: got %v, want 503 %s", err, bloberror.ServerBusy)
	}
	if _, err := b.GetProperties(t.Context(), nil); err != nil {
		t.Errorf("the first properties: got %v, want nil", err)
	}
	if _, err := a.GetProperties(t.Context(), nil); !hasCode(err, 403, bloberror.AuthorizationFailure) {
		t.Errorf("the second properties: got %v, want 403 %s", err, bloberror.AuthorizationFailure)
	}
	if _, err := docs.NewListBlobsFlatPager(nil).NextPage(t.Context()); !hasCode(err, 429, "TooManyRequests") {
		t.Errorf("listing: got %v, want 429 %s", err, "TooManyRequests")
	}
	if _, err := docs.GetProperties(t.Context(), nil); err != nil {
		t.Errorf("what has no fault: got %v, want nil", err)
	}
	srv.Fail()
	if _, err := docs.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{}).NextPage(t.Context()); err != nil {
		t.Errorf("after clearing: got %v, want nil", err)
	}
	var operations []string
	for _, r := range srv.Requests() {
		operations = append(operations, string(r.Operation))
	}
	if got := strings.Join(operations, ", "); got != "Get Blob, Get Blob, Get Blob Properties, Get Blob Properties, List Blobs, Get Container Properties, List Blobs" {
		t.Errorf("operations: got %s, want the seven in order", got)
	}
}

// A stalled body sends what the fault allows and then nothing, until the client disconnects.
func TestStall(t *testing.T) {
	t.Parallel()
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
		t.Fatalf("before the stall: got %v, want nil", err)
	}
	cancel()
	if n, err := io.Copy(io.Discard, resp.Body); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("after the stall the client reads %d bytes, %v; want 0, %v", n, err, context.Canceled)
	}
	if r := srv.Requests(); r[len(r)-1].BytesSent != 100_000 { // it would have sent more by now, for the client reads fast
		t.Errorf("%d bytes were sent, want 100000", r[len(r)-1].BytesSent)
	}
	// Close does not wait for stalled requests; goleak checks that.
	resp, err = docs.NewBlobClient("a").DownloadStream(t.Context(), &blob.DownloadStreamOptions{})
	if err != nil {
		t.Fatal(err)
	}
	srv.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Error("a stalled body is complete, want an error")
	}
	_ = resp.Body.Close()
}

func TestTrickle(t *testing.T) {
	t.Parallel()
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
			t.Errorf("a piece of %d bytes, want at most 1024", n)
		}
		total += n
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if total != 4000 || pieces < 3 {
		t.Errorf("%d bytes in %d pieces, want 4000, at least 3", total, pieces)
	}
	srv.Fail(blobtest.Fault{Trickle: time.Millisecond, CutAfter: 2000, StallAfter: 3000})
	resp, err = docs.NewBlobClient("a").DownloadStream(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if n, err := io.Copy(io.Discard, resp.Body); n != 2000 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("trickled and cut: %d bytes, %v; want 2000, %v", n, err, io.ErrUnexpectedEOF)
	}
}

// The number of recorded requests is limited; the count is not.
func TestRequestsAreBounded(t *testing.T) {
	t.Parallel()
	srv := newServerWith(t, blobtest.Options{KeepRequests: 3})
	srv.Fail(blobtest.Fault{Status: http.StatusTeapot, Body: "-"})
	for i := range 10 {
		resp, err := srv.HTTPClient().Head(fmt.Sprintf("%s/docs/%d", srv.URL(), i))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if got, want := len(srv.Requests()), min(i+1, 3); got != want {
			t.Errorf("after %d requests, Requests() returns %d, want %d", i+1, got, want)
		}
	}
	if got := srv.Requests()[2].Path; got != "/docs/9" {
		t.Errorf("the last request is for %s, want /docs/9", got)
	}
	if got := srv.Count(blobtest.OpGetBlobProperties); got != 10 {
		t.Errorf("Count(OpGetBlobProperties) = %d, want 10", got)
	}
	srv.ForgetRequests()
	if got := srv.Count(blobtest.OpGetBlobProperties) + len(srv.Requests()); got != 0 {
		t.Errorf("after ForgetRequests, %d requests are left, want 0", got)
	}
}

// Fields of a Fault that entratest has too.
func TestFaultsOfAnswers(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	for name, test := range map[string]struct {
		fault     blobtest.Fault
		status    int
		body      string
		mediaType string
	}{
		"body":      {blobtest.Fault{Body: "<html>", ContentType: "text/html"}, 200, "<html>", "text/html"},
		"XML":       {blobtest.Fault{Body: "<a/>", Status: 500}, 500, "<a/>", "application/xml"},
		"throttled": {blobtest.Fault{RetryAfter: time.Second}, 429, "Too Many Requests", "application/xml"},
	} {
		srv.Fail(test.fault)
		got := get(t, srv, "/docs/a", "")
		if got.status != test.status || !strings.Contains(got.body, test.body) || got.header.Get("Content-Type") != test.mediaType {
			t.Errorf("%s: %d %q of type %s, want %d %q of type %s", name,
				got.status, got.body, got.header.Get("Content-Type"), test.status, test.body, test.mediaType)
		}
	}
	for name, fault := range map[string]blobtest.Fault{"dropped": {Drop: true}, "cut": {Status: 500, Body: "1234567890", CutAfter: 5}} {
		srv.Fail(fault)
		resp, err := srv.HTTPClient().Get(srv.URL() + "/docs/a")
		var body []byte
		if err == nil {
			body, err = io.ReadAll(resp.Body)
			_ = resp.Body.Close()
		}
		if err == nil || int64(len(body)) != fault.CutAfter {
			t.Errorf("%s: read %q, %v, want %d bytes and an error", name, body, err, fault.CutAfter)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a Code without a Status does not panic")
		}
	}()
	srv.Fail(blobtest.Fault{Code: "ServerBusy"})
}
