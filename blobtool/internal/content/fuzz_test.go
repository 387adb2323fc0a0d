package content

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/text/encoding/ianaindex"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/fault"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/work"
)

// idle is a worker that never waits.
var idle = work.New(context.Background(), work.NewShares(1, 8<<20, 1000), "alice")

// stored is a blob in memory whose ranges arrive in chunks of that size.
func stored(blob []byte, chunk int, p Properties) Source {
	return func(_ context.Context, offset, count int64, _ string) (*Range, error) {
		body := bytes.NewReader(blob[offset:min(offset+count, int64(len(blob)))])
		return &Range{Properties: p, Size: int64(len(blob)), ETag: "e", Body: io.NopCloser(pieces{body, chunk})}, nil
	}
}

// pieces reads a few bytes at a time.
type pieces struct {
	r io.Reader
	n int
}

func (c pieces) Read(p []byte) (int, error) { return c.r.Read(p[:min(len(p), c.n)]) }

// pack packs content.
func pack(t testing.TB, format, content string) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&b)
	if format == zstdFormat {
		var err error
		if w, err = zstd.NewWriter(&b); err != nil {
			t.Fatal(err)
		}
	}
	_, err := io.WriteString(w, content)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// page returns the piece of text that begins at byte from, as read_blob reads it.
func page(encoding string, blob []byte, from int64, maxChars, chunk int) (text string, begin, end int64, err error) {
	cs, err := FindCharset(encoding)
	if err != nil {
		return "", 0, 0, err
	}
	var r *Reader
	if o := (Options{Count: LeastRange}); cs.Stateful() {
		r, err = Open(idle, stored(blob, chunk, Properties{}), "a", o)
	} else {
		r, err = OpenText(idle, stored(blob, chunk, Properties{}), "a", cs, from, o)
	}
	if err == nil {
		err = r.GoToText(cs, from, LeastRange)
	}
	if err != nil {
		return "", 0, 0, err
	}
	p, err := r.Piece(cs, from, 0, maxChars)
	if err != nil {
		return "", 0, 0, err
	}
	return string(p.Text), p.Begin, p.Pos, nil
}

// countLines passes over lines as far as there are any, and returns how many there were.
func countLines(t *testing.T, encoding string, blob []byte, chunk int) (n int) {
	t.Helper()
	cs, err := FindCharset(encoding)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Open(idle, stored(blob, chunk, Properties{}), "a", Options{Count: LeastRange})
	if err != nil {
		t.Fatal(err)
	}
	for lines := r.Lines(cs); ; {
		_, whole, err := lines.Next()
		if whole {
			n++
		}
		if errors.Is(err, io.EOF) {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// tail returns where the last n lines of a content begin, of which data is the end from
// start on.
func tail(encoding string, data []byte, start, n int64) int {
	cs, _ := FindCharset(encoding)
	return tailOf(data, start, n, cs.newline())
}

// unpack unpacks as much as it may.
func unpack(format string, packed []byte) (content []byte, damaged bool, err error) {
	u, err := newUnpacker(nil, format, bufio.NewReader(bytes.NewReader(packed)))
	if err != nil {
		return nil, false, err
	}
	defer u.close()
	content, err = io.ReadAll(u)
	return content, u.damaged, err
}

// decodeChunks decodes content that arrives in chunks of that size.
func decodeChunks(encoding string, content []byte, chunk, maxChars int) (text string, truncated bool, err error) {
	cs, err := FindCharset(encoding)
	if err != nil {
		return "", false, err
	}
	p := NewPage(cs, maxChars+1)
	if _, err := p.Fill(pieces{bytes.NewReader(content), chunk}); err != nil {
		return "", false, err
	}
	if truncated = p.Cut(maxChars); truncated {
		return string(p.Text) + "…", true, nil
	}
	return string(p.Text), false, nil
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
		f.Add(uint8(i), []byte("\xff\xfe\xff\xfe"), uint16(0), uint16(9))
		f.Add(uint8(i), []byte("\xfe\xff\xfe\xff\xfe\xff"), uint16(9), uint16(9))
	}
	f.Fuzz(func(t *testing.T, which uint8, content []byte, chunk, maxChars uint16) {
		name := encodings[int(which)%len(encodings)]
		size, most := int(chunk)+1, int(maxChars)+1
		got, truncated, err := decodeChunks(name, content, size, most)
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
	runes := []rune(decodeAll(t, name, content))
	if len(runes) > most {
		return string(runes[:most]) + "…", true
	}
	return string(runes), false
}

func TestEncodingsExist(t *testing.T) {
	t.Parallel()
	for _, name := range append(encodings, "utf8", "UTF-8", "Shift_JIS", "sjis", "windows-31j", "latin1") {
		if _, _, err := decodeChunks(name, nil, 1, 1); err != nil {
			t.Errorf("%s: got %v, want nil", name, err)
		}
	}
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
			text, begin, end, err := page(name, content, at, most, int(chunk)+1)
			if err != nil || begin != at || end < at {
				t.Fatalf("%s: the page from %d is from %d to %d of %q: %v; want it from there on, nil", name, at, begin, end, content, err)
			}
			n := utf8.RuneCountInString(text)
			if n > most && (name != "big5" || n > most+1) { // of whose characters some are two of Unicode's
				t.Fatalf("%s: %d characters, want at most %d", name, n, most)
			}
			if end == at && end < int64(len(content)) {
				t.Fatalf("%s: no way on from %d of %q, want a later end", name, at, content)
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
		t.Fatalf("decoding %q as %s: got %v, want nil", content, name, err)
	}
	if name == "utf-16" { // whose decoder has dropped the mark
		return string(all)
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
			rest, begin, _, err := page(name, content, from, 1000, 7)
			if err != nil || !strings.HasSuffix(text, rest) || begin < from || begin > from+8 {
				t.Fatalf("%s: %q from byte %d on is %q from %d: %v; want the same characters, nil", name, text, from, rest, begin, err)
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
			if got, want := countLines(t, name, content, int(chunk)+1), strings.Count(text, "\n"); got != want {
				t.Fatalf("%s: %q has %d line ends, want %d", name, text, got, want)
			}
			start := min(int64(skip), int64(len(content)))
			got := tail(name, content[start:], start, int64(count))
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
				t.Fatalf("%s: the last %d lines of %q from %d begin at %d, got %d; want %v", name, count, text, start, want, got, want)
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
		content, broken, err := unpack(format, packed)
		if len(content) > maxUnpacked+1<<16 || len(content) > 8<<20 && len(content)/len(packed) > 2*maxRatio {
			t.Fatalf("%d bytes out of %d, want no more than the bounds", len(content), len(packed))
		}
		var e *fault.Error
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("got %v, want an error with a text for the caller", err)
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
