package blobtest_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"slices"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// offsets is content that contains its own offset every 8 bytes.
func offsets(off int64, p []byte) {
	var word [8]byte
	for i := range p {
		at := off + int64(i)
		binary.BigEndian.PutUint64(word[:], uint64(at/8))
		p[i] = word[at%8]
	}
}

func readRange(t testing.TB, c *blob.Client, offset, count int64) []byte {
	t.Helper()
	resp, err := c.DownloadStream(t.Context(), &blob.DownloadStreamOptions{Range: blob.HTTPRange{Offset: offset, Count: count}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestPutGenerated(t *testing.T) {
	t.Parallel()
	srv, docs := aliceClient(t)
	const size = 5 << 40
	srv.PutGenerated("docs", "huge", size, "application/x-offsets", offsets)
	client := docs.NewBlobClient("huge")
	p, err := client.GetProperties(t.Context(), nil)
	if err != nil || *p.ContentLength != size || p.ContentMD5 != nil || *p.ContentType != "application/x-offsets" {
		t.Fatalf("got %+v, %v; want nil, ContentLength %v, no ContentMD5, ContentType application/x-offsets", p, err, size)
	}
	for _, r := range [][2]int64{{0, 100}, {3, 5}, {1<<40 + 1, 100_000}, {size - 9, 9}} {
		want := make([]byte, r[1])
		offsets(r[0], want)
		if got := readRange(t, client, r[0], r[1]); !bytes.Equal(got, want) {
			t.Errorf("range %v differs from the whole, want the same bytes", r)
		}
	}
	srv.Update("docs", "huge", func(p *blobtest.Properties) { p.Metadata = map[string]string{"a": "b"} })
	if got := readRange(t, client, size-1, 10); len(got) != 1 {
		t.Errorf("after Update, the end is %d bytes; want 1", len(got))
	}
}

// million returns a series of a million blobs in a thousand folders.
var million = blobtest.Series{
	Count: 1_000_000,
	Name:  func(i int) string { return fmt.Sprintf("%03d/%03d.txt", i/1000, i%1000) },
	Size:  func(i int) int64 { return int64(i) },
}

func TestPutSeries(t *testing.T) {
	t.Parallel()
	srv, docs := aliceClient(t)
	srv.PutSeries("docs", million)
	srv.PutSeries("docs", blobtest.Series{
		Count:      2,
		Name:       func(i int) string { return fmt.Sprintf("0%d", i) },
		Fill:       func(i int, off int64, p []byte) { offsets(off+int64(i), p) },
		Properties: func(i int) blobtest.Properties { return blobtest.Properties{ContentLanguage: fmt.Sprint(i)} },
	})
	srv.Put("docs", "500/500.txt", []byte("mine"), "")
	srv.Put("docs", "500/500a.txt", []byte("between"), "")

	page := func(prefix, marker string, size int32) ([]string, string) {
		t.Helper()
		p, err := docs.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &prefix, Marker: &marker, MaxResults: &size}).NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return descriptions(p.Segment.BlobItems), *p.NextMarker
	}
	names, marker := page("", "", 3)
	if !slices.Equal(names, []string{"00", "000/000.txt", "000/001.txt"}) || marker == "" {
		t.Errorf("the first page: got %q, want %q, a marker", names, []string{"00", "000/000.txt", "000/001.txt"})
	}
	if names, _ = page("", marker, 2); !slices.Equal(names, []string{"000/002.txt", "000/003.txt"}) {
		t.Errorf("the second page: got %q, want %q", names, []string{"000/002.txt", "000/003.txt"})
	}
	if names, _ = page("500/5", "", 3); !slices.Equal(names, []string{"500/500.txt", "500/500a.txt", "500/501.txt"}) {
		t.Errorf("a page in the middle: got %q, want %q", names, []string{"500/500.txt", "500/500a.txt", "500/501.txt"})
	}
	if names, marker = page("999/999", "", 3); !slices.Equal(names, []string{"999/999.txt"}) || marker != "" {
		t.Errorf("the last page: got %q, want %q, no marker", names, []string{"999/999.txt"})
	}

	folders := 0
	for pager := docs.NewListBlobsHierarchyPager("/", &container.ListBlobsHierarchyOptions{MaxResults: to.Ptr[int32](400)}); pager.More(); {
		p, err := pager.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		folders += len(p.Segment.BlobPrefixes)
		if len(p.Segment.BlobPrefixes)+len(p.Segment.BlobItems) > 400 {
			t.Error("a page is too large")
		}
	}
	if folders != 1000 {
		t.Errorf("%d folders, want 1000", folders)
	}

	p, err := docs.NewBlobClient("123/456.txt").GetProperties(t.Context(), nil)
	if err != nil || *p.ContentLength != 123_456 || p.ETag == nil || *p.ContentType != "text/plain; charset=utf-8" {
		t.Errorf("got %+v, %v; want nil, ContentLength 123456, an ETag, ContentType \"text/plain; charset=utf-8\"", p, err)
	}
	if got := readRange(t, docs.NewBlobClient("123/456.txt"), 64, 11); string(got) != "0000000001 " {
		t.Errorf("it has %q, want %q", got, "0000000001 ")
	}
	if got := readRange(t, docs.NewBlobClient("500/500.txt"), 0, 0); string(got) != "mine" {
		t.Errorf("Put over a generated blob has %q, want mine", got)
	}
	want := make([]byte, 20)
	offsets(101, want)
	if got := readRange(t, docs.NewBlobClient("01"), 100, 20); !bytes.Equal(got, want) {
		t.Errorf("filled with %q, want %q", got, want)
	}
	if p, err := docs.NewBlobClient("01").GetProperties(t.Context(), nil); err != nil || *p.ContentLanguage != "1" || *p.ContentLength != 1024 {
		t.Errorf("got %+v, %v; want nil, ContentLanguage 1, ContentLength 1024", p, err)
	}
	if _, err := docs.NewBlobClient("123/456").DownloadStream(t.Context(), nil); !hasCode(err, 404, bloberror.BlobNotFound) {
		t.Errorf("no such blob: got %v, want 404 %s", err, bloberror.BlobNotFound)
	}
}

// Listing and reading a million blobs leaves nothing in memory.
func TestGeneratedTakesNoMemory(t *testing.T) {
	srv, docs := aliceClient(t)
	use := func() {
		for _, prefix := range []string{"000/", "500/", "999/"} {
			page, err := docs.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &prefix, MaxResults: to.Ptr[int32](100)}).NextPage(t.Context())
			if err != nil || len(page.Segment.BlobItems) != 100 {
				t.Fatalf("%q: got %v, want nil, 100 blobitems", prefix, err)
			}
		}
		readRange(t, docs.NewBlobClient("huge"), 5<<40-1<<20, 1<<20)
	}
	heap := func() uint64 {
		runtime.GC()
		runtime.GC() // also frees what pools hold
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	srv.PutSeries("docs", million)
	srv.PutGenerated("docs", "huge", 5<<40, "", offsets)
	use()
	if after := heap(); after > before+4<<20 {
		t.Errorf("the heap has grown from %d to %d bytes, want at most 4 MiB more", before, after)
	}
}

func TestPutSeriesPanics(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	for what, g := range map[string]blobtest.Series{
		"no names":   {Count: 1},
		"negative":   {Count: -1, Name: million.Name},
		"descending": {Count: 10, Name: func(i int) string { return fmt.Sprint(-i + 100) }},
		"equal":      {Count: 2, Name: func(int) string { return "a" }},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: got no panic, want one", what)
				}
			}()
			srv.PutSeries("docs", g)
		}()
	}
}

// A page costs the same wherever it is in the million.
func BenchmarkListMillion(b *testing.B) {
	srv := newServer(b)
	srv.PutSeries("docs", million)
	srv.Grant(alice, "", "")
	docs, _ := clientOf(b, srv, "docs", tokenOf(b, alice))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		prefix := fmt.Sprintf("%03d/", i%1000)
		page, err := docs.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &prefix, MaxResults: to.Ptr[int32](1000)}).NextPage(b.Context())
		if err != nil || len(page.Segment.BlobItems) != 1000 {
			b.Fatal(err)
		}
	}
}
