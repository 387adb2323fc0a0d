package edge

import (
	"net/http"
	"time"
)

// A Writer bounds how long a client may take: over its whole body, and over each
// piece of the answer. The deadlines of http.Server bound the call too, and end
// every stream.
type Writer struct {
	http.ResponseWriter
	controller http.ResponseController
	timeout    time.Duration
}

// Init sets the deadline for the request's body, and makes w the writer of the answer.
//
// net/http lifts the deadline for reading as soon as it has the whole body, so that a
// long call can go on; a body that no handler reads falls under it too.
func (w *Writer) Init(answer http.ResponseWriter, r *http.Request, body, write time.Duration) {
	w.ResponseWriter, w.controller, w.timeout = answer, *http.NewResponseController(answer), write
	if r.Body != nil && r.Body != http.NoBody {
		_ = w.controller.SetReadDeadline(time.Now().Add(body)) // a test's recorder knows no deadline
	}
}

// Unwrap is for [http.ResponseController].
func (w *Writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Write implements [http.ResponseWriter].
func (w *Writer) Write(p []byte) (int, error) {
	w.begin()
	defer w.end()
	return w.ResponseWriter.Write(p)
}

// FlushError is for [http.ResponseController].
func (w *Writer) FlushError() error {
	w.begin()
	defer w.end()
	return w.controller.Flush()
}

// Flush is for those who look for an [http.Flusher].
func (w *Writer) Flush() { _ = w.FlushError() }

func (w *Writer) begin() { _ = w.controller.SetWriteDeadline(time.Now().Add(w.timeout)) }
func (w *Writer) end()   { _ = w.controller.SetWriteDeadline(time.Time{}) }
