package yamlfile

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// A Fault is something wrong with a file.
type Fault struct {
	Line    int    // from 1; 0 if the file is empty
	Path    string // of the value, such as tenants[0].apps[1].clientId
	Problem string // what is wrong and what to do; without the value
}

// String formats the fault with its line.
func (f Fault) String() string {
	where := ""
	if f.Path != "" {
		where = f.Path + ": "
	}
	return fmt.Sprintf("line %d: %s%s", f.Line, where, f.Problem)
}

// A FileError is all faults of a file, by line.
type FileError struct{ Faults []Fault }

func (e *FileError) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// A Cursor is a place in a file. It knows the lines of values, for faults that are found after
// decoding.
type Cursor struct {
	node   *yaml.Node // nil where the file has nothing
	line   int
	path   string
	faults *[]Fault
}

// Key returns the place of a key's value below c. If the file does not have the key, the place is
// that of c, for faults that a missing key makes.
func (c *Cursor) Key(name string) *Cursor {
	if c.node != nil && c.node.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(c.node.Content); i += 2 {
			if c.node.Content[i].Value == name {
				return c.child(name, c.node.Content[i], c.node.Content[i+1])
			}
		}
	}
	return &Cursor{line: c.line, path: join(c.path, name), faults: c.faults}
}

// Item returns the place of a list's entry, counted from 0.
func (c *Cursor) Item(i int) *Cursor {
	if c.node != nil && c.node.Kind == yaml.SequenceNode && i < len(c.node.Content) {
		return c.item(i, c.node.Content[i])
	}
	return &Cursor{line: c.line, path: fmt.Sprintf("%s[%d]", c.path, i), faults: c.faults}
}

// Present reports whether the file has something at the place, be it empty.
func (c *Cursor) Present() bool { return c.node != nil }

// Faulty reports whether a fault at the place or below it was reported.
func (c *Cursor) Faulty() bool {
	return slices.ContainsFunc(*c.faults, func(f Fault) bool {
		below, ok := strings.CutPrefix(f.Path, c.path)
		return ok && (below == "" || below[0] == '.' || below[0] == '[')
	})
}

func (c *Cursor) child(name string, key, value *yaml.Node) *Cursor {
	return &Cursor{node: value, line: key.Line, path: join(c.path, name), faults: c.faults}
}

func (c *Cursor) item(i int, n *yaml.Node) *Cursor {
	return &Cursor{node: n, line: n.Line, path: fmt.Sprintf("%s[%d]", c.path, i), faults: c.faults}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// Faultf reports a fault at the place. Say what was expected and what to do, and don't repeat the
// value.
func (c *Cursor) Faultf(format string, args ...any) {
	*c.faults = append(*c.faults, Fault{max(c.line, 1), c.path, fmt.Sprintf(format, args...)})
}

// Err returns all faults of the file as a [*FileError], or nil.
func (c *Cursor) Err() error {
	if len(*c.faults) == 0 {
		return nil
	}
	all := slices.Clone(*c.faults)
	slices.SortStableFunc(all, func(a, b Fault) int { return a.Line - b.Line })
	return &FileError{all}
}

// keysOf returns the keys of a struct, in the order of its fields.
func keysOf(t reflect.Type) []string {
	var keys []string
	for field := range t.Fields() {
		if name := field.Tag.Get("yaml"); name != "" {
			keys = append(keys, name)
		}
	}
	return keys
}

// unknownKey is the problem of an unknown key. A key that looks like none at all is not repeated.
func unknownKey(key string, known []string) string {
	name := "this key"
	if len(key) <= 40 && !strings.ContainsFunc(key, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '_' && r != '-'
	}) {
		name = "the key " + key
	}
	if near, ok := Nearest(key, known); ok {
		return fmt.Sprintf("%s is not known; the nearest is %s", name, near)
	}
	return fmt.Sprintf("%s is not known; known here: %s", name, strings.Join(known, ", "))
}

// Nearest returns the name that word most likely stands for, and whether any comes close.
func Nearest(word string, names []string) (string, bool) {
	folded := fold(word)
	best, distance := "", 1+max(2, len(folded)/3)
	for _, name := range names {
		if d := edits(folded, fold(name)); d < distance {
			best, distance = name, d
		}
	}
	return best, best != "" && distance < max(len(folded), 2)
}

func fold(s string) string {
	if len(s) > 100 {
		s = s[:100]
	}
	return strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "").Replace(s))
}

// edits returns the Levenshtein distance in bytes.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
