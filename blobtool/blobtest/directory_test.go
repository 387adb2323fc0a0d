package blobtest_test

import (
	"crypto/rsa"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

func TestHierarchicalNamespace(t *testing.T) {
	t.Parallel()
	srv, docs := aliceClientWith(t, blobtest.Options{HierarchicalNamespace: true})
	srv.GrantOwner(alice, "docs", "")
	srv.Put("docs", "a/b/c.txt", []byte("c"), "text/plain")
	srv.Put("docs", "a/d.txt", nil, "")
	srv.Put("docs", "a-b.txt", nil, "")
	srv.AddDirectory("docs", "empty/")
	srv.AddDirectory("docs", "a/b") // adding it again is harmless

	for size := int32(1); size < 8; size++ {
		var got []string
		for _, b := range listAll(t, docs, size, container.ListBlobsInclude{Metadata: true}) {
			got = append(got, fmt.Sprintf("%s:%s:%d", *b.Name, *b.Properties.ResourceType, *b.Properties.ContentLength))
			if stub := b.Metadata["hdi_isfolder"] != nil; stub != (*b.Properties.ResourceType == "directory") {
				t.Errorf("%s has metadata %v", *b.Name, b.Metadata)
			}
		}
		want := []string{"a-b.txt:file:0", "a:directory:0", "a/b:directory:0", "a/b/c.txt:file:1", "a/d.txt:file:0", "empty:directory:0"}
		if !slices.Equal(got, want) {
			t.Errorf("flat, in pages of %d: got %q, want %q", size, got, want)
		}
	}

	for prefix, want := range map[string]string{"": "a-b.txt a/ empty/", "a/": "a/b/ a/d.txt", "empty/": "", "a/b": "a/b/"} {
		var got []string
		one := int32(1)
		for pager := docs.NewListBlobsHierarchyPager("/", &container.ListBlobsHierarchyOptions{Prefix: &prefix, MaxResults: &one}); pager.More(); {
			page, err := pager.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range page.Segment.BlobPrefixes {
				got = append(got, *p.Name)
				if p.Properties == nil || *p.Properties.ResourceType != "directory" || p.Properties.LastModified == nil || *p.Properties.ContentLength != 0 {
					t.Errorf("%s has properties %+v", *p.Name, p.Properties)
				}
			}
			for _, b := range page.Segment.BlobItems {
				got = append(got, *b.Name)
			}
		}
		if names := strings.Join(got, " "); names != want {
			t.Errorf("by hierarchy, %q: got %s, want %v", prefix, names, want)
		}
	}

	for _, name := range []string{"a", "a/b", "empty/"} {
		p, err := docs.NewBlobClient(name).GetProperties(t.Context(), nil)
		if err != nil || *p.ContentLength != 0 || *p.Metadata["Hdi_isfolder"] != "true" {
			t.Errorf("properties of %s: got %+v, %v; want nil, ContentLength 0, true", name, p, err)
		}
		if got := content(t, docs.NewBlobClient(name), nil); got != "" {
			t.Errorf("%s has content %q, want none", name, got)
		}
	}
	if got := content(t, docs.NewBlobClient("a/b/c.txt"), nil); got != "c" {
		t.Errorf("the file has %q, want c", got)
	}
	if got := get(t, srv, "/docs/a", tokenOf(t, alice)); got.header.Get("x-ms-resource-type") != "directory" {
		t.Errorf("the resource type of a is %q, want directory", got.header.Get("x-ms-resource-type"))
	}
	if _, err := docs.NewBlobClient("a/d.txt").GetTags(t.Context(), nil); !hasCode(err, 400, bloberror.InvalidQueryParameterValue) {
		t.Errorf("tags: got %v, want 400 %s", err, bloberror.InvalidQueryParameterValue)
	}
	if _, err := docs.FilterBlobs(t.Context(), "a='b'", nil); !hasCode(err, 400, bloberror.InvalidQueryParameterValue) {
		t.Errorf("finding by tags: got %v, want 400 %s", err, bloberror.InvalidQueryParameterValue)
	}
}

func TestHierarchyPanics(t *testing.T) {
	t.Parallel()
	flat := newServer(t)
	for what, f := range map[string]func(){
		"a directory in a flat namespace": func() { flat.AddDirectory("docs", "a") },
		"with versions": func() {
			blobtest.NewServer(&blobtest.Options{
				Key: func(string) (*rsa.PublicKey, bool) { return nil, false }, Issuer: issuer, HierarchicalNamespace: true, Versioning: true,
			})
		},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: got no panic, want one", what)
				}
			}()
			f()
		}()
	}
}

func TestAccountInPath(t *testing.T) {
	t.Parallel()
	srv, docs := aliceClientWith(t, blobtest.Options{Account: "devstoreaccount1"})
	if !strings.HasSuffix(srv.URL(), "/devstoreaccount1") {
		t.Errorf("the URL is %s, want /devstoreaccount1 at the end", srv.URL())
	}
	srv.Grant(alice, "", "")
	srv.Put("docs", "a/b", []byte("x"), "")
	if got := content(t, docs.NewBlobClient("a/b"), nil); got != "x" {
		t.Errorf("got %q, want x", got)
	}
	if got := descriptions(listAll(t, docs, 5, container.ListBlobsInclude{})); !slices.Equal(got, []string{"a/b"}) {
		t.Errorf("listed %q, want %q", got, []string{"a/b"})
	}
	page, err := serviceOf(t, srv, alice).NewListContainersPager(nil).NextPage(t.Context())
	if err != nil || len(page.ContainerItems) != 1 || *page.ServiceEndpoint != srv.URL()+"/" {
		t.Errorf("got %+v, %v; want 1 container of this service, nil", page, err)
	}
	resp, err := srv.HTTPClient().Get(strings.TrimSuffix(srv.URL(), "devstoreaccount1") + "other/?comp=list")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if r := srv.Requests(); r[len(r)-1].Operation != "" {
		t.Errorf("another account: got %+v, want none", r[len(r)-1])
	}
}
