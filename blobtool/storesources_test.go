package blobtool_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/blobtool"
)

// Two containers whose copies are in one folder keep them apart, in whatever order they are
// saved, and after a restart.
func TestContainersShareAFolder(t *testing.T) {
	t.Parallel()
	w, c := newClockWorld(t, nil)
	w.storage.Grant(w.alice.ObjectID, "", "")
	w.storage.Put("docs", "x.txt", []byte("of docs"), "text/plain")
	w.storage.Put("other", "x.txt", []byte("of other"), "text/plain")
	user := w.userID("alice")
	folder := filepath.Join(w.dir, user)
	mkdir(t, folder)
	write(t, filepath.Join(folder, "x.txt"), "of an earlier commit")
	set := func(container, dir string, change func(*blobtool.Options)) *blobtool.Set {
		t.Helper()
		o := blobtool.Options{HTTPClient: w.storage.HTTPClient(), DownloadDir: dir, Now: c.Now}
		if change != nil {
			change(&o)
		}
		s, err := blobtool.New(w.storage.URL(), container, w.findCredential, &o)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	save := func(s *blobtool.Set, blob string) string {
		t.Helper()
		path, err := s.CopyBlob(t.Context(), user, blob)
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, order := range [][]string{{"docs", "other"}, {"other", "docs"}, {"other", "docs", "other", "docs"}} {
		saved := map[string]string{}
		for _, container := range order {
			saved[container] = save(set(container, w.dir, nil), "x.txt")
		}
		for container, path := range saved {
			if got, err := os.ReadFile(path); err != nil || string(got) != "of "+container {
				t.Errorf("%v: %s holds %q, %v; want %q, nil", order, path, got, err, "of "+container)
			}
		}
		if saved["docs"] != filepath.Join(folder, "x.txt") || !strings.HasPrefix(saved["other"], filepath.Join(folder, ".container-other@127.0.0.1_")) || filepath.Base(saved["other"]) != "x.txt" {
			t.Errorf("%v: saved at %v, want x.txt in the folder itself, and in one of the other container", order, saved)
		}
	}
	// Both are in one account, however the folder is spelt, and expire.
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(w.dir, link); err != nil {
		t.Skip(err)
	}
	small := func(o *blobtool.Options) { o.MaxUserBytes = 20 << 10 }
	one, two := set("docs", w.dir, small), set("other", link, small)
	w.storage.PutSized("docs", "large", 6000)
	w.storage.PutSized("other", "large", 6000)
	if save(one, "large") == "" || save(two, "large") != "" {
		t.Error("two sets give a user twice the space")
	}
	c.pass(8 * 24 * time.Hour)
	save(two, "large")
	for _, gone := range []string{"x.txt", "large", ".container-*/x.txt"} {
		if left, _ := filepath.Glob(filepath.Join(folder, gone)); len(left) > 0 {
			t.Errorf("%v has not expired, want no file", left)
		}
	}
}
