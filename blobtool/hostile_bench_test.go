package blobtool_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// What follows measures what one user can cost the others. ping-ms is the slowest ping of
// another user meanwhile.

// BenchmarkHostilePattern searches 1,000 names of 1,000 characters for a second, with the
// worst pattern that is taken.
func BenchmarkHostilePattern(b *testing.B) {
	w := newWorld(b, nil)
	w.storage.PutSeries("docs", blobtest.Series{
		Count: 1000,
		Name:  func(i int) string { return strings.Repeat("a", 996) + fmt.Sprintf("%04d", i) },
	})
	session := w.connect(b, "alice")
	worst := func() float64 { return 0 }
	for b.Loop() {
		worst = pings(b, w)
		for stars := 300; ; stars -= 10 {
			res := callAny(b, session, "search_blobs", args{"name": strings.Repeat("**a", stars) + "z", "max_seconds": 1})
			if !res.IsError {
				break
			}
		}
	}
	b.ReportMetric(worst(), "ping-ms")
}

// BenchmarkEightSearches runs eight searches of one user for an expression that is slow, for
// 4 seconds each.
func BenchmarkEightSearches(b *testing.B) {
	w := newWorld(b, nil)
	w.storage.PutSeries("docs", blobtest.Series{
		Count: 1000,
		Name:  func(i int) string { return fmt.Sprintf("%04d.log", i) },
		Size:  func(int) int64 { return 1 << 20 },
		Fill: func(_ int, _ int64, p []byte) {
			for i := range p {
				p[i] = 'a'
			}
		},
	})
	session := w.connect(b, "alice")
	var slowest time.Duration
	worst := func() float64 { return 0 }
	for b.Loop() {
		worst = pings(b, w)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				begin := time.Now()
				callAny(b, session, "search_blobs", args{"text": "(a|aa|aaa|b?){1,40}z", "max_seconds": 4, "max_bytes": 1 << 30})
				slowest = max(slowest, time.Since(begin))
			})
		}
		wg.Wait()
	}
	b.ReportMetric(worst(), "ping-ms")
	b.ReportMetric(slowest.Seconds(), "s/search")
}

// BenchmarkManyUnpacked reads a gzip blob of 7 KB 64 times at once.
func BenchmarkManyUnpacked(b *testing.B) {
	w := newWorld(b, nil)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	line := []byte(strings.Repeat("a", 99) + "\n")
	for range 35_000 {
		_, _ = z.Write(line)
	}
	_ = z.Close()
	w.storage.Put("docs", "a.txt.gz", packed.Bytes(), "text/plain")
	session := w.connect(b, "alice")
	for name, a := range map[string]args{
		"head": {"blob_path": "a.txt.gz", "max_chars": 1_000_000},
		"tail": {"blob_path": "a.txt.gz", "max_chars": 1_000_000, "tail_lines": 1_000_000},
	} {
		b.Run(name, func(b *testing.B) {
			peak := watchHeap()
			worst := func() float64 { return 0 }
			for b.Loop() {
				worst = pings(b, w)
				var wg sync.WaitGroup
				for range 64 {
					wg.Go(func() {
						if res := callAny(b, session, "read_blob", a); res.IsError {
							b.Error(res.Content[0].(*mcp.TextContent).Text)
						}
					})
				}
				wg.Wait()
			}
			b.ReportMetric(worst(), "ping-ms")
			b.ReportMetric(float64(peak())/(1<<20), "peak-MiB")
		})
	}
	b.Logf("packed: %d bytes", packed.Len())
}

// BenchmarkSavedFiles saves a small blob for a user who has 100,000 copies already.
func BenchmarkSavedFiles(b *testing.B) {
	w := newWorld(b, func(o *blobtool.Options) { o.MaxUserBytes = 4 << 30 })
	w.storage.Put("docs", "a.txt", []byte("x"), "")
	for i := range 100_000 {
		folder := filepath.Join(w.dir, w.userID("alice"), fmt.Sprintf("%03d", i/1000))
		if i%1000 == 0 {
			mkdir(b, folder)
		}
		write(b, filepath.Join(folder, fmt.Sprint(i)), "x")
	}
	session := w.connect(b, "alice")
	if out := read(b, session, args{"blob_path": "a.txt"}); out.LocalPath == "" {
		b.Fatal(out.Warning)
	}
	for b.Loop() {
		read(b, session, args{"blob_path": "a.txt"})
	}
}

// callAny calls a tool, whatever becomes of it.
func callAny(b *testing.B, session *mcp.ClientSession, tool string, a args) *mcp.CallToolResult {
	b.Helper()
	res, err := session.CallTool(b.Context(), &mcp.CallToolParams{Name: tool, Arguments: a})
	if err != nil {
		b.Fatal(err)
	}
	return res
}

// pings lets another user ping all the time. What it returns stops that, and returns the
// slowest one in milliseconds.
func pings(b *testing.B, w *world) (stop func() float64) {
	session := w.connect(b, "bob")
	done, all := make(chan struct{}), make(chan []time.Duration)
	go func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		took := []time.Duration{0}
		for {
			select {
			case <-done:
				all <- took
				return
			default:
			}
			begin := time.Now()
			_ = session.Ping(b.Context(), nil)
			took = append(took, time.Since(begin))
			<-tick.C
		}
	}()
	return func() float64 {
		close(done)
		return slices.Max(<-all).Seconds() * 1000
	}
}
