package blobtool_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/mcpentra/mcp-entra-go/blobtool"
)

// A folder that can't be written to, also by root.
func TestReadOnlyFolder(t *testing.T) {
	t.Parallel()
	const dir = "/sys/mcp-entra-go"
	if err := os.Mkdir(dir, 0o700); !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EROFS) {
		t.Skipf("making a folder in /sys: %v", err)
	}
	w := newWorld(t, func(o *blobtool.Options) { o.DownloadDir = dir })
	w.storage.Put("docs", "a.txt", []byte("Hello"), "")
	out := read(t, w.connect(t, "alice"), args{"blob_path": "a.txt"})
	if out.Text != "Hello" || out.LocalPath != "" || !strings.Contains(out.Warning, "the download folder is not writable") {
		t.Errorf("got %+v, want Text Hello, no LocalPath and \"the download folder is not writable\"", out)
	}
}

// The disk fails in the middle of the copy: the text is read to its end.
func TestDiskFailsMidway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.storage.PutSized("docs", "a.txt", 12<<20)
	session := w.connect(t, "alice")
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Skip(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 4 << 20, Max: old.Max}); err != nil {
		t.Skip(err)
	}
	out := read(t, session, args{"blob_path": "a.txt", "max_chars": 500_000})
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if len(out.Text) != 500_000+len(cut) || out.Bytes != 12<<20 || out.LocalPath != "" || !strings.Contains(out.Warning, "the copy could not be written") {
		t.Errorf("got %d characters, %q, %q; want %v, no LocalPath and \"the copy could not be written\", 12<<20", len(out.Text), out.LocalPath, out.Warning, 500_000+len(cut))
	}
	if n := countFiles(t, w.dir); n != 0 {
		t.Errorf("%d files are left, want 0", n)
	}
	if out := read(t, session, args{"blob_path": "a.txt"}); out.LocalPath == "" {
		t.Errorf("afterwards: got %+v, want a LocalPath", out.Warning)
	}
}

// Copies that are written at the same time share the quota.
func TestQuotaUnderLoad(t *testing.T) {
	t.Parallel()
	const quota = 64 << 10
	w := newWorld(t, func(o *blobtool.Options) { o.MaxUserBytes = quota })
	session := w.connect(t, "alice")
	var wg sync.WaitGroup
	for i := range 20 {
		name := string(rune('a'+i)) + ".txt"
		w.storage.Put("docs", name, []byte(strings.Repeat("a", 10_000)), "")
		wg.Go(func() {
			if out := read(t, session, args{"blob_path": name, "max_chars": 1}); (out.LocalPath == "") != (out.Warning != "") {
				t.Errorf("got %+v, want a LocalPath or a Warning", out)
			}
		})
	}
	wg.Wait()
	saved, err := filepath.Glob(filepath.Join(w.dir, "*", "*.txt"))
	if err != nil || len(saved) == 0 || len(saved) > quota/(12<<10) {
		t.Errorf("%d copies of 12 KiB, %v; want some saved, at most %v, nil", len(saved), err, quota/(12<<10))
	}
	noPartialFiles(t, w)
}
