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
	lasting    bool      // a deadline that passes between two writes does no harm: HTTP/1
	timeless   bool      // the answer knows no deadlines, as a test's recorder
	set        time.Time // when the deadline for writing was set; zero if there is none
}

// Init sets the deadline for the request's body, and makes w the writer of the answer.
//
// net/http lifts the deadline for reading as soon as it has the whole body, so that a
// long call can go on; a body that no handler reads falls under it too.
func (w *Writer) Init(answer http.ResponseWriter, r *http.Request, body, write time.Duration) {
	*w = Writer{ResponseWriter: answer, controller: *http.NewResponseController(answer), timeout: write, lasting: r.ProtoMajor == 1}
	if r.Body != nil && r.Body != http.NoBody {
		w.timeless = w.controller.SetReadDeadline(time.Now().Add(body)) != nil
	}
}

// Finish is called when the handler has returned: it bounds what net/http has yet to
// send. net/http lifts the deadline after that.
func (w *Writer) Finish() {
	if w.lasting {
		w.begin()
	}
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

// FlushError is for [http.ResponseController].
func (w *Writer) FlushError() error {
	w.begin()
	err := w.controller.Flush()
	w.end()
	return err
}

// Flush is for those who look for an [http.Flusher].
func (w *Writer) Flush() { _ = w.FlushError() }

// begin sets the deadline, unless that was done a moment ago. A piece has the time-out,
// and up to a thirtieth more.
func (w *Writer) begin() {
	if w.timeless {
		return
	}
	moment := w.timeout / 30
	if w.set.IsZero() || time.Since(w.set) > moment {
		w.set = time.Now()
		w.timeless = w.controller.SetWriteDeadline(w.set.Add(w.timeout+moment)) != nil
	}
}

// end lifts the deadline where it would end a stream of HTTP/2 that is merely quiet.
func (w *Writer) end() {
	if !w.lasting && !w.timeless {
		w.set = time.Time{}
		_ = w.controller.SetWriteDeadline(time.Time{})
	}
}
