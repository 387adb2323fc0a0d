package blobtool_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/blobtool"
)

// Two users who read the same path have a file each, and only they can see it.
func TestUsersHaveTheirOwnFolders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.storage.Grant(w.bob.ObjectID, "docs", "shared/")
	w.storage.Put("docs", "shared/a.txt", []byte("first"), "")
	a := read(t, w.connect(t, "alice"), args{"blob_path": "shared/a.txt"})
	w.storage.Put("docs", "shared/a.txt", []byte("second"), "")
	b := read(t, w.connect(t, "bob"), args{"blob_path": "shared/a.txt"})
	if a.LocalPath != filepath.Join(w.dir, tenant.ID()+"."+w.alice.ObjectID, "shared", "a.txt") || b.LocalPath != filepath.Join(w.dir, tenant.ID()+"."+w.bob.ObjectID, "shared", "a.txt") {
		t.Errorf("saved at %s and %s, want each in the folder of its user", a.LocalPath, b.LocalPath)
	}
	for path, want := range map[string]string{a.LocalPath: "first", b.LocalPath: "second"} {
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v; want %v, nil", path, got, err, want)
		}
	}
	if runtime.GOOS == "windows" {
		return
	}
	_ = filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			t.Fatal(err)
		}
		info, err := d.Info()
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v, %v; want access for its owner only, nil", path, info.Mode(), err)
		}
		return nil
	})
}

// Ids that are no plain names are kept apart, and can't name a place.
func TestOddUserIDs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.storage.Put("docs", "a.txt", []byte("x"), "")
	seen := map[string]bool{}
	for _, id := range []string{"..", "a%2Fb", "Carol", "carol", "con"} {
		out := read(t, w.connect(t, id), args{"blob_path": "a.txt"})
		inside, err := filepath.Rel(w.dir, out.LocalPath)
		if err != nil || !filepath.IsLocal(inside) || strings.Count(filepath.ToSlash(inside), "/") != 1 || seen[strings.ToLower(out.LocalPath)] {
			t.Errorf("the copy of %q is %q, want a file of its own in the user's folder", id, out.LocalPath)
		}
		seen[strings.ToLower(out.LocalPath)] = true
	}
}

// What can't be saved is read all the same, with a warning that does not show the
// server's paths.
func TestWarnings(t *testing.T) {
	t.Parallel()
	options := func(w *blobtool.Options) { w.MaxFileBytes, w.MaxUserBytes = 10_000, 16_384 }
	for name, c := range map[string]struct {
		path, content string
		prepare       func(t *testing.T, w *world, folder string)
		warning       string
	}{
		"too large":            {"a.txt", strings.Repeat("a", 10_001), nil, "the blob has 10001 bytes, more than the 10000 that this server saves"},
		"quota":                {"a.txt", strings.Repeat("a", 5000), keep("x", 9000), "would exceed 16384 bytes"},
		"quota of small files": {"a/b/c/d/e.txt", "a", nil, "would exceed 16384 bytes"},
		"folder is a file": {"a.txt", "a", func(t *testing.T, w *world, _ string) {
			write(t, w.dir, "a file")
		}, "a file and a folder would have the same name"},
		"a file where a folder is needed": {"a/b", "b", keep("a", 1), "a file and a folder would have the same name"},
		"a folder where the file belongs": {"a", "b", keep("a/b", 1), ""},
		"empty segment":                   {"a//b", "b", nil, "it has an empty folder name"},
		"a name of ours":                  {".partial-x", "b", nil, "it begins with .partial-"},
		"a long name":                     {strings.Repeat("n", 300), "b", nil, "more than 255 bytes"},
		"folder is a link to another's": {"a.txt", "a", func(t *testing.T, w *world, folder string) {
			other := filepath.Join(w.dir, "other")
			mkdir(t, other)
			link(t, other, folder)
		}, "could not be written"},
		"link out of the folder": {"out/a.txt", "a", func(t *testing.T, w *world, folder string) {
			mkdir(t, folder)
			outside := filepath.Join(filepath.Dir(w.dir), "outside")
			mkdir(t, outside)
			link(t, outside, filepath.Join(folder, "out"))
		}, ""},
		"link to another's folder": {"out/a.txt", "a", func(t *testing.T, w *world, folder string) {
			mkdir(t, folder)
			mkdir(t, filepath.Join(w.dir, "other"))
			link(t, filepath.Join("..", "other"), filepath.Join(folder, "out"))
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, options)
			w.storage.Put("docs", c.path, []byte(c.content), "")
			folder := filepath.Join(w.dir, w.userID("alice"))
			if c.prepare != nil {
				c.prepare(t, w, folder)
			}
			before := countFiles(t, filepath.Dir(w.dir))
			out := read(t, w.connect(t, "alice"), args{"blob_path": c.path, "max_chars": 20_000})
			if out.Text != c.content || out.LocalPath != "" || !strings.HasPrefix(out.Warning, "The blob was read but not saved: ") || !strings.Contains(out.Warning, c.warning) {
				t.Errorf("got %.300v, want %v, no LocalPath, %q at the start and %q", out, c.content, "The blob was read but not saved: ", c.warning)
			}
			if strings.Contains(out.Warning, w.dir) || !strings.Contains(w.logs.String(), "blob not saved") {
				t.Errorf("warning: %s\nlog: %s", out.Warning, w.logs)
			}
			if after := countFiles(t, filepath.Dir(w.dir)); after != before {
				t.Errorf("%d files before, %d after; want %v", before, after, before)
			}
		})
	}
}

// A link at the place of the copy is replaced, not followed.
func TestLinkIsReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.storage.Put("docs", "a.txt", []byte("new"), "")
	outside := filepath.Join(t.TempDir(), "outside")
	write(t, outside, "untouched")
	folder := filepath.Join(w.dir, w.userID("alice"))
	mkdir(t, folder)
	link(t, outside, filepath.Join(folder, "a.txt"))
	out := read(t, w.connect(t, "alice"), args{"blob_path": "a.txt"})
	if info, err := os.Lstat(out.LocalPath); err != nil || !info.Mode().IsRegular() {
		t.Errorf("the copy is %v, %v; want a regular file, nil", info, err)
	}
	if got, _ := os.ReadFile(outside); string(got) != "untouched" {
		t.Errorf("the link's target holds %q, want untouched", got)
	}
}

// A copy that is replaced does not count twice, and old unfinished files go.
func TestQuotaIsWhatIsThere(t *testing.T) {
	t.Parallel()
	now := time.Now()
	w := newWorld(t, func(o *blobtool.Options) {
		o.MaxUserBytes = 12 << 10
		o.Now = func() time.Time { return now }
	})
	session := w.connect(t, "alice")
	w.storage.Put("docs", "a.txt", []byte(strings.Repeat("a", 10_000)), "")
	folder := filepath.Join(w.dir, w.userID("alice"))
	for range 3 {
		if out := read(t, session, args{"blob_path": "a.txt"}); out.Warning != "" {
			t.Fatalf("got %+v, want no Warning", out.Warning)
		}
	}
	write(t, filepath.Join(folder, ".partial-old"), strings.Repeat("a", 10_000))
	now = now.Add(25 * time.Hour)
	if out := read(t, session, args{"blob_path": "a.txt"}); out.Warning != "" {
		t.Errorf("got %+v, want no Warning", out.Warning)
	}
	if n := countFiles(t, folder); n != 1 {
		t.Errorf("%d files, want 1", n)
	}
	w.storage.Put("docs", "b.txt", []byte("b"), "")
	if out := read(t, session, args{"blob_path": "b.txt"}); out.LocalPath != "" || out.Text != "b" {
		t.Errorf("got %+v, want no LocalPath, Text b", out)
	}
	if err := os.Remove(filepath.Join(folder, "a.txt")); err != nil {
		t.Fatal(err)
	}
	if out := read(t, session, args{"blob_path": "b.txt"}); out.LocalPath == "" {
		t.Errorf("after making room: got %+v, want a LocalPath", out)
	}
}

// keep returns a preparation: the user has that file already.
func keep(path string, size int) func(*testing.T, *world, string) {
	return func(t *testing.T, _ *world, folder string) {
		file := filepath.Join(folder, path)
		mkdir(t, filepath.Dir(file))
		write(t, file, strings.Repeat("x", size))
	}
}

func mkdir(t testing.TB, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Skip(err)
	}
}

func countFiles(t *testing.T, dir string) int {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
