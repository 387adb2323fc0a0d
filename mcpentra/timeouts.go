package mcpentra

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"
)

// patient bounds how long the client may take: over its whole body, and over each
// piece of the answer. The deadlines of http.Server would bound the call too,
// and end every stream.
//
// net/http lifts the deadline for reading as soon as it has the whole body,
// so that a long call can go on; a body that no handler reads falls under it too.
func patient(w http.ResponseWriter, r *http.Request, l Limits) http.ResponseWriter {
	c := http.NewResponseController(w)
	if r.Body != nil && r.Body != http.NoBody {
		_ = c.SetReadDeadline(time.Now().Add(l.BodyTimeout)) // a test's recorder knows no deadline
	}
	return &patientWriter{w, c, l.WriteTimeout}
}

type patientWriter struct {
	http.ResponseWriter
	controller *http.ResponseController
	timeout    time.Duration
}

// Unwrap is for http.ResponseController.
func (w *patientWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *patientWriter) Write(p []byte) (int, error) {
	w.begin()
	defer w.end()
	return w.ResponseWriter.Write(p)
}

func (w *patientWriter) FlushError() error {
	w.begin()
	defer w.end()
	return w.controller.Flush()
}

// Flush is for those who look for an http.Flusher.
func (w *patientWriter) Flush() { _ = w.FlushError() }

func (w *patientWriter) begin() { _ = w.controller.SetWriteDeadline(time.Now().Add(w.timeout)) }
func (w *patientWriter) end()   { _ = w.controller.SetWriteDeadline(time.Time{}) }

// A wholeBody is a request's body that is there in full.
type wholeBody struct {
	*bytes.Reader
	data []byte
}

func (wholeBody) Close() error { return nil }

// requestBody returns the body of a request that came through readBody, and nil
// for others. It must not be changed.
func requestBody(r *http.Request) []byte {
	if b, ok := r.Body.(wholeBody); ok {
		return b.data
	}
	return nil
}

// readBody reads the body of a POST before its next handler begins, and answers
// those that are too large, too slow or broken off itself.
func (t *users) readBody(l Limits, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			next.ServeHTTP(w, r)
			return
		}
		lease, rest := callOf(r.Context()).lease, r.Body
		data, err := readAll(http.MaxBytesReader(w, r.Body, l.BodyBytes), r.ContentLength, lease.hold)
		r.Body = wholeBody{bytes.NewReader(data), data} // of a broken one too: the id may be in it
		if err == nil {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Connection", "close")
		if why, full := lease.fullness(err); full {
			t.refuse(w, r, lease.user, time.Second, why)
			linger(w, rest)
			return
		}
		status, reason, message := http.StatusBadRequest, "body_broken_off", "The request's body could not be read to its end"
		_, large := errors.AsType[*http.MaxBytesError](err)
		switch {
		case large:
			status, reason, message = http.StatusRequestEntityTooLarge, "body_too_large", fmt.Sprintf("The request's body is too large: at most %d bytes are taken", l.BodyBytes)
		case errors.Is(err, os.ErrDeadlineExceeded):
			status, reason, message = http.StatusRequestTimeout, "body_too_slow", fmt.Sprintf("The request's body took too long: it must be here within %s", l.BodyTimeout)
		}
		t.reject(w, r, rejection{status, codeBadRequest, reason, message})
		if large {
			linger(w, rest)
		}
		_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) // or net/http waits for the rest
	})
}
