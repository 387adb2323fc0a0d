package blobtest_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// After some faults the service has done what was asked, after others it has not.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	w := newWriter(t, blobtest.Options{})
	for name, c := range map[string]struct {
		fault  blobtest.Fault
		status int // 0: no answer
		done   bool
	}{
		"after the commit":           {blobtest.Fault{Served: true, Drop: true}, 0, true},
		"before the commit":          {blobtest.Fault{Drop: true}, 0, false},
		"in mid-body":                {blobtest.Fault{CutUpload: 1000}, 0, false},
		"server error after commit":  {blobtest.Fault{Served: true, Status: 500, Code: "InternalError"}, 500, true},
		"server error before commit": {blobtest.Fault{Status: 500, Code: "InternalError"}, 500, false},
		"busy":                       {blobtest.Fault{Status: 503, Code: "ServerBusy", RetryAfter: time.Second}, 503, false},
		"too many requests":          {blobtest.Fault{Status: 429, Code: "TooManyRequests", RetryAfter: time.Second}, 429, false},
		"late":                       {blobtest.Fault{Delay: time.Millisecond}, 201, true},
	} {
		w.srv.Put("docs", "a", nil, "")
		c.fault.Operation, c.fault.Times = blobtest.OpPutBlob, 1
		w.srv.Fail(c.fault)
		_, err := w.put("a", strings.Repeat("x", 1<<20), nil)
		var r *azcore.ResponseError
		switch {
		case c.status == 201:
			w.must(name, err)
		case errors.As(err, &r) != (c.status != 0), r != nil && r.StatusCode != c.status:
			t.Errorf("%s: got %v, want status %d", name, err, c.status)
		case r != nil && c.fault.RetryAfter > 0 && r.RawResponse.Header.Get("Retry-After") != "1":
			t.Errorf("%s: got Retry-After %q, want 1", name, r.RawResponse.Header.Get("Retry-After"))
		}
		if done := *w.props("a").ContentLength > 0; done != c.done {
			t.Errorf("%s: done: %t, want %t", name, done, c.done)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("Served alone does not panic")
		}
	}()
	w.srv.Fail(blobtest.Fault{Served: true})
}

// azcore retries a write whose answer was lost, and the caller sees the second answer.
func TestRetryAfterCommit(t *testing.T) {
	t.Parallel()
	w := newWriter(t, blobtest.Options{})
	c, err := blockblob.NewClient(w.srv.URL()+"/docs/a", &static{token: tokenOf(t, alice)}, &blockblob.ClientOptions{ClientOptions: policy.ClientOptions{
		Transport: w.srv.HTTPClient(), Retry: policy.RetryOptions{MaxRetries: 2, RetryDelay: time.Millisecond},
	}})
	w.must("client", err)
	w.srv.Fail(blobtest.Fault{Operation: blobtest.OpPutBlob, Times: 1, Served: true, Drop: true})
	_, err = c.Upload(t.Context(), body("x"), &blockblob.UploadOptions{AccessConditions: access(blob.ModifiedAccessConditions{IfNoneMatch: new(anyETag)})})
	w.refused("the second try", err, 409, bloberror.BlobAlreadyExists)
	if got := w.srv.Count(blobtest.OpPutBlob); got != 2 {
		t.Errorf("Count(OpPutBlob) = %d, want 2", got)
	}
}

// What another does between two requests: here it takes a lease before the commit.
func TestBetweenRequests(t *testing.T) {
	t.Parallel()
	w := newWriter(t, blobtest.Options{})
	w.srv.Put("docs", "a", nil, "")
	var calls atomic.Int32
	w.srv.OnRequest(func(r blobtest.Request) {
		calls.Add(1)
		if r.Operation == blobtest.OpPutBlockList {
			w.srv.Update("docs", "a", func(p *blobtest.Properties) { p.LeaseState = "leased" })
		}
	})
	w.must("stage", w.stage("a", "1", "x"))
	w.refused("commit", w.commit("a", nil, "1"), 412, bloberror.LeaseIDMissing)
	w.srv.OnRequest(nil)
	w.refused("stage", w.stage("a", "2", "x"), 412, bloberror.LeaseIDMissing)
	if calls.Load() != 2 {
		t.Errorf("the function was called %d times, want 2", calls.Load())
	}
}

// A late answer to a body that nobody has read ends when the client gives up.
func TestDelayClientGone(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	ended := make(chan struct{})
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		defer close(ended)
		srv.Handler().ServeHTTP(rw, r)
	}))
	t.Cleanup(front.Close)
	ctx, giveUp := context.WithCancel(t.Context())
	srv.OnRequest(func(blobtest.Request) { giveUp() })
	srv.Fail(blobtest.Fault{Delay: time.Hour})
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, front.URL+"/docs/a", strings.NewReader(strings.Repeat("x", 1<<20)))
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := front.Client().Do(req); err == nil { //nolint:bodyclose // there is none
		t.Errorf("got %s, want no answer", resp.Status)
	}
	<-ended
}

// Close ends it too, although the client waits.
func TestDelayClose(t *testing.T) {
	t.Parallel()
	w := newWriter(t, blobtest.Options{})
	began := make(chan struct{})
	w.srv.OnRequest(func(blobtest.Request) { close(began) })
	w.srv.Fail(blobtest.Fault{Delay: time.Hour})
	failed := make(chan error)
	go func() {
		_, err := w.put("a", strings.Repeat("x", 1<<20), nil)
		failed <- err
	}()
	<-began
	w.srv.Close()
	if err := <-failed; err == nil {
		t.Error("the write has an answer, want none")
	}
}

// A large body that is refused is read, so that the client gets the answer.
func TestRefuseLargeBody(t *testing.T) {
	t.Parallel()
	w := newWriter(t, blobtest.Options{})
	for range 3 {
		_, err := w.as(bob).put("a", strings.Repeat("x", 8<<20), nil)
		w.refused("as Reader", err, 403, bloberror.AuthorizationPermissionMismatch)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, w.srv.URL()+"/docs/a", struct{ *strings.Reader }{strings.NewReader("x")})
	w.must("request", err)
	req.ContentLength = -1
	req.Header.Set("Authorization", "Bearer "+tokenOf(t, alice))
	req.Header.Set("x-ms-blob-type", "BlockBlob")
	resp, err := w.srv.HTTPClient().Do(req)
	w.must("chunked", err)
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != 411 || resp.Header.Get("x-ms-error-code") != "MissingContentLengthHeader" {
		t.Errorf("chunked: got %d %s, want 411 MissingContentLengthHeader", resp.StatusCode, resp.Header.Get("x-ms-error-code"))
	}
}
