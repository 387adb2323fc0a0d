// Package secret holds text that must not be printed: tokens, client secrets, assertions.
//
// A [Text] keeps its value inside a closure. The fmt verbs, log/slog, printers that walk
// unexported fields, and test libraries that dump structs see a function pointer, never the text.
// Encoders fail, because silently encoding a placeholder would cause errors far away. Only this
// module can read the value, because [Reveal] is in an internal package: a tool that holds an
// assertion can exchange it but can't pass it on.
package secret

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
)

// hidden is what every printer shows in place of the value.
const hidden = "[hidden]"

var errEncode = errors.New("secret: a token, secret or assertion can't be encoded")

// Text is a secret. The zero value is the empty secret. Texts can't be compared; copies share one
// value. A package that returns secrets defines its own type over Text. That type keeps the
// methods of the embedded struct and exposes no internal name.
type Text struct{ closed }

// closed has the methods that hide a secret.
type closed struct{ open func() *value }

// value is what the closure holds. Printers stop at the function.
type value struct {
	text string
	once sync.Once
	sum  [sha256.Size]byte
}

// New returns the secret s.
func New(s string) Text {
	if s == "" {
		return Text{}
	}
	v := &value{text: s}
	return Text{closed{func() *value { return v }}}
}

// Reveal returns the text of t.
func Reveal(t Text) string {
	if t.open == nil {
		return ""
	}
	return t.open().text
}

// Sum returns the SHA-256 of the text of t. All copies of t share the result, so a token that
// serves many requests is hashed once.
func Sum(t Text) [sha256.Size]byte {
	if t.open == nil {
		return sha256.Sum256(nil)
	}
	v := t.open()
	v.once.Do(v.hash)
	return v.sum
}

// hash copies tokens of ordinary size to the stack, not the heap.
func (v *value) hash() {
	var buf [4 << 10]byte
	if len(v.text) <= len(buf) {
		v.sum = sha256.Sum256(buf[:copy(buf[:], v.text)])
		return
	}
	v.sum = sha256.Sum256([]byte(v.text))
}

// IsZero reports whether t is the empty secret.
func (c closed) IsZero() bool { return c.open == nil }

// String returns a placeholder, never the value.
func (c closed) String() string { return hidden }

// GoString returns a placeholder, never the value.
func (c closed) GoString() string { return hidden }

// Format writes a placeholder for every verb, never the value.
func (c closed) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// LogValue returns a placeholder, never the value.
func (c closed) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText always fails.
func (c closed) MarshalText() ([]byte, error) { return nil, errEncode }

// MarshalJSON always fails.
func (c closed) MarshalJSON() ([]byte, error) { return nil, errEncode }

// GobEncode always fails.
func (c closed) GobEncode() ([]byte, error) { return nil, errEncode }
