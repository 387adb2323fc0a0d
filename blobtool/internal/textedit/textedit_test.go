package textedit_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/content"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/textedit"
)

// FuzzApply: an edit that is made replaces Old in Count places and nothing else, and the reverse
// edit, where it is one, brings every byte back.
func FuzzApply(f *testing.F) {
	for _, charset := range []string{"utf-8", "utf-16le", "shift_jis", "iso-2022-jp", "windows-1252", "gb18030", "hz-gb-2312", "euc-kr"} {
		f.Add([]byte("a\r\nb\r\n"), charset, "a\nb", "c")
		f.Add([]byte("\xEF\xBB\xBFaba"), charset, "a", "aa")
		f.Add([]byte("\x93\xfa\x96\x7b"), charset, "日", "本")
		f.Add([]byte("\x1b$BF|\x1b(B\n"), charset, "日", "x")
	}
	f.Fuzz(func(t *testing.T, stored []byte, name, old, replacement string) {
		cs, err := content.FindCharset(name)
		if err != nil || len(stored) > 1<<12 {
			return
		}
		if marked, ok := content.Marked(stored); ok {
			cs = marked
		}
		cs = cs.Resolve(stored)
		original := bytes.Clone(stored)
		r, err := textedit.Edit{Old: old, New: replacement, Count: 1, Most: 1 << 13}.Apply(stored, cs)
		if !bytes.Equal(stored, original) {
			t.Fatal("the stored content was changed in place")
		}
		if err != nil {
			return
		}
		if len(r.Content) > 1<<13 || len(r.Diff) > 5000 || r.Diff == "" {
			t.Fatalf("%d bytes of content and %d of diff", len(r.Content), len(r.Diff))
		}
		if cs == content.UTF8 && !strings.Contains(old+replacement, "\n") && string(r.Content) != strings.Replace(string(stored), old, replacement, 1) {
			t.Fatalf("%q with %q for %q is %q", stored, replacement, old, r.Content)
		}
		if replacement == "" {
			return
		}
		back, err := textedit.Edit{Old: replacement, New: old, Count: 1, Most: 1 << 13}.Apply(r.Content, cs)
		if err == nil && !bytes.Equal(back.Content, stored) && strings.Count(string(stored), replacement) == 0 && !strings.Contains(old+replacement, "\n") {
			t.Fatalf("%q became %q, and then %q", stored, r.Content, back.Content)
		}
	})
}
