package obo_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/obo"
)

var update = flag.Bool("update", false, "write the table of codes into docs/obo.md")

// TestCodeTable keeps the page for people and the code alike.
func TestCodeTable(t *testing.T) {
	t.Parallel()
	const page, begin, end = "../docs/obo.md", "<!-- codes -->\n", "<!-- end of codes -->"
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(content), begin)
	table, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no table between %q and %q", page, begin, end)
	}
	want := obo.CodeTable()
	if *update {
		if err := os.WriteFile(page, []byte(before+begin+want+end+after), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if table != want {
		t.Errorf("the table in %s is not the code's; run: go test ./obo -run TestCodeTable -update", page)
	}
	// The codes of Microsoft's that an exchange is known to meet.
	for _, code := range []int{
		65001, 65004, 90094, 50076, 50079, 50074, 50078, 50072, 50158, 53000, 53001, 53002, 53003, 530032, 500133, 50173, 70043, 50132, 50133,
		50013, 500131, 240002, 7000114, 700024, 700027, 7000215, 7000222, 700016, 700038, 7000218, 700213, 7002138, 700211, 700229,
		70011, 500011, 650057, 700022, 50196, 90055, 50033, 90006, 90024,
	} {
		if !strings.Contains(table, fmt.Sprintf("| %d |", code)) {
			t.Errorf("%d is missing; want it in the table", code)
		}
	}
}
