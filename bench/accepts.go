package bench

import (
	"context"
	"fmt"
	"sync"
)

// A Row is what each contestant made of one shape.
type Row struct {
	Shape string
	// Right is what a verifier should do.
	Right string
	// Cells are one per contestant: [Accepted], [Refused], [Moot] or a number.
	Cells []string
	// Reasons are the errors behind the cells, nil where there was none.
	Reasons []error
}

// Wrong reports whether contestant i did what it should not.
func (r *Row) Wrong(i int) bool {
	cell := r.Cells[i]
	if r.Right == Accepted || r.Right == Refused {
		return cell != r.Right
	}
	var most, n int
	_, err1 := fmt.Sscan(r.Right, &most)
	_, err2 := fmt.Sscan(cell, &n)
	return err1 != nil || err2 != nil || n > most
}

// Accepts tries 12 shapes of Entra's tokens on each contestant, each shape on a
// new verifier that has its keys.
func Accepts(ctx context.Context, b *Bed, contestants []Contestant) ([]Row, error) {
	var rows []Row
	for _, s := range shapes() {
		row := Row{Shape: s.name, Right: s.right,
			Cells: make([]string, len(contestants)), Reasons: make([]error, len(contestants))}
		var running sync.WaitGroup
		for i, c := range contestants {
			try := func() {
				ctx, cancel := context.WithCancel(ctx)
				defer cancel()
				row.Cells[i], row.Reasons[i] = s.try(ctx, b, c)
			}
			if s.waits {
				running.Go(try)
				continue
			}
			try()
		}
		running.Wait()
		b.ahead.Store(0)
		for i, c := range contestants {
			if row.Cells[i] == "" {
				return nil, fmt.Errorf("%s on %s: %w", c.Name, s.name, row.Reasons[i])
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// Plain returns the contestants without the variants.
func Plain(contestants []Contestant) []Contestant {
	var plain []Contestant
	for _, c := range contestants {
		if !c.Variant {
			plain = append(plain, c)
		}
	}
	return plain
}
