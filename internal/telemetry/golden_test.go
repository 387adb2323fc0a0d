package telemetry_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/mcpentra/mcp-entra-go/internal/telemetry"
)

var update = flag.Bool("update", false, "write the golden file")

// named are all names of the package's source, each once.
type named struct{ spans, attributes, metrics []string }

// keys are those of the stable conventions that the package uses.
var keys = map[string]string{
	"ErrorTypeKey": string(semconv.ErrorTypeKey), "HTTPRequestMethodKey": string(semconv.HTTPRequestMethodKey),
	"HTTPResponseStatusCodeKey": string(semconv.HTTPResponseStatusCodeKey), "NetworkTransportKey": string(semconv.NetworkTransportKey),
	"ServerAddressKey": string(semconv.ServerAddressKey),
}

// inSource reads the names from the constants and variables, so that none can be left out.
func inSource(t *testing.T) (n named) {
	t.Helper()
	for _, file := range []string{"names.go", "metrics.go"} {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range parsed.Decls {
			group, ok := decl.(*ast.GenDecl)
			if !ok || group.Tok == token.IMPORT {
				continue
			}
			for _, spec := range group.Specs {
				if value, ok := spec.(*ast.ValueSpec); ok && len(value.Values) == 1 {
					n.add(t, value.Names[0].Name, value.Values[0])
				}
			}
		}
	}
	return n
}

func (n *named) add(t *testing.T, name string, value ast.Expr) {
	t.Helper()
	switch v := value.(type) {
	case *ast.BasicLit:
		if strings.HasPrefix(name, "Span") {
			n.spans = append(n.spans, text(t, v))
		}
	case *ast.SelectorExpr:
		key := keys[v.Sel.Name]
		if key == "" {
			t.Errorf("%s: add semconv.%s to keys of this test", name, v.Sel.Name)
		}
		n.attributes = append(n.attributes, key)
	case *ast.CallExpr:
		n.attributes = append(n.attributes, text(t, v.Args[0]))
	case *ast.CompositeLit:
		if of, ok := v.Type.(*ast.Ident); !ok || of.Name != "Metric" {
			return
		}
		buckets := "-"
		if of, ok := v.Elts[3].(*ast.Ident); ok && of.Name == "seconds" {
			buckets = strings.Trim(fmt.Sprint(telemetry.OperationDuration.Buckets), "[]")
		} else if ok && of.Name != "nil" {
			t.Errorf("%s: this test does not know the buckets %s", name, of.Name)
		}
		n.metrics = append(n.metrics, strings.Join([]string{text(t, v.Elts[0]), text(t, v.Elts[1]), buckets, text(t, v.Elts[2])}, " | "))
	}
}

func text(t *testing.T, e ast.Expr) string {
	t.Helper()
	s, err := strconv.Unquote(e.(*ast.BasicLit).Value)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The names are what dashboards and alerts of others are made of: a change must be seen.
func TestNames(t *testing.T) {
	t.Parallel()
	n := inSource(t)
	var golden strings.Builder
	for _, part := range []struct {
		title string
		names []string
	}{{"spans, besides {method} {tool or prompt}", n.spans}, {"attributes", n.attributes}, {"metrics: name, unit, buckets, description", n.metrics}} {
		slices.Sort(part.names)
		fmt.Fprintf(&golden, "# %s\n%s\n", part.title, strings.Join(part.names, "\n"))
		if same := slices.Compact(slices.Clone(part.names)); len(same) != len(part.names) {
			t.Errorf("%s: two are the same", part.title)
		}
	}
	path := filepath.Join("testdata", "names.txt")
	if *update {
		if err := os.WriteFile(path, []byte(golden.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != golden.String() {
		t.Errorf("%s differs (go test -update writes it):\n%s", path, &golden)
	}
}

// docs/telemetry.md lists all names, and no others.
func TestPageHasAllNames(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/telemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	page, n := string(data), inSource(t)
	for _, name := range slices.Concat(n.spans, n.attributes) {
		if !strings.Contains(page, "\n| `"+name+"` |") {
			t.Errorf("docs/telemetry.md has no row of %q", name)
		}
	}
	known := slices.Clone(n.attributes)
	for _, metric := range n.metrics {
		part := strings.Split(metric, " | ")
		known = append(known, part[0])
		if row := fmt.Sprintf("\n| `%s` | %s | %s |", part[0], part[1], part[3]); !strings.Contains(page, row) {
			t.Errorf("docs/telemetry.md lacks the row%s", row)
		}
	}
	for _, match := range regexp.MustCompile("`((?:mcp|mcpentra|gen_ai|http|rpc|network|error|server)\\.[a-z_.]+)`").FindAllStringSubmatch(page, -1) {
		if !slices.Contains(known, match[1]) {
			t.Errorf("docs/telemetry.md has %s, which does not exist", match[1])
		}
	}
}
