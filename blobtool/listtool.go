package blobtool

import (
	"github.com/google/jsonschema-go/jsonschema"
)

// Rows of a page, for listings.
const (
	defaultPageSize = 100
	maxPageSize     = 1000
)

// choices sets the values that a text, or each text of a list, may have.
func choices(schema *jsonschema.Schema, values ...string) {
	for _, v := range values {
		schema.Enum = append(schema.Enum, v)
	}
}

// listsAreLists takes null from the types of lists, which Go's types can't: some
// clients refuse a tool whose schema has a list of types.
func listsAreLists(schema *jsonschema.Schema) {
	if schema == nil {
		return
	}
	if len(schema.Types) == 2 && schema.Types[0] == "null" {
		schema.Type, schema.Types = schema.Types[1], nil
	}
	for _, p := range schema.Properties {
		listsAreLists(p)
	}
	listsAreLists(schema.Items)
	listsAreLists(schema.AdditionalProperties)
}
