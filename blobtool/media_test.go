package blobtool_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
)

const pngHead = "\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"

// pack packs content with gzip or zstd.
func pack(t testing.TB, format, content string) string {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	var err error
	switch format {
	case "gzip": // what is flat packs 1000 times in each version of Go; the default level of 1.27 gets 510
		w, err = gzip.NewWriterLevel(&out, gzip.BestCompression)
	case "zstd":
		w, err = zstd.NewWriter(&out, zstd.WithWindowSize(1<<20))
	default:
		t.Fatalf("format %q, want gzip or zstd", format)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// What is no text comes as what it is.
func TestReadBlobMedia(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	session := w.connect(t, "alice")
	binary := string([]byte{0, 1, 2, 0xFF, 0xFE, 0xFD, 3, 4, 5})
	for name, c := range map[string]struct {
		blob, content, contentType string
		a                          args
		kind, mediaType            string
		data                       string // of the further content
		next                       int64
	}{
		"image":                {"a.png", pngHead, "image/png", args{}, "image", "image/png", pngHead, 0},
		"image of no type":     {"a", pngHead, "", args{}, "image", "image/png", pngHead, 0},
		"image that lies":      {"a.jpg", pngHead, "image/jpeg", args{}, "image", "image/png", pngHead, 0},
		"image called text":    {"a.txt", pngHead, "text/plain", args{}, "image", "image/png", pngHead, 0},
		"image of a new kind":  {"a.avif", "\x00\x00\x00 ftypavif" + binary, "image/avif", args{}, "image", "image/avif", "\x00\x00\x00 ftypavif" + binary, 0},
		"audio":                {"a.wav", "RIFF\x04\x00\x00\x00WAVEfmt " + binary, "audio/x-wav", args{}, "audio", "audio/wave", "RIFF\x04\x00\x00\x00WAVEfmt " + binary, 0},
		"packed image":         {"a.png", pack(t, "gzip", pngHead), "image/png", args{}, "image", "image/png", pngHead, 0},
		"part of an image":     {"a.png", pngHead, "image/png", args{"offset": 1, "length": 3}, "binary", "image/png", "PNG", 4},
		"binary":               {"a.bin", binary, "", args{}, "binary", "application/octet-stream", binary, 0},
		"binary called text":   {"a.txt", binary, "text/plain", args{}, "binary", "application/octet-stream", binary, 0},
		"binary from 3 on":     {"a.bin", binary, "", args{"offset": 3}, "binary", "application/octet-stream", binary[3:], 0},
		"latin-1 called text":  {"a.txt", strings.Repeat("\xe9\xe8", 50), "text/plain", args{}, "binary", "application/octet-stream", strings.Repeat("\xe9\xe8", 50), 0},
		"PDF":                  {"a.pdf", "%PDF-1.4\n1 0 obj", "application/pdf", args{}, "binary", "application/pdf", "%PDF-1.4\n1 0 obj", 0},
		"packed binary":        {"a.tar.gz", pack(t, "gzip", binary), "application/gzip", args{}, "binary", "application/gzip", pack(t, "gzip", binary), 0},
		"part of it":           {"a.tar.gz", pack(t, "gzip", binary), "", args{"offset": 1, "length": 2}, "binary", "application/x-gzip", pack(t, "gzip", binary)[1:3], 3},
		"encoded binary":       {"a.bin", pack(t, "zstd", binary), "", args{}, "binary", "application/octet-stream", binary, 0},
		"large binary, part":   {"large.bin", strings.Repeat(binary, 100_000), "", args{"length": 500_000}, "binary", "application/octet-stream", strings.Repeat(binary, 100_000)[:256<<10], 256 << 10},
		"large binary":         {"large.bin", strings.Repeat(binary, 100_000), "", args{}, "link", "application/octet-stream", "", 0},
		"large image":          {"large.png", pngHead + strings.Repeat("x", 3<<20), "image/png", args{}, "link", "image/png", "", 0},
		"large once unpacked":  {"large.bin", pack(t, "gzip", strings.Repeat(binary, 100_000)), "", args{}, "link", "application/octet-stream", "", 0},
		"image just not large": {"a.png", pngHead + strings.Repeat("x", 3<<20-len(pngHead)), "image/png", args{}, "image", "image/png", pngHead + strings.Repeat("x", 3<<20-len(pngHead)), 0},
	} {
		w.storage.Put("docs", c.blob, []byte(c.content), c.contentType)
		if strings.HasPrefix(name, "packed image") || strings.HasPrefix(name, "large once") {
			w.storage.SetContentEncoding("docs", c.blob, "gzip")
		} else if strings.HasPrefix(name, "encoded") {
			w.storage.SetContentEncoding("docs", c.blob, "zstd")
		}
		c.a["blob_path"] = c.blob
		var out blobOutput
		more := call(t, session, "read_blob", c.a, &out)
		if out.Kind != c.kind || out.ContentType != c.mediaType || out.Text != "" || out.NextOffset != c.next || len(more) != 1 {
			t.Errorf("%s: got %+v, %d pieces of content; want %v, %v, no Text, %v, 1", name, out, len(more), c.kind, c.mediaType, c.next)
			continue
		}
		var mediaType, data string
		switch m := more[0].(type) {
		case *mcp.ImageContent:
			mediaType, data = m.MIMEType, string(m.Data)
		case *mcp.AudioContent:
			mediaType, data = m.MIMEType, string(m.Data)
		case *mcp.EmbeddedResource:
			mediaType, data = m.Resource.MIMEType, string(m.Resource.Blob)
			if m.Resource.URI != out.URI {
				t.Errorf("%s: got %s, want %v", name, m.Resource.URI, out.URI)
			}
		case *mcp.ResourceLink:
			mediaType = m.MIMEType
			if m.URI != out.URI || *m.Size != out.Size || !out.Truncated || !strings.Contains(out.NextStep, "only a link") {
				t.Errorf("%s: got %+v, %s; want a link of that size, and that it is only a link", name, m, out.NextStep)
			}
		}
		if mediaType != c.mediaType || data != c.data {
			t.Errorf("%s: got %s, %d bytes %.50q; want %v, %v", name, mediaType, len(data), data, c.mediaType, c.data)
		}
	}
}

// What is text is shown, whatever it is called and however it is packed.
func TestReadBlobUnpacked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	session := w.connect(t, "alice")
	long := strings.Repeat("日本語 and some text\n", 5_000)
	const unit = int64(len("日本語 and some text\n"))
	type want struct {
		text, unpacked, warning string
		offset, next            int64
	}
	for name, c := range map[string]struct {
		blob, content, property string
		a                       args
		want                    want
	}{
		"svg":                    {"a.svg", "<svg></svg>", "", args{}, want{"<svg></svg>", "", "", 0, 0}},
		"text called image":      {"a.png", "not a picture", "", args{}, want{"not a picture", "", "", 0, 0}},
		"gzip by property":       {"a.txt", pack(t, "gzip", "Hello"), "gzip", args{}, want{"Hello", "gzip", "", 0, 0}},
		"gzip by name":           {"a.txt.GZ", pack(t, "gzip", "Hello"), "", args{}, want{"Hello", "gzip", "", 0, 0}},
		"two members":            {"a.gz", pack(t, "gzip", "Hel") + pack(t, "gzip", "lo"), "", args{}, want{"Hello", "gzip", "", 0, 0}},
		"zstd by property":       {"a.txt", pack(t, "zstd", "Hello"), "ZSTD", args{}, want{"Hello", "zstd", "", 0, 0}},
		"zstd by name":           {"a.zst", pack(t, "zstd", "Hello"), "", args{}, want{"Hello", "zstd", "", 0, 0}},
		"empty":                  {"a.gz", pack(t, "gzip", ""), "", args{}, want{"", "gzip", "", 0, 0}},
		"neither":                {"a.gz", "Hello", "", args{}, want{"Hello", "", "", 0, 0}},
		"property lies":          {"a.txt", "Hello", "gzip", args{}, want{"Hello", "", "Content-Encoding", 0, 0}},
		"other property":         {"a.txt", "Hello", "aws-chunked", args{}, want{"Hello", "", "Content-Encoding", 0, 0}},
		"page":                   {"a.gz", pack(t, "gzip", long), "", args{"max_chars": 3}, want{"日本語", "gzip", "", 0, 9}},
		"second page":            {"a.gz", pack(t, "gzip", long), "", args{"max_chars": 4, "offset": 9}, want{" and", "gzip", "", 9, 13}},
		"far page":               {"a.zst", pack(t, "zstd", long), "", args{"offset": unit*4_999 + 18}, want{" text\n", "zstd", "", unit*4_999 + 18, 0}},
		"within a character":     {"a.gz", pack(t, "gzip", long), "gzip", args{"offset": 4, "encoding": "utf-8", "max_chars": 2}, want{"語 ", "gzip", "", 6, 10}},
		"by property, from afar": {"a.txt", pack(t, "gzip", long), "gzip", args{"offset": unit, "encoding": "utf-8", "max_chars": 2}, want{"日本", "gzip", "", unit, unit + 6}},
		"lines":                  {"a.gz", pack(t, "gzip", long), "", args{"lines": "4999"}, want{"日本語 and some text\n", "gzip", "", unit * 4_998, unit * 4_999}},
		"tail":                   {"a.zst", pack(t, "zstd", long), "", args{"tail_lines": 1}, want{"日本語 and some text\n", "zstd", "", unit * 4_999, 0}},
		"damaged":                {"a.gz", pack(t, "gzip", long)[:200], "", args{"max_chars": 1_000_000}, want{"", "gzip", "damaged", 0, 0}},
		"zstd, damaged":          {"a.zst", pack(t, "zstd", long)[:30] + "xxxxxxxx", "", args{"encoding": "utf-8"}, want{"", "zstd", "", 0, 0}},
	} {
		w.storage.Put("docs", c.blob, []byte(c.content), "text/plain")
		if c.property != "" {
			w.storage.SetContentEncoding("docs", c.blob, c.property)
		}
		c.a["blob_path"] = c.blob
		if name == "zstd, damaged" {
			_, err := w.refusedBy(t, session, "read_blob", c.a)
			wantKind(t, name, err, blobtool.ErrUnsupported)
			continue
		}
		out := readBlob(t, session, c.a)
		got := want{out.Text, out.Unpacked, c.want.warning, out.Offset, out.NextOffset}
		if name == "damaged" {
			if !strings.HasPrefix(long, out.Text) || out.Text == "" {
				t.Errorf("%s: got %q, want a Text, %q at the start", name, out.Text, out.Text)
			}
			got.text = ""
		}
		if got != c.want || (out.Warning != "") != (c.want.warning != "") || !strings.Contains(out.Warning, c.want.warning) {
			t.Errorf("%s: got %.300v, warning %q\nwant %.300v", name, got, out.Warning, c.want)
		}
	}
}

// Packed content that unpacks to too much costs little.
func TestReadBlobBombs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	session := w.connect(t, "alice")
	flat := strings.Repeat("a", 6<<20)
	var numbers strings.Builder // of ordinary density
	for i := range 100_000 {
		fmt.Fprintf(&numbers, "%d, ", i*i)
	}
	var hollow bytes.Buffer // nothing, in 64 KiB
	z := gzip.NewWriter(&hollow)
	z.Extra = make([]byte, 1<<16-1)
	_ = z.Close()
	for name, c := range map[string]struct {
		content string
		times   int64
		a       args
		text    string
	}{
		"gzip":          {pack(t, "gzip", flat), 1, args{"tail_lines": 1}, "more than 512 times its size"},
		"zstd":          {pack(t, "zstd", flat), 1, args{"offset": 5 << 20}, "more than 512 times its size"},
		"large":         {pack(t, "zstd", numbers.String()), int64(64<<20/numbers.Len() + 2), args{"lines": "2"}, "unpacks to more than 67108864 bytes"},
		"empty members": {hollow.String(), 1100, args{}, "more than the first 67108864 bytes"},
	} {
		blob := "a.gz"
		if name == "zstd" || name == "large" {
			blob = "a.zst"
		}
		w.storage.PutGenerated("docs", blob, c.times*int64(len(c.content)), "text/plain", func(off int64, p []byte) {
			for n := 0; n < len(p); {
				n += copy(p[n:], c.content[(off+int64(n))%int64(len(c.content)):])
			}
		})
		c.a["blob_path"] = blob
		text, err := w.refusedBy(t, session, "read_blob", c.a)
		wantKind(t, name, err, blobtool.ErrTooLarge)
		if !strings.Contains(text, c.text) {
			t.Errorf("%s: got %s, want %q", name, text, c.text)
		}
	}
	w.storage.Put("docs", "a.gz", []byte(pack(t, "gzip", flat)), "text/plain")
	if out := readBlob(t, session, args{"blob_path": "a.gz", "max_chars": 10}); out.Text != "aaaaaaaaaa" || out.NextOffset != 10 {
		t.Errorf("the beginning can be read: %+v", out)
	}
	// A window of 512 MiB, as the header of the frame says.
	w.storage.Put("docs", "a.zst", []byte("\x28\xB5\x2F\xFD\x00\x98\x01\x00\x00"), "text/plain")
	text, err := w.refusedBy(t, session, "read_blob", args{"blob_path": "a.zst"})
	wantKind(t, "window", err, blobtool.ErrTooLarge)
	if !strings.Contains(text, "bytes of memory") {
		t.Errorf("got %s, want \"bytes of memory\"", text)
	}
}
