package blobtool_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/blobtool"
)

// clock is the time of a store, which tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// newClockWorld starts a world with a clock of its own.
func newClockWorld(t *testing.T, change func(*blobtool.Options)) (*world, *clock) {
	t.Helper()
	c := &clock{now: time.Now()}
	w := newWorld(t, func(o *blobtool.Options) {
		o.Now = c.Now
		if change != nil {
			change(o)
		}
	})
	w.storage.Grant(w.bob.ObjectID, "docs", "")
	return w, c
}

// saved reports whether a user has a copy of a blob.
func (w *world) saved(user, blob string) bool {
	_, err := os.Lstat(filepath.Join(w.dir, w.userID(user), blob))
	return err == nil
}

// Copies expire, of whoever they are, when somebody saves a blob; after a restart too. A
// copy that is read again is as good as new, and what is not ours stays.
func TestCopiesExpire(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		w, c := newClockWorld(t, func(o *blobtool.Options) { o.MaxAge = 10 * time.Hour })
		put(w.storage, "docs", "a/old.txt", "a/used.txt", "b.txt", "c.txt")
		foreign := filepath.Join(w.dir, "documents")
		mkdir(t, foreign)
		write(t, filepath.Join(foreign, "x"), "x")
		if err := os.Chtimes(filepath.Join(foreign, "x"), time.Time{}, c.now.Add(-1000*time.Hour)); err != nil {
			t.Fatal(err)
		}
		alice, bob := w.connect(t, "alice"), w.connect(t, "bob")
		read(t, alice, args{"blob_path": "a/old.txt"})
		read(t, alice, args{"blob_path": "a/used.txt"})
		read(t, w.connect(t, "mallory"), args{"blob_path": "a/old.txt"}) // a name that anybody's folder may have
		c.pass(9 * time.Hour)
		read(t, alice, args{"blob_path": "a/used.txt"})
		read(t, bob, args{"blob_path": "b.txt"})
		if !w.saved("alice", "a/old.txt") {
			t.Fatal("a copy has expired too early")
		}
		if restart {
			o := blobtool.Options{HTTPClient: w.storage.HTTPClient(), DownloadDir: w.dir, Now: c.Now, MaxAge: 10 * time.Hour}
			w.serve(t, w.storage.URL(), &o)
			bob = w.connect(t, "bob")
		}
		c.pass(time.Hour)
		read(t, bob, args{"blob_path": "c.txt"})
		for _, have := range []struct {
			user, blob string
			want       bool
		}{
			{"alice", "a/old.txt", false}, {"mallory", "a/old.txt", false}, {"mallory", "a", false}, {"alice", "a/used.txt", true},
			{"bob", "b.txt", true}, {"bob", "c.txt", true}, {"documents", "x", true},
		} {
			if w.saved(have.user, have.blob) != have.want {
				t.Errorf("restarted %v: %s's %s is there: %v, want the opposite", restart, have.user, have.blob, !have.want)
			}
		}
	}
}

// All users' copies have a bound: the oldest go, but none that somebody was just told of.
func TestFolderHasABound(t *testing.T) {
	t.Parallel()
	w, c := newClockWorld(t, func(o *blobtool.Options) { o.MaxUserBytes, o.MaxTotalBytes = 12<<10, 16<<10 })
	put(w.storage, "docs", "1.txt", "2.txt", "3.txt", "4.txt", "5.txt", "6.txt")
	alice, bob := w.connect(t, "alice"), w.connect(t, "bob")
	read(t, bob, args{"blob_path": "1.txt"})
	c.pass(time.Hour)
	for _, blob := range []string{"2.txt", "3.txt", "4.txt"} {
		read(t, alice, args{"blob_path": blob})
		c.pass(time.Minute)
	}
	if out := read(t, bob, args{"blob_path": "5.txt"}); out.LocalPath == "" || w.saved("bob", "1.txt") || !w.saved("alice", "2.txt") {
		t.Errorf("bob's copy: got %+v, want the oldest in its place", out)
	}
	if out := read(t, bob, args{"blob_path": "6.txt"}); out.LocalPath != "" || !strings.Contains(out.Warning, "folder of this server is full") || out.Text == "" {
		t.Errorf("everything is in use: got %+v, want the text, and a warning that the folder is full", out)
	}
	c.pass(11 * time.Minute)
	if out := read(t, bob, args{"blob_path": "6.txt"}); out.LocalPath == "" || w.saved("alice", "2.txt") || !w.saved("bob", "5.txt") {
		t.Errorf("alice's copy: got %+v, want the next oldest in its place", out)
	}
	if used, total, _ := w.set.SavedFiles(w.userID("alice")); total > 16<<10 || used > 8<<10 {
		t.Errorf("the account says %d and %d, want at most 8 KiB and 16 KiB", used, total)
	}
}

// What a user's copies take is measured once, and the account stays right.
func TestAccountOfCopies(t *testing.T) {
	t.Parallel()
	w, c := newClockWorld(t, nil)
	folder := filepath.Join(w.dir, w.userID("alice"))
	mkdir(t, filepath.Join(folder, "x"))
	write(t, filepath.Join(folder, "x", "y"), strings.Repeat("y", 5000))
	session := w.connect(t, "alice")
	begun := c.now
	var wg sync.WaitGroup
	for i := range 12 {
		name := fmt.Sprintf("%d/%d/a.txt", i%3, i%4)
		w.storage.PutSized("docs", name, int64(1000*(i+1)))
		wg.Go(func() {
			for range 3 {
				read(t, session, args{"blob_path": name, "max_chars": 1})
			}
		})
	}
	wg.Wait()
	c.pass(time.Hour)
	w.storage.PutSized("docs", "0/0/a.txt", 100_000) // replaces a smaller one
	read(t, session, args{"blob_path": "0/0/a.txt", "max_chars": 1})
	used, total, measured := w.set.SavedFiles(w.userID("alice"))
	want := int64(0)
	_ = filepath.WalkDir(folder, func(path string, d os.DirEntry, err error) error {
		if err != nil || path == folder {
			return err
		}
		info, err := d.Info()
		if d.IsDir() {
			want += 4096
		} else {
			want += (info.Size() + 4095) / 4096 * 4096
		}
		return err
	})
	if used != want || total != want || !measured.Equal(begun) {
		t.Errorf("the account says %d, and %d in all; there are %d; measured %v after the first copy", used, total, want, measured.Sub(begun))
	}
	c.pass(25 * time.Hour)
	read(t, session, args{"blob_path": "0/0/a.txt", "max_chars": 1})
	if _, _, again := w.set.SavedFiles(w.userID("alice")); !again.Equal(c.now) {
		t.Error("it is not measured again after a day")
	}
}

// Bounds that contradict each other are faults.
func TestBoundsOfCopies(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		o     blobtool.Options
		fault string
	}{
		"less for all than for one": {blobtool.Options{MaxTotalBytes: 1 << 20}, "Options.MaxTotalBytes is 1048576, less than the 1073741824"},
		"both":                      {blobtool.Options{MaxTotalBytes: 1 << 20, MaxUserBytes: 1 << 20}, ""},
		"more for one":              {blobtool.Options{MaxUserBytes: 1 << 50}, ""},
		"negative":                  {blobtool.Options{MaxTotalBytes: -1}, "Options.MaxTotalBytes is -1"},
		"negative age":              {blobtool.Options{MaxAge: -1}, "Options.MaxAge is -1"},
	} {
		_, err := blobtool.New("https://account.blob.core.windows.net", "docs", noCredential, &c.o)
		if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: got %v, want %q", name, err, c.fault)
		}
	}
}
