package walk

import "context"

// maxRowsBytes limits the rows of a result, in bytes of JSON. A thousand blobs with the longest
// names and all their metadata would take megabytes.
const maxRowsBytes = 256 << 10

// Rows are a result's rows, limited in bytes.
type Rows[R any] struct {
	List  []R
	bytes int
}

// Add appends a row if there is room for it.
func (r *Rows[R]) Add(row R) bool {
	n := len(mustJSON(row)) + 1
	if len(r.List) > 0 && r.bytes+n > maxRowsBytes {
		return false
	}
	r.List, r.bytes = append(r.List, row), r.bytes+n
	return true
}

// Read reads up to most rows from a walk, and returns where to continue.
func Read[E, R any](ctx context.Context, w *Walk[E], most int, row func(E) R) (list []R, at Place, err error) {
	r := Rows[R]{List: []R{}}
	for len(r.List) < most {
		before := w.At
		e, ok, err := w.Next(ctx)
		if err != nil {
			return nil, before, err
		}
		if !ok {
			break
		}
		if !r.Add(row(e)) {
			return r.List, before, nil
		}
	}
	return r.List, w.At, nil
}
