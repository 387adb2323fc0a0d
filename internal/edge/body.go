package edge

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// A Body is a request's body in memory.
type Body struct {
	bytes.Reader
	data    []byte
	rest    io.Reader // what is left of a body that was refused
	lingers bool      // the rest is read, for a while
}

// Init makes data the body, from its beginning.
func (b *Body) Init(data []byte) {
	*b = Body{data: data}
	b.Reset(data)
}

// Bytes returns the whole body. It must not be changed.
func (b *Body) Bytes() []byte { return b.data }

// Close implements [io.Closer].
func (*Body) Close() error { return nil }

// BodyOf returns the body of a request that has a Body, and nil for others. It must
// not be changed.
func BodyOf(r *http.Request) []byte {
	if b, ok := r.Body.(*Body); ok {
		return b.data
	}
	return nil
}

// BodyLimits bounds a body.
type BodyLimits struct {
	Bytes   int64
	Timeout time.Duration // that the Writer was given, for the text of the refusal
}

// A Budget is what the bodies of several requests share.
type Budget interface {
	// Hold counts n more bytes, or returns why there is no room for them.
	Hold(n int64) error
}

// Receive reads the request's body into b, which becomes the request's body. The error
// is a *Refusal or the budget's; b is then what has arrived, and after writing its
// answer the caller calls Abandon.
func (b *Body) Receive(w http.ResponseWriter, r *http.Request, l BodyLimits, budget Budget) error {
	rest := r.Body
	data, err := readAll(http.MaxBytesReader(w, rest, l.Bytes), r.ContentLength, budget)
	b.Init(data)
	r.Body = b
	if err == nil {
		return nil
	}
	b.rest = rest
	w.Header().Set("Connection", "close")
	full, isFull := errors.AsType[fullError](err)
	_, isLarge := errors.AsType[*http.MaxBytesError](err)
	b.lingers = isFull || isLarge
	switch {
	case isFull:
		return full.error
	case isLarge:
		return &Refusal{http.StatusRequestEntityTooLarge, "body_too_large",
			fmt.Sprintf("The request's body is too large: at most %d bytes are taken", l.Bytes), nil}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &Refusal{http.StatusRequestTimeout, "body_too_slow",
			fmt.Sprintf("The request's body took too long: it must be here within %s", l.Timeout), nil}
	}
	return &Refusal{http.StatusBadRequest, "body_broken_off", "The request's body could not be read to its end", nil}
}

// fullError is the budget's.
type fullError struct{ error }

// maxTrusted is how much memory a mere Content-Length is worth.
const maxTrusted = 64 << 10

// readAll reads a body; each piece is counted before memory for it is reserved.
func readAll(r io.Reader, contentLength int64, budget Budget) ([]byte, error) {
	size := int64(512)
	if contentLength > 0 {
		size += min(contentLength, maxTrusted)
	}
	if err := budget.Hold(size); err != nil {
		return nil, fullError{err}
	}
	b := make([]byte, 0, size)
	for {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return b, err
		}
		if len(b) == cap(b) {
			if err := budget.Hold(int64(cap(b))); err != nil {
				return b, fullError{err}
			}
			b = append(make([]byte, 0, 2*cap(b)), b...)
		}
	}
}

// The bounds on what is read of a body that is refused, so that its client, which may
// read nothing before it has sent all, finds the answer and no broken connection.
const (
	maxLingerBytes = 16 << 20
	maxLingerTime  = 5 * time.Second
)

// Abandon sends the answer to a body that was refused, and ends the connection.
func (b *Body) Abandon(w http.ResponseWriter) {
	c := http.NewResponseController(w) // a test's recorder knows no deadlines
	if b.lingers {
		_ = c.Flush()
		_ = c.SetReadDeadline(time.Now().Add(maxLingerTime))
		_, _ = io.CopyN(io.Discard, b.rest, maxLingerBytes)
	}
	_ = c.SetReadDeadline(time.Unix(1, 0)) // or net/http waits for the rest
}
