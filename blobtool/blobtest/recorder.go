package blobtest

import (
	"net/http"
	"sync"
)

// recorder sends an answer as its fault says, and counts the bytes before it
// sends them.
type recorder struct {
	http.ResponseWriter
	r     *http.Request
	fault Fault
	mu    *sync.Mutex // guards entry
	entry *Request
	sent  int64
}

// WriteHeader notes the status.
func (w *recorder) WriteHeader(status int) {
	w.mu.Lock()
	w.entry.Status = status
	w.mu.Unlock()
	w.ResponseWriter.WriteHeader(status)
}

// Write sends p, or as much of it as the fault lets through.
func (w *recorder) Write(p []byte) (int, error) {
	if w.fault.Status != 0 {
		return w.send(p)
	}
	for done := 0; done < len(p); {
		piece := p[done:]
		if w.fault.Trickle > 0 {
			piece = piece[:min(len(piece), 1024)]
			if !sleep(w.r, w.fault.Trickle) {
				panic(http.ErrAbortHandler)
			}
		}
		limit, stall := w.limit()
		broken := limit > 0 && w.sent+int64(len(piece)) > limit
		if broken {
			piece = piece[:limit-w.sent]
		}
		n, err := w.send(piece)
		if broken || w.fault.Trickle > 0 {
			_ = http.NewResponseController(w.ResponseWriter).Flush() // what was promised so far arrives
		}
		if broken {
			if stall {
				<-w.r.Context().Done()
			}
			panic(http.ErrAbortHandler)
		}
		if done += n; err != nil {
			return done, err
		}
	}
	return len(p), nil
}

// limit returns after how many bytes of the body the fault strikes, 0 for never,
// and whether the connection then stalls instead of breaking.
func (w *recorder) limit() (bytes int64, stall bool) {
	cut, stalls := w.fault.CutAfter, w.fault.StallAfter
	if stalls > 0 && (cut == 0 || stalls < cut) {
		return stalls, true
	}
	return cut, false
}

func (w *recorder) send(p []byte) (int, error) {
	w.sent += int64(len(p))
	w.mu.Lock()
	w.entry.BytesSent = w.sent
	w.mu.Unlock()
	return w.ResponseWriter.Write(p)
}
