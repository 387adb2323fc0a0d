package blobtool_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

const cut = "\n...<truncated>"

func TestRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	session := w.connect(t, "alice")
	sjis, _ := japanese.ShiftJIS.NewEncoder().String("日本語のテキスト")
	utf16, _ := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String("h😀llo")
	for name, c := range map[string]struct {
		content   string
		a         args
		text      string
		truncated bool
	}{
		"all":                    {"Hello", args{}, "Hello", false},
		"empty":                  {"", args{}, "", false},
		"exactly max_chars":      {"Hello", args{"max_chars": 5}, "Hello", false},
		"one too many":           {"Hello!", args{"max_chars": 5}, "Hello" + cut, true},
		"the least":              {"Hello", args{"max_chars": 1}, "H" + cut, true},
		"characters, not bytes":  {"日本語テキスト", args{"max_chars": 3}, "日本語" + cut, true},
		"default of max_chars":   {strings.Repeat("a", 8001), args{}, strings.Repeat("a", 8000) + cut, true},
		"max_chars too large":    {strings.Repeat("ä", 1_000_001), args{"max_chars": 5_000_000}, strings.Repeat("ä", 1_000_000) + cut, true},
		"max_chars huge":         {"Hello", args{"max_chars": 1e30}, "Hello", false},
		"undecodable":            {"a\xffb\xe3\x81", args{}, "a\ufffdb\ufffd", false},
		"byte order mark":        {"\ufeffHello", args{"max_chars": 5}, "Hello", false},
		"binary":                 {"\x00\x01\x02", args{}, "\x00\x01\x02", false},
		"shift_jis":              {sjis, args{"encoding": "Shift_JIS", "max_chars": 3}, "日本語" + cut, true},
		"utf-16 with BOM":        {utf16, args{"encoding": "utf-16"}, "h😀llo", false},
		"latin1":                 {"caf\xe9", args{"encoding": "iso-8859-1"}, "café", false},
		"utf8, as Python has it": {"é", args{"encoding": "utf8"}, "é", false},
		"no such characters":     {"caf\xe9", args{"encoding": "us-ascii"}, "caf\ufffd", false},
	} {
		w.storage.Put("docs", "dir/a.txt", []byte(c.content), "text/plain")
		c.a["blob_path"] = "dir/a.txt"
		got := read(t, session, c.a)
		want := output{
			Container: "docs", BlobPath: "dir/a.txt", Bytes: int64(len(c.content)), Text: c.text, Truncated: c.truncated,
			LocalPath: filepath.Join(w.dir, w.userID("alice"), "dir", "a.txt"),
		}
		if got != want {
			t.Errorf("%s: got %.300v\nwant %.300v", name, got, want)
		}
		if saved, err := os.ReadFile(got.LocalPath); err != nil || string(saved) != c.content {
			t.Errorf("%s: %d bytes were saved, %v; want %d, nil", name, len(saved), err, len(c.content))
		}
	}
}

// What is fetched depends on what is needed, not on the size of the blob.
func TestBytesFetched(t *testing.T) {
	t.Parallel()
	const size = 100 << 20
	for name, c := range map[string]struct {
		dir      bool
		a        args
		put      func(*blobtest.Server)
		requests int
		atMost   int64
	}{
		"text alone":             {false, args{}, nil, 1, 33_000},
		"text alone, one byte":   {false, args{"max_chars": 1}, nil, 1, 4096},
		"single-byte encoding":   {false, args{"encoding": "windows-1252"}, nil, 1, 8001},
		"much text":              {false, args{"max_chars": 1_000_000}, nil, 2, 2 << 20},
		"over the limit of file": {true, args{}, nil, 1, 33_000},
		"small and saved": {true, args{}, func(s *blobtest.Server) {
			s.PutSized("docs", "big.txt", 20_000)
		}, 1, 20_000},
		"saved": {true, args{}, func(s *blobtest.Server) {
			s.PutSized("docs", "big.txt", 1<<20)
		}, 2, 1 << 20},
		"empty": {true, args{}, func(s *blobtest.Server) {
			s.Put("docs", "big.txt", nil, "")
		}, 2, 0},
		"hardly any text in it": {false, args{"max_chars": 1, "encoding": "iso-2022-jp"}, func(s *blobtest.Server) {
			s.Put("docs", "big.txt", bytes.Repeat([]byte("\x1b$B\x1b(B"), 1<<20), "")
		}, 4, 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(o *blobtool.Options) {
				o.MaxFileBytes = 10 << 20
				if !c.dir {
					o.DownloadDir = ""
				}
			})
			w.storage.PutSized("docs", "big.txt", size)
			if c.put != nil {
				c.put(w.storage)
			}
			c.a["blob_path"] = "big.txt"
			out := read(t, w.connect(t, "alice"), c.a)
			var fetched int64
			requests := w.storage.Requests()
			for _, r := range requests {
				if r.Status < 300 {
					fetched += r.BytesSent
				}
			}
			if fetched > c.atMost || len(requests) != c.requests {
				t.Errorf("%d requests fetched %d bytes: got %+v, want %v, at most %v", len(requests), fetched, requests, c.requests, c.atMost)
			}
			if out.Truncated != (int64(len(out.Text)) < out.Bytes) && c.a["encoding"] != "iso-2022-jp" {
				t.Errorf("truncated %v with %d of %d, want it where bytes are missing", out.Truncated, len(out.Text), out.Bytes)
			}
		})
	}
}

// hook is a transport that calls a function after each answer.
type hook struct {
	next  http.RoundTripper
	after func(n int, resp *http.Response)
	mu    sync.Mutex
	n     int
}

func (h *hook) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := h.next.RoundTrip(r)
	if err == nil {
		h.mu.Lock()
		h.n++
		h.after(h.n, resp)
		h.mu.Unlock()
	}
	return resp, err
}

// hooked lets f see the answers of the storage service.
func hooked(o *blobtool.Options, f func(n int, resp *http.Response)) {
	client := *o.HTTPClient
	client.Transport = &hook{next: client.Transport, after: f}
	o.HTTPClient = &client
}

func TestBlobChangesMidway(t *testing.T) {
	t.Parallel()
	var w *world
	w = newWorld(t, func(o *blobtool.Options) {
		hooked(o, func(n int, _ *http.Response) {
			if n == 1 {
				w.storage.PutSized("docs", "a.txt", 1<<20)
			}
		})
	})
	w.storage.PutSized("docs", "a.txt", 1<<20)
	session := w.connect(t, "alice")
	text, err := w.refused(t, session, args{"blob_path": "a.txt"})
	wantKind(t, "changed", err, blobtool.ErrChanged)
	if !strings.Contains(text, "was changed while it was being read") {
		t.Errorf("got %s, want \"was changed while it was being read\"", text)
	}
	noPartialFiles(t, w)
	if out := read(t, session, args{"blob_path": "a.txt"}); out.LocalPath == "" {
		t.Errorf("the next call: got %+v, want a LocalPath", out)
	}
}

// A broken connection is taken up again, on the same version.
func TestBodyBreaksOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.storage.PutSized("docs", "a.txt", 1<<20)
	session := w.connect(t, "alice")
	w.storage.Fail(blobtest.Fault{Skip: 1, Times: 2, CutAfter: 100_000})
	out := read(t, session, args{"blob_path": "a.txt"})
	saved, err := os.ReadFile(out.LocalPath)
	if err != nil || len(saved) != 1<<20 || !strings.HasPrefix(string(saved[len(saved)-64:]), "0000016383 ") {
		t.Errorf("saved %d bytes, %v; want 1<<20, %q at the start, nil", len(saved), err, "0000016383 ")
	}

	w.storage.ForgetRequests()
	w.storage.Fail(blobtest.Fault{CutAfter: 10})
	text, err := w.refused(t, session, args{"blob_path": "a.txt"})
	wantKind(t, "always cut", err, blobtool.ErrUnavailable)
	if !strings.Contains(text, "closed the connection") {
		t.Errorf("got %q, want \"closed the connection\"", text)
	}
	if n := len(w.storage.Requests()); n != 4 {
		t.Errorf("%d requests, want 4", n)
	}
	noPartialFiles(t, w)
	if saved, err = os.ReadFile(out.LocalPath); err != nil || len(saved) != 1<<20 {
		t.Errorf("the earlier copy has %d bytes, %v; want 1<<20, nil", len(saved), err)
	}
}

func noPartialFiles(t *testing.T, w *world) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(w.dir, "*", ".partial-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left: %q, %v; want no file, nil", left, err)
	}
}

// Go's transport unpacks gzip unless told not to; the blob is what its bytes are.
func TestContentEncodingIsAProperty(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = io.WriteString(z, strings.Repeat("a", 10_000))
	_ = z.Close()
	w.storage.Put("docs", "a.gz", packed.Bytes(), "text/plain")
	w.storage.SetContentEncoding("docs", "a.gz", "gzip")
	out := read(t, w.connect(t, "alice"), args{"blob_path": "a.gz"})
	if out.Bytes != int64(packed.Len()) || !strings.Contains(out.Warning, "Content-Encoding") {
		t.Errorf("got %+v, want Bytes %d, and a warning of its Content-Encoding", out, packed.Len())
	}
	if saved, err := os.ReadFile(out.LocalPath); err != nil || !bytes.Equal(saved, packed.Bytes()) {
		t.Errorf("saved %q, %v; want the packed bytes, nil", saved, err)
	}
}

// Many calls of two users at once: each gets what is theirs.
func TestConcurrentUsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.storage.Grant(w.bob.ObjectID, "docs", "bob/")
	w.storage.PutSized("docs", "alice/a.txt", 300_000)
	w.storage.Put("docs", "bob/a.txt", []byte("Bob's"), "")
	alice, bob := w.connect(t, "alice"), w.connect(t, "bob")
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if out := read(t, alice, args{"blob_path": "alice/a.txt", "max_chars": 10}); out.Text != "0000000000"+cut || out.LocalPath != filepath.Join(w.dir, w.userID("alice"), "alice/a.txt") {
				t.Errorf("alice got %+v, want her blob, in her folder", out)
			}
		})
		wg.Go(func() {
			if out := read(t, bob, args{"blob_path": "bob/a.txt"}); out.Text != "Bob's" || out.LocalPath != filepath.Join(w.dir, w.userID("bob"), "bob/a.txt") {
				t.Errorf("bob got %+v, want his blob, in his folder", out)
			}
		})
	}
	wg.Wait()
	_, err := w.refused(t, bob, args{"blob_path": "alice/a.txt"})
	wantKind(t, "bob reads alice's", err, blobtool.ErrPermission)
	noPartialFiles(t, w)
}
