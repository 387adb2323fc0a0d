package fixedsdk

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/printer"
	"go/token"
	"slices"
	"strconv"
)

// What Fix looks for in the SDK's source and what it writes. The function's first
// statement, which bounds the depth, stays.
const (
	slow = "return NewDecoder(bytes.NewReader(data)).Decode(v)"
	fast = "_, err := json.Parse(data, v, json.DontMatchCaseInsensitiveStructFields)\n\treturn err"

	decoder = "github.com/segmentio/encoding/json"
)

// settings are the calls by which the SDK makes its decoder: fast must do what
// they do.
var settings = []string{"json.NewDecoder", "dec.DontMatchCaseInsensitiveStructFields"}

// Fix rewrites the SDK's Unmarshal to decode from the bytes that it is given,
// instead of through a decoder that first copies them to a buffer of 32 KiB. It
// fails if the source is not the known one: then look at the SDK again.
func Fix(source []byte) ([]byte, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "", source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	unmarshal, newDecoder := function(file, "Unmarshal"), function(file, "NewDecoder")
	if unmarshal == nil || newDecoder == nil {
		return nil, errors.New("no functions Unmarshal and NewDecoder: the fix does not fit this version")
	}
	last := unmarshal.Body.List[len(unmarshal.Body.List)-1]
	if got := text(files, last); got != slow {
		return nil, fmt.Errorf("function Unmarshal ends with %q, want %q: the fix does not fit this version", got, slow)
	}
	if got := calls(files, newDecoder); !slices.Equal(got, settings) {
		return nil, fmt.Errorf("NewDecoder calls %q, want %q: the fix does not fit this version", got, settings)
	}
	if imported(file, decoder) == nil || imported(file, "bytes") == nil {
		return nil, fmt.Errorf("the file does not import %q and bytes: the fix does not fit this version", decoder)
	}
	edits := []edit{{last, fast}}
	if uses(file, "bytes") == 1 { // the one that goes
		edits = append(edits, edit{imported(file, "bytes"), ""})
	}
	slices.SortFunc(edits, func(a, b edit) int { return int(b.node.Pos() - a.node.Pos()) }) // backward, so that offsets hold
	for _, e := range edits {
		from, to := files.Position(e.node.Pos()).Offset, files.Position(e.node.End()).Offset
		source = slices.Concat(source[:from], []byte(e.text), source[to:])
	}
	return format.Source(source)
}

// An edit puts a text in place of a node.
type edit struct {
	node ast.Node
	text string
}

func function(file *ast.File, name string) *ast.FuncDecl {
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == name && f.Body != nil && len(f.Body.List) > 0 {
			return f
		}
	}
	return nil
}

func imported(file *ast.File, path string) *ast.ImportSpec {
	for _, i := range file.Imports {
		if p, err := strconv.Unquote(i.Path.Value); err == nil && p == path && i.Name == nil {
			return i
		}
	}
	return nil
}

// calls are the functions that are called below the node, in order.
func calls(files *token.FileSet, n ast.Node) (names []string) {
	ast.Inspect(n, func(n ast.Node) bool {
		if c, ok := n.(*ast.CallExpr); ok {
			names = append(names, text(files, c.Fun))
		}
		return true
	})
	return names
}

// uses counts how often names of a package are used.
func uses(file *ast.File, pkg string) (n int) {
	ast.Inspect(file, func(node ast.Node) bool {
		if s, ok := node.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && x.Name == pkg {
				n++
			}
		}
		return true
	})
	return n
}

func text(files *token.FileSet, n ast.Node) string {
	var b bytes.Buffer
	if err := printer.Fprint(&b, files, n); err != nil {
		return err.Error()
	}
	return b.String()
}
