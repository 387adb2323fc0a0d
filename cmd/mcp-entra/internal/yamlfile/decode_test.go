package yamlfile_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/yamlfile"
)

type file struct {
	Name    string            `yaml:"name"`
	Count   int               `yaml:"count"`
	On      bool              `yaml:"on"`
	Every   time.Duration     `yaml:"every"`
	Start   time.Time         `yaml:"start"`
	Apps    []app             `yaml:"apps"`
	Extra   *app              `yaml:"extra"`
	Secrets map[string]string `yaml:"secrets"`
	Uses    []use             `yaml:"uses"`
	Tools   []tool            `yaml:"tools"`
	Hidden  string
}

type use struct{ yamlfile.Named }

type tool struct {
	yamlfile.Named
	Path string `yaml:"path"`
}

type app struct {
	ClientID string   `yaml:"clientId"`
	Scopes   []string `yaml:"scopes"`
}

func TestDecode(t *testing.T) {
	t.Parallel()
	var got file
	c, err := yamlfile.Decode([]byte(`# comment
name: 007
count: 0x10
on: True
every: 90m
start: 2026-01-31T12:00:00+01:00
apps:
  - clientId: a
    scopes: [read, write]
  - scopes: one
  -
extra: {clientId: b}
secrets: {x: y}
uses: [storage, graph: "User.Read, Mail.Read", api://orders: [Orders.Read], empty:]
tools: [grep, find: one, {path: /bin/ls}]
`), &got)
	if err != nil || c.Err() != nil {
		t.Fatalf("Decode: %v, %v", err, c.Err())
	}
	start, err := time.Parse(time.RFC3339, "2026-01-31T12:00:00+01:00")
	if err != nil {
		t.Fatal(err)
	}
	want := file{
		Name: "007", Count: 16, On: true, Every: 90 * time.Minute, Start: start,
		Apps: []app{{"a", []string{"read", "write"}}, {"", []string{"one"}}, {}}, Extra: &app{ClientID: "b"}, Secrets: map[string]string{"x": "y"},
		Uses: []use{
			{yamlfile.Named{Name: "storage"}}, {yamlfile.Named{Name: "graph", Values: []string{"User.Read", "Mail.Read"}}},
			{yamlfile.Named{Name: "api://orders", Values: []string{"Orders.Read"}}}, {yamlfile.Named{Name: "empty"}},
		},
		Tools: []tool{{Named: yamlfile.Named{Name: "grep"}}, {Named: yamlfile.Named{Name: "find", Values: []string{"one"}}}, {Path: "/bin/ls"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Decode = %+v, want %+v", got, want)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t~value"
	for name, c := range map[string]struct{ text, want string }{
		"near key":          {"counts: x", "line 1: the key counts is not known; the nearest is count"},
		"other spelling":    {"apps:\n- client_id: x", "line 2: apps[0]: the key client_id is not known; the nearest is clientId"},
		"far key":           {"zzzzzzzz: x", "line 1: the key zzzzzzzz is not known; known here: name, count, on, every, start, apps, extra, secrets, uses, tools"},
		"field without tag": {"hidden: x", "the key hidden is not known"},
		"secret as key":     {secret + ": x", "line 1: this key is not known"},
		"twice":             {"name: a\ncount: 1\nname: b", "line 3: a key appears twice, first in line 1"},
		"number":            {"count: " + secret, "line 1: count: expected a whole number"},
		"bool":              {"on: " + secret, "line 1: on: expected true or false"},
		"old bool":          {"on: yes", "line 1: on: expected true or false"},
		"duration":          {"every: 90", "line 1: every: expected a duration such as 90m"},
		"time":              {"start: 2026-01-31", "line 1: start: expected a time such as 2026-01-31T12:00:00Z"},
		"no list":           {"apps: " + secret, "line 1: apps: expected a list"},
		"no text":           {"name: [a]", "line 1: name: expected text, not a list or keys"},
		"no keys":           {"apps: [" + secret + "]", "line 1: apps[0]: expected keys and values, one of: clientId, scopes"},
		"no name":           {"uses: [{a: b, c: d}]", "line 1: uses[0]: expected a name, or a name with a value"},
		"list as name":      {"uses: [[a]]", "line 1: uses[0]: expected a name"},
		"list as value":     {"uses: [" + secret + ": [[a]]]", "line 1: uses[0][0]: expected text"},
		"name and key":      {"tools: [{path: a, pth: b}]", "line 1: tools[0]: the key pth is not known; the nearest is path"},
		"root":              {"- a", "line 1: expected keys and values"},
		"alias":             {"extra: &x {clientId: a}\napps: [*x]", "line 2: apps[0]: anchors and aliases are not read here"},
		"merge":             {"extra:\n  <<: {clientId: a}", "line 2: extra: a key must be plain text"},
		"unknown alias":     {"name: *" + secret, "line 1: anchors, aliases and tags are not read here"},
		"list as key":       {"[a]: b", "line 1: a key must be plain text"},
		"two documents":     {"name: a\n---\nname: b", "a second document begins"},
		"not YAML":          {"name: a\n  b: [", "line 2: this is not YAML"},
		"too large":         {"#" + strings.Repeat("x", 1<<20), "at most 1048576 bytes are read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var v file
			cursor, err := yamlfile.Decode([]byte(c.text), &v)
			if err == nil {
				err = cursor.Err()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), secret) {
				t.Errorf("Decode(%.80q) = %v, want an error with %q", c.text, err, c.want)
			}
		})
	}
}

// Faults found after decoding have lines too, in the order of the file.
func TestCursor(t *testing.T) {
	t.Parallel()
	var v file
	c, err := yamlfile.Decode([]byte("name: a\napps:\n  - clientId: x\n  - scopes:\n    - one\n    - two\nbad: 1\n"), &v)
	if err != nil {
		t.Fatal(err)
	}
	second := c.Key("apps").Item(1)
	second.Key("scopes").Item(1).Faultf("no such scope")
	second.Key("clientId").Faultf("is missing")
	c.Key("name").Faultf("is taken")
	want := "line 1: name: is taken\nline 4: apps[1].clientId: is missing\nline 6: apps[1].scopes[1]: no such scope\n" +
		"line 7: the key bad is not known; known here: name, count, on, every, start, apps, extra, secrets, uses, tools"
	if got := c.Err(); got == nil || got.Error() != want {
		t.Errorf("Err() = %v\nwant %s", got, want)
	}
}

func FuzzDecode(f *testing.F) {
	for _, text := range []string{"", "name: a", "apps: [{clientId: a}]", "extra: &x {clientId: a}\napps: [*x]", "? [a]\n: b", "{", "secrets: {a: b}", "--- a\n--- b"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var v file
		c, err := yamlfile.Decode(data, &v)
		if err != nil {
			return
		}
		c.Key("apps").Item(3).Key("scopes").Faultf("x")
		if c.Err() == nil {
			t.Error("Err() = nil after a fault")
		}
	})
}
