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
