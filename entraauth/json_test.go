package entraauth_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

// A text is read as an object if and only if encoding/json reads it so, apart from the
// bounds and the names that stand twice; and each value is the one that encoding/json
// finds.
func FuzzMembers(f *testing.F) {
	for _, seed := range []string{
		`{}`, ` { } `, `{"a":1}`, "\t{\"a\"\n:\r-0.5e+7 , \"b\":[],\"c\":{},\"d\":[null,true,false]}", `{"a":{"b":{"c":["\"}",{"d":"]"}]}}}`,
		`{"a":"\u00e9\ud800\\\/\b\f\n\r\t\""}`, `{"\u0061":1}`,
		``, ` `, `{`, `{"`, `{"a`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{,}`, `{"a":1}}`, `{"a":1} x`, `[]`, `null`, `"a"`, `{a:1}`, `{"a" 1}`, `{"a":1 "b":2}`,
		`{"a":01}`, `{"a":+1}`, `{"a":1.}`, `{"a":.5}`, `{"a":1e}`, `{"a":-}`, `{"a":--1}`, `{"a":0x1}`, `{"a":1_0}`, `{"a":NaN}`, `{"a":tru}`, `{"a":trueish}`, `{"a":nul`,
		`{"a":"\x"}`, `{"a":"\u12"}`, `{"a":"\u12g4"}`, "{\"a\":\"\n\"}", "{\"a\":\"\x00\"}", "{\"a\":\x00}", "\x00{}", "{}\x00", "{\"a\":\"\xff\"}", `{"a":"`, `{"a":"\`, `{"a":"\u`,
		`{"a":[1,]}`, `{"a":[,1]}`, `{"a":[1 2]}`, `{"a":[}`, `{"a":[1}`, `{"a":{"b"}}`, `{"a":{"b":1,}}`, `{"a":{1:2}}`, `{"a":1,"A":2}`, "\ufeff{}", "{\u00a0}",
		`{"a":` + strings.Repeat("[", 8) + strings.Repeat("]", 8) + `}`, `{"a":` + strings.Repeat("[", 9) + strings.Repeat("]", 9) + `}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		members, err := entraauth.Members(text)
		var want map[string]json.RawMessage
		d := json.NewDecoder(strings.NewReader(text))
		isObject := json.Valid([]byte(text)) && d.Decode(&want) == nil && want != nil
		switch {
		case err == nil && !isObject:
			t.Fatalf("Members(%q) = %v, which encoding/json does not read as an object", text, members)
		case errors.Is(err, entraauth.ErrNotJSON) && json.Valid([]byte(text)):
			t.Fatalf("Members(%q) = %v, which encoding/json reads", text, err)
		case err != nil:
			return
		case len(members) != len(want):
			t.Fatalf("Members(%q) = %v, want %s", text, members, want)
		}
		for name, value := range want {
			if got := members[name]; !bytes.Equal([]byte(got), value) {
				t.Errorf("Members(%q)[%q] = %q, want %q", text, name, got, value)
			}
		}
	})
}
