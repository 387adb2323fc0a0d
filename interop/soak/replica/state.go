//go:build unix

package main

import (
	"encoding/json"
	"net/http"
	"net/http/pprof"
	"os"
	"runtime"
	"syscall"
	"time"
)

// A state is what a replica holds.
type state struct {
	Heap        uint64 // live bytes, after a collection
	Goroutines  int
	Descriptors int
	CPU         time.Duration // since the start, of user and system
}

// state serves the replica's state, on an address of its own, and its profiles.
func (r *replica) state() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /state", func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Query().Has("quiet") {
			r.transport.CloseIdleConnections()
		}
		now, err := look()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(now)
	})
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	return mux
}

func look() (state, error) {
	runtime.GC()
	runtime.GC() // what the first has only finalized
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	open, err := os.ReadDir("/dev/fd")
	if err != nil {
		return state{}, err
	}
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return state{}, err
	}
	return state{
		Heap: memory.HeapAlloc, Goroutines: runtime.NumGoroutine(), Descriptors: len(open),
		CPU: time.Duration(used.Utime.Nano() + used.Stime.Nano()),
	}, nil
}
