// Package record encodes sequences of fields in few bytes, for values that are sealed and must fit
// into cookies and queries.
package record

import (
	"encoding/binary"
	"errors"
)

// A Writer builds a record. The zero value is ready to use.
type Writer struct{ b []byte }

// Bytes returns the record.
func (w *Writer) Bytes() []byte { return w.b }

// Number adds a number.
func (w *Writer) Number(n uint64) { w.b = binary.AppendUvarint(w.b, n) }

// Blob adds bytes of any length.
func (w *Writer) Blob(b []byte) { w.Number(uint64(len(b))); w.b = append(w.b, b...) }

// Fixed adds bytes whose length the reader knows.
func (w *Writer) Fixed(b []byte) { w.b = append(w.b, b...) }

// Text adds a string.
func (w *Writer) Text(s string) { w.Number(uint64(len(s))); w.b = append(w.b, s...) }

// Flag adds a boolean.
func (w *Writer) Flag(v bool) {
	if v {
		w.Number(1)
		return
	}
	w.Number(0)
}

// Texts adds a list of strings.
func (w *Writer) Texts(list []string) {
	w.Number(uint64(len(list)))
	for _, s := range list {
		w.Text(s)
	}
}

var errMalformed = errors.New("the record is cut short or has another form")

// A Reader reads the fields of a record in the order in which they were written. After a missing
// or malformed field, all others are zero, and Done returns an error.
type Reader struct {
	b   []byte
	bad bool
}

// NewReader returns a reader of the record.
func NewReader(b []byte) *Reader { return &Reader{b: b} }

// Number reads a number.
func (r *Reader) Number() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 || r.bad {
		r.fail()
		return 0
	}
	r.b = r.b[size:]
	return n
}

// Expect reads a number that must be n, such as the version of the record.
func (r *Reader) Expect(n uint64) {
	if r.Number() != n {
		r.fail()
	}
}

// Blob reads bytes.
func (r *Reader) Blob() []byte {
	n := r.Number()
	if r.bad || n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

// Fixed fills b with bytes that Fixed wrote.
func (r *Reader) Fixed(b []byte) {
	if r.bad || len(b) > len(r.b) {
		r.fail()
		return
	}
	copy(b, r.b)
	r.b = r.b[len(b):]
}

// Text reads a string.
func (r *Reader) Text() string { return string(r.Blob()) }

// Flag reads a boolean.
func (r *Reader) Flag() bool {
	n := r.Number()
	if n > 1 {
		r.fail()
	}
	return n == 1
}

// Texts reads a list of strings.
func (r *Reader) Texts() []string {
	n := r.Number()
	if r.bad || n > uint64(len(r.b)) { // each has at least one byte
		r.fail()
		return nil
	}
	var list []string
	for range n {
		list = append(list, r.Text())
	}
	return list
}

func (r *Reader) fail() { r.b, r.bad = nil, true }

// Done returns an error unless the record had exactly the fields that were read.
func (r *Reader) Done() error {
	if r.bad || len(r.b) > 0 {
		return errMalformed
	}
	return nil
}
