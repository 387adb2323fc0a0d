package interop_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The functions of deploy/kql, which its other queries use.
var kqlFunctions = []string{"McpRequests", "McpSignIns"}

// kqlQueries returns the queries of deploy/kql by their names.
func kqlQueries(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../deploy/kql/*.kql")
	must(t, err)
	queries := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		queries[strings.TrimSuffix(filepath.Base(file), ".kql")] = string(text)
	}
	if len(queries) < 9 {
		t.Fatalf("deploy/kql has %d queries, want 9 or more", len(queries))
	}
	return queries
}

// kqlTables are the tables with the columns that Microsoft's reference has (see docs/audit.md).
func kqlTables(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile("kusto/tables.json")
	must(t, err)
	tables := map[string]string{}
	must(t, json.Unmarshal(data, &tables))
	return tables
}

// analyze has Microsoft's parser analyze each query, after the functions, and returns what is wrong.
func analyze(t *testing.T, functions, queries map[string]string) map[string][]string {
	t.Helper()
	if _, err := os.Stat("node_modules/@kusto/language-service-next"); err != nil {
		t.Fatalf("%v. Run: npm --prefix interop ci", err)
	}
	whole := map[string]string{}
	for name, query := range queries {
		before := ""
		for _, f := range kqlFunctions {
			if strings.Contains(query, f+"()") {
				before += fmt.Sprintf("let %s = () {\n%s};\n", f, functions[f])
			}
		}
		whole[name] = before + query
	}
	in, err := json.Marshal(map[string]any{"tables": kqlTables(t), "queries": whole})
	must(t, err)
	cmd := exec.CommandContext(deadline(t, 5*time.Minute), "node", "kusto/check.cjs")
	var faults bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &faults
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, faults.String())
	}
	found := map[string][]string{}
	must(t, json.Unmarshal(out, &found))
	return found
}

// Microsoft's own parser knows each table, column and operator of the queries in docs/audit.md.
func TestKQL(t *testing.T) {
	t.Parallel()
	queries := kqlQueries(t)
	found := analyze(t, queries, queries)
	for name := range queries {
		faults, analyzed := found[name]
		if len(faults) > 0 || !analyzed {
			t.Errorf("deploy/kql/%s.kql: got %v, want no faults", name, faults)
		}
	}
}

var (
	kqlColumn = regexp.MustCompile(`([A-Za-z_0-9]+):[a-z]+`)
	kqlOutput = regexp.MustCompile(`([A-Z][A-Za-z]+) = `)
	kqlWord   = regexp.MustCompile(`//[^\n]*|"[^"]*"|[A-Za-z_][A-Za-z_0-9]*`)
)

// A query with a misspelled column fails TestKQL, whichever column it is.
func TestKQLWithWrongColumns(t *testing.T) {
	t.Parallel()
	queries, columns := kqlQueries(t), map[string]bool{"Line": true}
	for _, table := range kqlTables(t) {
		for _, m := range kqlColumn.FindAllStringSubmatch(table, -1) {
			columns[m[1]] = true
		}
	}
	for _, f := range kqlFunctions {
		for _, m := range kqlOutput.FindAllStringSubmatch(queries[f], -1) {
			columns[m[1]] = true
		}
	}
	wrong := map[string]string{}
	for name, query := range queries {
		for _, at := range kqlWord.FindAllStringIndex(query, -1) {
			word, rest := query[at[0]:at[1]], query[at[1]:]
			isNew := strings.HasPrefix(rest, " = ") // a column that the query makes
			isMember := at[0] > 0 && query[at[0]-1] == '.' && !strings.HasSuffix(query[:at[0]], "$right.")
			if columns[word] && !isNew && !isMember {
				wrong[name+": "+word] = query[:at[1]] + "X" + rest
			}
		}
	}
	if len(wrong) < 70 {
		t.Fatalf("%d columns, want 70 or more", len(wrong))
	}
	wrong["a wrong table"], wrong["no condition"], wrong["a wrong operator"] = "SignInLog | take 1", "SigninLogs | where", "SigninLogs | filtered AppId == ''"
	found := analyze(t, queries, wrong)
	for name := range wrong {
		if len(found[name]) == 0 {
			t.Errorf("%s, misspelled: got no fault, want one", name)
		}
	}
}
