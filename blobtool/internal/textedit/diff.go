package textedit

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Bounds of a diff.
const (
	maxDiff     = 4000 // bytes
	maxDiffLine = 300
)

// diff shows the lines that the edit changes, before and after, with the number of the first.
func (e *Edit) diff(text string, at []int) string {
	var d strings.Builder
	line, counted := 1, 0
	for i := 0; i < len(at); {
		start := strings.LastIndexByte(text[:at[i]], '\n') + 1
		end, first := lineEnd(text, at[i]+len(e.Old)), i
		for i++; i < len(at) && at[i] < end; i++ {
			if last := at[i] + len(e.Old); last > end { // don't search a long line again for each place
				end = lineEnd(text, last)
			}
		}
		line += strings.Count(text[counted:start], "\n")
		counted = start
		hunk := fmt.Sprintf("@@ line %d @@\n", line) + prefixed("-", text[start:end]) + prefixed("+", strings.ReplaceAll(text[start:end], e.Old, e.New))
		if d.Len()+len(hunk) > maxDiff {
			if d.Len() == 0 {
				return cut(hunk, maxDiff) + "\n… the diff is cut\n"
			}
			fmt.Fprintf(&d, "… and %d more places\n", len(at)-first)
			break
		}
		d.WriteString(hunk)
	}
	return d.String()
}

// lineEnd returns where the line with the byte before end ends, after its line feed.
func lineEnd(text string, end int) int {
	if text[end-1] == '\n' {
		return end
	}
	if n := strings.IndexByte(text[end:], '\n'); n >= 0 {
		return end + n + 1
	}
	return len(text)
}

// prefixed puts a sign before each line, and stops when there are more than a diff can hold.
func prefixed(sign, text string) string {
	var b strings.Builder
	for l := range strings.Lines(text) {
		b.WriteString(sign + cut(strings.TrimRight(l, "\r\n"), maxDiffLine) + "\n")
		if b.Len() > maxDiff {
			break
		}
	}
	return b.String()
}

// cut shortens text to n bytes at most, between characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
