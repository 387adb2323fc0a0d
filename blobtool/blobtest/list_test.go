package blobtest_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// serviceOf returns azblob's client of the account, of that user.
func serviceOf(t testing.TB, srv *blobtest.Server, oid string) *service.Client {
	t.Helper()
	c, err := service.NewClient(srv.URL(), &static{token: tokenOf(t, oid)}, &service.ClientOptions{ClientOptions: policy.ClientOptions{
		Transport: srv.HTTPClient(),
		Retry:     policy.RetryOptions{MaxRetries: -1},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// listAll returns all entries of a flat listing, in pages of that size.
func listAll(t testing.TB, c *container.Client, size int32, in container.ListBlobsInclude) []*container.BlobItem {
	t.Helper()
	var all []*container.BlobItem
	for pager := c.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{MaxResults: &size, Include: in}); pager.More(); {
		page, err := pager.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Segment.BlobItems) > int(size) {
			t.Fatalf("a page of %d has %d blobs, want at most %v", size, len(page.Segment.BlobItems), int(size))
		}
		all = append(all, page.Segment.BlobItems...)
	}
	return all
}

// describe summarizes an entry of a listing.
func describe(b *container.BlobItem) string {
	s := *b.Name
	if b.Snapshot != nil && *b.Snapshot != "" {
		s += " snapshot"
	}
	if b.VersionID != nil {
		s += " version"
	}
	for what, p := range map[string]*bool{" current": b.IsCurrentVersion, " deleted": b.Deleted, " only": b.HasVersionsOnly} {
		if p != nil && *p {
			s += what
		}
	}
	return s
}

func descriptions(items []*container.BlobItem) []string {
	var all []string
	for _, b := range items {
		all = append(all, describe(b))
	}
	return all
}

func TestListContainers(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	for _, name := range []string{"docs", "docs-old", "logs"} {
		srv.AddContainer(name)
	}
	srv.SetContainerMetadata("docs", map[string]string{"owner": "Alice"})
	srv.Grant(alice, "", "")
	srv.Grant(bob, "docs", "")
	for _, c := range []struct {
		prefix string
		size   int32
		want   []string
		pages  int
	}{
		{"", 5000, []string{"docs", "docs-old", "logs"}, 1},
		{"", 1, []string{"docs", "docs-old", "logs"}, 3},
		{"docs", 1, []string{"docs", "docs-old"}, 2},
		{"none", 1, nil, 1},
	} {
		var got []string
		pages := 0
		for pager := serviceOf(t, srv, alice).NewListContainersPager(&service.ListContainersOptions{
			Prefix: &c.prefix, MaxResults: &c.size, Include: service.ListContainersInclude{Metadata: true},
		}); pager.More(); pages++ {
			page, err := pager.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, item := range page.ContainerItems {
				got = append(got, *item.Name)
				if item.Properties.LastModified == nil || item.Properties.ETag == nil || *item.Properties.LeaseState != "available" {
					t.Errorf("%s has properties %+v", *item.Name, item.Properties)
				}
				if *item.Name == "docs" && (item.Metadata["owner"] == nil || *item.Metadata["owner"] != "Alice") {
					t.Errorf("docs has metadata %v, want owner Alice", item.Metadata)
				}
			}
		}
		if !slices.Equal(got, c.want) || pages != c.pages {
			t.Errorf("%q in pages of %d: %d pages, %q; want %v, %q", c.prefix, c.size, pages, got, c.pages, c.want)
		}
	}
	if _, err := serviceOf(t, srv, bob).NewListContainersPager(nil).NextPage(t.Context()); !hasCode(err, 403, bloberror.AuthorizationPermissionMismatch) {
		t.Errorf("with a role on one container: got %v, want 403 %s", err, bloberror.AuthorizationPermissionMismatch)
	}
	docs, _ := clientOf(t, srv, "docs", tokenOf(t, bob))
	if p, err := docs.GetProperties(t.Context(), nil); err != nil || p.Metadata["Owner"] == nil {
		t.Errorf("properties of the container: got %v, %v; want an Owner, nil", p.Metadata, err)
	}
}

func TestListedProperties(t *testing.T) {
	t.Parallel()
	srv, docs := aliceClient(t)
	srv.Put("docs", "a", []byte("abc"), "text/plain")
	srv.Update("docs", "a", func(p *blobtest.Properties) {
		*p = blobtest.Properties{
			ContentType: "text/html", ContentEncoding: "gzip", ContentLanguage: "ja", ContentDisposition: "inline", CacheControl: "no-store",
			MD5: p.MD5, Metadata: map[string]string{"author": "Alice", "b_2": ""}, Tags: map[string]string{"x": "1", "y": "2"},
			Tier: "Archive", ArchiveStatus: "rehydrate-pending-to-cool", RehydratePriority: "Standard", LeaseState: "leased", LeaseDuration: "infinite",
		}
	})
	item := listAll(t, docs, 10, container.ListBlobsInclude{Metadata: true})[0]
	p := item.Properties
	got := fmt.Sprint(*p.ContentType, *p.ContentEncoding, *p.ContentLanguage, *p.ContentDisposition, *p.CacheControl, *p.AccessTier, *p.ArchiveStatus,
		*p.RehydratePriority, *p.LeaseState, *p.LeaseStatus, *p.LeaseDuration, *p.TagCount, *p.ContentLength, *p.BlobType, *p.ServerEncrypted, len(p.ContentMD5))
	if want := fmt.Sprint("text/html", "gzip", "ja", "inline", "no-store", "Archive", "rehydrate-pending-to-cool",
		"Standard", "leased", "locked", "infinite", 2, 3, "BlockBlob", true, 16); got != want {
		t.Errorf("listed:\n%s, want\n%s", got, want)
	}
	if p.AccessTierInferred != nil && *p.AccessTierInferred || item.BlobTags != nil {
		t.Errorf("listed %+v, tags %v; want a tier that is set, no tags", p, item.BlobTags)
	}
	if *item.Metadata["author"] != "Alice" || *item.Metadata["b_2"] != "" || len(item.Metadata) != 2 {
		t.Errorf("metadata %v, want author Alice and an empty b_2", item.Metadata)
	}
	h, err := docs.NewBlobClient("a").GetProperties(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	got = fmt.Sprint(*h.ContentType, *h.ContentEncoding, *h.ContentLanguage, *h.ContentDisposition, *h.CacheControl, *h.AccessTier, *h.ArchiveStatus,
		*h.RehydratePriority, *h.LeaseState, *h.LeaseStatus, *h.LeaseDuration, *h.TagCount, *h.Metadata["Author"])
	if want := fmt.Sprint("text/html", "gzip", "ja", "inline", "no-store", "Archive", "rehydrate-pending-to-cool",
		"Standard", "leased", "locked", "infinite", 2, "Alice"); got != want {
		t.Errorf("headers:\n%s, want\n%s", got, want)
	}
	if item := listAll(t, docs, 10, container.ListBlobsInclude{})[0]; item.Metadata != nil {
		t.Errorf("metadata without include: got %v, want no Metadata", item.Metadata)
	}
}

// Names that XML can't represent, or that look encoded, arrive unchanged.
func TestListNames(t *testing.T) {
	t.Parallel()
	srv, docs := aliceClient(t)
	want := []string{" ", "%41", "+", "a\x01+b %", "a\uFFFEb", "a b", "dir/", "dir//x", "é", "\u202Ertl", "😀.txt"}
	slices.Sort(want)
	for _, name := range want {
		srv.Put("docs", name, nil, "")
	}
	if got := descriptions(listAll(t, docs, 3, container.ListBlobsInclude{})); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A folder is one entry however large it is, and the next page continues after it.
func TestListByHierarchy(t *testing.T) {
	t.Parallel()
	srv, docs := aliceClient(t)
	for _, name := range []string{"a", "a-b", "a/1", "a/2", "a/3/4", "a0", "b/1", "c"} {
		srv.Put("docs", name, nil, "")
	}
	for prefix, want := range map[string]string{"": "a a-b a/ a0 b/ c", "a": "a a-b a/ a0", "a/": "a/1 a/2 a/3/", "a/3": "a/3/", "x": ""} {
		for size := int32(1); size < 8; size++ {
			got := map[string]bool{}
			for pager := docs.NewListBlobsHierarchyPager("/", &container.ListBlobsHierarchyOptions{Prefix: &prefix, MaxResults: &size}); pager.More(); {
				page, err := pager.NextPage(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				n := len(got)
				for _, p := range page.Segment.BlobPrefixes {
					got[*p.Name] = true
				}
				for _, b := range page.Segment.BlobItems {
					got[*b.Name] = true
				}
				if len(got)-n != len(page.Segment.BlobPrefixes)+len(page.Segment.BlobItems) || len(got)-n > int(size) {
					t.Errorf("%q in pages of %d: got an entry twice or too many, want each once", prefix, size)
				}
			}
			if names := strings.Join(slices.Sorted(maps.Keys(got)), " "); names != want {
				t.Errorf("%q in pages of %d: got %s, want %v", prefix, size, names, want)
			}
		}
	}
}

func TestListRefuses(t *testing.T) {
	t.Parallel()
	srv, docs := aliceClient(t)
	token := tokenOf(t, alice)
	for query, code := range map[string]string{
		"include=versions,x": "InvalidQueryParameterValue", "maxresults=0": "OutOfRangeQueryParameterValue",
		"maxresults=x": "OutOfRangeQueryParameterValue", "marker=%25": "InvalidQueryParameterValue", "marker=YQ==": "InvalidQueryParameterValue",
	} {
		if got := get(t, srv, "/docs?restype=container&comp=list&"+query, token); got.status != 400 || got.header.Get("x-ms-error-code") != code {
			t.Errorf("%s: got %d %s, want 400, %v", query, got.status, got.header.Get("x-ms-error-code"), code)
		}
	}
	_, err := docs.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Include: container.ListBlobsInclude{Tags: true}}).NextPage(t.Context())
	if !hasCode(err, 403, bloberror.AuthorizationPermissionMismatch) {
		t.Errorf("a Reader lists tags: got %v, want 403 %s", err, bloberror.AuthorizationPermissionMismatch)
	}
	none, _ := clientOf(t, srv, "none", token)
	srv.Grant(alice, "none", "")
	if _, err := none.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: new("a")}).NextPage(t.Context()); !hasCode(err, 404, bloberror.ContainerNotFound) {
		t.Errorf("no container: got %v, want 404 %s", err, bloberror.ContainerNotFound)
	}
}
