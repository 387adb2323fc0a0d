package jsonspan_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/internal/jsonspan"
)

func members(text string) (all []string) {
	for name, v := range jsonspan.Members([]byte(text), jsonspan.Value([]byte(text), 0)) {
		all = append(all, string(name)+"="+string(v.Of([]byte(text))))
	}
	return all
}

func TestMembers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{}`:                                   "",
		`{"a":1}`:                              "a=1",
		" {\n\"a\" : 1 , \"b\":\t\"x\"} {}":    `a=1|b="x"`,
		`{"a":{"b":[1,{"c":"}"}]},"d":[]}`:     `a={"b":[1,{"c":"}"}]}|d=[]`,
		`{"a":"x\"y\\","\u0069d":-1.5e3}`:      `a="x\"y\\"|id=-1.5e3`,
		`{"a":1,"a":2}`:                        "a=1|a=2",
		`{"a":null,"b":true}`:                  "a=null|b=true",
		`[1]`:                                  "",
		`{"a":`:                                "",
		`{"a"`:                                 "",
		`{"a":1`:                               "a=1",
		`{"a":"`:                               `a="`,
		`{"a":"\`:                              `a="\`,
		`{"a":1 "b":2}`:                        "a=1",
		``:                                     "",
		`{"a":[[[]]],"b":{"c":{}},"d":"[{\""}`: `a=[[[]]]|b={"c":{}}|d="[{\""`,
	} {
		if got := strings.Join(members(text), "|"); got != want {
			t.Errorf("Members(%s) = %s, want %s", text, got, want)
		}
	}
}

func TestElements(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`[]`: "", `[1]`: "1", ` [ {"a":[1]} , "x" ,null] `: `{"a":[1]}|"x"|null`, `{}`: "", `[1,`: "1", `[1 2]`: "1",
	} {
		var got []string
		for v := range jsonspan.Elements([]byte(text), jsonspan.Value([]byte(text), 0)) {
			got = append(got, string(v.Of([]byte(text))))
		}
		if got := strings.Join(got, "|"); got != want {
			t.Errorf("Elements(%s) = %s, want %s", text, got, want)
		}
	}
}

// FuzzMembers: of a text that is JSON, the spans are the members' values.
func FuzzMembers(f *testing.F) {
	for _, seed := range []string{`{"a":1,"b":{"c":"\""}}`, `[1,2]`, `{"a":"\\"}`, `{"a`, `{"é":"\ud800"}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var want map[string]json.RawMessage
		isObject := json.Unmarshal([]byte(text), &want) == nil && want != nil
		got := map[string]string{}
		for name, v := range jsonspan.Members([]byte(text), jsonspan.Value([]byte(text), 0)) {
			got[string(name)] = string(v.Of([]byte(text)))
		}
		if !isObject {
			return
		}
		if len(got) > len(want) {
			t.Fatalf("%q: %d members, want %d", text, len(got), len(want))
		}
		for name, value := range want {
			if v, ok := got[name]; ok && v != string(value) {
				t.Fatalf("%q: %s is %q, want %q", text, name, v, value)
			} else if !ok && !strings.ContainsRune(name, '�') {
				t.Fatalf("%q: %s is missing", text, name)
			}
		}
	})
}

func TestCount(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		`7`: 1, `"a,b[{"`: 1, `[]`: 2, `[1,2]`: 3, `{"a":1,"b":[{}]}`: 5, `"a\",["`: 1, `["`: 2, ``: 1,
	} {
		if got := jsonspan.Count([]byte(text)); got != want {
			t.Errorf("Count(%s) = %d, want %d", text, got, want)
		}
	}
}
