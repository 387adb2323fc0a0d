package odata

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// A List is a collection: JSON null is not one, and the JSON of a nil List is [].
type List[T any] []T

// MarshalJSON writes an array.
func (l List[T]) MarshalJSON() ([]byte, error) {
	if l == nil {
		return []byte("[]"), nil
	}
	return json.Marshal([]T(l))
}

// UnmarshalJSON replaces all elements.
func (l *List[T]) UnmarshalJSON(data []byte) error {
	var fresh []T
	if err := json.Unmarshal(data, &fresh); err != nil {
		return err
	}
	*l = fresh
	return nil
}

// Merge changes the entity, a pointer to a struct, as a PATCH with this body does: what is not sent
// stays, in complex members too, and a collection is replaced. Names are those of the JSON tags,
// whose case matters. Unknown names, wrong types, and null for what is not a pointer are errors.
func Merge(entity any, body []byte) error {
	var sent any
	if err := json.Unmarshal(body, &sent); err != nil {
		return errors.New("the payload is not valid JSON")
	}
	kind := reflect.TypeOf(entity).Elem()
	if err := check(kind, sent, kind.Name()); err != nil {
		return err
	}
	err := json.Unmarshal(body, entity)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("cannot convert a JSON %s to the type of the property '%s'", wrong.Value, wrong.Field)
	}
	if err != nil {
		return errors.New("a value has an unexpected format")
	}
	return nil
}

// check compares a decoded JSON value with the type that it is for.
func check(t reflect.Type, value any, where string) error {
	if t.Kind() == reflect.Pointer {
		if value == nil {
			return nil
		}
		t = t.Elem()
	}
	if value == nil {
		return fmt.Errorf("a null value was found for '%s', which is not nullable", where)
	}
	switch members, elements := asObject(value), asArray(value); {
	case t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8 && elements != nil:
		for _, element := range elements {
			if err := check(t.Elem(), element, where); err != nil {
				return err
			}
		}
	case t.Kind() == reflect.Struct && t.NumField() > 0 && members != nil:
		for name, member := range members {
			if strings.Contains(name, "@odata.") { // annotations
				continue
			}
			field, ok := fieldOf(t, name)
			if !ok {
				return fmt.Errorf("the property '%s' does not exist on type '%s' or is not supported here", name, where)
			}
			if err := check(field.Type, member, name); err != nil {
				return err
			}
		}
	}
	return nil // json.Unmarshal compares the rest
}

func asObject(value any) map[string]any {
	members, _ := value.(map[string]any)
	return members
}

func asArray(value any) []any {
	elements, _ := value.([]any)
	return elements
}

func fieldOf(t reflect.Type, name string) (reflect.StructField, bool) {
	for _, field := range fieldsOf(t) {
		if tagOf(field) == name {
			return field, true
		}
	}
	return reflect.StructField{}, false
}

// fieldsOf returns the exported fields of a struct, with those of embedded ones.
func fieldsOf(t reflect.Type) []reflect.StructField {
	return slices.DeleteFunc(reflect.VisibleFields(t), func(field reflect.StructField) bool { return field.Anonymous || !field.IsExported() })
}

func tagOf(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return name
}

// A Member is added in front of an entity's own.
type Member struct {
	Name  string
	Value any
}

// Render returns an entity, a struct, as JSON with the selected members, or all if selected is
// empty, in the order of the struct. It fails if a selected member does not exist.
func Render(entity any, selected []string, front ...Member) (json.RawMessage, error) {
	value := reflect.ValueOf(entity)
	wanted := map[string]bool{}
	for _, name := range selected {
		if _, ok := fieldOf(value.Type(), name); !ok {
			return nil, fmt.Errorf("could not find a property named '%s' on type 'microsoft.graph.%s'", clip(name), value.Type().Name())
		}
		wanted[name] = true
	}
	members := front
	for _, field := range fieldsOf(value.Type()) {
		if name := tagOf(field); len(wanted) == 0 || wanted[name] {
			members = append(members, Member{name, value.FieldByIndex(field.Index).Interface()})
		}
	}
	var pieces []string
	for _, member := range members {
		encoded, err := json.Marshal(member.Value)
		if err != nil {
			return nil, err
		}
		pieces = append(pieces, fmt.Sprintf("%q:%s", member.Name, encoded))
	}
	return json.RawMessage("{" + strings.Join(pieces, ",") + "}"), nil
}
