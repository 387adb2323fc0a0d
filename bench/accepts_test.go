package bench_test

import (
	"testing"

	"github.com/mcpentra/mcp-entra-go/bench"
)

// Ours must do what is right with each shape. What the others do is reported
// as found: run with -v for the table.
func TestAccepts(t *testing.T) {
	contestants := bench.Plain(bench.Contestants())
	rows, err := bench.Accepts(t.Context(), bed, contestants)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 12 {
		t.Errorf("%d shapes, want 12", len(rows))
	}
	t.Log("\n" + bench.AcceptsTable(contestants, rows))
	for _, row := range rows {
		if row.Wrong(0) {
			t.Errorf("entraauth, %s: %s, want %s (%v)", row.Shape, row.Cells[0], row.Right, row.Reasons[0])
		}
		for i, c := range contestants {
			if row.Wrong(i) && row.Reasons[i] != nil {
				t.Logf("%s, %s: %v", c.Name, row.Shape, row.Reasons[i])
			}
		}
	}
}

// Without a plain refusal of each row, a verifier that accepts everything would
// pass for right.
func TestWrong(t *testing.T) {
	for _, tt := range []struct {
		right, cell string
		wrong       bool
	}{
		{bench.Accepted, bench.Accepted, false},
		{bench.Accepted, bench.Refused, true},
		{bench.Refused, bench.Refused, false},
		{bench.Refused, bench.Accepted, true},
		{bench.Refused, bench.Moot, true},
		{"1", "0", false},
		{"1", "1", false},
		{"1", "2", true},
		{"1", bench.Moot, true},
	} {
		row := bench.Row{Right: tt.right, Cells: []string{tt.cell}}
		if got := row.Wrong(0); got != tt.wrong {
			t.Errorf("%s where %s is right: wrong = %t", tt.cell, tt.right, got)
		}
	}
}
