package mcpentrago_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What users build elsewhere has the right types there. They are checked from source, in
// seconds; make build, which takes minutes for each platform, runs at night.
func TestOtherPlatforms(t *testing.T) {
	t.Parallel()
	for _, goos := range []string{"windows", "darwin"} {
		t.Run(goos, func(t *testing.T) {
			t.Parallel()
			p := platform{files: token.NewFileSet(), packages: map[string]*types.Package{"unsafe": types.Unsafe}}
			cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Dir,GoFiles,ImportMap,Standard", "./...")
			cmd.Env = append(cmd.Environ(), "GOOS="+goos, "GOARCH=amd64", "CGO_ENABLED=0")
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			ours := 0
			for d := json.NewDecoder(bytes.NewReader(out)); ; { // a package comes after what it imports
				var s source
				if err := d.Decode(&s); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				if err := p.check(s); err != nil {
					t.Errorf("%s on %s: %v", s.ImportPath, goos, err)
				}
				if s.ours() {
					ours++
				}
			}
			if ours < 20 {
				t.Errorf("%d packages of ours are checked, want all", ours)
			}
		})
	}
}

// A platform is the packages that were checked for it.
type platform struct {
	files    *token.FileSet
	packages map[string]*types.Package
}

// A source is a package as go list describes it.
type source struct {
	ImportPath, Dir string
	GoFiles         []string
	ImportMap       map[string]string
	Standard        bool
}

func (s source) ours() bool {
	return s.ImportPath == module || strings.HasPrefix(s.ImportPath, module+"/")
}

// check checks a package of ours wholly, and of another what it declares.
func (p *platform) check(s source) error {
	if s.ImportPath == "unsafe" {
		return nil
	}
	var files []*ast.File
	for _, name := range s.GoFiles {
		f, err := parser.ParseFile(p.files, filepath.Join(s.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	config := types.Config{
		IgnoreFuncBodies: !s.ours(), Sizes: types.SizesFor("gc", build.Default.GOARCH),
		Importer: find(func(path string) (*types.Package, error) {
			if mapped, ok := s.ImportMap[path]; ok {
				path = mapped
			}
			if found := p.packages[path]; found != nil {
				return found, nil
			}
			return nil, errors.New("not among the dependencies")
		}),
	}
	var err error
	p.packages[s.ImportPath], err = config.Check(s.ImportPath, p.files, files, nil)
	return err
}

type find func(path string) (*types.Package, error)

func (f find) Import(path string) (*types.Package, error) { return f(path) }
