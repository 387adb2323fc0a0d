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

// A Body is a request body in memory.
type Body struct {
	bytes.Reader
	data    []byte
	rest    io.Reader // the rest of a rejected body
	lingers bool      // read the rest for a while
	next    [1]byte   // room to detect an extra byte
}

// Init sets the body to data and the reader to its start.
func (b *Body) Init(data []byte) {
	*b = Body{data: data}
	b.Reset(data)
}

// Bytes returns the whole body. The caller must not change it.
func (b *Body) Bytes() []byte { return b.data }

// Close implements [io.Closer].
func (*Body) Close() error { return nil }

// BodyOf returns the bytes of a request's body if it is a Body, and nil otherwise. The caller must
// not change them.
func BodyOf(r *http.Request) []byte {
	if b, ok := r.Body.(*Body); ok {
		return b.data
	}
	return nil
}

// BodyLimits limit one body.
type BodyLimits struct {
	Bytes   int64
	Timeout time.Duration // the Writer's time-out, for the error text
}

// A Budget limits the bodies of several requests together.
type Budget interface {
	// Hold reserves n more bytes, or returns why there is no room for them.
	Hold(n int64) *Refusal
}

// Receive reads the request's body into b and makes b the request's body. It returns nil, or why
// it rejected the body; then b holds what arrived, and the caller must call Abandon after writing
// its answer.
func (b *Body) Receive(w http.ResponseWriter, r *http.Request, l BodyLimits, budget Budget) *Refusal {
	b.rest = r.Body
	data, why, err := b.read(min(r.ContentLength, l.Bytes), l.Bytes, budget)
	b.data, b.lingers = data, why != nil
	b.Reset(data)
	r.Body = b
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		why = &Refusal{http.StatusRequestTimeout, "body_too_slow",
			fmt.Sprintf("The request's body took too long: it must be here within %s", l.Timeout), nil}
	case err != nil:
		why = &Refusal{http.StatusBadRequest, "body_broken_off", "The request's body could not be read to its end", nil}
	case why == nil:
		b.rest = nil
		return nil
	}
	w.Header().Set("Connection", "close")
	return why
}

// A body's first buffer is small: a Content-Length header alone must not reserve more than
// maxTrusted.
const (
	minBody    = 512
	maxTrusted = 64 << 10
)

// read reads a body of the given length, or -1 if it is unknown. It allocates exactly that length
// if it can trust it, and reserves each buffer in the budget before allocating it.
func (b *Body) read(length, most int64, budget Budget) ([]byte, *Refusal, error) {
	size := min(length, maxTrusted)
	if length < 0 {
		size = min(minBody, most)
	}
	if full := budget.Hold(size); full != nil {
		return nil, full, nil
	}
	data := make([]byte, 0, size)
	for {
		free := data[len(data):cap(data)]
		if len(free) == 0 {
			free = b.next[:] // the body usually ends here
		}
		n, err := b.rest.Read(free)
		if n > 0 && len(data) == cap(data) {
			var full *Refusal
			if data, full = grow(data, length, most, budget); full != nil {
				return data, full, nil
			}
			data = append(data, b.next[0])
		} else {
			data = data[:len(data)+n]
		}
		switch {
		case errors.Is(err, io.EOF):
			return data, nil, nil
		case err != nil:
			return data, nil, err
		}
	}
}

// grow doubles a body's buffer, but not beyond its length or the limit.
func grow(data []byte, length, most int64, budget Budget) ([]byte, *Refusal) {
	has := int64(cap(data))
	if has >= most {
		return data, &Refusal{http.StatusRequestEntityTooLarge, "body_too_large",
			fmt.Sprintf("The request's body is too large: at most %d bytes are taken", most), nil}
	}
	size := min(max(2*has, minBody), most)
	if has < length {
		size = min(size, length)
	}
	if full := budget.Hold(size - has); full != nil {
		return data, full
	}
	return append(make([]byte, 0, size), data...), nil
}

// Limits on how much of a rejected body is read. Clients may read nothing before they have sent
// everything; reading on lets them see the answer instead of a broken connection.
const (
	maxLingerBytes = 16 << 20
	maxLingerTime  = 5 * time.Second
)

// Abandon sends the answer to a rejected body and closes the connection.
func (b *Body) Abandon(w http.ResponseWriter) {
	c := http.NewResponseController(w) // test recorders have no deadlines
	if b.lingers {
		_ = c.Flush()
		_ = c.SetReadDeadline(time.Now().Add(maxLingerTime))
		_, _ = io.CopyN(io.Discard, b.rest, maxLingerBytes)
	}
	_ = c.SetReadDeadline(time.Unix(1, 0)) // otherwise net/http waits for the rest
}
