package blobtool_test

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/blobtool"
)

// BenchmarkReadBlob reads 8,000 characters of a 256 MiB blob through an MCP client,
// the server and the Blob service, all in this process. fetched-B/op is what the
// service sent; peak-heap-B is by how much the heap's live objects grew at most.
func BenchmarkReadBlob(b *testing.B) {
	for name, dir := range map[string]bool{"text": false, "saved": true} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b, func(o *blobtool.Options) {
				o.Timeout = 10 * time.Minute
				if !dir {
					o.DownloadDir = ""
				}
			})
			w.storage.PutSized("docs", "big.txt", 256<<20)
			session := w.connect(b, "alice")
			read(b, session, args{"blob_path": "big.txt"})
			w.storage.ForgetRequests()
			peak := watchHeap()
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				read(b, session, args{"blob_path": "big.txt"})
				n++
			}
			b.ReportMetric(float64(peak()), "peak-heap-B")
			var fetched int64
			for _, r := range w.storage.Requests() {
				fetched += r.BytesSent
			}
			b.ReportMetric(float64(fetched)/float64(n), "fetched-B/op")
		})
	}
}

// watchHeap samples the heap until the function that it returns is called, which
// returns by how many bytes it grew at most.
func watchHeap() func() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	read := func() uint64 {
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	runtime.GC()
	before := read()
	stop, peak := make(chan struct{}), make(chan uint64)
	go func() {
		most := before
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				most = max(most, read())
			case <-stop:
				peak <- most - before
				return
			}
		}
	}()
	return func() uint64 {
		close(stop)
		return <-peak
	}
}
