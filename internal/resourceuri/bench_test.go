package resourceuri_test

import (
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/internal/resourceuri"
)

func BenchmarkURIReadings(b *testing.B) {
	closes := matches(b, "blob://docs/secret/*")
	for name, uri := range map[string]string{
		"plain":   "blob://docs/reports/2026/q3/summary.txt",
		"escaped": "blob://docs/reports%202026/%E6%97%A5%E6%9C%AC/summary.txt",
		"nested":  "blob://docs/" + strings.Repeat("%25252525252f", 1200),
		"mixed":   "blob://u@docs:1/" + strings.Repeat("%2525252f..+%5C?", 1000),
		"dots":    "blob://docs/" + strings.Repeat("a/../", 3200),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				closes(uri)
			}
		})
	}
}

func matches(t testing.TB, pattern string) func(uri string) bool {
	t.Helper()
	p, err := resourceuri.ParseURIPattern(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return p.MatchesURI
}
