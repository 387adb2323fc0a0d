package strictjson_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/strictjson"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{ // the error, or "" for none
		`{}`: "", ` { "a" : 1 } `: "", `{"a":{"b":1,"b":2}}`: "", `{"a":1,"A":2}`: "", `{"":1}`: "",
		``: "not JSON", `{`: "not JSON", `{"a":1,}`: "not JSON", `{"a":1} x`: "not JSON", `{} {}`: "not JSON", "\ufeff{}": "not JSON",
		"{\"a\":\"\xff\"}": "not JSON", `{a:1}`: "not JSON", `{"a":01}`: "not JSON", strings.Repeat("[", 100_000): "not JSON",
		`null`: "not a JSON object", `[]`: "not a JSON object", `"a"`: "not a JSON object", `1`: "not a JSON object",
		`{"a":1,"a":1}`: "twice", `{"a":1,"b":2,"\u0061":3}`: "twice", `{"a":{},"a":null}`: "twice", `{"\ud800":1,"\udc00":2}`: "twice",
	} {
		o, err := strictjson.Parse([]byte(text))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%.50q) = %v, %v; want an error with %q, or none", text, o, err, want)
		}
	}
}

func TestMembers(t *testing.T) {
	t.Parallel()
	o, err := strictjson.Parse([]byte(`{"s":"a\u0062","n":1.5,"l":["a", "b"],"e":[],"m":["a",1],"z":["a",null],"o":{},"null":null,"big":1e999}`))
	if err != nil {
		t.Fatal(err)
	}
	show := func(v any, err error) string { return fmt.Sprintf("%q %v", v, err) }
	number := func(name string) string { v, err := o.Number(name); return fmt.Sprint(v, err) }
	text := func(name string) string { v, err := o.Text(name); return show(v, err) }
	texts := func(name string) string { v, err := o.Texts(name); return fmt.Sprintf("%q %t %v", v, v == nil, err) }
	for _, tt := range []struct{ what, got, want string }{
		{"Text(s)", text("s"), `"ab" <nil>`},
		{"Text of none", text("S"), `"" <nil>`},
		{"Text(null)", text("null"), `"" <nil>`},
		{"Text(n)", text("n"), `"" the member n must be a string`},
		{"Number(n)", number("n"), "1.5 <nil>"},
		{"Number of none", number("x"), "0 <nil>"},
		{"Number(s)", number("s"), "0 the member s must be a number"},
		{"Number(big)", number("big"), "0 the member big must be a number"},
		{"Texts(l)", texts("l"), `["a" "b"] false <nil>`},
		{"Texts(e)", texts("e"), `[] false <nil>`},
		{"Texts of none", texts("x"), `[] true <nil>`},
		{"Texts(null)", texts("null"), `[] true <nil>`},
		{"Texts(s)", texts("s"), `[] true the member s must be an array`},
		{"Texts(m)", texts("m"), `[] true the member m must be an array of strings`},
		{"Texts(z)", texts("z"), `[] true the member z must be an array of strings`},
		{"Texts(o)", texts("o"), `[] true the member o must be an array`},
		{"Has(e)", fmt.Sprint(o.Has("e"), o.Has("null"), o.Has("x")), "true false false"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.what, tt.got, tt.want)
		}
	}
}

// FuzzParse: what is accepted has the members that encoding/json reads, and no other.
func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a":1,"b":[{}]}`, `{"a":1,"a":2}`, `{"\u0061":"\ud800"}`, ` {} `, `[{}]`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, err := strictjson.Parse([]byte(text))
		if err != nil {
			return
		}
		var m map[string]json.RawMessage
		if err := json.Unmarshal([]byte(text), &m); err != nil || len(m) != len(o) {
			t.Fatalf("got %d members, want %d (%v)", len(o), len(m), err)
		}
		for name, value := range m {
			if string(o[name]) != string(value) {
				t.Errorf("member %q: got %s, want %s", name, o[name], value)
			}
		}
	})
}
