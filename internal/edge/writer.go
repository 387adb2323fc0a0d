package edge

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// A Writer limits how long a client may take to send its whole body and to read each write of the
// answer. The deadlines of http.Server would limit the call too, and end every stream.
type Writer struct {
	http.ResponseWriter
	controller http.ResponseController
	timeout    time.Duration
	body       incoming
	http1      bool
	lasting    bool      // a deadline that passes between two writes does no harm
	timeless   bool      // the answer knows no deadlines, as a test's recorder
	from       time.Time // the deadline for writing is the timeout after it; zero if there is none
}

// Init sets the deadline for the request's body, and makes w the writer of the answer.
// The request must be a copy of the one that net/http has: it gets another Body.
//
// net/http clears the read deadline once it has the whole body, so a long call can continue. The
// deadline also limits a body that no handler reads.
func (w *Writer) Init(answer http.ResponseWriter, r *http.Request, body, write time.Duration) {
	*w = Writer{ResponseWriter: answer, controller: *http.NewResponseController(answer), timeout: write, http1: r.ProtoMajor == 1}
	// HTTP/2 ends a stream at its deadline, and TLS has something to write whenever its
	// client wants new keys.
	w.lasting = w.http1 && r.TLS == nil
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	w.timeless = w.SetReadDeadline(time.Now().Add(body)) != nil
	if w.http1 {
		w.body.ReadCloser = r.Body
		r.Body = &w.body
	}
}

// Finish limits what net/http still has to send after the handler returns. net/http clears the
// deadline afterwards.
func (w *Writer) Finish() {
	if w.http1 {
		w.begin()
	}
}

// SetReadDeadline is for [http.ResponseController].
func (w *Writer) SetReadDeadline(t time.Time) error {
	w.body.deadline = t
	return w.controller.SetReadDeadline(t)
}

// Unwrap is for [http.ResponseController].
func (w *Writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Write implements [http.ResponseWriter].
func (w *Writer) Write(p []byte) (int, error) {
	w.begin()
	n, err := w.ResponseWriter.Write(p)
	w.end()
	return n, err
}

// FlushError supports [http.ResponseController].
func (w *Writer) FlushError() error {
	w.begin()
	err := w.controller.Flush()
	w.end()
	return err
}

// Flush implements [http.Flusher].
func (w *Writer) Flush() { _ = w.FlushError() }

// begin sets the deadline, unless that was done a moment ago. A piece has the timeout,
// and up to a thirtieth more.
//
// Before it sends the first piece, HTTP/1 waits for the rest of the body, which may take
// until the body's deadline; the client has its time for reading after that.
func (w *Writer) begin() {
	if w.timeless {
		return
	}
	from := time.Now()
	if w.body.isAwaited() && w.body.deadline.After(from) {
		from = w.body.deadline
	}
	moment := w.timeout / 30
	if from.Sub(w.from).Abs() > moment {
		w.from = from
		w.timeless = w.controller.SetWriteDeadline(from.Add(w.timeout+moment)) != nil
	}
}

// end lifts the deadline where it would harm a stream that is merely quiet.
func (w *Writer) end() {
	if !w.lasting && !w.timeless {
		w.from = time.Time{}
		_ = w.controller.SetWriteDeadline(time.Time{})
	}
}

// An incoming is the body of an HTTP/1 request, and knows whether all of it is here.
type incoming struct {
	io.ReadCloser           // nil if there is none to wait for
	deadline      time.Time // for reading all of it
	ended         atomic.Bool
}

// Read implements [io.Reader].
func (b *incoming) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		b.ended.Store(true)
	}
	return n, err
}

func (b *incoming) isAwaited() bool { return b.ReadCloser != nil && !b.ended.Load() }
