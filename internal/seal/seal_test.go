package seal_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/internal/seal"
)

func testKey(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func newSealer(t testing.TB, purpose string, keys ...[]byte) *seal.Sealer {
	t.Helper()
	s, err := seal.New(purpose, keys)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOpen(t *testing.T) {
	t.Parallel()
	const purpose, name, plain = "test", "alice", "value"
	sealed := newSealer(t, purpose, testKey(1)).Seal([]byte(plain), name)
	if got, want := len(sealed), len(plain)+seal.Overhead; got != want {
		t.Errorf("a sealed value has %d bytes, want %d", got, want)
	}
	flip := func(i int) []byte {
		b := bytes.Clone(sealed)
		b[i] ^= 1
		return b
	}
	for _, c := range []struct {
		what   string
		sealer *seal.Sealer
		sealed []byte
		name   string
		want   error
	}{
		{"as sealed", newSealer(t, purpose, testKey(1)), sealed, name, nil},
		{"the new key first", newSealer(t, purpose, testKey(2), testKey(1)), sealed, name, nil},
		{"the key removed", newSealer(t, purpose, testKey(2)), sealed, name, seal.ErrKey},
		{"another purpose", newSealer(t, "tests", testKey(1)), sealed, name, seal.ErrKey},
		{"another name", newSealer(t, purpose, testKey(1)), sealed, "bob", seal.ErrChanged},
		{"no name", newSealer(t, purpose, testKey(1)), sealed, "", seal.ErrChanged},
		{"purpose and name split elsewhere", newSealer(t, purpose+"a", testKey(1)), sealed, name[1:], seal.ErrKey},
		{"key id changed", newSealer(t, purpose, testKey(1)), flip(0), name, seal.ErrKey},
		{"nonce changed", newSealer(t, purpose, testKey(1)), flip(5), name, seal.ErrChanged},
		{"content changed", newSealer(t, purpose, testKey(1)), flip(17), name, seal.ErrChanged},
		{"tag changed", newSealer(t, purpose, testKey(1)), flip(len(sealed) - 1), name, seal.ErrChanged},
		{"cut", newSealer(t, purpose, testKey(1)), sealed[:len(sealed)-1], name, seal.ErrChanged},
		{"cut to less than the overhead", newSealer(t, purpose, testKey(1)), sealed[:seal.Overhead-1], name, seal.ErrMalformed},
		{"no keys", nil, sealed, name, seal.ErrKey},
		{"nothing", newSealer(t, purpose, testKey(1)), nil, name, seal.ErrMalformed},
	} {
		got, err := c.sealer.Open(c.sealed, c.name)
		if !errors.Is(err, c.want) || err == nil && string(got) != plain {
			t.Errorf("%s: Open = %q, %v; want error %v", c.what, got, err, c.want)
		}
	}
}

func TestSealIsRandom(t *testing.T) {
	t.Parallel()
	s := newSealer(t, "test", testKey(1))
	if a, b := s.SealText([]byte("value"), "alice"), s.SealText([]byte("value"), "alice"); a == b {
		t.Errorf("two sealings of one value are both %q", a)
	}
	a, b := seal.Random("test"), seal.Random("test")
	if _, err := b.Open(a.Seal(nil, ""), ""); !errors.Is(err, seal.ErrKey) {
		t.Errorf("a value of another process: Open = %v, want %v", err, seal.ErrKey)
	}
}

func TestTextHasOneSpelling(t *testing.T) {
	t.Parallel()
	s := newSealer(t, "test", testKey(1))
	text := s.SealText([]byte("value"), "alice")
	if got, err := s.OpenText(text, "alice"); err != nil || string(got) != "value" {
		t.Errorf("OpenText = %q, %v; want value", got, err)
	}
	for _, other := range []string{text + "=", text + "\n", "\r\n" + text, text[:20] + "\n" + text[20:], " " + text, text + "A"} {
		if _, err := s.OpenText(other, "alice"); err == nil {
			t.Errorf("OpenText(%q) succeeds, as it does for %q", other, text)
		}
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	for want, keys := range map[string][][]byte{
		"there are 0 keys":   nil,
		"there are 17 keys":  make([][]byte, 17),
		"key 0 has 0 bytes":  {nil},
		"key 1 has 31 bytes": {testKey(1), make([]byte, 31)},
		"key 1 is all zero":  {testKey(1), make([]byte, 32)},
		"key 0 has 5 bytes; it must have 32 random ones\nkey 1 is all zero": {make([]byte, 5), make([]byte, 32)},
	} {
		if _, err := seal.New("test", keys); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New(%d keys) = %v, want %q in it", len(keys), err, want)
		}
	}
}

// FuzzOpenText: only what was sealed for the name opens, in its one spelling.
func FuzzOpenText(f *testing.F) {
	s := newSealer(f, "test", testKey(2), testKey(1))
	// Sealed once: each process of the fuzzer would have another.
	const name, text = "alice", "li1BhwkDbZ3x57ivQMfY39s9tFuCjmfqlwwIL4_nl6HI-sMQgg"
	if got, err := s.OpenText(text, name); err != nil || string(got) != "value" {
		f.Fatalf("OpenText = %q, %v; want value", got, err)
	}
	for _, seed := range []string{text, text + "=", text + "\n", strings.ToLower(text), text[:8], ""} {
		f.Add(seed, name)
	}
	f.Add(text, "bob")
	f.Fuzz(func(t *testing.T, changed, other string) {
		if got, err := s.OpenText(changed, other); err == nil && (changed != text || other != name) {
			t.Errorf("OpenText(%q, %q) = %q, which was sealed as %q for %q", changed, other, got, text, name)
		}
	})
}
