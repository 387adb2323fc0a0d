package content

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/fault"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/work"
)

// worker returns a worker with shares of its own.
func worker(t *testing.T) *work.Worker {
	return work.New(t.Context(), work.NewShares(1, 256<<20, 100), "alice")
}

func open(t *testing.T, name, blob string, p Properties, o Options) *Reader {
	t.Helper()
	if o.Count == 0 {
		o.Count = LeastRange
	}
	r, err := Open(worker(t), stored([]byte(blob), 1<<20, p), name, o)
	if err == nil {
		err = r.Begin()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// Each range is four times as large as the last, up to the largest, and no byte beyond
// the limit is read.
func TestRangesGrow(t *testing.T) {
	t.Parallel()
	blob := strings.Repeat("0123456789abcdef", 1<<12) // 64 KiB
	var requested []int64
	source := func(ctx context.Context, offset, count int64, etag string) (*Range, error) {
		requested = append(requested, count)
		return stored([]byte(blob), 1<<20, Properties{})(ctx, offset, count, etag)
	}
	for _, c := range []struct {
		o    Options
		want string
		read int
		err  error
	}{
		{Options{Count: 1 << 10}, "[1024 4096 16384 44032]", 1 << 16, nil},
		{Options{Count: 1 << 10, Largest: 1 << 14}, "[1024 4096 16384 16384 16384 11264]", 1 << 16, nil},
		{Options{Count: 1 << 10, Limit: 10_000}, "[1024 4096 4880]", 10_000, ErrLimit},
		{Options{Count: 1 << 17}, "[131072]", 1 << 16, nil},
		{Options{Count: 1 << 10, Offset: 1<<16 - 100}, "[1024]", 100, nil},
	} {
		requested = nil
		r, err := Open(worker(t), source, "a", c.o)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if got := fmt.Sprint(requested); got != c.want || len(data) != c.read || !errors.Is(err, c.err) {
			t.Errorf("Open(%+v) requested %s and read %d, %v; want %s, %d, %v", c.o, got, len(data), err, c.want, c.read, c.err)
		}
		if string(data) != blob[c.o.Offset:][:c.read] {
			t.Errorf("Open(%+v) reads another piece, want %d bytes from there on", c.o, c.read)
		}
	}
}

// A body that breaks off is resumed where it was, three times in all; one whose error says
// that it is final is not.
func TestBodyIsResumed(t *testing.T) {
	t.Parallel()
	blob := []byte("0123456789")
	for name, c := range map[string]struct {
		breaks, requests int
		final            bool
		want             string
	}{
		"whole": {0, 1, false, "0123456789"}, "three times": {3, 4, false, "0123456789"}, "four times": {4, 4, false, "0123"}, "final": {1, 1, true, "0"},
	} {
		requests := 0
		source := func(_ context.Context, offset, count int64, _ string) (*Range, error) {
			body := io.Reader(strings.NewReader(string(blob[offset:min(offset+count, 10)])))
			if requests++; requests <= c.breaks {
				body = io.MultiReader(io.LimitReader(body, 1), broken{c.final})
			}
			return &Range{Size: 10, Body: io.NopCloser(body)}, nil
		}
		r, err := Open(worker(t), source, "a", Options{Count: 10})
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if string(got) != c.want || requests != c.requests || (err == nil) != (len(got) == 10) {
			t.Errorf("%s: read %q with %d requests, %v; want %q with %d", name, got, requests, err, c.want, c.requests)
		}
	}
}

type broken struct{ final bool }

func (b broken) Read([]byte) (int, error) {
	if b.final {
		return 0, finalError{io.ErrClosedPipe}
	}
	return 0, io.ErrClosedPipe
}

type finalError struct{ error }

func (finalError) NonRetriable() {}

// One rule says what is text, and what is packed.
func TestIsText(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		blob, content string
		p             Properties
		packed        string
		text          bool
		mediaType     string
	}{
		"a.txt":     {"text", "a", Properties{}, "", true, "text/plain"},
		"a.gz":      {"gzip by name", pack(t, gzipFormat, "a"), Properties{ContentType: "application/gzip"}, gzipFormat, true, "text/plain"},
		"b":         {"gzip by property", pack(t, gzipFormat, "a"), Properties{ContentType: "text/csv", Encoding: "GZIP"}, gzipFormat, true, "text/csv"},
		"b.ZST":     {"zstd by name", pack(t, zstdFormat, "a"), Properties{}, zstdFormat, true, "text/plain"},
		"c.gz":      {"not gzip", "a", Properties{}, "", true, "text/plain"},
		"d":         {"another packing", pack(t, gzipFormat, "a"), Properties{Encoding: "br"}, "", false, "application/x-gzip"},
		"e.tar.gz":  {"an archive", pack(t, gzipFormat, "a\x00"), Properties{}, gzipFormat, false, "application/octet-stream"},
		"f":         {"NUL", "a\x00", Properties{ContentType: "text/plain"}, "", false, "application/octet-stream"},
		"g.png":     {"declared", "a", Properties{ContentType: "image/png"}, "", false, "application/octet-stream"},
		"h.svg":     {"SVG", "<svg/>", Properties{ContentType: "image/svg+xml"}, "", true, "image/svg+xml"},
		"i.png":     {"a picture that is called text", "\x89PNG\r\n\x1a\n", Properties{ContentType: "text/plain"}, "", false, "image/png"},
		"empty":     {"nothing", "", Properties{}, "", true, "application/octet-stream"},
		"utf16.txt": {"UTF-16", "\xff\xfea\x00", Properties{}, "", true, "text/plain"},
	} {
		r := open(t, name, c.content, c.p, Options{})
		text, err := r.IsText(r.Charset())
		packed, damaged := r.Packed()
		if got := r.MediaType(); text != c.text || packed != c.packed || damaged || err != nil || got != c.mediaType {
			t.Errorf("%s: text %v, packed %q, damaged %v, type %s, %v; want %v, %q, %s", c.blob, text, packed, damaged, got, err, c.text, c.packed, c.mediaType)
		}
	}
}

// Lines are the same whether they come one by one, are skipped, or limited.
func TestLines(t *testing.T) {
	t.Parallel()
	var blob strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&blob, "%d\n", i)
	}
	blob.WriteString("last")
	r := open(t, "a", blob.String(), Properties{}, Options{})
	lines := r.Lines(UTF8)
	if err := lines.Skip(15_000); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(lines.Limited(3))
	if string(got) != "15000\n15001\n15002\n" || err != nil {
		t.Errorf("3 lines from 15000 on: got %q, %v; want %q, nil", got, err, "15000\n15001\n15002\n")
	}
	if got, err = io.ReadAll(lines.Limited(100_000)); !strings.HasSuffix(string(got), "19999\nlast") || err != nil {
		t.Errorf("the rest: got ...%q, %v; want nil, %q at the end", got[max(0, len(got)-20):], err, "19999\nlast")
	}
	err = open(t, "a", blob.String(), Properties{}, Options{}).Lines(UTF8).Skip(20_002)
	if !errors.Is(err, fault.ErrInvalidArgument) || !strings.Contains(err.Error(), "has only 20001 lines") {
		t.Errorf("skipping too many: got %v, want %v and \"has only 20001 lines\"", err, fault.ErrInvalidArgument)
	}
	limited := open(t, "a", blob.String(), Properties{}, Options{Limit: 50_000})
	if err := limited.Lines(UTF8).Skip(20_000); !errors.Is(err, ErrLimit) || !strings.Contains(err.Error(), "continue from there with offset") {
		t.Errorf("skipping beyond the limit: got %v, want %v and \"continue from there with offset\"", err, ErrLimit)
	}
	wide := open(t, "a", strings.Repeat("x", 3*BufferSize)+"\ny", Properties{}, Options{Buffer: nil, Count: BufferSize})
	pieces := 0
	for all := wide.Lines(UTF8); ; pieces++ {
		if piece, _, err := all.Next(); errors.Is(err, io.EOF) {
			if string(piece) != "y" || pieces != 4 {
				t.Errorf("a line of 3 buffers came in %d pieces, the last one is %q; want 4, y", pieces, piece)
			}
			return
		}
	}
}

// steps is a context that ends when the time has been looked at so many times.
type steps struct {
	context.Context
	left int
}

func (s *steps) Err() error {
	if s.left--; s.left < 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// Unpacking looks at the time, however little it unpacks from.
func TestUnpackingLooksAtTheTime(t *testing.T) {
	t.Parallel()
	for _, format := range []string{gzipFormat, zstdFormat} {
		packed := pack(t, format, strings.Repeat("a", 3<<20))
		ctx := &steps{t.Context(), 1 << 30}
		w := work.New(ctx, work.NewShares(1, 256<<20, 1), "alice")
		r, err := Open(w, stored([]byte(packed), 1<<20, Properties{Encoding: format}), "a", Options{Count: LeastRange})
		if err == nil {
			err = errors.Join(w.Begin(), r.Begin())
		}
		if err != nil {
			t.Fatal(err)
		}
		ctx.left = 5
		if n, err := io.Copy(io.Discard, r); !errors.Is(err, context.DeadlineExceeded) || n > 1<<20 {
			t.Errorf("%s: %d bytes unpacked, %v; want an end of the time before 1 MiB", format, n, err)
		}
		_ = r.Close()
	}
}
