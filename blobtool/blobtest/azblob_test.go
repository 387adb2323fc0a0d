package blobtest_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// aliceClient starts a server with one container that alice may read.
func aliceClient(t *testing.T) (*blobtest.Server, *container.Client) {
	return aliceClientWith(t, blobtest.Options{})
}

func aliceClientWith(t *testing.T, o blobtest.Options) (*blobtest.Server, *container.Client) {
	srv := newServerWith(t, o)
	srv.AddContainer("docs")
	srv.Grant(alice, "docs", "")
	c, _ := clientOf(t, srv, "docs", tokenOf(t, alice))
	return srv, c
}

func TestDownload(t *testing.T) {
	t.Parallel()
	srv, docs := aliceClient(t)
	data := []byte("0123456789")
	srv.Put("docs", "a/b c/ü?.txt", data, "text/plain")
	client := docs.NewBlobClient("a/b c/ü?.txt")
	ctx := t.Context()

	resp, err := client.DownloadStream(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	sum := md5.Sum(data)
	if err != nil || !bytes.Equal(body, data) || *resp.ContentLength != 10 || !bytes.Equal(resp.ContentMD5, sum[:]) ||
		*resp.ContentType != "text/plain" || resp.ContentRange != nil || resp.ETag == nil || resp.LastModified == nil ||
		resp.RequestID == nil || resp.Version == nil || *resp.BlobType != blob.BlobTypeBlockBlob {
		t.Errorf("got %q, %v, %+v; want %q, nil, and all of its headers", body, err, resp.DownloadResponse, data)
	}

	for name, c := range map[string]struct {
		r       blob.HTTPRange
		want    string
		content string
	}{
		"middle":         {blob.HTTPRange{Offset: 2, Count: 3}, "234", "bytes 2-4/10"},
		"to the end":     {blob.HTTPRange{Offset: 7}, "789", "bytes 7-9/10"},
		"beyond the end": {blob.HTTPRange{Offset: 8, Count: 100}, "89", "bytes 8-9/10"},
	} {
		resp, err := client.DownloadStream(ctx, &blob.DownloadStreamOptions{Range: c.r})
		if err != nil {
			t.Fatalf("%s: got %v, want nil", name, err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if string(body) != c.want || *resp.ContentRange != c.content || !bytes.Equal(resp.BlobContentMD5, sum[:]) {
			t.Errorf("%s: got %q, %s; want %v, %v, %q", name, body, *resp.ContentRange, c.want, c.content, sum[:])
		}
	}

	resp, err = client.DownloadStream(ctx, &blob.DownloadStreamOptions{
		Range: blob.HTTPRange{Offset: 2, Count: 3}, RangeGetContentMD5: new(true),
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if sum := md5.Sum([]byte("234")); !bytes.Equal(resp.ContentMD5, sum[:]) {
		t.Errorf("the MD5 of the range is %x, want %x", resp.ContentMD5, sum)
	}
	if _, err = client.DownloadStream(ctx, &blob.DownloadStreamOptions{Range: blob.HTTPRange{Offset: 10, Count: 1}}); !hasCode(err, 416, bloberror.InvalidRange) {
		t.Errorf("a range beyond the end: got %v, want 416 %s", err, bloberror.InvalidRange)
	}
	srv.Put("docs", "empty", nil, "")
	if _, err = docs.NewBlobClient("empty").DownloadStream(ctx, &blob.DownloadStreamOptions{Range: blob.HTTPRange{Count: 1}}); !hasCode(err, 416, bloberror.InvalidRange) {
		t.Errorf("a range of an empty blob: got %v, want 416 %s", err, bloberror.InvalidRange)
	}
}

// hasCode reports whether err is a response with the status and the code.
func hasCode(err error, status int, code bloberror.Code) bool {
	var r *azcore.ResponseError
	return errors.As(err, &r) && r.StatusCode == status && r.ErrorCode == string(code)
}

func TestProperties(t *testing.T) {
	t.Parallel()
	srv, docs := aliceClient(t)
	srv.Put("docs", "a.txt", []byte("abc"), "text/plain")
	got, err := docs.NewBlobClient("a.txt").GetProperties(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if *got.ContentLength != 3 || *got.ContentType != "text/plain" || got.ETag == nil || got.CreationTime == nil || *got.AccessTier != "Hot" || len(got.ContentMD5) != md5.Size {
		t.Errorf("got %+v, want ContentLength 3, ContentType text/plain, an ETag, a CreationTime, AccessTier Hot, %v", got, md5.Size)
	}
	_, err = docs.NewBlobClient("none.txt").GetProperties(t.Context(), nil)
	if !hasCode(err, 404, bloberror.BlobNotFound) {
		t.Errorf("no such blob: got %v, want 404 %s", err, bloberror.BlobNotFound)
	}
	if _, err := docs.GetProperties(t.Context(), nil); err != nil {
		t.Errorf("properties of the container: got %v, want nil", err)
	}
}

func TestConditions(t *testing.T) {
	t.Parallel()
	srv, docs := aliceClient(t)
	srv.Put("docs", "a.txt", []byte("abc"), "")
	client := docs.NewBlobClient("a.txt")
	first, err := client.GetProperties(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	get := func(m blob.ModifiedAccessConditions) (blob.DownloadStreamResponse, error) {
		resp, err := client.DownloadStream(t.Context(), &blob.DownloadStreamOptions{AccessConditions: &blob.AccessConditions{ModifiedAccessConditions: &m}})
		if resp.Body != nil {
			_ = resp.Body.Close()
		}
		return resp, err
	}
	if _, err := get(blob.ModifiedAccessConditions{IfMatch: first.ETag}); err != nil {
		t.Errorf("If-Match of the same version: got %v, want nil", err)
	}
	if resp, err := get(blob.ModifiedAccessConditions{IfNoneMatch: first.ETag}); err != nil || resp.ErrorCode == nil || *resp.ErrorCode != "ConditionNotMet" {
		t.Errorf("If-None-Match of the same version: got %v, %v; want an ErrorCode, ConditionNotMet, nil", resp.ErrorCode, err)
	}
	if resp, err := get(blob.ModifiedAccessConditions{IfModifiedSince: first.LastModified}); err != nil || resp.ErrorCode == nil {
		t.Errorf("If-Modified-Since: got %v, %v; want an ErrorCode, nil", resp.ErrorCode, err)
	}
	if _, err := get(blob.ModifiedAccessConditions{IfUnmodifiedSince: new(first.LastModified.Add(-time.Hour))}); !hasCode(err, 412, bloberror.ConditionNotMet) {
		t.Errorf("If-Unmodified-Since: got %v, want 412 %s", err, bloberror.ConditionNotMet)
	}
	srv.Put("docs", "a.txt", []byte("new"), "")
	if _, err := get(blob.ModifiedAccessConditions{IfMatch: first.ETag}); !hasCode(err, 412, bloberror.ConditionNotMet) {
		t.Errorf("If-Match of an old version: got %v, want 412 %s", err, bloberror.ConditionNotMet)
	}
	if _, err := get(blob.ModifiedAccessConditions{IfNoneMatch: first.ETag}); err != nil {
		t.Errorf("If-None-Match of an old version: got %v, want nil", err)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	srv, docs := aliceClient(t)
	want := []string{"a.txt", "dir/b.txt", "dir/sub/c.txt", "dir2/d.txt", "ü & <x>.txt"}
	for _, name := range want {
		srv.Put("docs", name, []byte(name), "text/plain")
	}
	for _, size := range []int32{1, 2, 3, 4, 5, 6} {
		var got []string
		pages := 0
		for pager := docs.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{MaxResults: &size}); pager.More(); pages++ {
			page, err := pager.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range page.Segment.BlobItems {
				got = append(got, *b.Name)
				if *b.Properties.ContentLength != int64(len(*b.Name)) || b.Properties.LastModified == nil || b.Properties.ETag == nil || *b.Properties.ContentType != "text/plain" {
					t.Errorf("%s has properties %+v", *b.Name, b.Properties)
				}
			}
		}
		if !slices.Equal(got, want) || pages != (len(want)+int(size)-1)/int(size) {
			t.Errorf("in pages of %d: %d pages, %q; want %v, %q", size, pages, got, (len(want)+int(size)-1)/int(size), want)
		}
	}
	var names []string
	one := int32(1)
	for pager := docs.NewListBlobsHierarchyPager("/", &container.ListBlobsHierarchyOptions{Prefix: new("d"), MaxResults: &one}); pager.More(); {
		page, err := pager.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page.Segment.BlobPrefixes {
			names = append(names, *p.Name)
		}
	}
	if !slices.Equal(names, []string{"dir/", "dir2/"}) {
		t.Errorf("virtual folders: got %q, want %q", names, []string{"dir/", "dir2/"})
	}
	if _, err := docs.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Marker: new("%%")}).NextPage(t.Context()); !hasCode(err, 400, bloberror.InvalidQueryParameterValue) {
		t.Errorf("a marker of nobody's: got %v, want 400 %s", err, bloberror.InvalidQueryParameterValue)
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.Put("docs", "alice/a.txt", []byte("a"), "")
	srv.Put("docs", "b.txt", []byte("b"), "")
	srv.Grant(strings.ToUpper(alice), "docs", "alice/")
	srv.Grant(alice, "none", "")
	srv.Grant(bob, "", "")
	for _, c := range []struct {
		oid, container, blob string
		status               int
		code                 bloberror.Code
	}{
		{alice, "docs", "alice/a.txt", 200, ""},
		{alice, "docs", "alice/none.txt", 404, bloberror.BlobNotFound},
		{alice, "docs", "b.txt", 403, bloberror.AuthorizationPermissionMismatch},
		{alice, "docs", "none.txt", 403, bloberror.AuthorizationPermissionMismatch},
		{alice, "none", "a.txt", 404, bloberror.ContainerNotFound},
		{bob, "docs", "b.txt", 200, ""},
	} {
		client, _ := clientOf(t, srv, c.container, tokenOf(t, c.oid))
		resp, err := client.NewBlobClient(c.blob).DownloadStream(t.Context(), nil)
		if err == nil {
			_ = resp.Body.Close()
		}
		if (c.status == 200) != (err == nil) || err != nil && !hasCode(err, c.status, c.code) {
			t.Errorf("%s reads %s/%s: got %v, want %d %s", c.oid, c.container, c.blob, err, c.status, c.code)
		}
	}
	for prefix, allowed := range map[string]bool{"alice/": true, "alice/a": true, "": false, "al": false} {
		client, _ := clientOf(t, srv, "docs", tokenOf(t, alice))
		_, err := client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &prefix}).NextPage(t.Context())
		if allowed != (err == nil) {
			t.Errorf("alice lists %q: got %v, want nil: %t", prefix, err, allowed)
		}
	}
	srv.Revoke(bob)
	client, _ := clientOf(t, srv, "docs", tokenOf(t, bob))
	if _, err := client.NewBlobClient("b.txt").DownloadStream(t.Context(), nil); !hasCode(err, 403, bloberror.AuthorizationPermissionMismatch) {
		t.Errorf("after Revoke: got %v, want 403 %s", err, bloberror.AuthorizationPermissionMismatch)
	}
}

func TestOtherOperations(t *testing.T) {
	t.Parallel()
	srv, docs := aliceClient(t)
	if _, err := docs.Delete(context.Background(), nil); !hasCode(err, 405, bloberror.UnsupportedHTTPVerb) {
		t.Errorf("deleting: got %v, want 405 %s", err, bloberror.UnsupportedHTTPVerb)
	}
	if got := get(t, srv, "/docs/a?comp=acl", tokenOf(t, alice)); got.status != 400 || got.header.Get("x-ms-error-code") != "InvalidQueryParameterValue" {
		t.Errorf("an unknown comp: got %d, want 400, InvalidQueryParameterValue", got.status)
	}
}

func TestArchive(t *testing.T) {
	t.Parallel()
	srv, docs := aliceClient(t)
	srv.Put("docs", "a", []byte("abc"), "")
	srv.Update("docs", "a", func(p *blobtest.Properties) {
		p.Tier, p.ArchiveStatus, p.RehydratePriority = "Archive", "rehydrate-pending-to-hot", "High"
	})
	if _, err := docs.NewBlobClient("a").DownloadStream(t.Context(), nil); !hasCode(err, 409, bloberror.BlobArchived) {
		t.Errorf("reading an archived blob: got %v, want 409 %s", err, bloberror.BlobArchived)
	}
	if p, err := docs.NewBlobClient("a").GetProperties(t.Context(), nil); err != nil || *p.AccessTier != "Archive" ||
		*p.ArchiveStatus != "rehydrate-pending-to-hot" || *p.RehydratePriority != "High" {
		t.Errorf("its properties: got %v, want nil, Archive, rehydrate-pending-to-hot, High", err)
	}
}
