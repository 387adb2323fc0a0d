package blobtest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// An accepted expression means the same when written out in full.
func FuzzWhere(f *testing.F) {
	for _, s := range []string{
		`"project" = 'x'`, `rank>'1' and rank <='2'`, `@container = 'docs' AND "due date" = ''`, `"a" = 'b' OR c='d'`, `"and"='and' AND and='and'`, "'", `"a"='b' AND`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		conditions, err := blobtest.ParseWhere(text)
		if err != nil {
			return
		}
		var full []string
		for c := range slices.Chunk(conditions, 3) {
			key := `"` + c[0] + `"`
			if c[0] == "@container" {
				key = c[0]
			}
			full = append(full, key+" "+c[1]+" '"+c[2]+"'")
		}
		again, err := blobtest.ParseWhere(strings.Join(full, " AND "))
		if err != nil || !slices.Equal(again, conditions) || len(conditions) == 0 {
			t.Errorf("%q is %q, which is %q, %v; want the same again", text, conditions, again, err)
		}
	})
}

// An accepted predicate means the same in parentheses, and nothing may follow those.
func FuzzPredicate(f *testing.F) {
	for _, s := range []string{`a = 'b'`, `("a" <> 'b' OR c >= '') and d='e'`, `((a='b'))`, `a='b' AND`, `(`, `@container='x'`, `and='or' or or<'and'`} {
		f.Add(s)
	}
	tags := map[string]string{"a": "b", "c": "", "d": "e", "and": "or"}
	f.Fuzz(func(t *testing.T, text string) {
		holds, err := blobtest.Holds(text, tags)
		if err != nil {
			return
		}
		if again, err := blobtest.Holds("("+text+")", tags); err == nil && again != holds {
			t.Errorf("%q holds: %t, and in parentheses %t; want the same", text, holds, again)
		}
		if _, err := blobtest.Holds(text+" x", tags); err == nil {
			t.Errorf("%q may be followed by anything, want an error", text)
		}
	})
}
