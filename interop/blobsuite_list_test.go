//go:build unix

package interop_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	azcontainer "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// listContainers lists by prefix, in pages of one.
func listContainers(p *place) error {
	metadata := map[string]string{"owner": "Alice"}
	for _, name := range []string{"-b", "-a", "-c"} {
		if err := p.stock.addContainer(p.ctx, p.container+name, metadata); err != nil {
			return err
		}
	}
	var got []string
	prefix := p.container + "-"
	for pager := p.account.NewListContainersPager(&service.ListContainersOptions{
		Prefix: &prefix, MaxResults: to.Ptr[int32](1), Include: service.ListContainersInclude{Metadata: true},
	}); pager.More(); {
		page, err := pager.NextPage(p.ctx)
		if err != nil {
			return err
		}
		if len(page.ContainerItems) != 1 {
			return fmt.Errorf("a page of %d", len(page.ContainerItems))
		}
		item := page.ContainerItems[0]
		got = append(got, *item.Name)
		if item.Properties.ETag == nil || item.Properties.LastModified == nil || item.Metadata["owner"] == nil || *item.Metadata["owner"] != "Alice" {
			return fmt.Errorf("%s has %+v and metadata %v", *item.Name, item.Properties, item.Metadata)
		}
	}
	properties, err := p.account.NewContainerClient(prefix+"a").GetProperties(p.ctx, nil)
	if err != nil {
		return err
	}
	return errors.Join(
		differs("names", got, []string{prefix + "a", prefix + "b", prefix + "c"}),
		differs("metadata", *properties.Metadata["Owner"], "Alice"),
	)
}

// flat lists all entries, in pages of that size.
func (p *place) flat(prefix string, size int32, in azcontainer.ListBlobsInclude) (items []*azcontainer.BlobItem, pages int, err error) {
	for pager := p.blobs.NewListBlobsFlatPager(&azcontainer.ListBlobsFlatOptions{Prefix: &prefix, MaxResults: &size, Include: in}); pager.More(); pages++ {
		page, err := pager.NextPage(p.ctx)
		if err != nil {
			return nil, 0, err
		}
		if len(page.Segment.BlobItems) > int(size) {
			return nil, 0, fmt.Errorf("a page of %d has %d blobs", size, len(page.Segment.BlobItems))
		}
		items = append(items, page.Segment.BlobItems...)
	}
	return items, pages, nil
}

func namesOf(items []*azcontainer.BlobItem) string {
	var names []string
	for _, b := range items {
		names = append(names, *b.Name)
	}
	return strings.Join(names, " ")
}

func listFlat(p *place) error {
	if err := p.put("b", "a", "a-b", "a/1", "a/2/3", "a0", "B"); err != nil {
		return err
	}
	for _, c := range []struct {
		prefix string
		size   int32
		want   string
		pages  int
	}{
		{"", 10, "B a a-b a/1 a/2/3 a0 b", 1},
		{"", 3, "B a a-b a/1 a/2/3 a0 b", 3},
		{"", 1, "B a a-b a/1 a/2/3 a0 b", 7},
		{"a/", 1, "a/1 a/2/3", 2},
		{"none", 1, "", 1},
	} {
		items, pages, err := p.flat(c.prefix, c.size, azcontainer.ListBlobsInclude{})
		if err != nil {
			return err
		}
		if namesOf(items) != c.want || pages != c.pages {
			return fmt.Errorf("%q in pages of %d: %s in %d pages", c.prefix, c.size, namesOf(items), pages)
		}
	}
	return nil
}

func listByHierarchy(p *place) error {
	if err := p.put("a", "a-b", "a/1", "a/2/3", "a/2/4", "b/1"); err != nil {
		return err
	}
	for prefix, want := range map[string]string{"": "a a-b | a/ b/", "a/": "a/1 | a/2/", "a": "a a-b | a/", "a/2": " | a/2/"} {
		for _, size := range []int32{1, 2, 10} {
			var blobs, folders []string
			for pager := p.blobs.NewListBlobsHierarchyPager("/", &azcontainer.ListBlobsHierarchyOptions{Prefix: &prefix, MaxResults: &size}); pager.More(); {
				page, err := pager.NextPage(p.ctx)
				if err != nil {
					return err
				}
				for _, b := range page.Segment.BlobItems {
					blobs = append(blobs, *b.Name)
				}
				for _, f := range page.Segment.BlobPrefixes {
					folders = append(folders, *f.Name)
				}
			}
			if got := strings.Join(blobs, " ") + " | " + strings.Join(folders, " "); got != want {
				return fmt.Errorf("%q in pages of %d: %s", prefix, size, got)
			}
		}
	}
	return nil
}

func listProperties(p *place) error {
	metadata := map[string]string{"author": "alice", "empty": ""}
	err := p.stock.put(p.ctx, p.container, "a", []byte("abc"), blobtest.Properties{
		ContentType: "text/html", ContentEncoding: "gzip", ContentLanguage: "ja", ContentDisposition: "inline", CacheControl: "no-store",
		Metadata: metadata, Tags: map[string]string{"x": "1", "y": "2"}, Tier: "Cool",
	})
	if err != nil {
		return err
	}
	items, _, err := p.flat("", 10, azcontainer.ListBlobsInclude{Metadata: true, Tags: true})
	if err != nil || len(items) != 1 {
		return fmt.Errorf("%d items, %w", len(items), err)
	}
	h, err := p.blobs.NewBlobClient("a").GetProperties(p.ctx, nil)
	if err != nil {
		return err
	}
	l := items[0].Properties
	listed := fmt.Sprint(*l.ContentType, *l.ContentEncoding, *l.ContentLanguage, *l.ContentDisposition, *l.CacheControl, *l.AccessTier, *l.BlobType,
		*l.ContentLength, string(l.ContentMD5), *l.LeaseState, *l.LeaseStatus, l.LastModified, *l.ServerEncrypted)
	head := fmt.Sprint(*h.ContentType, *h.ContentEncoding, *h.ContentLanguage, *h.ContentDisposition, *h.CacheControl, *h.AccessTier, *h.BlobType,
		*h.ContentLength, string(h.ContentMD5), *h.LeaseState, *h.LeaseStatus, h.LastModified, *h.IsServerEncrypted)
	got := map[string]string{}
	for k, v := range items[0].Metadata {
		got[k] = *v
	}
	var tags []string
	for _, tag := range items[0].BlobTags.BlobTagSet {
		tags = append(tags, *tag.Key+"="+*tag.Value)
	}
	slices.Sort(tags)
	return errors.Join(
		differs("listed properties and headers", listed, head),
		differs("ETag", strings.Trim(string(*l.ETag), `"`), strings.Trim(string(*h.ETag), `"`)),
		differs("type", *l.ContentType, "text/html"),
		differs("tier", string(*l.AccessTier), "Cool"),
		differs("listed metadata", got, metadata),
		differs("metadata header", *h.Metadata["Author"], "alice"),
		differs("tags", tags, []string{"x=1", "y=2"}),
	)
}

// snapshots takes two snapshots of a blob beside another.
func (p *place) snapshots() (want []string, err error) {
	if err := p.put("a", "b"); err != nil {
		return nil, err
	}
	first, err := p.stock.snapshot(p.ctx, p.container, "a")
	if err != nil {
		return nil, err
	}
	second, err := p.stock.snapshot(p.ctx, p.container, "a")
	return []string{"a " + first, "a " + second, "a ", "b "}, err
}

func namesAndSnapshots(items []*azcontainer.BlobItem) []string {
	var got []string
	for _, b := range items {
		snapshot := ""
		if b.Snapshot != nil {
			snapshot = *b.Snapshot
		}
		got = append(got, *b.Name+" "+snapshot)
	}
	return got
}

func listSnapshots(p *place) error {
	want, err := p.snapshots()
	if err != nil {
		return err
	}
	items, _, err := p.flat("", 10, azcontainer.ListBlobsInclude{Snapshots: true})
	present, _, err2 := p.flat("", 10, azcontainer.ListBlobsInclude{})
	return errors.Join(err, err2,
		differs("entries", sorted(namesAndSnapshots(items)), sorted(want)), // their order is for listSnapshotsInPages
		differs("without", namesAndSnapshots(present), []string{"a ", "b "}),
	)
}

func listSnapshotsInPages(p *place) error {
	want, err := p.snapshots()
	if err != nil {
		return err
	}
	items, pages, err := p.flat("", 1, azcontainer.ListBlobsInclude{Snapshots: true})
	return errors.Join(err, differs("entries", namesAndSnapshots(items), want), differs("pages", pages, 4))
}

func listRefuses(p *place) error {
	_, err := p.account.NewContainerClient("none").NewListBlobsFlatPager(nil).NextPage(p.ctx)
	return refusedWith("no container", err, 404, string(bloberror.ContainerNotFound))
}

func listNothing(p *place) error {
	_, err := p.blobs.NewListBlobsFlatPager(&azcontainer.ListBlobsFlatOptions{MaxResults: to.Ptr[int32](0)}).NextPage(p.ctx)
	return refusedWith("no results", err, 400, string(bloberror.OutOfRangeQueryParameterValue))
}
