package blobtest_test

import (
	"io"
	"slices"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// content returns what the client reads.
func content(t testing.TB, c *blob.Client, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.DownloadStream(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestVersions(t *testing.T) {
	t.Parallel()
	srv, docs := aliceClientWith(t, blobtest.Options{Versioning: true})
	srv.Put("docs", "a", []byte("1"), "")
	srv.Put("docs", "a", []byte("22"), "")
	srv.Update("docs", "a", func(p *blobtest.Properties) { p.Metadata = map[string]string{"k": "v"} })
	srv.Update("docs", "a", func(p *blobtest.Properties) { p.Tier = "Cool" }) // creates no version
	srv.Put("docs", "b", nil, "")
	ids := srv.Versions("docs", "a")
	if len(ids) != 3 || !slices.IsSorted(ids) || srv.Versions("docs", "none") != nil {
		t.Fatalf("versions %q, want 3 in order, and none of another blob", ids)
	}
	a := docs.NewBlobClient("a")
	for i, want := range []string{"1", "22", "22"} {
		c, err := a.WithVersionID(ids[i])
		if got := content(t, c, err); got != want {
			t.Errorf("version %d is %q, want %v", i, got, want)
		}
		p, err := c.GetProperties(t.Context(), nil)
		if err != nil || *p.VersionID != ids[i] || (p.IsCurrentVersion != nil && *p.IsCurrentVersion) != (i == 2) {
			t.Errorf("properties of version %d: got %+v, %v; want id %s, the last one current, nil", i, p, err, ids[i])
		}
	}
	p, err := a.GetProperties(t.Context(), nil)
	if err != nil || *p.VersionID != ids[2] || !*p.IsCurrentVersion || *p.AccessTier != "Cool" || *p.Metadata["K"] != "v" {
		t.Errorf("properties: got %+v, %v; want those of the current version, Cool, K v, nil", p, err)
	}
	c, err := a.WithVersionID("2020-01-01T00:00:00.0000000Z")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.DownloadStream(t.Context(), nil); !hasCode(err, 404, bloberror.BlobNotFound) {
		t.Errorf("an invalid version: got %v, want 404 %s", err, bloberror.BlobNotFound)
	}

	check := func(what string, in container.ListBlobsInclude, want ...string) {
		t.Helper()
		for size := int32(1); size < 6; size++ {
			if got := descriptions(listAll(t, docs, size, in)); !slices.Equal(got, want) {
				t.Errorf("%s, in pages of %d: got %q, want %q", what, size, got, want)
			}
		}
	}
	check("flat", container.ListBlobsInclude{}, "a version current", "b version current")
	check("versions", container.ListBlobsInclude{Versions: true}, "a version", "a version", "a version current", "b version current")
	srv.Delete("docs", "a")
	srv.Delete("docs", "a") // deleting it again is harmless
	if _, err := a.DownloadStream(t.Context(), nil); !hasCode(err, 404, bloberror.BlobNotFound) {
		t.Errorf("after Delete: got %v, want 404 %s", err, bloberror.BlobNotFound)
	}
	check("deleted, flat", container.ListBlobsInclude{}, "b version current")
	check("deleted, versions", container.ListBlobsInclude{Versions: true}, "a version", "a version", "a version", "b version current")
	check("deleted with versions", container.ListBlobsInclude{DeletedWithVersions: true}, "a version only", "b version current")
	srv.Put("docs", "a", []byte("3"), "")
	if ids := srv.Versions("docs", "a"); len(ids) != 4 {
		t.Errorf("versions after all: got %q, want 4 ids", ids)
	}
}

func TestSnapshots(t *testing.T) {
	t.Parallel()
	srv, docs := aliceClient(t)
	srv.Put("docs", "a", []byte("1"), "")
	first := srv.Snapshot("docs", "a")
	srv.Put("docs", "a", []byte("2"), "")
	second := srv.Snapshot("docs", "a")
	srv.Put("docs", "a", []byte("3"), "")
	for id, want := range map[string]string{first: "1", second: "2"} {
		c, err := docs.NewBlobClient("a").WithSnapshot(id)
		if got := content(t, c, err); got != want {
			t.Errorf("snapshot %s is %q, want %v", id, got, want)
		}
	}
	items := listAll(t, docs, 2, container.ListBlobsInclude{Snapshots: true})
	if got := descriptions(items); !slices.Equal(got, []string{"a snapshot", "a snapshot", "a"}) || *items[0].Snapshot != first || items[0].Properties.AccessTier != nil {
		t.Errorf("snapshots: got %q, want %q, %v, no items[0].Properties.AccessTier", got, []string{"a snapshot", "a snapshot", "a"}, first)
	}
	if got := descriptions(listAll(t, docs, 2, container.ListBlobsInclude{Deleted: true, Versions: true})); !slices.Equal(got, []string{"a"}) {
		t.Errorf("without snapshots: got %q, want %q", got, []string{"a"})
	}
	srv.Delete("docs", "a")
	if got := listAll(t, docs, 2, container.ListBlobsInclude{Snapshots: true, Deleted: true}); len(got) != 0 {
		t.Errorf("deleted for good: got %q, want none", descriptions(got))
	}
	c, err := docs.NewBlobClient("a").WithSnapshot(first)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.GetProperties(t.Context(), nil); err == nil {
		t.Error("a deleted snapshot has properties")
	}
}

func TestSoftDelete(t *testing.T) {
	t.Parallel()
	srv, docs := aliceClientWith(t, blobtest.Options{SoftDeleteDays: 7})
	srv.Put("docs", "a", []byte("1"), "")
	srv.Snapshot("docs", "a")
	srv.Put("docs", "a", []byte("2"), "") // keeps the first as a deleted snapshot
	srv.Put("docs", "b", nil, "")
	srv.Delete("docs", "b")
	srv.AddContainer("other")
	srv.Delete("other", "x")
	for _, c := range []struct {
		in   container.ListBlobsInclude
		want []string
	}{
		{container.ListBlobsInclude{}, []string{"a"}},
		{container.ListBlobsInclude{Snapshots: true}, []string{"a snapshot", "a"}},
		{container.ListBlobsInclude{Deleted: true}, []string{"a", "b deleted"}},
		{container.ListBlobsInclude{Deleted: true, Snapshots: true}, []string{"a snapshot", "a snapshot deleted", "a", "b deleted"}},
	} {
		items := listAll(t, docs, 2, c.in)
		if got := descriptions(items); !slices.Equal(got, c.want) {
			t.Errorf("%+v: got %q, want %q", c.in, got, c.want)
		}
		if b := items[len(items)-1]; b.Deleted != nil && (*b.Properties.RemainingRetentionDays != 7 || b.Properties.DeletedTime == nil) {
			t.Errorf("the deleted one has properties %+v", b.Properties)
		}
	}
	srv.Delete("docs", "a")
	want := []string{"a snapshot deleted", "a snapshot deleted", "a deleted", "b deleted"}
	if got := descriptions(listAll(t, docs, 1, container.ListBlobsInclude{Deleted: true, Snapshots: true})); !slices.Equal(got, want) {
		t.Errorf("with its snapshots: got %q, want %q", got, want)
	}
	if _, err := docs.NewBlobClient("b").DownloadStream(t.Context(), nil); !hasCode(err, 404, bloberror.BlobNotFound) {
		t.Errorf("reading a deleted blob: got %v, want 404 %s", err, bloberror.BlobNotFound)
	}
	srv.Put("docs", "b", nil, "") // as in Azure, a name that exists again is no longer listed as deleted
	if got := descriptions(listAll(t, docs, 1, container.ListBlobsInclude{Deleted: true})); !slices.Equal(got, []string{"a deleted", "b"}) {
		t.Errorf("put again: got %q, want %q", got, []string{"a deleted", "b"})
	}
}
