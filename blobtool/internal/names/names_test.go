package names_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
)

// FuzzBlobPath: a path that is accepted means the same to all that may decode it.
func FuzzBlobPath(f *testing.F) {
	for _, s := range []string{"a.txt", "a/b.txt", "..", "a/../b", "%2e%2e/x", "%252e%252e/x", "/a", `a\b`, "a\x00b", "a%00b", "100%", "a%2fb", ".partial-x", "con", "a//b", "...", "a/.../b", strings.Repeat("a/", 300) + "b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if names.CheckPath(path) != nil {
			return
		}
		if n := utf8.RuneCountInString(path); n < 1 || n > 1024 || !utf8.ValidString(path) {
			t.Fatalf("%d characters were accepted, want 1 to 1024 in UTF-8", n)
		}
		for form := path; ; {
			if strings.HasPrefix(form, "/") || strings.ContainsFunc(form, func(r rune) bool { return unicode.IsControl(r) || r == '\\' }) {
				t.Fatalf("%q was accepted, which is %q", path, form)
			}
			if segments := strings.Split(form, "/"); slices.Contains(segments, "..") || slices.Contains(segments, ".") {
				t.Fatalf("%q was accepted, which is %q", path, form)
			}
			next, err := url.PathUnescape(form)
			if err != nil || next == form {
				break
			}
			form = next
		}
	})
}
