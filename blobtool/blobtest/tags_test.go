package blobtest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

const carol = "cccccccc-0000-0000-0000-000000000003" // owner of the account

// tagged starts a server with tagged blobs. carol may see all tags, bob those in docs, alice none.
func tagged(t *testing.T) *blobtest.Server {
	srv := newServer(t)
	for name, tags := range map[string]map[string]string{
		"docs/a": {"project": "x", "rank": "10"},
		"docs/b": {"project": "y", "rank": "20"},
		"docs/c": {"project": "x", "rank": "30", "due date": "2026-11-25"},
		"docs/d": nil,
		"old/e":  {"project": "x"},
	} {
		c, b, _ := strings.Cut(name, "/")
		srv.Put(c, b, nil, "")
		srv.Update(c, b, func(p *blobtest.Properties) { p.Tags = tags })
	}
	srv.Grant(alice, "", "")
	srv.GrantOwner(bob, "docs", "")
	srv.GrantOwner(carol, "", "")
	return srv
}

func TestFindByTags(t *testing.T) {
	t.Parallel()
	srv := tagged(t)
	for where, want := range map[string]string{
		`"project" = 'x'`:                             "docs/a docs/c old/e",
		`project='x' and rank>'10'`:                   "docs/c",
		`"rank" >= '10' AND "rank" < '30'`:            "docs/a docs/b",
		`"rank" <= '20'`:                              "docs/a docs/b",
		`@container = 'docs' AND "project" = 'x'`:     "docs/a docs/c",
		`"due date" > '2026' And @container = 'docs'`: "docs/c",
		`"none" = ''`:                                 "",
	} {
		for size := int32(1); size < 5; size++ {
			var got []string
			marker := ""
			for first := true; first || marker != ""; first = false {
				page, err := serviceOf(t, srv, carol).FilterBlobs(t.Context(), where, &service.FilterBlobsOptions{Marker: &marker, MaxResults: &size})
				if err != nil {
					t.Fatalf("%s: got %v, want nil", where, err)
				}
				for _, b := range page.Blobs {
					got = append(got, *b.ContainerName+"/"+*b.Name)
				}
				marker = *page.NextMarker
			}
			if names := strings.Join(got, " "); names != want {
				t.Errorf("%s, in pages of %d: got %s, want %v", where, size, names, want)
			}
		}
	}
	docs, _ := clientOf(t, srv, "docs", tokenOf(t, bob))
	page, err := docs.FilterBlobs(t.Context(), `"project" = 'x'`, nil)
	if err != nil || len(page.Blobs) != 2 || *page.Blobs[1].Name != "c" || len(page.Blobs[1].Tags.BlobTagSet) != 1 ||
		*page.Blobs[1].Tags.BlobTagSet[0].Value != "x" || *page.Where != `"project" = 'x'` {
		t.Errorf("in the container: %+v, %v", page, err)
	}
	for _, where := range []string{
		"", "project", `"project" = x`, `"project" = "x"`, `"project" <> 'x'`, `"project" = 'x' OR "rank" = '1'`, `NOT "project" = 'x'`,
		`"project" = 'x' AND`, `"project" = 'x' AND AND "rank" = '1'`, `"rank" > '1' AND "rank" >= '2'`, `"rank" = '1' AND "rank" > '0'`, `@container > 'a'`, `@name = 'a'`,
		`"project" = 'x'; DROP`, `"project" = 'it''s'`, `"project" = 'x'AND"rank" = '1'`,
	} {
		if _, err := serviceOf(t, srv, carol).FilterBlobs(t.Context(), where, nil); !hasCode(err, 400, bloberror.InvalidQueryParameterValue) {
			t.Errorf("%s: got %v, want 400 %s", where, err, bloberror.InvalidQueryParameterValue)
		}
	}
}

func TestTagsTakeOwner(t *testing.T) {
	t.Parallel()
	srv := tagged(t)
	for oid, may := range map[string]struct{ account, container bool }{alice: {}, bob: {false, true}, carol: {true, true}} {
		docs, _ := clientOf(t, srv, "docs", tokenOf(t, oid))
		_, find := serviceOf(t, srv, oid).FilterBlobs(t.Context(), "project = 'x'", nil)
		_, findInside := docs.FilterBlobs(t.Context(), "project = 'x'", nil)
		tags, read := docs.NewBlobClient("c").GetTags(t.Context(), nil)
		_, list := docs.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Include: container.ListBlobsInclude{Tags: true}}).NextPage(t.Context())
		for what, c := range map[string]struct {
			err error
			may bool
		}{"find": {find, may.account}, "find in container": {findInside, may.container}, "read": {read, may.container}, "list": {list, may.container}} {
			if c.may != (c.err == nil) || c.err != nil && !hasCode(c.err, 403, bloberror.AuthorizationPermissionMismatch) {
				t.Errorf("%s: %s: got %v, want nil: %t, or 403", oid, what, c.err, c.may)
			}
		}
		if may.container && (len(tags.BlobTagSet) != 3 || *tags.BlobTagSet[0].Key != "due date" || *tags.BlobTagSet[0].Value != "2026-11-25") {
			t.Errorf("tags %+v, want 3, the first due date 2026-11-25", tags.BlobTagSet)
		}
		if p, err := docs.NewBlobClient("c").GetProperties(t.Context(), nil); err != nil || *p.TagCount != 3 {
			t.Errorf("%s: the number of tags: got %v, want nil, 3", oid, err)
		}
	}
	docs, _ := clientOf(t, srv, "docs", tokenOf(t, carol))
	if _, err := docs.NewBlobClient("none").GetTags(t.Context(), nil); !hasCode(err, 404, bloberror.BlobNotFound) {
		t.Errorf("tags of nothing: got %v, want 404 %s", err, bloberror.BlobNotFound)
	}
	if tags, err := docs.NewBlobClient("d").GetTags(t.Context(), nil); err != nil || len(tags.BlobTagSet) != 0 {
		t.Errorf("a blob without tags: got %+v, %v; want no blobtagset, nil", tags, err)
	}
	none, _ := clientOf(t, srv, "none", tokenOf(t, carol))
	if _, err := none.FilterBlobs(t.Context(), "a='b'", nil); !hasCode(err, 404, bloberror.ContainerNotFound) {
		t.Errorf("no container: got %v, want 404 %s", err, bloberror.ContainerNotFound)
	}
	items := listAll(t, docs, 10, container.ListBlobsInclude{Tags: true})
	if i := slices.IndexFunc(items, func(b *container.BlobItem) bool { return b.BlobTags != nil && len(b.BlobTags.BlobTagSet) == 3 }); i != 2 {
		t.Errorf("listed tags: got %d, want 2", i)
	}
}

// With HidesTagCount, only those who may read tags see how many there are.
func TestHidesTagCount(t *testing.T) {
	t.Parallel()
	w := newWriter(t, blobtest.Options{HidesTagCount: true})
	_, err := w.as(carol).put("a", "", &blockblob.UploadOptions{Tags: map[string]string{"k": "v"}})
	w.must("put", err)
	for oid, want := range map[string]bool{alice: false, carol: true} {
		user := w.as(oid)
		items := listAll(t, user.Client, 10, container.ListBlobsInclude{})
		if p := user.props("a"); (p.TagCount != nil) != want || (items[0].Properties.TagCount != nil) != want {
			t.Errorf("%s: sees the count: %t and listed %t, want %t", oid, p.TagCount != nil, items[0].Properties.TagCount != nil, want)
		}
	}
}

// Changing tags keeps the ETag; changing metadata does not.
func TestUpdateAndETag(t *testing.T) {
	t.Parallel()
	srv, docs := aliceClient(t)
	srv.Put("docs", "a", []byte("x"), "")
	etag := func() string {
		p, err := docs.NewBlobClient("a").GetProperties(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return string(*p.ETag)
	}
	first := etag()
	srv.Update("docs", "a", func(p *blobtest.Properties) {
		p.Tags, p.Tier, p.LeaseState = map[string]string{"a": "b"}, "Cold", "expired"
	})
	if etag() != first {
		t.Error("tags, tier or lease have changed the ETag")
	}
	metadata := map[string]string{"a": "b"}
	srv.Update("docs", "a", func(p *blobtest.Properties) { p.Metadata = metadata })
	second := etag()
	if second == first {
		t.Error("metadata have not changed the ETag")
	}
	metadata["a"] = "changed by the caller"
	srv.SetContentEncoding("docs", "a", "gzip")
	if p, err := docs.NewBlobClient("a").GetProperties(t.Context(), nil); err != nil || *p.Metadata["A"] != "b" || string(*p.ETag) == second {
		t.Errorf("got %+v, %v; want nil, b, not %v", p, err, second)
	}
	defer func() {
		if recover() == nil {
			t.Error("Update of nothing does not panic")
		}
	}()
	srv.Update("docs", "none", func(*blobtest.Properties) {})
}
