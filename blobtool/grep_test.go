package blobtool_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/content"
)

var beginning = blobtool.TextMark{Line: 1}

func TestSearchText(t *testing.T) {
	t.Parallel()
	encode := func(b []byte, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	const lines = "eins\nzwei 日本\r\n\ndrei"
	utf16le := encode(unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().Bytes([]byte(lines)))
	utf16be := encode(unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewEncoder().Bytes([]byte("ਊ\u010a\n😀 zwei")))
	sjis := encode(japanese.ShiftJIS.NewEncoder().Bytes([]byte("ソース\n日本語")))
	long := strings.Repeat("x", 1000) + "needle" + strings.Repeat("y", 1000)
	for name, c := range map[string]struct {
		content, contentType, expr string
		want                       string // line:offset:text, one a line
	}{
		"one":                      {lines, "", "zwei", "2:5:zwei 日本"},
		"several":                  {lines, "", "ei", "1:0:eins\n2:5:zwei 日本\n4:19:drei"},
		"anchors":                  {lines, "", "^(eins|zwei 日本|drei|)$", "1:0:eins\n2:5:zwei 日本\n3:18:\n4:19:drei"},
		"none":                     {lines, "", "vier", ""},
		"empty":                    {"", "", "", ""},
		"newline at the end":       {"a\n", "", "", "1:0:a"},
		"UTF-8 mark":               {"\ufeffa\na", "", "^a", "1:3:a\n2:5:a"},
		"UTF-16 by its mark":       {utf16le, "", "日本$|drei", "2:12:zwei 日本\n4:32:drei"},
		"UTF-16, bytes 0A inside":  {utf16be, "text/plain", "zwei|Ċ", "1:2:ਊĊ\n2:8:😀 zwei"},
		"UTF-16 by its type":       {"a\x00\n\x00b\x00", "text/plain; charset=utf-16le", "b", "2:4:b"},
		"UTF-16 with half a unit":  {"\xff\xfea\x00\n\x00b", "", ".", "1:2:a\n2:6:\ufffd"},
		"Shift_JIS by its type":    {sjis, "text/plain; charset=Shift_JIS", "本|ス", "1:0:ソース\n2:7:日本語"},
		"undecodable":              {"a\xffb\n", "", "b", "1:0:a\ufffdb"},
		"unknown charset":          {"a", "text/plain; charset=klingon", "a", "1:0:a"},
		"long line, middle":        {"a\n" + long, "", "needle", fmt.Sprintf("2:%d:%s", 2+1000-75, strings.Repeat("x", 75)+"needle"+strings.Repeat("y", 300-75-6))},
		"long line, beginning":     {long, "", "^x", "1:0:" + long[:300]},
		"long line, multi-byte":    {strings.Repeat("ä", 400) + "n", "", "n", fmt.Sprintf("1:%d:%sn", 2*325, strings.Repeat("ä", 75))},
		"long line of UTF-16":      {"\xff\xfe" + strings.Repeat("x\x00", 400) + "n\x00", "", "n", fmt.Sprintf("1:%d:%sn", 2+2*325, strings.Repeat("x", 75))},
		"longer than the buffer":   {strings.Repeat("x", 2*content.BufferSize) + "needle\nneedle", "", "needle$", fmt.Sprintf("1:%d:needle\n2:%d:needle", 2*content.BufferSize, 2*content.BufferSize+7)},
		"no character is cut":      {"x" + strings.Repeat("ä", content.BufferSize/2) + "\n", "", "\ufffd", ""},
		"Unicode case folding":     {"GRÜN", "", "(?i)grün", "1:0:GRÜN"},
		"no match across lines":    {"a\nb", "", `a\sb`, ""},
		"expression of many lines": {"a\nb", "", `(?s)a.b`, ""},
	} {
		for _, chunk := range []int{1, 7, 1 << 20} {
			matches, to, err := blobtool.SearchText(c.expr, c.contentType, []byte(c.content), chunk, 100, beginning, math.MaxInt64)
			if err != nil || to.Offset != int64(len(c.content)) {
				t.Errorf("%s: ended at %+v, %v; want Offset %v, nil", name, to, err, int64(len(c.content)))
			}
			var got []string
			for _, m := range matches {
				got = append(got, fmt.Sprintf("%d:%d:%s", m.Line, m.Offset, m.Text))
			}
			if strings.Join(got, "\n") != c.want {
				t.Errorf("%s, %d bytes at a time: got\n%.500s\nwant\n%.500s", name, chunk, strings.Join(got, "\n"), c.want)
			}
		}
	}
	for name, content := range map[string]string{
		"NUL": "text\x00", "UTF-32": "\xff\xfe\x00\x00a\x00\x00\x00", "PNG": "\x89PNG\r\n\x1a\n\x00\x00",
		"NUL at 7999": strings.Repeat("a", 7999) + "\x00",
	} {
		if matches, _, err := blobtool.SearchText("", "", []byte(content), 100, 100, beginning, math.MaxInt64); !errors.Is(err, blobtool.ErrBinary) || len(matches) > 0 {
			t.Errorf("%s: got %v, %v; want no matches, %v", name, matches, err, blobtool.ErrBinary)
		}
	}
	for _, expr := range []string{"(", `\1`, "(?=a)", "a{1001}", "((a{30}){30}){30}", strings.Repeat("a", 1025), "\xff", "(?:x{900}y){2}"} {
		_, _, err := blobtool.SearchText(expr, "", nil, 1, 1, beginning, 0)
		wantKind(t, expr, err, blobtool.ErrInvalidArgument)
	}
}

// A search that stops for its allowance or its matches, and goes on at its mark, finds
// the same as one that does not stop.
func TestSearchTextGoesOn(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	for i := range 200 {
		fmt.Fprintf(&b, "line %d %s\n", i, strings.Repeat("x", i%50))
	}
	b.WriteString("last line")
	utf16, err := unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewEncoder().Bytes(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"UTF-8": b.Bytes(), "UTF-16": utf16} {
		want, _, err := blobtool.SearchText(`7|last`, "", content, 1000, 1000, beginning, math.MaxInt64)
		if err != nil || len(want) < 30 {
			t.Fatalf("%d matches, %v; want at least 30, nil", len(want), err)
		}
		for _, c := range []struct {
			most      int
			allowance int64
		}{{1, math.MaxInt64}, {3, 100}, {1000, 64}, {1000, 1001}, {2, 5}} {
			var got []blobtool.TextMatch
			at, rounds := beginning, 0
			for at.Offset < int64(len(content)) {
				matches, next, err := blobtool.SearchText(`7|last`, "", content, 50, c.most, at, c.allowance)
				if err != nil || next.Offset <= at.Offset || len(matches) > c.most {
					t.Fatalf("%s: from %+v to %+v, %v; want a later place, at most %d matches, nil", name, at, next, err, c.most)
				}
				got, at = append(got, matches...), next
				rounds++
			}
			if (c.allowance > 1000 || name == "UTF-8" && c.allowance > 60) && !sameMatches(got, want) {
				t.Errorf("%s, %+v: %d matches in %d rounds, want %d", name, c, len(got), rounds, len(want))
			}
		}
	}
}

func sameMatches(a, b []blobtool.TextMatch) bool {
	return slices.EqualFunc(a, b, func(a, b blobtool.TextMatch) bool {
		return a.Line == b.Line && a.Offset == b.Offset && a.Text == b.Text && a.Cut == b.Cut
	})
}

// FuzzSearchText: any content in any chunks gives the lines that match, in order,
// inside the blob, bounded; as UTF-8 the same as cutting it into lines first.
func FuzzSearchText(f *testing.F) {
	f.Add("a|^$", "", []byte("a\nb\r\n\nca"), uint8(3))
	f.Add("x", "", []byte("\xff\xfex\x00\n\x00x\x00"), uint8(1))
	f.Add(".", "text/plain; charset=iso-2022-jp", []byte("\x1b$B%\"\x1b(B\na"), uint8(2))
	f.Add("日", "text/plain; charset=gb18030", []byte("\x810\x810\n\xff"), uint8(9))
	f.Add("a", "text/plain; charset=utf-16be", []byte("\x00a\x00\n\x0a"), uint8(200))
	f.Fuzz(func(t *testing.T, expr, contentType string, content []byte, chunk uint8) {
		matches, to, err := blobtool.SearchText(expr, contentType, content, int(chunk)+1, 50, beginning, math.MaxInt64)
		if errors.Is(err, blobtool.ErrInvalidArgument) || errors.Is(err, blobtool.ErrBinary) {
			return
		}
		if err != nil || to.Offset > int64(len(content)) || len(matches) < 50 && to.Offset != int64(len(content)) {
			t.Fatalf("ended at %+v of %d, %v; want the end, or 50 matches, and nil", to, len(content), err)
		}
		var before blobtool.TextMatch
		for _, m := range matches {
			if m.Line < max(1, before.Line) || m.Offset < before.Offset || m.Offset > int64(len(content)) || len([]rune(m.Text)) > blobtool.MaxLineChars {
				t.Fatalf("%+v after %+v, want a later place within the blob, and a text of at most %d characters", m, before, blobtool.MaxLineChars)
			}
			before = m
		}
		if contentType != "" || len(content) > 64<<10 || bytes.HasPrefix(content, []byte("\xff\xfe")) || bytes.HasPrefix(content, []byte("\xfe\xff")) {
			return
		}
		re := regexp.MustCompile(expr)
		want := 0
		for line := range bytes.Lines(bytes.TrimPrefix(content, []byte("\ufeff"))) {
			if re.Match(bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))) {
				want++
			}
		}
		if len(matches) != min(want, 50) {
			t.Fatalf("%d matches of %q in %q, want %d", len(matches), expr, content, want)
		}
	})
}
