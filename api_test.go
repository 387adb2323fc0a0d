package mcpentrago_test

import (
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"strings"
	"testing"
)

// TestAPIIsPublic: users can name every type that they get or give. A type defined
// over an internal one is fine: it shows nothing of it.
func TestAPIIsPublic(t *testing.T) {
	t.Parallel()
	exports := make(map[string]string) // import path → file of export data
	out, err := command(t, ".", "go", "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", "./...")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		exports[path] = file
	}
	imports := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	for path := range exports {
		if name, ours := strings.CutPrefix(path, module+"/"); !ours || isInternal(name) || strings.HasPrefix(name, "examples/") || strings.HasPrefix(name, "cmd/") {
			continue
		}
		p, err := imports.Import(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range p.Scope().Names() {
			if o := p.Scope().Lookup(name); o.Exported() {
				checkPublic(t, path+"."+name, o)
			}
		}
	}
}

// checkPublic checks what is exported of a package's object.
func checkPublic(t *testing.T, where string, o types.Object) {
	t.Helper()
	report := func(where string, internal *types.TypeName) {
		t.Errorf("%s has the type %s.%s, which nobody else can name", where, internal.Pkg().Path(), internal.Name())
	}
	named, ok := o.Type().(*types.Named)
	if _, isType := o.(*types.TypeName); !isType || !ok {
		forInternal(o.Type(), where, report)
		return
	}
	forInternal(named.Underlying(), where, report)
	methods := types.NewMethodSet(types.NewPointer(named))
	for method := range methods.Methods() {
		if m := method.Obj(); m.Exported() {
			forInternal(m.Type(), where+"."+m.Name(), report)
		}
	}
}

// forInternal calls report for the internal types of this module in a type's exported
// parts, as far as they aren't hidden by a name.
func forInternal(typ types.Type, where string, report func(string, *types.TypeName)) {
	walk := func(next types.Type) { forInternal(next, where, report) }
	name := func(o *types.TypeName, arguments *types.TypeList) {
		if o.Pkg() != nil && strings.HasPrefix(o.Pkg().Path(), module) && isInternal(strings.TrimPrefix(o.Pkg().Path(), module+"/")) {
			report(where, o)
		}
		for a := range arguments.Types() {
			walk(a)
		}
	}
	switch typ := typ.(type) {
	case *types.Named:
		name(typ.Obj(), typ.TypeArgs())
	case *types.Alias:
		name(typ.Obj(), typ.TypeArgs())
		walk(typ.Rhs())
	case *types.Map:
		walk(typ.Key())
		walk(typ.Elem())
	case interface{ Elem() types.Type }: // pointers, slices, arrays, channels
		walk(typ.Elem())
	case *types.Struct:
		for f := range typ.Fields() {
			if f.Exported() {
				forInternal(f.Type(), where+"."+f.Name(), report)
			}
		}
	case *types.Interface:
		for m := range typ.Methods() {
			if m.Exported() {
				forInternal(m.Type(), fmt.Sprintf("%s.%s", where, m.Name()), report)
			}
		}
	case *types.Signature:
		for _, tuple := range []*types.Tuple{typ.Params(), typ.Results()} {
			for v := range tuple.Variables() {
				walk(v.Type())
			}
		}
	}
}
