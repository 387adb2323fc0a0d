package blobtool_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/work"
)

// A search finds in packed blobs what it finds in the same content unpacked, with the
// same lines and offsets, however it is cut short, and read_blob reads on from there.
func TestSearchUnpacks(t *testing.T) {
	t.Parallel()
	var long strings.Builder
	for i := range 12_000 { // more than the packed bytes that one call reads
		fmt.Fprintf(&long, "%08d %016x%016x\n", i, uint64(i)*0x9E3779B97F4A7C15, uint64(i)*0xC2B2AE3D27D4EB4F)
	}
	for name, text := range map[string]string{
		"short":   "hay\nneedle 00000500 \nhay\n00000500 ",
		"long":    long.String(),
		"utf-16":  encode(t, "utf-16 with BOM", long.String()[:100_000]+"日本"),
		"no text": "",
	} {
		for format, packed := range map[string]string{"gz": pack(t, "gzip", text), "zst": pack(t, "zstd", text)} {
			t.Run(name+" "+format, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, nil)
				session := w.connect(t, "alice")
				w.storage.Put("docs", "plain/a", []byte(text), "text/plain")
				w.storage.Put("docs", "packed/a."+format, []byte(packed), "application/gzip")
				w.storage.Put("docs", "packed/b", []byte(packed), "text/plain")
				w.storage.SetContentEncoding("docs", "packed/b", map[string]string{"gz": "gzip", "zst": "zstd"}[format])
				const expr = "000005.0 |日本$"
				want, _ := searchOn(t, session, args{"text": expr, "prefix": "plain/"})
				for _, bounds := range []args{{}, {"max_results": 1}, {"max_results": 3}, {"max_bytes": 64 << 10}, {"max_blobs": 1}} {
					bounds["text"], bounds["prefix"] = expr, "packed/"
					got, reasons := searchOn(t, session, bounds)
					again := strings.ReplaceAll(want, "plain/a:", "packed/a."+format+":")
					if want != "" {
						again += "\n" + strings.ReplaceAll(want, "plain/a:", "packed/b:")
					}
					if got != again {
						t.Errorf("%v: stopped for %v, got\n%.300s\nwant\n%.300s", bounds, reasons, got, again)
					}
				}
				for _, m := range callFor[found](t, session, "search_blobs", args{"text": expr, "prefix": "packed/"}).Matches {
					for _, a := range []args{{"offset": m.Offset}, {"lines": fmt.Sprintf("%d-%d", m.Line, m.Line)}} {
						a["blob_path"], a["max_chars"] = m.Blob, len([]rune(m.Text))
						if out := readBlob(t, session, a); strings.TrimSuffix(out.Text, "\n") != m.Text {
							t.Errorf("%v reads %q, want %q", a, out.Text, m.Text)
						}
					}
				}
			})
		}
	}
}

// What is packed is judged by what it holds, and bounded as in read_blob. What was found
// before a fault is kept.
func TestSearchOfOddPackages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	flat := "needle\n" + strings.Repeat("a", 16<<20)
	var varied strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&varied, "%x\n", uint64(i)*0x9E3779B97F4A7C15)
	}
	for name, c := range map[string]struct{ content, note string }{
		"archive.tar.gz":  {pack(t, "gzip", "needle\x00\x00"), ""},
		"archive.tar.zst": {pack(t, "zstd", "needle\x00\x00"), ""},
		"bomb.gz":         {pack(t, "gzip", flat), "more than 512 times its size"},
		"bomb.zst":        {pack(t, "zstd", flat), "more than 512 times its size"},
		"cut.gz":          {pack(t, "gzip", "needle\n"+varied.String())[:100_000], "damaged"},
		"no.gz":           {"needle in no package", ""},
		"no.zst":          {"needle in no package", ""},
		"wide.zst":        {"\x28\xB5\x2F\xFD\x00\x98\x01\x00\x00", "memory to unpack"},
	} {
		w.storage.Put("docs", name, []byte(c.content), "")
	}
	out := callFor[found](t, w.connect(t, "alice"), "search_blobs", args{"text": "needle"})
	if got, want := out.results(), "bomb.gz:1:needle\nbomb.zst:1:needle\ncut.gz:1:needle\nno.gz:1:needle in no package\nno.zst:1:needle in no package"; got != want || out.Truncated || out.Binary != 2 {
		t.Errorf("got %s\n%+v, want\n%s", got, out, want)
	}
	for i, want := range [][2]string{{"bomb.gz", "512 times"}, {"bomb.zst", "512 times"}, {"cut.gz", "damaged"}, {"wide.zst", "memory to unpack"}} {
		if i >= len(out.Notes) || out.Notes[i].Blob != want[0] || !strings.Contains(out.Notes[i].Note, want[1]) {
			t.Errorf("note %d: got %+v, want %q", i, out.Notes, want)
		}
	}
}

// A packed blob that turns out not to be text is charged only with what was read of it,
// whatever its format.
func TestSearchChargesBinaryPackages(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"gzip", "zstd"} {
		w := newWorld(t, nil)
		w.set.SetShares(work.NewShares(2, 256<<20, work.LineSlots)) // other tests hold the windows of the process
		suffix := map[string]string{"gzip": ".gz", "zstd": ".zst"}[format]
		random := make([]byte, 4<<20)
		if _, err := rand.NewChaCha8([32]byte{}).Read(random); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a.tar", "b.tar"} {
			w.storage.Put("docs", name+suffix, []byte(pack(t, format, string(random))), "")
		}
		w.storage.Put("docs", "c.txt", []byte("needle"), "text/plain")
		out := callFor[found](t, w.connect(t, "alice"), "search_blobs", args{"text": "needle", "max_bytes": 1 << 20})
		if got, want := out.results(), "c.txt:1:needle"; got != want || out.Binary != 2 || out.Reason != "" || out.Bytes > 1<<20 {
			t.Errorf("%s: got %s, %+v, want %s, 2 binary blobs and no reason to stop", format, got, out, want)
		}
	}
}

// Searches of packed blobs wait for windows and for the line without waiting for each
// other, and give everything back.
func TestUnpackingSearchesShare(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	shares := work.NewShares(1, 256<<20, 12)
	w.set.SetShares(shares)
	var text strings.Builder
	for i := range 30_000 {
		fmt.Fprintf(&text, "%d %x\n", i, uint64(i)*0x9E3779B97F4A7C15) // packs badly: many ranges
	}
	zst, gz := pack(t, "zstd", text.String()), pack(t, "gzip", text.String())
	for i := range 6 {
		w.storage.Put("docs", fmt.Sprintf("%02d.zst", i), []byte(zst), "")
		w.storage.Put("docs", fmt.Sprintf("%02d.gz", i), []byte(gz), "")
		w.storage.Put("docs", fmt.Sprintf("%02d.txt", i), []byte(text.String()), "")
	}
	session := w.connect(t, "alice")
	results := make(chan string, 3)
	for range cap(results) {
		go func() {
			got, _ := searchOn(t, session, args{"text": "^29999 ", "max_seconds": 90, "max_bytes": 4 << 20})
			results <- got
		}()
	}
	for range cap(results) {
		if got := strings.Split(<-results, "\n"); len(got) != 18 || !slices.IsSorted(got) {
			t.Errorf("%d matches, want 18: %q", len(got), got)
		}
	}
	for name, c := range map[string]struct {
		share *work.Share
		size  int64
	}{"memory": {shares.Memory, 224 << 20}, "windows": {shares.Windows, 32 << 20}, "line": {shares.Line, 12}, "cores": {shares.Cores, 1}} {
		free, users := c.share.State()
		for ; users > 0; free, users = c.share.State() { // until the SDK has sent the last answer
			runtime.Gosched()
		}
		if free != c.size {
			t.Errorf("%d of %s left, want %d", free, name, c.size)
		}
	}
}
