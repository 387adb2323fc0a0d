// Package arguments treats null tool arguments as absent. Agents send null for arguments they
// leave out (OpenAI's strict mode requires it), but tool schemas say "string" or "integer", and
// some clients reject a tool whose schema has a list of types.
package arguments

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/internal/jsonspan"
)

// WithoutNulls is receiving middleware for the tools that ours reports; nil means all tools. It
// drops null members of the arguments where the tool's schema does not allow null, before the SDK
// validates them. Required arguments must still be present.
func WithoutNulls(ours func(tool string) bool) mcp.Middleware {
	return func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			call, ok := req.(*mcp.CallToolRequest)
			if !ok || call.Params == nil || !bytes.Contains(call.Params.Arguments, []byte("null")) || ours != nil && !ours(call.Params.Name) {
				return next(ctx, method, req)
			}
			given := call.Params.Arguments
			args, err := withoutNulls(given, func() *jsonschema.Schema { return schemaOf(ctx, call, next) })
			if err != nil {
				var refused mcp.CallToolResult
				refused.SetError(err)
				return &refused, nil
			}
			// Work on a copy: other middleware may hold the original call.
			params, changed := *call.Params, *call
			params.Arguments, changed.Params = args, &params
			result, err := next(ctx, method, &changed)
			nameNull(result)
			return result, err
		}
	}
}

// schemaOf returns the schema of the call's tool as the server lists it, or nil. It is called only
// if the arguments contain a null, and the list is in memory.
func schemaOf(ctx context.Context, call *mcp.CallToolRequest, next mcp.MethodHandler) *jsonschema.Schema {
	for cursor := ""; ; {
		result, err := next(ctx, "tools/list", &mcp.ListToolsRequest{Session: call.Session, Extra: call.Extra, Params: &mcp.ListToolsParams{Cursor: cursor}})
		page, ok := result.(*mcp.ListToolsResult)
		if err != nil || !ok {
			return nil
		}
		for _, tool := range page.Tools {
			if tool.Name == call.Params.Name {
				return asSchema(tool.InputSchema)
			}
		}
		if cursor = page.NextCursor; cursor == "" {
			return nil
		}
	}
}

func asSchema(input any) *jsonschema.Schema {
	if schema, ok := input.(*jsonschema.Schema); ok {
		return schema
	}
	var schema jsonschema.Schema
	data, err := json.Marshal(input)
	if err != nil || json.Unmarshal(data, &schema) != nil {
		return nil
	}
	return &schema
}

// withoutNulls returns the arguments without the nulls that the schema forbids. An argument object
// that is itself null becomes no arguments.
func withoutNulls(args json.RawMessage, schema func() *jsonschema.Schema) (json.RawMessage, error) {
	if bytes.Equal(bytes.TrimSpace(args), []byte("null")) {
		return nil, nil // go-sdk v1.8 panics when it fills in a tool's defaults there
	}
	s := schema()
	if s == nil || !json.Valid(args) {
		return args, nil
	}
	return dropNulls(args, s, "")
}

// dropNulls is withoutNulls for any value: it checks an object's properties and a list's items.
func dropNulls(value []byte, schema *jsonschema.Schema, path string) ([]byte, error) {
	if schema == nil || !bytes.Contains(value, []byte("null")) {
		return value, nil
	}
	whole := jsonspan.Value(value, 0)
	var kept [][]byte
	var faults []error
	keep := func(name, v []byte, schema *jsonschema.Schema, path string) {
		v, err := dropNulls(v, schema, path)
		faults, kept = append(faults, err), append(kept, slices.Concat(name, v))
	}
	switch value[whole.Start] {
	case '{':
		for raw, v := range jsonspan.Members(value, whole) {
			name := string(raw)
			property, known := schema.Properties[name]
			if known && string(v.Of(value)) == "null" && !allowsNull(property) {
				if slices.Contains(schema.Required, name) {
					faults = append(faults, fmt.Errorf("the argument %q is required and must not be null", path+name))
				}
				continue
			}
			quoted, err := json.Marshal(name)
			faults = append(faults, err)
			keep(append(quoted, ':'), v.Of(value), property, path+name+".")
		}
		return slices.Concat([]byte("{"), bytes.Join(kept, []byte(",")), []byte("}")), errors.Join(faults...)
	case '[':
		for v := range jsonspan.Elements(value, whole) {
			keep(nil, v.Of(value), schema.Items, path)
		}
		return slices.Concat([]byte("["), bytes.Join(kept, []byte(",")), []byte("]")), errors.Join(faults...)
	}
	return value, nil
}

// allowsNull reports whether the schema may allow null. It returns true for what it does not
// follow, such as references, and leaves the decision to the SDK.
func allowsNull(s *jsonschema.Schema) bool {
	isNull := func(v any) bool { return v == nil }
	switch {
	case s == nil || s.Ref != "" || s.DynamicRef != "":
		return true
	case s.Type != "" && s.Type != "null", len(s.Types) > 0 && !slices.Contains(s.Types, "null"):
		return false
	case s.Const != nil && *s.Const != nil, len(s.Enum) > 0 && !slices.ContainsFunc(s.Enum, isNull):
		return false
	case len(s.AnyOf) > 0 && !slices.ContainsFunc(s.AnyOf, allowsNull), len(s.OneOf) > 0 && !slices.ContainsFunc(s.OneOf, allowsNull):
		return false
	}
	return !slices.ContainsFunc(s.AllOf, func(s *jsonschema.Schema) bool { return !allowsNull(s) })
}

// nameNull writes null where the SDK's validation error prints Go's name for it.
func nameNull(result mcp.Result) {
	const word = "<invalid reflect.Value>"
	if r, ok := result.(*mcp.CallToolResult); ok && r != nil && r.IsError {
		if err := r.GetError(); err != nil && strings.Contains(err.Error(), word) {
			r.Content = nil // SetError would keep the old content
			r.SetError(errors.New(strings.ReplaceAll(err.Error(), word, "null")))
		}
	}
}
