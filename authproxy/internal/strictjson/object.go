// Package strictjson reads JSON objects that strangers wrote: client ID metadata documents,
// key sets, assertions, registrations. Names are compared exactly, and one that appears twice
// is an error, so that two readers of one text can't see different members.
package strictjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/mcpentra/mcp-entra-go/internal/jsonspan"
)

// An Object is a JSON object's members, by name.
type Object map[string]json.RawMessage

// Parse reads a JSON object (RFC 8259, without a byte order mark). Its errors say nothing of
// the text. The members are parts of the text.
func Parse(text []byte) (Object, error) {
	if !utf8.Valid(text) || !json.Valid(text) {
		return nil, errors.New("not JSON in UTF-8")
	}
	span := jsonspan.Value(text, 0)
	if text[span.Start] != '{' {
		return nil, errors.New("not a JSON object")
	}
	o := Object{}
	for name, value := range jsonspan.Members(text, span) {
		if _, ok := o[string(name)]; ok {
			return nil, errors.New("a member appears twice")
		}
		o[string(name)] = value.Of(text)
	}
	return o, nil
}

// Has reports whether the object has the member and it is not null.
func (o Object) Has(name string) bool {
	raw, ok := o[name]
	return ok && string(raw) != "null"
}

// Text returns a member that is a string, or "" if there is none.
func (o Object) Text(name string) (string, error) {
	return member[string](o, name, "a string")
}

// Texts returns a member that is an array of strings, or nil if there is none.
func (o Object) Texts(name string) ([]string, error) {
	elements, err := o.Elements(name)
	if elements == nil || err != nil {
		return nil, err
	}
	list := make([]string, len(elements))
	for i, element := range elements {
		if element[0] != '"' || json.Unmarshal(element, &list[i]) != nil {
			return nil, fmt.Errorf("the member %s must be an array of strings", name)
		}
	}
	return list, nil
}

// Elements returns the elements of a member that is an array, or nil if there is none.
func (o Object) Elements(name string) ([]json.RawMessage, error) {
	return member[[]json.RawMessage](o, name, "an array")
}

// Number returns a member that is a number, or 0 if there is none.
func (o Object) Number(name string) (float64, error) {
	return member[float64](o, name, "a number")
}

func member[T any](o Object, name, kind string) (v T, err error) {
	if o.Has(name) && json.Unmarshal(o[name], &v) != nil {
		return v, fmt.Errorf("the member %s must be %s", name, kind)
	}
	return v, nil
}
