package authproxy_test

import (
	"bufio"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each row of the tables of docs/authproxy.md names the tests that show it, and they exist.
func TestEachClauseHasItsTest(t *testing.T) {
	t.Parallel()
	known := testsOfModule(t)
	rows := clauses(t)
	if len(rows) < 150 {
		t.Fatalf("docs/authproxy.md has %d rows of clauses and threats, want at least 150: has its form changed?", len(rows))
	}
	named := regexp.MustCompile("`((?:[a-z]+\\.)?(?:Test|Fuzz|Example)\\w*)`")
	for _, row := range rows {
		cell := row.cells[len(row.cells)-1]
		tests := named.FindAllStringSubmatch(cell, -1)
		if len(tests) == 0 {
			t.Errorf("docs/authproxy.md:%d: the row %q names no test, but %q", row.line, row.cells[1], cell)
		}
		for _, m := range tests {
			name := m[1]
			if !strings.Contains(name, ".") {
				name = "authproxy." + name
			}
			if !known[name] {
				t.Errorf("docs/authproxy.md:%d: the row %q names %s, which no test file has", row.line, row.cells[1], name)
			}
		}
	}
}

type clause struct {
	line  int
	cells []string
}

// clauses returns the rows of the tables whose last column is "test".
func clauses(t *testing.T) []clause {
	t.Helper()
	data, err := os.ReadFile("../docs/authproxy.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []clause
	inTable, line := false, 0
	for s := bufio.NewScanner(bytes.NewReader(data)); s.Scan(); {
		line++
		text := strings.TrimSpace(s.Text())
		if !strings.HasPrefix(text, "|") {
			inTable = false
			continue
		}
		cells := strings.Split(strings.Trim(text, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch last := cells[len(cells)-1]; {
		case last == "test":
			inTable = true
		case inTable && strings.Trim(last, "-") != "":
			rows = append(rows, clause{line, cells})
		}
	}
	return rows
}

// testsOfModule returns the names of all tests, fuzz targets and examples, with their directory's
// name, also those of the modules below, such as interop.
func testsOfModule(t *testing.T) map[string]bool {
	t.Helper()
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Example)\w*)\(`)
	known := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && d.Name() != "..") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		dir, err := filepath.Abs(filepath.Dir(path))
		for _, m := range function.FindAllSubmatch(data, -1) {
			known[filepath.Base(dir)+"."+string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return known
}
