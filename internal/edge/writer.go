package edge

import (
	"net/http"
	"time"
)

// A Writer limits how long a client may take to send its whole body and to read each write of the
// answer. The deadlines of http.Server would limit the call too, and end every stream.
type Writer struct {
	http.ResponseWriter
	controller http.ResponseController
	timeout    time.Duration
	lasting    bool      // a deadline may pass between two writes: HTTP/1
	timeless   bool      // no deadlines, as with a test recorder
	set        time.Time // when the write deadline was set; zero if none is set
}

// Init sets the read deadline for the request's body and makes w write to the answer.
//
// net/http clears the read deadline once it has the whole body, so a long call can continue. The
// deadline also limits a body that no handler reads.
func (w *Writer) Init(answer http.ResponseWriter, r *http.Request, body, write time.Duration) {
	*w = Writer{ResponseWriter: answer, controller: *http.NewResponseController(answer), timeout: write, lasting: r.ProtoMajor == 1}
	if r.Body != nil && r.Body != http.NoBody {
		w.timeless = w.controller.SetReadDeadline(time.Now().Add(body)) != nil
	}
}

// Finish limits what net/http still has to send after the handler returns. net/http clears the
// deadline afterwards.
func (w *Writer) Finish() {
	if w.lasting {
		w.begin()
	}
}

// Unwrap supports [http.ResponseController].
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

// begin sets the write deadline, unless it did so a moment ago. Each write therefore gets the
// time-out plus up to a thirtieth.
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

// end clears the deadline on HTTP/2, where it would end an idle stream.
func (w *Writer) end() {
	if !w.lasting && !w.timeless {
		w.set = time.Time{}
		_ = w.controller.SetWriteDeadline(time.Time{})
	}
}
