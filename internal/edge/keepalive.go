package edge

import (
	"bytes"
	"net/http"
	"strings"
	"sync"
	"time"
)

// keepAliveInterval is how long an event stream is quiet at most. Azure's gateways cut one after about
// 4 minutes; Front Door, by default, after 30 seconds.
const keepAliveInterval = 25 * time.Second

// A KeepAlive is the writer of a stream that may have nothing to say for long. Between two events it
// sends a comment, which clients ignore (HTML, section 9.2.6), so that gateways do not take the stream
// for dead. It begins with the first event: until then the status is not decided.
//
// Calls of its methods may overlap with one another, but not with those of the writer below it.
type KeepAlive struct {
	http.ResponseWriter

	mu      sync.Mutex
	timer   *time.Timer // nil before the first event
	between bool        // the last write ended an event
	closed  bool
}

// NewKeepAlive returns a writer to w. Close it before the handler returns.
func NewKeepAlive(w http.ResponseWriter) *KeepAlive { return &KeepAlive{ResponseWriter: w} }

// Write implements [http.ResponseWriter].
func (k *KeepAlive) Write(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	n, err := k.ResponseWriter.Write(p)
	k.between = bytes.HasSuffix(p, []byte("\n\n"))
	switch {
	case err != nil || k.closed:
		k.stop()
	case k.timer != nil:
		k.timer.Reset(keepAliveInterval)
	case strings.HasPrefix(k.Header().Get("Content-Type"), "text/event-stream"):
		k.timer = time.AfterFunc(keepAliveInterval, k.comment)
	}
	return n, err
}

// comment shows that the stream is alive.
func (k *KeepAlive) comment() {
	if !k.mu.TryLock() { // something is being written, which starts the time anew
		return
	}
	defer k.mu.Unlock()
	if k.closed {
		return
	}
	if k.between { // otherwise the rest of an event is on its way
		_, err := k.ResponseWriter.Write([]byte(":\n\n"))
		if err == nil {
			err = http.NewResponseController(k.ResponseWriter).Flush()
		}
		if err != nil { // the client is gone; its request's context ends the stream
			k.stop()
			return
		}
	}
	k.timer.Reset(keepAliveInterval)
}

// WriteHeader implements [http.ResponseWriter].
func (k *KeepAlive) WriteHeader(status int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ResponseWriter.WriteHeader(status)
}

// FlushError supports [http.ResponseController].
func (k *KeepAlive) FlushError() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := http.NewResponseController(k.ResponseWriter).Flush()
	if k.timer != nil && !k.closed {
		k.timer.Reset(keepAliveInterval)
	}
	return err
}

// Flush implements [http.Flusher].
func (k *KeepAlive) Flush() { _ = k.FlushError() }

// Unwrap is for [http.ResponseController].
func (k *KeepAlive) Unwrap() http.ResponseWriter { return k.ResponseWriter }

// Close ends the comments, and waits for one that is being written.
func (k *KeepAlive) Close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stop()
}

func (k *KeepAlive) stop() {
	k.closed = true
	if k.timer != nil {
		k.timer.Stop()
	}
}
