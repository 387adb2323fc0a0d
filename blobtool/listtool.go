package blobtool

import (
	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Rows of a page, for listings.
const (
	defaultPageSize = 100
	maxPageSize     = 1000
)

// lookingUp annotates a tool that changes nothing and shows what others wrote.
func lookingUp(title string) *mcp.ToolAnnotations {
	no, yes := false, true
	return &mcp.ToolAnnotations{Title: title, ReadOnlyHint: true, DestructiveHint: &no, IdempotentHint: true, OpenWorldHint: &yes}
}

// bound sets the least, the greatest and the default value of a whole number.
func bound(schema *jsonschema.Schema, property string, least, most, byDefault int) {
	low, high := float64(least), float64(most)
	p := schema.Properties[property]
	p.Minimum, p.Maximum, p.Default = &low, &high, mustJSON(byDefault)
}

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
