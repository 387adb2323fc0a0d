// Package heapfloor gives a Go server with a small heap room between two garbage
// collections.
//
// Go starts a collection when the heap has doubled, or at 4 MB. A server that keeps
// 3 MB and allocates 500 KB for each request collects every other request and
// spends most of its time there. More room costs its size in memory once, whatever
// the load. Where GOGC=100 already gives more room, nothing changes.
//
// A program calls [Keep] at its start. It sets the percentage of the whole process,
// which no library should do. The package imports only the standard library: copy
// this file.
package heapfloor

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
)

const (
	maxRoom = 64 << 20 // between two collections, in bytes
	share   = 8        // in a small container: one eighth of its memory
	minHeap = 4 << 20  // Go's smallest heap for a collection at GOGC=100; it scales with GOGC
)

// system is the file system where Linux reports memory and limits.
var system = os.DirFS("/")

// Keep adjusts the garbage collector's percentage after each collection that finds a different
// live heap, until the context ends. It does nothing if lookup finds GOGC or GOMEMLIMIT in the
// environment. It logs its settings at INFO, and each change at DEBUG with heap and resident
// memory.
func Keep(ctx context.Context, lookup func(string) (string, bool), log *slog.Logger) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		if value, ok := lookup(name); ok && value != "" {
			return
		}
	}
	limit := memoryLimit(system)
	room := roomIn(limit)
	log.LogAttrs(ctx, slog.LevelInfo, "garbage collector", slog.Uint64("room_bytes", room),
		slog.Uint64("memory_limit_bytes", limit), slog.Uint64("resident_bytes", resident(system)))
	collected := make(chan struct{}, 1)
	collected <- struct{}{}
	notify(ctx, collected)
	go keep(ctx, room, collected, log)
}

func keep(ctx context.Context, room uint64, collected <-chan struct{}, log *slog.Logger) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	for percent := 100; ; {
		select {
		case <-ctx.Done():
			return
		case <-collected:
		}
		live := liveHeap()
		wanted := percentFor(live, room)
		if !worthwhile(percent, wanted) {
			continue
		}
		percent = wanted
		debug.SetGCPercent(percent)
		log.LogAttrs(ctx, slog.LevelDebug, "garbage collector", slog.Uint64("live_bytes", live),
			slog.Int("percent", percent), slog.Uint64("resident_bytes", resident(system)))
	}
}

// notify sends to the channel after each collection, unless a message is already waiting. It
// relies on the runtime cleaning up unused objects after a collection.
func notify(ctx context.Context, collected chan<- struct{}) {
	marker := new([64]byte) // too large to share a block with objects in use
	runtime.AddCleanup(marker, func(collected chan<- struct{}) {
		if ctx.Err() != nil {
			return
		}
		notify(ctx, collected) // first, because a marker created during a collection survives it
		select {
		case collected <- struct{}{}:
		default:
		}
	}, collected)
}

// roomIn returns the room for a process with the memory limit; 0 means no limit.
func roomIn(limit uint64) uint64 {
	if limit == 0 {
		return maxRoom
	}
	return min(maxRoom, limit/share)
}

// percentFor returns the GOGC that lets a process with that live heap allocate the
// room before the next collection, or the size of the live heap if that is more.
func percentFor(live, room uint64) int {
	if live >= room {
		return 100
	}
	// A collection starts at live + live × GOGC/100 or at minHeap × GOGC/100,
	// whichever is larger. The smaller percentage makes the larger one live + room.
	percent := min(100*room/max(live, 1), 100*(live+room)/minHeap)
	return int(max(100, percent))
}

// worthwhile reports whether the percentage would change by a tenth or more. A return to 100
// always counts: a large heap must not grow more than it would without this package.
func worthwhile(percent, wanted int) bool {
	return percent != wanted && (wanted == 100 || 10*max(percent, wanted) >= 11*min(percent, wanted))
}

// liveHeap returns the bytes that GOGC applies to: what the last collection found in use, stacks,
// and global variables.
func liveHeap() (bytes uint64) {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	metrics.Read(samples)
	for _, s := range samples {
		if s.Value.Kind() == metrics.KindUint64 {
			bytes += s.Value.Uint64()
		}
	}
	return bytes
}

// memoryLimit returns the lowest limit of the process's control groups, in bytes, or 0 if there is
// none.
func memoryLimit(root fs.FS) (lowest uint64) {
	groups, _ := fs.ReadFile(root, "proc/self/cgroup") // Linux only
	for line := range strings.Lines(string(groups)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3) // number:controllers:path
		if len(fields) < 3 {
			continue
		}
		mount, file := "sys/fs/cgroup", "memory.max" // version 2
		if fields[1] != "" {
			mount, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
			if !slices.Contains(strings.Split(fields[1], ","), "memory") {
				continue
			}
		}
		// In a container the path may be the host's, and then only the root exists.
		for dir := path.Clean("/" + fields[2]); ; dir = path.Dir(dir) {
			text, _ := fs.ReadFile(root, path.Join(mount, dir, file))
			limit, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64) // or "max"
			if err == nil && limit < 1<<62 && (lowest == 0 || limit < lowest) {      // version 1 has a huge number for max
				lowest = limit
			}
			if dir == "/" {
				break
			}
		}
	}
	return lowest
}

// resident returns the process's resident memory in bytes, or 0 if it is unknown.
func resident(root fs.FS) uint64 {
	text, _ := fs.ReadFile(root, "proc/self/statm")
	fields := strings.Fields(string(text)) // all, resident, …; in pages
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseUint(fields[1], 10, 64)
	return pages * uint64(os.Getpagesize())
}
