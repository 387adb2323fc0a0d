package blobtool_test

import (
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/ianaindex"

	"github.com/mcpentra/mcp-entra-go/blobtool"
)

// FuzzBlobPath: a path that is accepted means the same to all that may decode it,
// and its copy is below the user's folder.
func FuzzBlobPath(f *testing.F) {
	for _, s := range []string{"a.txt", "a/b.txt", "..", "a/../b", "%2e%2e/x", "%252e%252e/x", "/a", `a\b`, "a\x00b", "a%00b", "100%", "a%2fb", ".partial-x", "con", "a//b", "...", "a/.../b", strings.Repeat("a/", 300) + "b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if blobtool.CheckBlobPath(path) != nil {
			return
		}
		if n := utf8.RuneCountInString(path); n < 1 || n > 1024 || !utf8.ValidString(path) {
			t.Fatalf("%d characters were accepted", n)
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
		for _, windows := range []bool{false, true} {
			local, fault := blobtool.LocalPath(path, windows)
			if fault == "" && (!filepath.IsLocal(local) || filepath.ToSlash(local) != path) {
				t.Fatalf("the copy of %q is %q", path, local)
			}
		}
	})
}

// encodings are those whose decoders keep state or look ahead, and one of each
// other sort.
var encodings = []string{"utf-8", "utf-16", "utf-16le", "utf-16be", "shift_jis", "euc-jp", "iso-2022-jp", "gb18030", "big5", "euc-kr", "windows-1252", "us-ascii", "hz-gb-2312", "ibm037"}

// FuzzText: decoding chunk by chunk and cutting on the way is the same as
// decoding everything and cutting then.
func FuzzText(f *testing.F) {
	for i := range encodings {
		f.Add(uint8(i), []byte("Hello, \xe4\xb8\x96\xe7\x95\x8c\xff\xfe\x1b$B%\"\x1b(B"), uint16(3), uint16(5))
		f.Add(uint8(i), []byte("\ufeff\ufeffa\xed\xa0\x80b"), uint16(1), uint16(2))
		f.Add(uint8(i), []byte("\xff\xfeA\x00\x3d\xd8\x00"), uint16(2), uint16(9))
	}
	f.Fuzz(func(t *testing.T, which uint8, content []byte, chunk, maxChars uint16) {
		name := encodings[int(which)%len(encodings)]
		size, most := int(chunk)+1, int(maxChars)+1
		got, truncated, err := blobtool.DecodeChunks(name, content, size, most)
		if err != nil {
			t.Fatalf("%s: undecodable bytes are replaced, never fatal: %v", name, err)
		}
		want, wantTruncated := decodeThenCut(t, name, content, most)
		if got != want || truncated != wantTruncated {
			t.Fatalf("%s, chunks of %d, %d characters of %q: got %q, %v; want %q, %v", name, size, most, content, got, truncated, want, wantTruncated)
		}
	})
}

func decodeThenCut(t *testing.T, name string, content []byte, most int) (string, bool) {
	enc, err := ianaindex.IANA.Encoding(name)
	if err != nil {
		t.Fatal(err)
	}
	all, err := enc.NewDecoder().Bytes(content)
	if err != nil {
		t.Fatalf("decoding %q as %s: %v", content, name, err)
	}
	runes := []rune(string(all))
	if len(runes) > 0 && runes[0] == '\ufeff' {
		runes = runes[1:]
	}
	if len(runes) > most {
		return string(runes[:most]) + blobtool.TruncationLine, true
	}
	return string(runes), false
}

func TestEncodingsExist(t *testing.T) {
	for _, name := range append(encodings, "utf8", "UTF-8", "Shift_JIS", "sjis", "windows-31j", "latin1") {
		if _, _, err := blobtool.DecodeChunks(name, nil, 1, 1); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUserFolder(t *testing.T) {
	seen := map[string]string{}
	for _, id := range []string{
		"11111111-2222-3333-4444-555555555555.aaaaaaaa-0000-0000-0000-000000000001",
		"alice", "Alice", "ALICE", "a/b", "..", ".", "", "con", "nul.txt", "a.", "-a", "a b", "日本", "auth0|x", strings.Repeat("a", 129),
		blobtool.UserFolder("Alice"), blobtool.UserFolder(".."), ".partial-x", "a..b", "c:",
	} {
		folder := blobtool.UserFolder(id)
		if other, ok := seen[strings.ToLower(folder)]; ok {
			t.Errorf("%q and %q share the folder %s", id, other, folder)
		}
		seen[strings.ToLower(folder)] = id
		if !filepath.IsLocal(folder) || strings.ContainsAny(folder, `/\:`) || strings.HasPrefix(folder, ".") || len(folder) > 128 {
			t.Errorf("the folder of %q is %q", id, folder)
		}
	}
	if id := "11111111-2222-3333-4444-555555555555.aaaaaaaa-0000-0000-0000-000000000001"; blobtool.UserFolder(id) != id {
		t.Errorf("the folder of a tenant's user is %q", blobtool.UserFolder(id))
	}
}

func TestLocalPathOnWindows(t *testing.T) {
	for path, ok := range map[string]bool{
		"a/b.txt": true, "console/x": true, "com10.txt": true,
		"con": false, "a/NUL": false, "a/aux.txt": false, "COM1": false, "lpt9.log/x": false, "conin$": false,
		"a:b": false, "a./b": false, "a /b": false, "a?b": false, "x/com¹": false, "con .txt": false,
	} {
		if _, fault := blobtool.LocalPath(path, true); (fault == "") != ok {
			t.Errorf("%q: %q", path, fault)
		}
	}
	for path, ok := range map[string]bool{"a:b": true, "a//b": false, ".partial-x": false, ".Partial-x/y": false, "x/.partial-y": true, strings.Repeat("a", 256): false} {
		if _, fault := blobtool.LocalPath(path, false); (fault == "") != ok {
			t.Errorf("elsewhere, %q: %q", path, fault)
		}
	}
}
