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
	next    [1]byte   // room for a byte that may not be there
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
	Hold(n int64) *Refusal
}

// Receive reads the request's body into b, which becomes the request's body, and returns
// nil or why the body is refused. Then b is what has arrived, and after writing its
// answer the caller calls Abandon.
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

// The first piece of memory for a body: a mere Content-Length is not worth more than
// maxTrusted.
const (
	minBody    = 512
	maxTrusted = 64 << 10
)

// read reads the body, of a length that the client says or -1, into memory of just that
// size where it may be believed. Each piece is counted before there is memory for it.
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
			free = b.next[:] // most often the body ends here
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

// grow doubles the memory of a body, up to its length, or to the most that is taken.
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
