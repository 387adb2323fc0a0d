package fixedsdk_test

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"io"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/segmentio/encoding/json"

	"github.com/mcpentra/mcp-entra-go/bench"
)

// decode is how the SDK decodes, parse is how the fixed copy does: after the bound
// on depth, which both have.
func decode(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DontMatchCaseInsensitiveStructFields()
	return d.Decode(v)
}

func parse(data []byte, v any) error {
	_, err := json.Parse(data, v, json.DontMatchCaseInsensitiveStructFields)
	return err
}

// A message is of the shapes that the SDK decodes into.
type message struct {
	Version string             `json:"jsonrpc"`
	ID      any                `json:"id,omitempty"`
	Method  stdjson.RawMessage `json:"method,omitempty"`
	Params  stdjson.RawMessage `json:"params,omitempty"`
	Nested  *struct {
		Name  string         `json:"name"`
		Limit int            `json:"limit"`
		Meta  map[string]any `json:"_meta"`
	} `json:"nested,omitempty"`
	List []stdjson.RawMessage `json:"list,omitempty"`
}

// targets are new values to decode into.
func targets() []any {
	return []any{new(any), new(message), new(map[string]stdjson.RawMessage), new([]stdjson.RawMessage), new(stdjson.RawMessage), new(string), new(float64), new(int)}
}

var texts = []string{
	`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"a":[1,2.5,null,"é\u00e9\n"]}}}`,
	`{"JSONRPC":"2.0","Id":1,"Method":"x","nested":{"Name":"n","LIMIT":3}}`, // other case
	`{"method\u0000":"x","nested":{"na\u006de":"n"}}`,
	`{"id":1} trailing`, `{"id":1}{"id":2}`, `{"id":1}]`, `{"id":1},`, `1 2`, `"a" "b"`, "null\n\n", " \t\r\n7 ",
	`{"id":1,"id":2,"nested":{"limit":1},"nested":{"name":"x"}}`, // twice
	`{"id":9007199254740993,"nested":{"limit":1e2}}`, `{"nested":{"limit":"1"}}`, `{"nested":[]}`, `{"list":[1,{"a":2},"x",null]}`,
	``, ` `, `{`, `{"id"`, `{"id":`, `{"id":1`, `[1,`, `"abc`, `tru`, `nul`, `-`, `1e`, `{"a":01}`, `{"a":"\x"}`, `{"a":"\ud800"}`, "{\"a\":\"\x01\"}", "\"\xff\"",
	`{"id":1,}`, `{id:1}`, `{'id':1}`, `}`, `{"nested":{"name":}}`, `{"nested":{"name":"x"`, `{"unknown":{"a":[1,2,}}`, "\ufeff{}", "\x00",
	strings.Repeat("[", 900) + strings.Repeat("]", 900),
}

// leadingZero is a number that the decoder takes for a 0 and trailing data.
var leadingZero = regexp.MustCompile(`^\s*-?0[0-9]`)

// Where the SDK decodes a text, the fixed copy decodes it to the same value, and
// where it fails, the copy fails too.
func TestSameValues(t *testing.T) {
	t.Parallel()
	for _, s := range texts {
		same(t, []byte(s))
	}
}

func FuzzSameValues(f *testing.F) {
	for _, s := range texts {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) { same(t, data) })
}

func same(t *testing.T, data []byte) {
	t.Helper()
	slow, fast := targets(), targets()
	for i := range slow {
		mine := bytes.Clone(data)
		slowErr, fastErr := decode(data, slow[i]), parse(mine, fast[i])
		clear(mine) // nothing decoded may refer to it
		if _, integer := slow[i].(*int); integer && leadingZero.Match(data) {
			continue // see TestOtherErrors
		}
		if (slowErr == nil) != (fastErr == nil) {
			t.Errorf("%.200q into %T: decoder %v, parse %v", data, slow[i], slowErr, fastErr)
		} else if slowErr == nil && !reflect.DeepEqual(slow[i], fast[i]) {
			t.Errorf("%.200q into %T: decoder %+v, parse %+v", data, slow[i], slow[i], fast[i])
		}
	}
}

// What differs, on texts that are no JSON: which error it is, what has been set by
// then, and an integer with a leading zero.
func TestOtherErrors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text string
		want error // of the decoder
	}{{"", io.EOF}, {" ", io.EOF}, {`{"id":1`, io.ErrUnexpectedEOF}, {`{"jsonrpc":"2.0",}`, nil}} {
		var slow, fast message
		var syntax *stdjson.SyntaxError
		if err := decode([]byte(test.text), &slow); err == nil || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("decoder, %q: %v, want %v", test.text, err, test.want)
		}
		if err := parse([]byte(test.text), &fast); !errors.As(err, &syntax) {
			t.Errorf("parse, %q: %T %v, want a syntax error", test.text, err, err)
		}
		if slow.Version != "" {
			t.Errorf("decoder, %q: %+v, want nothing set", test.text, slow)
		}
	}
	var n int
	if err := decode([]byte("01"), &n); err != nil || n != 0 {
		t.Errorf("decoder, 01: %d, %v; want 0, and 1 taken for trailing data", n, err)
	}
	if err := parse([]byte("01"), &n); err == nil {
		t.Errorf("parse, 01: %d, want an error", n)
	}
}

// BenchmarkDecode decodes a message of usual size. CPU-ns/op has the garbage
// collector's work, which ns/op hides where a core is free for it.
func BenchmarkDecode(b *testing.B) {
	data := []byte(texts[0])
	for _, way := range []struct {
		name   string
		decode func([]byte, any) error
	}{{"decoder", decode}, {"parse", parse}} {
		b.Run(way.name, func(b *testing.B) {
			b.ReportAllocs()
			before := bench.CPUTime()
			for b.Loop() {
				var m message
				if err := way.decode(data, &m); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((bench.CPUTime()-before).Nanoseconds())/float64(b.N), "CPU-ns/op")
		})
	}
}
