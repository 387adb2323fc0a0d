package blobtool_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// BenchmarkSearchText searches 1,000 blobs of 64 KiB at 20 ms of latency through the
// whole server, reading them one at a time and as searches do. The metric ratio is how
// many times faster the latter is.
func BenchmarkSearchText(b *testing.B) {
	const blobs, size, latency = 1000, 64 << 10, 20 * time.Millisecond
	w := newWorld(b, nil)
	w.storage.PutSeries("docs", blobtest.Series{
		Count: blobs,
		Name:  func(i int) string { return fmt.Sprintf("%04d.log", i) },
		Size:  func(int) int64 { return size },
	})
	w.storage.Fail(blobtest.Fault{Operation: blobtest.OpGetBlob, Delay: latency})
	search := func(overlap int) (*mcp.ClientSession, func()) {
		set, err := blobtool.New(w.storage.URL(), "docs", w.findCredential, &blobtool.Options{HTTPClient: w.storage.HTTPClient()})
		if err != nil {
			b.Fatal(err)
		}
		if overlap > 0 {
			set.Overlap(overlap)
		}
		w.serveSet(b, set)
		session := w.connect(b, "alice")
		return session, func() {
			for a := (args{"text": `brown (bear|wolf)`, "max_seconds": 90}); ; {
				out := callFor[found](b, session, "search_blobs", a)
				if out.Reason != "" && out.Reason != "bytes" && out.Reason != "results" {
					b.Fatalf("stopped for %s, want bytes or results", out.Reason)
				}
				if !out.Truncated {
					return
				}
				a["cursor"] = out.NextCursor
			}
		}
	}
	_, one := search(1)
	_, many := search(0)
	b.ReportAllocs()
	b.SetBytes(blobs * size)
	var alone, overlapped time.Duration
	for b.Loop() {
		start := time.Now()
		one()
		alone += time.Since(start)
		start = time.Now()
		many()
		overlapped += time.Since(start)
	}
	b.ReportMetric(alone.Seconds()/float64(b.N), "s/alone")
	b.ReportMetric(overlapped.Seconds()/float64(b.N), "s/overlapped")
	b.ReportMetric(alone.Seconds()/overlapped.Seconds(), "ratio")
}

// BenchmarkTextLines is what searching costs without a network.
func BenchmarkTextLines(b *testing.B) {
	content := make([]byte, 1<<20)
	for i := range content {
		if content[i] = "the quick brown fox jumps over the lazy dog\n"[i%44]; content[i] == 0 {
			content[i] = 'x'
		}
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		if _, _, err := blobtool.SearchText(`fox.*cat`, "", content, 64<<10, 10, beginning, 1<<30); err != nil {
			b.Fatal(err)
		}
	}
}
