// Package yamlfile reads the program's YAML files strictly. It reports all faults of a file at
// once, each with its line: unknown keys with the nearest known one, repeated keys, and
// values of the wrong kind. It never repeats a value, because people paste secrets into wrong
// places.
package yamlfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// maxSize limits a file. Nobody writes more by hand.
const maxSize = 1 << 20

// ReadFile reads a file for [Decode], and no more of it than shows that it is too large.
func ReadFile(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return io.ReadAll(io.LimitReader(file, maxSize+1))
}

// Decode reads one document into the struct that v points to. Keys are the fields' yaml tags; a
// field without a tag has no key. Fields are strings, bools, ints, time.Duration ("90m"),
// time.Time (RFC 3339), structs, pointers to structs, and slices and maps (by text) of these. A list
// of texts may be written as one text. A struct that embeds [Named] may be written as a name.
//
// The cursor is the place of the document, to report more faults; [Cursor.Err] returns them
// together with those that Decode has found. Text that is not YAML is an error.
func Decode(data []byte, v any) (*Cursor, error) {
	if len(data) > maxSize {
		return nil, fmt.Errorf("the file is too large: at most %d bytes are read", maxSize)
	}
	var document yaml.Node
	if err := load(data, &document); err != nil {
		return nil, err
	}
	root := &Cursor{faults: &[]Fault{}}
	if len(document.Content) > 0 {
		root.node = document.Content[0]
		root.decode(root.node, reflect.ValueOf(v).Elem())
	}
	return root, nil
}

func load(data []byte, document *yaml.Node) error {
	decoder := yaml.NewDecoder(strings.NewReader(string(data)))
	err := decoder.Decode(document)
	if errors.Is(err, io.EOF) {
		return nil // empty
	}
	if err == nil {
		var second yaml.Node
		if err := decoder.Decode(&second); err == nil {
			return fmt.Errorf("line %d: a second document begins; put all into one", second.Line)
		} else if errors.Is(err, io.EOF) {
			return nil
		}
	}
	return syntax(err)
}

// syntax returns the parser's error, with its line and without values.
func syntax(err error) error {
	var at *yaml.LoadError
	switch {
	case errors.As(err, &at) && (strings.Contains(at.Message, "anchor") || strings.Contains(at.Message, "tag")): // it names them
		return fmt.Errorf("line %d: anchors, aliases and tags are not read here; write the value out, in quotes if it begins with a sign", max(at.Mark.Line, 1))
	case errors.As(err, &at):
		return fmt.Errorf("line %d: this is not YAML: %s", max(at.Mark.Line, 1), at.Message)
	}
	return errors.New("this is not YAML")
}

// Named is what an item has that is written as a name, or as a name with values:
//
//   - storage
//   - graph: User.Read, Mail.Read
//   - api://orders: [Orders.Read]
type Named struct {
	Name   string
	Values []string
}

var (
	namedType    = reflect.TypeFor[Named]()
	durationType = reflect.TypeFor[time.Duration]()
	timeType     = reflect.TypeFor[time.Time]()
)

// decode sets a value from a node. An empty node leaves the value as it is.
func (c *Cursor) decode(n *yaml.Node, v reflect.Value) {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		c.Faultf("anchors and aliases are not read here; write the value out")
		return
	}
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return
	}
	switch {
	case v.Type() == durationType || v.Type() == timeType:
		c.decodeScalar(n, v)
	case v.Kind() == reflect.Pointer:
		made := reflect.New(v.Type().Elem())
		c.decode(n, made.Elem())
		v.Set(made)
	case v.Kind() == reflect.Struct:
		if named := v.FieldByName(namedType.Name()); named.IsValid() && isNamed(n, keysOf(v.Type())) {
			c.decodeNamed(n, named.Addr().Interface().(*Named))
			return
		}
		c.decodeStruct(n, v)
	case v.Kind() == reflect.Map:
		c.decodeMap(n, v)
	case v.Kind() == reflect.Slice:
		c.decodeList(n, v)
	default:
		c.decodeScalar(n, v)
	}
}

func (c *Cursor) decodeStruct(n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		c.Faultf("expected keys and values, one of: %s", strings.Join(keysOf(v.Type()), ", "))
		return
	}
	known := map[string]int{}
	for i := range v.NumField() {
		if name := v.Type().Field(i).Tag.Get("yaml"); name != "" {
			known[name] = i
		}
	}
	c.pairs(n, func(key, value *yaml.Node) {
		at := c.child(key.Value, key, value)
		if i, ok := known[key.Value]; ok {
			at.decode(value, v.Field(i))
			return
		}
		unknown := *c // the key may be a secret, so the path is the parent's
		unknown.line = key.Line
		unknown.Faultf("%s", unknownKey(key.Value, keysOf(v.Type())))
	})
}

// isNamed reports whether an item is written as a name, or as a name with values, not with keys. A
// struct without keys has no other form.
func isNamed(n *yaml.Node, keys []string) bool {
	return len(keys) == 0 || n.Kind == yaml.ScalarNode ||
		n.Kind == yaml.MappingNode && len(n.Content) == 2 && !slices.Contains(keys, n.Content[0].Value)
}

func (c *Cursor) decodeNamed(n *yaml.Node, v *Named) {
	switch {
	case n.Kind == yaml.ScalarNode:
		v.Name = n.Value
	case n.Kind != yaml.MappingNode || len(n.Content) != 2 || n.Content[0].Kind != yaml.ScalarNode:
		c.Faultf("expected a name, or a name with a value: NAME: VALUE")
	case n.Content[1].Kind == yaml.ScalarNode && n.Content[1].ShortTag() != "!!null":
		v.Name, v.Values = n.Content[0].Value, SplitList(n.Content[1].Value)
	default:
		v.Name = n.Content[0].Value
		c.decode(n.Content[1], reflect.ValueOf(&v.Values).Elem()) // the name may be a secret: the path is the item's
	}
}

// SplitList splits a text at commas and spaces.
func SplitList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

func (c *Cursor) decodeMap(n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		c.Faultf("expected keys and values")
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	c.pairs(n, func(key, value *yaml.Node) {
		made := reflect.New(v.Type().Elem()).Elem()
		c.child(key.Value, key, value).decode(value, made)
		v.SetMapIndex(reflect.ValueOf(key.Value), made)
	})
}

// pairs visits the keys of a mapping, without those that are not plain text or appear twice.
func (c *Cursor) pairs(n *yaml.Node, visit func(key, value *yaml.Node)) {
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := *c
		at.line = key.Line
		switch first, twice := seen[key.Value]; {
		case key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge":
			at.Faultf("a key must be plain text")
		case twice:
			at.Faultf("a key appears twice, first in line %d; keep one", first)
		default:
			seen[key.Value] = key.Line
			visit(key, value)
		}
	}
}

func (c *Cursor) decodeList(n *yaml.Node, v reflect.Value) {
	if n.Kind == yaml.ScalarNode && v.Type().Elem().Kind() == reflect.String {
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		c.decodeScalar(n, v.Index(0))
		return
	}
	if n.Kind != yaml.SequenceNode {
		c.Faultf("expected a list; begin each entry with \"- \", or put it in [ ]")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, item := range n.Content {
		c.item(i, item).decode(item, v.Index(i))
	}
}

func (c *Cursor) decodeScalar(n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.ScalarNode {
		c.Faultf("expected %s, not a list or keys", kindOf(v.Type()))
		return
	}
	tag := n.ShortTag()
	switch {
	case v.Type() == timeType:
		t, err := time.Parse(time.RFC3339, n.Value)
		if err == nil {
			v.Set(reflect.ValueOf(t))
			return
		}
	case v.Type() == durationType:
		d, err := time.ParseDuration(n.Value)
		if err == nil {
			v.SetInt(int64(d))
			return
		}
	case v.Kind() == reflect.String:
		v.SetString(n.Value)
		return
	case v.Kind() == reflect.Bool && tag == "!!bool":
		v.SetBool(strings.EqualFold(n.Value, "true"))
		return
	case v.Kind() == reflect.Int && tag == "!!int":
		if i, err := strconv.ParseInt(n.Value, 0, 64); err == nil {
			v.SetInt(i)
			return
		}
	}
	c.Faultf("expected %s", kindOf(v.Type()))
}

// kindOf says what a value of the type looks like.
func kindOf(t reflect.Type) string {
	switch {
	case t == timeType:
		return "a time such as 2026-01-31T12:00:00Z"
	case t == durationType:
		return "a duration such as 90m or -1h30m"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Int:
		return "a whole number"
	default:
		return "text"
	}
}
