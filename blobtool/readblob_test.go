package blobtool_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// blobOutput is read_blob's output as a client decodes it.
type blobOutput struct {
	Container   string `json:"container"`
	BlobPath    string `json:"blob_path"`
	URI         string `json:"uri"`
	VersionID   string `json:"version_id"`
	Size        int64  `json:"size"`
	ETag        string `json:"etag"`
	ContentType string `json:"content_type"`
	Kind        string `json:"kind"`
	Encoding    string `json:"encoding"`
	Unpacked    string `json:"unpacked"`
	Offset      int64  `json:"offset"`
	NextOffset  int64  `json:"next_offset"`
	Lines       string `json:"lines"`
	Text        string `json:"text"`
	Truncated   bool   `json:"truncated"`
	NextStep    string `json:"next_step"`
	Warning     string `json:"warning"`
}

// call calls a tool, which must succeed, decodes its output into out, and returns
// what content there is beside the output's JSON.
func call(t testing.TB, session *mcp.ClientSession, tool string, a args, out any) []mcp.Content {
	t.Helper()
	res, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: a})
	if err != nil {
		t.Fatal(err)
	}
	text := res.Content[0].(*mcp.TextContent).Text
	if res.IsError {
		t.Fatalf("%v: got the error %s, want none", a, text)
	}
	structured, err := json.Marshal(res.StructuredContent)
	if err != nil {
		t.Fatal(err)
	}
	var same map[string]any
	if err := json.Unmarshal([]byte(text), &same); err != nil {
		t.Fatal(err)
	}
	if again, _ := json.Marshal(same); string(again) != string(structured) {
		t.Fatalf("structured content and text differ:\n%s\n%s", structured, text)
	}
	if err := json.Unmarshal(structured, out); err != nil {
		t.Fatal(err)
	}
	return res.Content[1:]
}

func readBlob(t testing.TB, session *mcp.ClientSession, a args) blobOutput {
	t.Helper()
	var out blobOutput
	if more := call(t, session, "read_blob", a, &out); len(more) != 0 {
		t.Fatalf("%v: more content: got %+v, want no more", a, more[0])
	}
	return out
}

func encode(t testing.TB, name, text string) string {
	t.Helper()
	encoders := map[string]interface{ String(string) (string, error) }{
		"shift_jis":       japanese.ShiftJIS.NewEncoder(),
		"euc-jp":          japanese.EUCJP.NewEncoder(),
		"iso-2022-jp":     japanese.ISO2022JP.NewEncoder(),
		"gb18030":         simplifiedchinese.GB18030.NewEncoder(),
		"hz-gb-2312":      simplifiedchinese.HZGB2312.NewEncoder(),
		"utf-16 with BOM": unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder(),
		"utf-16be":        unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM).NewEncoder(),
	}
	s, err := encoders[name].String(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestReadBlobText(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	session := w.connect(t, "alice")
	const lines = "one\ntwo\nthree\nfour\nfive\n"
	japaneseText := "日本語のテキスト\n二行目\n三行目"
	type want struct {
		text, encoding string
		offset, next   int64
		truncated      bool
		lines          string
	}
	for name, c := range map[string]struct {
		content, contentType string
		a                    args
		want                 want
	}{
		"all":                       {"Hello", "text/plain", args{}, want{"Hello", "utf-8", 0, 0, false, ""}},
		"empty":                     {"", "text/plain", args{}, want{"", "utf-8", 0, 0, false, ""}},
		"head":                      {"Hello", "", args{"max_chars": 2}, want{"He", "utf-8", 0, 2, true, ""}},
		"exactly":                   {"Hello", "", args{"max_chars": 5}, want{"Hello", "utf-8", 0, 0, false, ""}},
		"from an offset":            {"Hello", "", args{"offset": 2}, want{"llo", "utf-8", 2, 0, false, ""}},
		"range":                     {"Hello", "", args{"offset": 1, "length": 3}, want{"ell", "utf-8", 1, 4, false, ""}},
		"range, cut":                {"Hello", "", args{"offset": 1, "length": 3, "max_chars": 2}, want{"el", "utf-8", 1, 3, true, ""}},
		"range beyond the end":      {"Hello", "", args{"offset": 3, "length": 30}, want{"lo", "utf-8", 3, 0, false, ""}},
		"within a character":        {"日本語", "", args{"offset": 1, "length": 1}, want{"", "utf-8", 3, 3, false, ""}},
		"end within one":            {"日本語", "", args{"length": 4}, want{"日本", "utf-8", 0, 6, false, ""}},
		"BOM":                       {"\ufeffHello", "", args{"max_chars": 5}, want{"Hello", "utf-8", 0, 0, false, ""}},
		"BOM alone":                 {"\ufeff", "", args{}, want{"", "utf-8", 0, 0, false, ""}},
		"utf-16 by BOM":             {encode(t, "utf-16 with BOM", "h😀llo"), "", args{"max_chars": 2}, want{"h😀", "utf-16le", 0, 8, true, ""}},
		"utf-16, second page":       {encode(t, "utf-16 with BOM", "h😀llo"), "", args{"offset": 8}, want{"llo", "utf-16le", 8, 0, false, ""}},
		"utf-16 by name":            {encode(t, "utf-16 with BOM", "h😀llo"), "", args{"offset": 8, "encoding": "UTF-16"}, want{"llo", "utf-16le", 8, 0, false, ""}},
		"utf-16 without BOM":        {encode(t, "utf-16be", "h😀llo"), "", args{"encoding": "utf-16"}, want{"h😀llo", "utf-16be", 0, 0, false, ""}},
		"odd offset":                {encode(t, "utf-16be", "h😀llo"), "", args{"encoding": "utf-16be", "offset": 3}, want{"llo", "utf-16be", 6, 0, false, ""}},
		"shift_jis by charset":      {encode(t, "shift_jis", japaneseText), "text/plain; charset=Shift_JIS", args{"max_chars": 3}, want{"日本語", "shift_jis", 0, 6, true, ""}},
		"shift_jis by name":         {encode(t, "shift_jis", japaneseText), "text/plain", args{"encoding": "Shift_JIS", "offset": 6, "max_chars": 2}, want{"のテ", "shift_jis", 6, 10, true, ""}},
		"shift_jis, line":           {encode(t, "shift_jis", japaneseText), "text/plain", args{"encoding": "shift_jis", "lines": "2"}, want{"二行目\n", "shift_jis", 17, 24, false, "2-2"}},
		"euc-jp within one":         {encode(t, "euc-jp", japaneseText), "", args{"encoding": "euc-jp", "offset": 3, "max_chars": 2}, want{"語の", "euc-jp", 4, 8, true, ""}},
		"shift_jis, far within one": {strings.Repeat("a", 1100) + " " + encode(t, "shift_jis", "日本語"), "", args{"encoding": "shift_jis", "offset": 1102}, want{"本語", "shift_jis", 1103, 0, false, ""}},
		"gb18030":                   {encode(t, "gb18030", "汉字😀"), "", args{"encoding": "gb18030", "offset": 4}, want{"😀", "gb18030", 4, 0, false, ""}},
		"iso-2022-jp":               {encode(t, "iso-2022-jp", "日本語"), "", args{"encoding": "iso-2022-jp", "offset": 5}, want{"本語", "iso-2022-jp", 5, 0, false, ""}},
		"windows-1252":              {"caf\xe9", "", args{"encoding": "windows-1252", "offset": 3}, want{"é", "windows-1252", 3, 0, false, ""}},
		"binary as text":            {"\x00\x01\x02", "", args{"encoding": "utf-8"}, want{"\x00\x01\x02", "utf-8", 0, 0, false, ""}},
		"lines":                     {lines, "", args{"lines": "2-3"}, want{"two\nthree\n", "utf-8", 4, 14, false, "2-3"}},
		"one line":                  {lines, "", args{"lines": "5"}, want{"five\n", "utf-8", 19, 0, false, "5-5"}},
		"lines to the end":          {lines, "", args{"lines": "4-"}, want{"four\nfive\n", "utf-8", 14, 0, false, "4-5"}},
		"lines beyond the end":      {lines, "", args{"lines": " 4 - 400 "}, want{"four\nfive\n", "utf-8", 14, 0, false, "4-5"}},
		"lines, cut":                {lines, "", args{"lines": "2-4", "max_chars": 5}, want{"two\nt", "utf-8", 4, 9, true, "2-3"}},
		"lines, cut at an end":      {lines, "", args{"lines": "2-4", "max_chars": 4}, want{"two\n", "utf-8", 4, 8, true, "2-2"}},
		"lines, just enough":        {lines, "", args{"lines": "2-2", "max_chars": 4}, want{"two\n", "utf-8", 4, 8, false, "2-2"}},
		"line without end":          {"one\ntwo", "", args{"lines": "2"}, want{"two", "utf-8", 4, 0, false, "2-2"}},
		"lines of nothing":          {"", "", args{"lines": "1-9"}, want{"", "utf-8", 0, 0, false, ""}},
		"utf-16 lines":              {encode(t, "utf-16 with BOM", lines), "", args{"lines": "2-3"}, want{"two\nthree\n", "utf-16le", 10, 30, false, "2-3"}},
		"tail":                      {lines, "", args{"tail_lines": 2}, want{"four\nfive\n", "utf-8", 14, 0, false, ""}},
		"tail without end":          {"one\ntwo", "", args{"tail_lines": 1}, want{"two", "utf-8", 4, 0, false, ""}},
		"tail of it all":            {lines, "", args{"tail_lines": 9}, want{lines, "utf-8", 0, 0, false, ""}},
		"tail, cut":                 {lines, "", args{"tail_lines": 2, "max_chars": 3}, want{"ve\n", "utf-8", 21, 0, true, ""}},
		"tail of nothing":           {"", "", args{"tail_lines": 2}, want{"", "utf-8", 0, 0, false, ""}},
		"tail in utf-16":            {encode(t, "utf-16 with BOM", "eins\nzwei"), "", args{"tail_lines": 1}, want{"zwei", "utf-16le", 12, 0, false, ""}},
		"tail in shift_jis":         {encode(t, "shift_jis", japaneseText), "", args{"tail_lines": 2, "encoding": "sjis"}, want{"二行目\n三行目", "sjis", 17, 0, false, ""}},
	} {
		w.storage.Put("docs", "dir/a.txt", []byte(c.content), c.contentType)
		c.a["blob_path"] = "dir/a.txt"
		out := readBlob(t, session, c.a)
		got := want{out.Text, out.Encoding, out.Offset, out.NextOffset, out.Truncated, out.Lines}
		if got != c.want {
			t.Errorf("%s: got %+v\nwant %+v", name, got, c.want)
		}
		if out.Kind != "text" || out.Size != int64(len(c.content)) || out.ETag == "" || out.URI != "blob://docs/dir/a.txt" || out.Container != "docs" || out.BlobPath != "dir/a.txt" || out.Warning != "" {
			t.Errorf("%s: got %+v, want text with all properties, and no warning", name, out)
		}
		if (out.NextOffset > 0 || out.Truncated) != (out.NextStep != "") || out.NextOffset > 0 && !strings.Contains(out.NextStep, "etag="+out.ETag) {
			t.Errorf("%s: how to go on: got %q, want it, with the etag, if there is more", name, out.NextStep)
		}
	}
}

// Pages join without gap, whatever the encoding.
func TestReadBlobPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	session := w.connect(t, "alice")
	text := strings.Repeat("日本語 and ASCII, 二行目\n漢字だけの長い行がつづくとき", 200) + strings.Repeat("漢字だけの行", 400)
	for _, name := range []string{"utf-8", "shift_jis", "euc-jp", "iso-2022-jp", "gb18030", "utf-16 with BOM", "utf-16be"} {
		content := text
		if name != "utf-8" {
			content = encode(t, name, text)
		}
		w.storage.Put("docs", "a.txt", []byte(content), "text/plain")
		a := args{"blob_path": "a.txt", "max_chars": 997}
		if name != "utf-8" && name != "utf-16 with BOM" {
			a["encoding"] = name
		}
		var got strings.Builder
		pages := 0
		for {
			out := readBlob(t, session, a)
			got.WriteString(out.Text)
			if pages++; out.NextOffset == 0 {
				break
			}
			a["offset"], a["etag"], a["encoding"] = out.NextOffset, out.ETag, out.Encoding
		}
		if got.String() != text || pages != (len([]rune(text))+996)/997 {
			t.Errorf("%s: got %d characters in %d pages, want the text in pages of 997", name, len([]rune(got.String())), pages)
		}
	}
}

func TestReadBlobRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.storage.Put("docs", "a.txt", []byte("one\ntwo\n"), "text/plain")
	w.storage.Put("docs", "a.bin", []byte("\x00\x01\x02\x03"), "text/plain")
	w.storage.Put("docs", "empty", nil, "text/plain")
	w.storage.Put("docs", "open.txt", []byte("one\ntwo"), "text/plain")
	session := w.connect(t, "alice")
	for name, c := range map[string]struct {
		a    args
		kind error
		text string
	}{
		"lines and offset":   {args{"lines": "1", "offset": 1}, blobtool.ErrInvalidArgument, "can't be combined"},
		"lines and length":   {args{"lines": "1", "length": 1}, blobtool.ErrInvalidArgument, "can't be combined"},
		"lines and tail":     {args{"lines": "1", "tail_lines": 1}, blobtool.ErrInvalidArgument, "can't be combined"},
		"tail and offset":    {args{"tail_lines": 1, "offset": 1}, blobtool.ErrInvalidArgument, "can't be combined"},
		"lines, words":       {args{"lines": "all"}, blobtool.ErrInvalidArgument, `as in "10-20"`},
		"lines, to words":    {args{"lines": "1-x"}, blobtool.ErrInvalidArgument, `as in "10-20"`},
		"lines, from 0":      {args{"lines": "0-3"}, blobtool.ErrInvalidArgument, "lines count from 1"},
		"lines, backwards":   {args{"lines": "3-1"}, blobtool.ErrInvalidArgument, "the last must not come before"},
		"lines, negative":    {args{"lines": "-3"}, blobtool.ErrInvalidArgument, `as in "10-20"`},
		"lines, huge":        {args{"lines": "99999999999999999999"}, blobtool.ErrInvalidArgument, `as in "10-20"`},
		"no such line":       {args{"lines": "3"}, blobtool.ErrInvalidArgument, "begins at line 3, but the content has only 2 lines"},
		"far beyond":         {args{"lines": "30-40"}, blobtool.ErrInvalidArgument, "the content has only 2 lines"},
		"beyond an open end": {args{"blob_path": "open.txt", "lines": "4-"}, blobtool.ErrInvalidArgument, "begins at line 4, but the content has only 2 lines"},
		"offset at the end":  {args{"offset": 8}, blobtool.ErrInvalidArgument, "offset is 8, but the content ends at 8"},
		"offset beyond":      {args{"offset": 1 << 40}, blobtool.ErrInvalidArgument, "the content ends at 8"},
		"beyond, direct":     {args{"offset": 1 << 40, "encoding": "utf-8"}, blobtool.ErrInvalidArgument, "the content ends at 8"},
		"beyond nothing":     {args{"offset": 1, "blob_path": "empty"}, blobtool.ErrInvalidArgument, "the content ends at 0"},
		"unknown encoding":   {args{"encoding": "klingon"}, blobtool.ErrInvalidArgument, "unknown encoding"},
		"etag":               {args{"etag": "a b"}, blobtool.ErrInvalidArgument, "use the etag of the previous result"},
		"other etag":         {args{"etag": "0x123"}, blobtool.ErrChanged, "has changed"},
		"version id":         {args{"version_id": "2&comp=list"}, blobtool.ErrInvalidArgument, "version_id"},
		"binary by lines":    {args{"blob_path": "a.bin", "lines": "1"}, blobtool.ErrUnsupported, "does not look like text"},
		"binary by tail":     {args{"blob_path": "a.bin", "tail_lines": 1}, blobtool.ErrUnsupported, "does not look like text"},
		"not found":          {args{"blob_path": "none"}, blobtool.ErrNotFound, "was not found"},
		"empty path":         {args{"blob_path": ""}, blobtool.ErrInvalidPath, "is empty"},
		"climbing":           {args{"blob_path": "a/../b"}, blobtool.ErrInvalidPath, `has the segment ".."`},
		"backslash":          {args{"blob_path": `a\b`}, blobtool.ErrInvalidPath, "backslash"},
		"not allowed":        {args{"blob_path": "a.txt"}, blobtool.ErrNotAllowed, "outside what this server offers"},
		"not allowed, other": {args{"blob_path": "other/a.txt"}, blobtool.ErrNotAllowed, "outside what this server offers"},
	} {
		if c.a["blob_path"] == nil {
			c.a["blob_path"] = "a.txt"
		}
		if errors.Is(c.kind, blobtool.ErrNotAllowed) {
			w := newWorld(t, func(o *blobtool.Options) { o.Allow = []string{"docs/some/"} })
			text, err := w.refusedBy(t, w.connect(t, "alice"), "read_blob", c.a)
			wantKind(t, name, err, c.kind)
			if !strings.Contains(text, c.text) || len(w.storage.Requests()) > 0 {
				t.Errorf("%s: got %s, want %q, no requests", name, text, c.text)
			}
			continue
		}
		text, err := w.refusedBy(t, session, "read_blob", c.a)
		wantKind(t, name, err, c.kind)
		if !strings.Contains(text, c.text) || len(text) > 1000 {
			t.Errorf("%s: got %s, want %q, at most 1000", name, text, c.text)
		}
	}
	for name, a := range map[string]args{
		"negative offset": {"blob_path": "a.txt", "offset": -1},
		"huge offset":     {"blob_path": "a.txt", "offset": 1e30},
		"no length":       {"blob_path": "a.txt", "length": 0},
		"no characters":   {"blob_path": "a.txt", "max_chars": 0},
		"a container":     {"blob_path": "a.txt", "container": "docs"},
	} {
		if text, err := w.refusedBy(t, session, "read_blob", a); err == nil || !strings.Contains(text, "validating") {
			t.Errorf("%s: got %s, %v; want validating, an error", name, text, err)
		}
	}
}

// An offset so near the beginning that the characters around it begin there is read along
// with the beginning: in one request, and the type is that which the first bytes show.
func TestReadBlobOffsetNearBeginning(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	session := w.connect(t, "alice")
	packed := []byte(pack(t, "gzip", "first line\nsecond line\n"))
	w.storage.Put("docs", "undeclared", []byte("first line\nsecond line\n"), "")
	w.storage.Put("docs", "declared", packed, "text/plain")
	w.storage.Put("docs", "packed", packed, "text/plain")
	w.storage.SetContentEncoding("docs", "packed", "gzip")
	for _, c := range []struct{ blob, contentType, text string }{
		{"undeclared", "text/plain", "t line\nsecond line\n"},
		{"declared", "application/x-gzip", ""},
		{"packed", "text/plain", "t line\nsecond line\n"},
	} {
		w.storage.ForgetRequests()
		out := readBlob(t, session, args{"blob_path": c.blob, "offset": 4, "encoding": "euc-jp"})
		if n := w.storage.Count(blobtest.OpGetBlob); out.ContentType != c.contentType || c.text != "" && out.Text != c.text || n != 1 {
			t.Errorf("%s: type %q, text %q, %d requests; want %q, %q, 1", c.blob, out.ContentType, out.Text, n, c.contentType, c.text)
		}
	}
}
