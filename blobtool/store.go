package blobtool

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

// blockBytes is what each file and folder counts as at least, so that a user's
// quota also bounds their number.
const blockBytes = 4 << 10

// staleAfter is the age at which an unfinished file belongs to no running call.
const staleAfter = 24 * time.Hour

// store is the download folder.
type store struct {
	dir     string
	maxFile int64
	maxUser int64
	now     func() time.Time

	mu    sync.Mutex
	users map[string]*userSpace // those with a download going on
}

// userSpace is the space of one user.
type userSpace struct {
	sync.Mutex       // held while the folder is measured
	downloads  int   // going on; guarded by store.mu
	reserved   int64 // for them
}

// A refusal is a reason not to save a blob that the caller may read. It is no
// error: the call goes on.
type refusal struct {
	text  string // for the caller
	cause error  // for the log, may be nil
}

func newStore(o Options) *store {
	return &store{dir: o.DownloadDir, maxFile: o.MaxFileBytes, maxUser: o.MaxUserBytes, now: o.Now, users: map[string]*userSpace{}}
}

// create begins the copy of a blob of that size.
func (st *store) create(userID, blobPath string, size int64) (*download, *refusal) {
	path, fault := localPath(blobPath, runtime.GOOS == "windows")
	if fault != "" {
		return nil, &refusal{text: "no copy can be saved under this blob's name: " + fault}
	}
	if size > st.maxFile {
		return nil, &refusal{text: fmt.Sprintf("the blob has %d bytes, and this server saves up to %d", size, st.maxFile)}
	}
	folder := userFolder(userID)
	root, err := st.openFolder(folder)
	if err != nil {
		return nil, diskRefusal(err)
	}
	d := &download{store: st, root: root, folder: folder, path: path, size: size, cost: cost(path, size)}
	if r := d.begin(); r != nil {
		_ = root.Close()
		return nil, r
	}
	return d, nil
}

// openFolder opens the folder of a user, and makes it if there is none.
func (st *store) openFolder(name string) (*os.Root, error) {
	if err := os.MkdirAll(st.dir, 0o700); err != nil {
		return nil, err
	}
	all, err := os.OpenRoot(st.dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = all.Close() }()
	if err := all.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	// A link here would lead into another user's folder.
	if info, err := all.Lstat(name); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return nil, fmt.Errorf("the folder of user %q is not a folder", name)
	}
	return all.OpenRoot(name)
}

// reserve takes the space for a download from the user's quota. The path's
// present file does not count: it will be replaced.
func (st *store) reserve(d *download) *refusal {
	st.mu.Lock()
	space := st.users[d.folder]
	if space == nil {
		space = &userSpace{}
		st.users[d.folder] = space
	}
	space.downloads++
	st.mu.Unlock()

	space.Lock()
	defer space.Unlock()
	used, err := st.measure(d)
	if err != nil {
		st.leave(d.folder)
		return diskRefusal(err)
	}
	if used+space.reserved+d.cost > st.maxUser {
		st.leave(d.folder)
		return &refusal{text: fmt.Sprintf("the files saved for this user would take more than %d bytes", st.maxUser)}
	}
	space.reserved += d.cost
	return nil
}

// release gives the space back: either the file is there and counts itself, or it
// is gone.
func (st *store) release(d *download) {
	st.mu.Lock()
	space := st.users[d.folder]
	st.mu.Unlock()
	space.Lock()
	space.reserved -= d.cost
	space.Unlock()
	st.leave(d.folder)
}

// leave forgets a user without downloads, so that the memory does not grow with the
// number of users.
func (st *store) leave(folder string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if space := st.users[folder]; space.downloads > 1 {
		space.downloads--
	} else {
		delete(st.users, folder)
	}
}

// measure returns the space that the user's folder takes, without the files that
// are being written, whose space is reserved. It removes those that a process
// left behind when it crashed, and stops counting once the quota is used up.
func (st *store) measure(d *download) (int64, error) {
	var used int64
	err := fs.WalkDir(d.root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		info, err := entry.Info()
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // finished or removed since
		case err != nil:
			return err
		case isPartial(path):
			if st.now().Sub(info.ModTime()) > staleAfter {
				_ = d.root.Remove(path)
			}
			return nil
		case filepath.FromSlash(path) != d.path:
			used += blocks(info.Size())
		}
		if used > st.maxUser {
			return fs.SkipAll
		}
		return nil
	})
	return used, err
}

func isPartial(path string) bool {
	return len(path) > len(partialPrefix) && path[:len(partialPrefix)] == partialPrefix
}

func newPartialName() string { return partialPrefix + rand.Text() }

// blocks rounds a size up to whole blocks, one at least.
func blocks(size int64) int64 { return max(1, (size+blockBytes-1)/blockBytes) * blockBytes }

// cost is the space that a file and its folders take at most.
func cost(path string, size int64) int64 {
	total := blocks(size)
	for dir := filepath.Dir(path); dir != "."; dir = filepath.Dir(dir) {
		total += blockBytes
	}
	return total
}
