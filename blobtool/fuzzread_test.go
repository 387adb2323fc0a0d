package blobtool_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding/ianaindex"

	"github.com/mcpentra/mcp-entra-go/blobtool"
)

// FuzzBlobName: a name that is accepted is what the service gets, and nothing on the
// way takes it for another.
func FuzzBlobName(f *testing.F) {
	for _, s := range []string{"a.txt", "a/../b", "..", "%2e%2e/x", "/a", `a\b`, "a\x00b", "a?b#c", "a//b/", "a.", "😀\u202e", "a;b=c", strings.Repeat("a/", 300)} {
		f.Add(s, "2026-01-31T09:30:00.1234567Z")
		f.Add(s, "")
		f.Add(s, "x&comp=list")
	}
	f.Fuzz(func(t *testing.T, name, version string) {
		if blobtool.CheckBlobName(name) != nil || blobtool.CheckVersionID(version) != nil {
			return
		}
		sent, err := blobtool.BlobURL(name, version)
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		u, err := url.Parse(sent)
		if err != nil || u.Host != "account.blob.core.windows.net" || u.Path != "/docs/"+name || u.Fragment != "" {
			t.Fatalf("%q is sent to %s: %v", name, sent, err)
		}
		if q := u.Query(); q.Get("versionid") != version || len(q) > 1 || (version == "") != (len(q) == 0) {
			t.Fatalf("%q is sent with the query %q", version, u.RawQuery)
		}
		if segments := strings.Split(u.EscapedPath(), "/"); slices.Contains(segments, "..") || slices.Contains(segments, ".") || strings.ContainsAny(sent, "\\ ") {
			t.Fatalf("%q is sent to %s", name, sent)
		}
	})
}

// FuzzReadArguments: what the arguments of read_blob say is plain, or refused.
func FuzzReadArguments(f *testing.F) {
	for _, s := range []string{"1", "10-20", "10-", "-5", "0", "3-1", " 4 - 9 ", "1-2-3", "９", "99999999999999999999", `"0x8D"`, "W/\"x\"", "*", "a, b", "+1", "0x10"} {
		f.Add(s)
	}
	canonical := regexp.MustCompile(`^"[0-9A-Za-z-]{1,100}"$`)
	f.Fuzz(func(t *testing.T, s string) {
		if first, last, err := blobtool.ParseLines(s); err == nil && (first < 1 || last != 0 && last < first) {
			t.Fatalf("%q is lines %d to %d", s, first, last)
		}
		etag, err := blobtool.ParseETag(s)
		if err == nil && etag != "" && !canonical.MatchString(etag) {
			t.Fatalf("%q is the ETag %s", s, etag)
		}
		if again, err2 := blobtool.ParseETag(etag); err == nil && (err2 != nil || again != etag) {
			t.Fatalf("%q is the ETag %s, which is %s, %v", s, etag, again, err2)
		}
	})
}

// FuzzTextPages: pages join to the whole text, wherever they are cut and however the
// content arrives.
func FuzzTextPages(f *testing.F) {
	for i := range encodings {
		f.Add(uint8(i), []byte("Hello, \xe4\xb8\x96\xe7\x95\x8c\xff\xfe\x1b$B%\"\x1b(B"), uint16(3), uint16(5))
		f.Add(uint8(i), []byte("\ufeff\ufeffa\xed\xa0\x80b"), uint16(1), uint16(2))
		f.Add(uint8(i), []byte("\xff\xfeA\x00\x3d\xd8\x00"), uint16(2), uint16(9))
		f.Add(uint8(i), []byte("\x93\xfa\x96{\x8c\xea\x82\xcc\x82\x81 \x81\x30\x81\x30\x88\x62\xa4\x40"), uint16(1), uint16(0))
	}
	f.Add(uint8(0), []byte("(\xf0{\x8ea"), uint16(9), uint16(0))
	f.Fuzz(func(t *testing.T, which uint8, content []byte, chunk, maxChars uint16) {
		name := encodings[int(which)%len(encodings)]
		if name == "utf-16" {
			name = "utf-16be" // the byte order of pages is settled before
		}
		most := int(maxChars) + 1
		if len(content) > 4000 || len(content)/most > 200 {
			return
		}
		want := decodeAll(t, name, content)
		var got strings.Builder
		for at := int64(0); at < int64(len(content)); {
			text, begin, end, err := blobtool.Page(name, content, at, most, int(chunk)+1)
			if err != nil || begin != at || end < at {
				t.Fatalf("%s: the page from %d is from %d to %d of %q: %v", name, at, begin, end, content, err)
			}
			n := utf8.RuneCountInString(text)
			if n > most && (name != "big5" || n > most+1) { // of whose characters some are two of Unicode's
				t.Fatalf("%s: %d characters, not %d", name, n, most)
			}
			if end == at && end < int64(len(content)) {
				t.Fatalf("%s: no way on from %d of %q", name, at, content)
			}
			got.WriteString(text)
			at = end
		}
		if got.String() != want {
			t.Fatalf("%s: pages of %d of %q: got %q, want %q", name, most, content, got.String(), want)
		}
	})
}

func decodeAll(t *testing.T, name string, content []byte) string {
	enc, err := ianaindex.IANA.Encoding(name)
	if err != nil {
		t.Fatal(err)
	}
	all, err := enc.NewDecoder().Bytes(content)
	if err != nil {
		t.Fatalf("decoding %q as %s: %v", content, name, err)
	}
	return strings.TrimPrefix(string(all), "\ufeff")
}

// FuzzAnyOffset: from whatever byte a caller begins, characters are whole.
func FuzzAnyOffset(f *testing.F) {
	f.Add("日本語 and ASCII\n😀é", uint16(1))
	f.Add("漢字だけ", uint16(5))
	f.Fuzz(func(t *testing.T, text string, at uint16) {
		if !utf8.ValidString(text) || strings.ContainsAny(text, "\ufeff\x1b~") || len(text) == 0 || len(text) > 900 {
			return
		}
		for _, name := range []string{"utf-8", "utf-16le", "utf-16be", "shift_jis", "euc-jp", "iso-2022-jp", "gb18030"} {
			enc, err := ianaindex.IANA.Encoding(name)
			if err != nil {
				t.Fatal(err)
			}
			content, err := enc.NewEncoder().Bytes([]byte(text))
			if err != nil {
				continue // has no such characters
			}
			if back := decodeAll(t, name, content); back != text {
				continue // one of the few that are not encoded one to one
			}
			from := int64(at) % int64(len(content))
			rest, begin, _, err := blobtool.Page(name, content, from, 1000, 7)
			if err != nil || !strings.HasSuffix(text, rest) || begin < from || begin > from+8 {
				t.Fatalf("%s: %q from byte %d on is %q from %d: %v", name, text, from, rest, begin, err)
			}
		}
	})
}

// FuzzLines: lines are counted, from either end, as splitting does.
func FuzzLines(f *testing.F) {
	for _, s := range []string{"", "\n", "a\nb", "a\nb\n", "\n\n\n", "a\r\nb", "ਊ\n\u0a00\u000a", "x"} {
		f.Add(s, uint8(1), uint8(2), uint8(0))
		f.Add(s, uint8(3), uint8(1), uint8(1))
	}
	f.Fuzz(func(t *testing.T, text string, chunk, n, skip uint8) {
		text = strings.ToValidUTF8(text, "?")
		lines := strings.SplitAfter(text, "\n")
		if lines[len(lines)-1] == "" {
			lines = lines[:len(lines)-1]
		}
		count := int(n)%5 + 1
		for _, name := range []string{"utf-8", "utf-16le", "utf-16be"} {
			enc, err := ianaindex.IANA.Encoding(name)
			if err != nil {
				t.Fatal(err)
			}
			content, err := enc.NewEncoder().Bytes([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if got, want := blobtool.CountLines(name, content, int(chunk)+1), strings.Count(text, "\n"); got != want {
				t.Fatalf("%s: %q has %d line ends, got %d", name, text, want, got)
			}
			start := min(int64(skip), int64(len(content)))
			got := blobtool.Tail(name, content[start:], start, int64(count))
			want := -1
			if count < len(lines) {
				tail, err := enc.NewEncoder().Bytes([]byte(strings.Join(lines[len(lines)-count:], "")))
				if err != nil {
					t.Fatal(err)
				}
				unit := len("\n")
				if name != "utf-8" {
					unit = 2
				}
				if at := len(content) - len(tail) - int(start); at >= unit { // the end of the line before is there
					want = at
				}
			}
			if got != want {
				t.Fatalf("%s: the last %d lines of %q from %d begin at %d, got %d", name, count, text, start, want, got)
			}
		}
	})
}

// FuzzUnpack: whatever claims to be packed unpacks within bounds, or is refused.
func FuzzUnpack(f *testing.F) {
	for _, s := range []string{"", "Hello", strings.Repeat("a", 100_000)} {
		f.Add(false, []byte(pack(f, "gzip", s)))
		f.Add(true, []byte(pack(f, "zstd", s)))
	}
	f.Add(true, []byte("\x28\xB5\x2F\xFD\x00\x98\x01\x00\x00"))
	f.Fuzz(func(t *testing.T, isZstd bool, packed []byte) {
		format := "gzip"
		if isZstd {
			format = "zstd"
		}
		content, broken, err := blobtool.Unpack(format, packed)
		if len(content) > blobtool.MaxUnpacked+1<<16 || len(content) > 8<<20 && len(content)/len(packed) > 2*blobtool.MaxRatio {
			t.Fatalf("%d bytes out of %d", len(content), len(packed))
		}
		var e *blobtool.Error
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("an error without a text for the caller: %v", err)
		}
		if isZstd || err != nil {
			return
		}
		r, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		all, err := io.ReadAll(r)
		if !bytes.Equal(all, content) || (err != nil) != broken {
			t.Fatalf("%d bytes, not %d; broken %v, %v", len(content), len(all), broken, err)
		}
	})
}
