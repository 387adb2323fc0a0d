package odata_test

import (
	"encoding/json"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest/internal/odata"
)

func TestParsePath(t *testing.T) {
	t.Parallel()
	name := func(text string) odata.Segment { return odata.Segment{Text: text} }
	key := func(property, value string) odata.Segment {
		return odata.Segment{Text: value, Property: property, Key: true}
	}
	for path, want := range map[string][]odata.Segment{
		"applications":                        {name("applications")},
		"applications/1":                      {name("applications"), name("1")},
		"applications('1')":                   {name("applications"), key("", "1")},
		"applications(appId='1')":             {name("applications"), key("appId", "1")},
		"applications(uniqueName='a%2Fb')/x":  {name("applications"), key("uniqueName", "a/b"), name("x")},
		"applications(uniqueName='it''s')":    {name("applications"), key("uniqueName", "it's")},
		"applications(uniqueName='a=b')":      {name("applications"), key("uniqueName", "a=b")},
		"applications('a=b')":                 {name("applications"), key("", "a=b")},
		"applications%28appId%3D%271%27%29":   {name("applications"), key("appId", "1")},
		"":                                    nil,
		"applications/":                       nil,
		"applications(appId=1)":               nil,
		"applications(appId='1'":              nil,
		"applications(='1')":                  nil,
		"applications(appId='')":              nil,
		"applications(appId='1',x='2')":       nil,
		"(appId='1')":                         nil,
		"applications/%zz":                    nil,
		"applications(appId='1')(appId='1')":  nil,
		"applications(appId='1')/me(x='y''')": {name("applications"), key("appId", "1"), name("me"), key("x", "y'")},
	} {
		got, err := odata.ParsePath(path)
		if !reflect.DeepEqual(got, want) || (err == nil) != (want != nil) {
			t.Errorf("ParsePath(%q) = %v, %v, want %v", path, got, err, want)
		}
	}
}

var entity = map[string]any{
	"displayName": "My API", "appId": "1", "uris": []any{"api://1", "https://x.example/it's"}, "enabled": true, "notes": nil,
}

func TestFilter(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{ // match, other or error
		"displayName eq 'my api'":                                 "match",
		"displayName eq 'My'":                                     "other",
		"startswith(displayName,'my')":                            "match",
		"startswith( displayName , 'API' )":                       "other",
		"uris/any(u:u eq 'api://1')":                              "match",
		"uris/any(x: x eq 'https://x.example/it''s')":             "match",
		"uris/any(u:startswith(u,'https://'))":                    "match",
		"uris/any(u:u eq 'api://2')":                              "other",
		"enabled eq true and notes eq null":                       "match",
		"enabled eq false or notes eq 'x'":                        "other",
		"enabled eq false or (notes eq null and appId eq '1')":    "match",
		"appId eq '2' and enabled eq true or displayName eq ''":   "other",
		"appId eq '1' or enabled eq false and displayName eq 'x'": "match",
		"":                                      "error",
		"displayName":                           "error",
		"displayName eq":                        "error",
		"displayName eq 'x":                     "error",
		"displayName ne 'x'":                    "error",
		"displayName eq x":                      "error",
		"Displayname eq 'x'":                    "error",
		"secret eq 'x'":                         "error",
		"displayName eq 'x' displayName eq 'x'": "error",
		"displayName eq 'x' and":                "error",
		"(displayName eq 'x'":                   "error",
		"uris/any(u:v eq 'x')":                  "error",
		"uris/all(u:u eq 'x')":                  "error",
		"not(displayName eq 'x')":               "error",
		"displayName eqx 'x'":                   "error",
		"displayName eq trueish":                "error",
		strings.Repeat("(", 100) + "appId eq '1'" + strings.Repeat(")", 100): "error",
	} {
		filter, err := odata.ParseFilter(text, []string{"displayName", "appId", "uris", "enabled", "notes"})
		got := "error"
		if err == nil {
			got = map[bool]string{true: "match", false: "other"}[filter.Matches(entity)]
		}
		if got != want {
			t.Errorf("%q: got %s (%v), want %s", text, got, err, want)
		}
	}
}

type thing struct {
	Name   string             `json:"name"`
	Note   *string            `json:"note"`
	Parts  odata.List[part]   `json:"parts"`
	Inner  part               `json:"inner"`
	Labels odata.List[string] `json:"labels"`
}

type part struct {
	ID    string `json:"id"`
	Size  int    `json:"size"`
	Ready bool   `json:"ready"`
}

func TestMerge(t *testing.T) {
	t.Parallel()
	note := "n"
	for body, want := range map[string]string{ // JSON or error
		`{}`:                                 `{"name":"a","note":"n","parts":[{"id":"1","size":1,"ready":true}],"inner":{"id":"2","size":2,"ready":false},"labels":[]}`,
		`{"note":null}`:                      `{"name":"a","note":null,"parts":[{"id":"1","size":1,"ready":true}],"inner":{"id":"2","size":2,"ready":false},"labels":[]}`,
		`{"inner":{"size":3}}`:               `{"name":"a","note":"n","parts":[{"id":"1","size":1,"ready":true}],"inner":{"id":"2","size":3,"ready":false},"labels":[]}`,
		`{"parts":[{"id":"9"}]}`:             `{"name":"a","note":"n","parts":[{"id":"9","size":0,"ready":false}],"inner":{"id":"2","size":2,"ready":false},"labels":[]}`,
		`{"parts":[],"@odata.type":1}`:       `{"name":"a","note":"n","parts":[],"inner":{"id":"2","size":2,"ready":false},"labels":[]}`,
		`{"labels":["x"],"name":"b"}`:        `{"name":"b","note":"n","parts":[{"id":"1","size":1,"ready":true}],"inner":{"id":"2","size":2,"ready":false},"labels":["x"]}`,
		`{"Name":"b"}`:                       "error",
		`{"name":null}`:                      "error",
		`{"name":1}`:                         "error",
		`{"parts":null}`:                     "error",
		`{"parts":[null]}`:                   "error",
		`{"parts":[{"ID":"1"}]}`:             "error",
		`{"parts":{"id":"1"}}`:               "error",
		`{"inner":null}`:                     "error",
		`{"inner":{"size":"1"}}`:             "error",
		`{"inner":{"other":1}}`:              "error",
		`{"inner":{"ready":"true"}}`:         "error",
		`[]`:                                 "error",
		`"x"`:                                "error",
		`null`:                               "error",
		`{"name":"b"} x`:                     "error",
		`{"labels":[1]}`:                     "error",
		`{"parts":[{"size":1.5}]}`:           "error",
		`{"inner":{"id":"x","size":1e9999}}`: "error",
	} {
		it := thing{"a", &note, odata.List[part]{{"1", 1, true}}, part{"2", 2, false}, nil}
		err := odata.Merge(&it, []byte(body))
		encoded, encodeErr := json.Marshal(it)
		if encodeErr != nil {
			t.Fatal(encodeErr)
		}
		if got := string(encoded); (err != nil) != (want == "error") || err == nil && got != want {
			t.Errorf("Merge(%s) = %s, %v, want %s", body, got, err, want)
		}
	}
}

func TestRender(t *testing.T) {
	t.Parallel()
	got, err := odata.Render(part{"1", 2, true}, []string{"ready", "id"}, odata.Member{Name: "@odata.context", Value: "x"})
	if want := `{"@odata.context":"x","id":"1","ready":true}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	if got, err := odata.Render(part{}, []string{"Id"}); err == nil {
		t.Errorf("a member of another case: got %s, want an error", got)
	}
}

func FuzzParsePath(f *testing.F) {
	for _, path := range []string{"applications", "applications(appId='1')/x", "a('''')", "%28", "a(b='c"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		segments, err := odata.ParsePath(path)
		if err != nil {
			return
		}
		var again []string // written anew, a path means the same
		for _, s := range segments {
			quoted := "'" + strings.ReplaceAll(s.Text, "'", "''") + "'"
			switch {
			case !s.Key:
				again = append(again, s.Text)
				continue
			case s.Property != "":
				quoted = s.Property + "=" + quoted
			}
			again[len(again)-1] += "(" + quoted + ")"
		}
		for i := range again {
			again[i] = url.PathEscape(again[i])
		}
		if got, err := odata.ParsePath(strings.Join(again, "/")); err != nil || !reflect.DeepEqual(got, segments) {
			t.Errorf("ParsePath(%q) = %v, written anew %q: %v, %v", path, segments, again, got, err)
		}
	})
}

func FuzzFilter(f *testing.F) {
	for _, text := range []string{"displayName eq 'x'", "uris/any(u:u eq 'x') or (startswith(appId,'1'))", "enabled eq true", "((("} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		filter, err := odata.ParseFilter(text, []string{"displayName", "appId", "uris", "enabled", "notes"})
		if err != nil {
			return
		}
		direct := filter.Matches(entity)
		wrapped, err := odata.ParseFilter("("+text+")", []string{"displayName", "appId", "uris", "enabled", "notes"})
		if err == nil && wrapped.Matches(entity) != direct {
			t.Errorf("%q and the same in parentheses differ", text)
		}
	})
}

func FuzzMerge(f *testing.F) {
	for _, body := range []string{`{}`, `{"parts":[{"id":"9"}]}`, `{"inner":{"size":3}}`, `{"note":null}`, `[]`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var it thing
		if odata.Merge(&it, body) != nil {
			return
		}
		first, err := json.Marshal(it)
		if err != nil {
			t.Fatal(err)
		}
		again := it
		if err := odata.Merge(&again, first); err != nil { // what was read can be sent back
			t.Errorf("Merge(%s): then %v", body, err)
		}
	})
}
